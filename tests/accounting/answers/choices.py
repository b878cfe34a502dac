"""Randomized response, black boxes and exponential mechanisms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp

from tests.accounting.answers.book import DDR, KOV, Event, F, add, atoms_delta, both, golden, many, solve
from tests.accounting.answers.noise import discrete_laplace


def response(eps: Any, times: int = 1) -> list[tuple[Any, Any]]:
    """Randomized response: losses eps and -eps, binomially often."""
    yes = 1 / (1 + mp.exp(-F(eps)))
    return [
        ((2 * k - times) * F(eps), mp.binomial(times, k) * yes**k * (1 - yes) ** (times - k)) for k in range(times + 1)
    ]


def pure_events() -> None:
    def pure(eps: str, count: int) -> Event:
        return {"type": "pure_dp", "epsilon": eps, "count": count}

    for eps, count, delta in (
        ("0.01", 100, "1e-5"), ("0.1", 1, "1e-6"), ("0.1", 50, "1e-6"), ("0.2", 30, "1e-8"), ("0.5", 8, "1e-5"),
        ("1", 5, "1e-4"), ("1", 40, "1e-9"), ("2", 3, "1e-3"), ("0.05", 1000, "1e-6"),
    ):  # fmt: skip
        value = solve(atoms_delta(response(eps, count)), delta)
        add("epsilon", value, [pure(eps, count)], KOV, at=delta, tolerance=3e-4)
    for (a, n), (b, m), delta in (
        (("0.1", 10), ("0.7", 2), "1e-5"), (("0.05", 40), ("0.3", 5), "1e-6"), (("1", 2), ("0.01", 20), "1e-7"),
    ):  # fmt: skip
        value = solve(atoms_delta(both(response(a, n), response(b, m))), delta)
        add("epsilon", value, [pure(a, n), pure(b, m)], "all outcomes multiplied out", at=delta, tolerance=3e-4)
    for eps, lost, count, delta in (
        ("0.2", "1e-8", 30, "1e-6"), ("1", "1e-7", 5, "1e-5"), ("0.1", "1e-9", 100, "1e-6"), ("0.5", "1e-6", 3, "1e-5"),
    ):  # fmt: skip
        gone = 1 - (1 - F(lost)) ** count
        value = solve(atoms_delta(response(eps, count), gone), delta)
        event = {"type": "approx_dp", "epsilon": eps, "delta": lost, "count": count}
        add("epsilon", value, [event], KOV, at=delta, tolerance=3e-4)
    for scale, change, count, delta in (
        ("2", 1, 6, "1e-5"), ("2", 3, 1, "1e-5"), ("5", 2, 4, "1e-6"),
        ("1.5", 4, 3, "1e-6"), ("10", 5, 5, "1e-7"), ("20", 1, 50, "1e-5"),
    ):  # fmt: skip
        value = solve(atoms_delta(many(discrete_laplace(scale, change), count)), delta)
        event = {"type": "discrete_laplace", "scale": scale, "l1_sensitivity": str(change), "count": count}
        source = "Ghosh, Roughgarden and Sundararajan 2009; all outcomes multiplied out"
        add("epsilon", value, [event], source, at=delta, tolerance=3e-4)


def two_outcomes(eta: Any, t: Any, rest: Callable[[Any], Any], eps: Any) -> Any:
    p = (mp.exp(eta) - mp.exp(t)) / mp.expm1(eta)
    return p * rest(eps - t) + (1 - p) * rest(eps - t + eta)


def bounded_range(eta: Any, eps: Any) -> Any:
    """sup over t of the two-outcome pair with losses t and t - eta, by golden section (not its closed form)."""
    eta, eps = F(eta), F(eps)
    return golden(lambda t: two_outcomes(eta, t, lambda a: max(F(0), -mp.expm1(a)), eps), eta)


def exponentials() -> None:
    def exponential(eta: str, count: int = 1) -> Event:
        return {"type": "exponential", "bounded_range": eta, "count": count}

    for eta, at in (
        ("0.05", "0.01"),
        ("0.3", "0.1"),
        ("0.5", "0"),
        ("1", "0.25"),
        ("1", "0.8"),
        ("2", "1"),
        ("4", "3"),
        ("1", "-0.25"),
    ):
        add(
            "delta",
            bounded_range(eta, at),
            [exponential(eta)],
            DDR,
            at=at,
            tolerance=1e-3,
            method="mpmath, supremum over t by golden section",
        )
    for eta, delta in (("0.1", "1e-3"), ("0.5", "1e-4"), ("2", "1e-5"), ("5", "1e-6")):
        # The closed curve inverted: (e^(eta/2) - e^(eps/2))^2 = delta (e^eta - 1).
        root = mp.exp(F(eta) / 2) - mp.sqrt(F(delta) * mp.expm1(F(eta)))
        add("epsilon", 2 * mp.log(root), [exponential(eta)], DDR, at=delta, tolerance=1e-3)
    with mp.workdps(18):
        for etas, at in (
            (("1", "1"), "1"),
            (("0.5", "0.5"), "0.2"),
            (("0.3", "1"), "0.5"),
            (("1", "0.3"), "0.5"),
            (("2", "0.1"), "1.2"),
            (("0.1", "2"), "1.2"),
        ):
            first, second = map(F, etas)

            def rest(a: Any, second: Any = second) -> Any:
                if abs(a) >= second:
                    return max(F(0), -mp.expm1(a))
                return (mp.exp(second / 2) - mp.exp(a / 2)) ** 2 / mp.expm1(second)

            value = golden(lambda t, at=at, first=first, rest=rest: two_outcomes(first, t, rest, F(at)), first, 10)
            method = "mpmath, supremum over the first choice of t by golden section"
            add("delta", value, [exponential(e) for e in etas], DDR, at=at, tolerance=2e-3, method=method)
