"""Gaussian and Laplace noise, continuous and discrete, and thresholds on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp

from tests.accounting.answers.book import BW, CKS, SQRT2, Event, F, add, atoms_delta, both, many, solve, solve_coarse


def gaussian(sigma: str, sensitivity: str = "1", count: int = 1) -> Event:
    return {"type": "gaussian", "sigma": sigma, "l2_sensitivity": sensitivity, "count": count}


def gaussian_delta(mu: Any, eps: Any) -> Any:
    return mp.ncdf(mu / 2 - eps / mu) - mp.exp(eps) * mp.ncdf(-mu / 2 - eps / mu)


def gaussians() -> None:
    for sigma, sensitivity, count, delta in (
        ("0.5", "1", 1, "1e-5"),
        ("1", "1", 1, "1e-8"),
        ("2", "1", 1, "1e-6"),
        ("3", "1", 1, "1e-5"),
        ("5", "1", 1, "1e-9"),
        ("10", "1", 1, "1e-5"),
        ("50", "1", 1, "1e-5"),
        ("3", "0.5", 1, "1e-6"),
        ("3", "2", 1, "1e-6"),
        ("20", "1", 30, "1e-5"),
        ("100", "1", 1000, "1e-6"),
        ("1000", "1", 1000000, "1e-10"),
        ("7.5", "3", 4, "1e-7"),
    ):
        mu = F(sensitivity) / F(sigma) * mp.sqrt(count)
        eps = solve(lambda e, mu=mu: gaussian_delta(mu, e), delta)
        add("epsilon", eps, [gaussian(sigma, sensitivity, count)], BW, at=delta, tolerance=1e-6)
    for parts, delta in (
        ((("10", 5), ("5", 3)), "1e-5"),
        ((("30", 40), ("12", 2), ("80", 100)), "1e-6"),
        ((("2", 1), ("3", 1), ("6", 1)), "1e-8"),
    ):
        mu = mp.sqrt(mp.fsum(n / F(s) ** 2 for s, n in parts))
        eps = solve(lambda e, mu=mu: gaussian_delta(mu, e), delta)
        events = [gaussian(s, "1", n) for s, n in parts]
        add(
            "epsilon",
            eps,
            events,
            "Dong, Roth and Su 2022, Corollary 3.3: mu adds in squares",
            at=delta,
            tolerance=1e-6,
        )
    user = {"kind": "user", "column": "person", "max_records": 4}
    mu = 4 / F(9)
    eps = solve(lambda e: gaussian_delta(mu, e), "1e-6")
    add("epsilon", eps, [gaussian("9", "4")], BW, at="1e-6", tolerance=1e-6, unit=user)
    mu = mp.sqrt(2) / F(9)
    eps = solve(lambda e: gaussian_delta(mu, e), "1e-6")
    add("epsilon", eps, [gaussian("9", SQRT2)], BW, at="1e-6", tolerance=1e-6, relation="replace_one")
    for sigma, at in (("1", "0.5"), ("1", "2"), ("4", "0.1"), ("4", "1"), ("15", "0.05")):
        add("delta", gaussian_delta(1 / F(sigma), F(at)), [gaussian(sigma)], BW, at=at, tolerance=2e-4)


def dgauss(sigma: str, change: str, count: int = 1) -> Event:
    return {"type": "discrete_gaussian", "sigma": sigma, "l2_sensitivity": change, "count": count}


def discrete_gaussian(sigma: str, change: int, reach: int = 14) -> list[tuple[Any, Any]]:
    """Losses (change^2 + 2 change j) / (2 sigma^2) with Pr[j]; 1e-40 of the mass lies beyond `reach` sigma."""
    s = F(sigma)
    limit = int(reach * s) + 2
    weights = {j: mp.exp(-(F(j) ** 2) / (2 * s**2)) for j in range(-limit, limit + 1)}
    total = mp.fsum(weights.values())
    return [((change**2 + 2 * change * F(j)) / (2 * s**2), w / total) for j, w in weights.items()]


def discrete_gaussians() -> None:
    for sigma in ("0.7", "1", "1.5", "2.5", "4", "10", "40"):
        one = atoms_delta(discrete_gaussian(sigma, 1))
        add("epsilon", solve(one, "1e-5"), [dgauss(sigma, "1")], CKS, at="1e-5", tolerance=3e-4)
    for sigma, at in (("0.7", "1"), ("1", "0.5"), ("1", "3"), ("2", "0.4"), ("5", "0.1"), ("20", "0.02")):
        delta = atoms_delta(discrete_gaussian(sigma, 1))(F(at))
        add("delta", delta, [dgauss(sigma, "1")], CKS, at=at, tolerance=1e-3)
    for sigma, count, delta in (("1", 3, "1e-5"), ("2", 4, "1e-6"), ("3", 6, "1e-5"), ("0.8", 2, "1e-7")):
        eps = solve(atoms_delta(many(discrete_gaussian(sigma, 1), count)), delta)
        add("epsilon", eps, [dgauss(sigma, "1", count)], CKS + ", losses added exactly", at=delta, tolerance=3e-4)
    # All integer vectors of that squared norm; the event claims the worst of them at each epsilon.
    shapes = {
        "2": ((1, 1),),
        "4": ((2,), (1, 1, 1, 1)),
        "5": ((2, 1), (1,) * 5),
        "9": ((3,), (2, 2, 1), (2,) + (1,) * 5, (1,) * 9),
    }
    for squared, vectors in shapes.items():
        for sigma, delta in (("1.5", "1e-5"), ("3", "1e-6")):
            found = []
            for vector in vectors:
                losses = [(F(0), F(1))]
                for v in vector:
                    losses = both(losses, discrete_gaussian(sigma, v, 11))
                found.append(solve(atoms_delta(losses), delta))
            change = mp.nstr(mp.sqrt(F(squared)), 20)
            relation = "replace_one" if squared == "2" else "add_remove"
            unit = {"kind": "user", "column": "person", "max_records": 2} if squared == "4" else "record"
            source = CKS + ", losses added exactly; largest over the integer vectors of that norm"
            add(
                "epsilon",
                max(found),
                [dgauss(sigma, change)],
                source,
                at=delta,
                tolerance=2e-3,
                relation=relation,
                unit=unit,
            )


def discrete_laplace(scale: str, change: int) -> list[tuple[Any, Any]]:
    """Losses (change - 2 x) / scale, x = 0 .. change; the tails beyond are one atom each."""
    r = mp.exp(-1 / F(scale))
    inner = [((change - 2 * F(x)) / F(scale), r**x * (1 - r) / (1 + r)) for x in range(1, change)]
    return [(change / F(scale), 1 / (1 + r)), *inner, (-change / F(scale), r**change / (1 + r))]


def laplace_delta(a: Any, eps: Any) -> Any:
    """One Laplace query, a = sensitivity / scale."""
    if eps >= a:
        return F(0)
    return -mp.expm1((eps - a) / 2) if eps >= -a else -mp.expm1(eps)


def after_laplace(a: Any, rest: Callable[[Any], Any], eps: Any) -> Any:
    """E over the Laplace loss of rest(eps - loss): atoms 1/2 at a and e^-a / 2 at -a, density e^((l - a)/2) / 4."""
    inner = mp.quad(lambda loss: mp.exp((loss - a) / 2) / 4 * rest(eps - loss), mp.linspace(-a, a, 5))
    return rest(eps - a) / 2 + mp.exp(-a) / 2 * rest(eps + a) + inner


def laplaces() -> None:
    def laplace(scale: str, change: str, count: int = 1) -> Event:
        return {"type": "laplace", "scale": scale, "l1_sensitivity": change, "count": count}

    closed = "closed form: the loss of a shifted double exponential"
    for scale, change, delta in (("1", "1", "1e-3"), ("2", "1", "1e-5"), ("10", "1", "1e-6"), ("4", "3", "1e-2")):
        a = F(change) / F(scale)
        eps = solve(lambda e, a=a: laplace_delta(a, e), delta)
        add("epsilon", eps, [laplace(scale, change)], closed, at=delta, tolerance=3e-4)
    for scale, at in (("1", "0.2"), ("1", "0.9"), ("3", "0.1"), ("0.5", "1.5"), ("8", "0.05")):
        add("delta", laplace_delta(1 / F(scale), F(at)), [laplace(scale, "1")], closed, at=at, tolerance=2e-3)
    with mp.workdps(20):
        for scale, delta in (("1", "1e-3"), ("2", "1e-4"), ("5", "1e-5")):
            a = 1 / F(scale)
            eps = solve_coarse(lambda e, a=a: after_laplace(a, lambda x: laplace_delta(a, x), e), delta)
            add("epsilon", eps, [laplace(scale, "1", 2)], "quadrature over the first loss", at=delta, tolerance=5e-4)
        for scale, sigma, delta in (("10", "5", "1e-5"), ("2", "3", "1e-6"), ("1", "1", "1e-4"), ("5", "20", "1e-5")):
            a, mu = 1 / F(scale), 1 / F(sigma)
            eps = solve_coarse(lambda e, a=a, mu=mu: after_laplace(a, lambda x: gaussian_delta(mu, x), e), delta)
            source = "quadrature of the Gaussian curve over the Laplace loss"
            add("epsilon", eps, [laplace(scale, "1"), gaussian(sigma)], source, at=delta, tolerance=5e-4)


def selections() -> None:
    def selection(sigma: str, threshold: int, squared: int, keys: int, count: int = 1) -> Event:
        change = mp.nstr(mp.sqrt(squared), 20)
        body = {"type": "partition_selection", "sigma": sigma, "threshold": str(threshold)}
        return {**body, "l2_sensitivity": change, "max_keys": keys, "count": count}

    def chance(sigma: str, start: int) -> Any:
        s = F(sigma)
        limit = int(40 * s) + 5
        weights = [mp.exp(-(F(j) ** 2) / (2 * s**2)) for j in range(-limit, limit + 1)]
        return mp.fsum(weights[start + limit :]) / mp.fsum(weights)

    source = "Gopi et al. 2020 with discrete noise; Pr[w + Z >= threshold] summed"
    for sigma, threshold, count in (
        ("2", 12, 1),
        ("5", 30, 1),
        ("10", 60, 1),
        ("10", 55, 5),
        ("3.5", 25, 20),
        ("25", 140, 2),
    ):
        lost = 1 - (1 - chance(sigma, threshold - 1)) ** count
        add("atom", lost, [selection(sigma, threshold, 1, 1, count)], source, tolerance=1e-8)
    # A unit with two rows: one key with both, or two keys with one each (sum of squares <= 4, at most two keys).
    for sigma, threshold in (("4", 26), ("8", 50), ("15", 90)):
        two, single = chance(sigma, threshold - 2), chance(sigma, threshold - 1)
        worst = max(two, 1 - (1 - single) ** 2)
        user = {"kind": "user", "column": "person", "max_records": 2}
        add(
            "atom",
            worst,
            [selection(sigma, threshold, 4, 2)],
            source + "; the worst of both spreads",
            bound="lower",
            unit=user,
        )
    for sigma, threshold, delta in (("5", 36, "1e-6"), ("10", 70, "1e-6"), ("2", 15, "1e-5"), ("3", 20, "1e-7")):
        lost = chance(sigma, threshold - 1)
        value = solve(atoms_delta(discrete_gaussian(sigma, 1), lost), delta)
        both_parts = "atom beside the discrete Gaussian curve: docs/concepts/accounting.md"
        add("epsilon", value, [selection(sigma, threshold, 1, 1)], both_parts, at=delta, tolerance=1e-3)
