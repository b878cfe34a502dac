"""What others computed: figures printed in papers and in tests, and dp-accounting's own distributions."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from tests.accounting.answers.book import Event, add
from tests.accounting.answers.noise import gaussian
from tests.accounting.answers.sampling import sampled


def printed() -> None:
    """Facts printed elsewhere: figures of looser accountants bound ours from above."""
    add(
        "epsilon",
        "1.26",
        [sampled("0.01", "4", 10000)],
        "Abadi et al. 2016, section 5: moments accountant",
        at="1e-5",
        bound="upper",
        method="printed",
        tolerance=5e-3,
    )
    hdsr = "Bu, Dong, Long and Su 2020, Figure 4: moments accountant, q = 256/60000"
    q = "0.00426666666666666667"
    add(
        "epsilon",
        "1.34",
        [sampled(q, "1.3", 20 * 235)],
        hdsr,
        at="1e-5",
        bound="upper",
        method="printed",
        tolerance=5e-3,
    )
    add(
        "epsilon",
        "8.68",
        [sampled(q, "0.7", 70 * 235)],
        hdsr,
        at="1e-5",
        bound="upper",
        method="printed",
        tolerance=5e-3,
    )
    theirs = "dp-accounting, pld_privacy_accountant_test.py, to three decimals of delta"
    add("delta", "0.15594", [sampled("0.2", "0.5", 3)], theirs, at="1", bound="upper", method="printed", tolerance=1e-3)
    add("delta", "0.126936", [gaussian("1.7320508075688772", "1", 3)], theirs, at="1", method="printed", tolerance=1e-3)


def library() -> None:
    """dp-accounting's own loss distributions on a finer grid than ours: pessimistic and optimistic."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    name = f"dp-accounting {version('dp-accounting')}"

    def bracket(make: Callable[[bool], Any], count: int, delta: str, events: list[Event], grid: str) -> None:
        for pessimistic, bound in ((True, "upper"), (False, "lower")):
            value = make(pessimistic).self_compose(count).get_epsilon_for_delta(float(delta))
            add(
                "epsilon",
                value,
                events,
                name,
                at=delta,
                bound=bound,
                tolerance=1e-3,
                method=f"its PLD, grid {grid}, {'pessimistic' if pessimistic else 'optimistic'} estimate",
            )

    for q, sigma, count, delta, grid in (
        ("0.01", "1", 1000, "1e-5", 1e-4), ("0.01", "1", 10000, "1e-5", 1e-4), ("0.01", "1", 100000, "1e-5", 1e-3),
        ("0.004", "0.8", 2000, "1e-6", 1e-4), ("0.05", "2", 500, "1e-6", 1e-4), ("0.2", "5", 100, "1e-5", 1e-4),
    ):  # fmt: skip
        make = lambda up, q=q, sigma=sigma, grid=grid: pld.from_gaussian_mechanism(  # noqa: E731
            float(sigma),
            sampling_prob=float(q),
            value_discretization_interval=grid,
            pessimistic_estimate=up,
            use_connect_dots=up,
        )
        bracket(make, count, delta, [sampled(q, sigma, count)], f"{grid:g}")
    for scale, count, delta in (("10", 100, "1e-6"), ("3", 10, "1e-5"), ("1", 4, "1e-4")):
        make = lambda up, scale=scale: pld.from_laplace_mechanism(  # noqa: E731
            float(scale), value_discretization_interval=2e-5, pessimistic_estimate=up, use_connect_dots=up
        )
        event = {"type": "laplace", "scale": scale, "l1_sensitivity": "1", "count": count}
        bracket(make, count, delta, [event], "2e-5")
