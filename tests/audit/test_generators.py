"""Two-world audits of the generators: honest ones below their price, broken twins above it; a hundred in `audit`.

The score is the log-likelihood ratio of everything that the mechanisms said (`transcript`), or, where a fault lies
outside the mechanisms, what can be seen in the output. The price is the accountants' at the delta of the audit.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

import dpsynth.mechanisms.discrete_gaussian as gaussian_module
from accounting.relation import PrivacyUnit
from attacks.dp_audit.two_world import two_world
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.data.table import Table
from tests.audit.worlds import COLUMNS, CROWD, OTHER, SMALL, audited, claimed, fit_of, planned, table
from tests.conformance.tables import schema

DELTA = 0.05
EPSILON = "4"
CALM = table(*[CROWD] * 40)
WITH_OTHER = table(*[CROWD] * 40, OTHER)
REPLACED = table(*[CROWD] * 39, OTHER)
MANY = [CROWD] * 5 + [OTHER] * 5 + [("x", "y", False)]
PERSON = PrivacyUnit(kind="user", column="person", max_records=1)


@pytest.fixture
def half_noise(monkeypatch):
    real = gaussian_module.sample_discrete_gaussian
    monkeypatch.setattr(
        gaussian_module,
        "sample_discrete_gaussian",
        lambda n, *, sigma, noise: real(n, sigma=Decimal(sigma) / 2, noise=noise),
    )


def judged(name, joined, *, runs, epsilon=EPSILON, noise=None, alpha=0.01, without=CALM):
    plan = planned(name, epsilon)
    noise = noise or unsafe_SeededNoise(2)
    bound = audited(name, plan, without, joined, noise=noise, runs=runs, delta=DELTA, alpha=alpha)
    return bound, bound.epsilon(DELTA), claimed(plan.tree, DELTA)


def test_an_honest_fit_shows_no_more_than_its_price_and_some_of_it():
    bound, shown, price = judged("independent", WITH_OTHER, runs=600)
    assert 0.1 * price < shown <= price < bound.ceiling(DELTA)


def test_a_fit_with_half_the_noise_is_caught(half_noise):
    _, shown, price = judged("independent", WITH_OTHER, runs=600)
    assert shown > max(1.0, price)


@pytest.mark.parametrize("bounded", [True, False])
def test_a_person_whose_rows_are_not_bounded_is_caught(bounded):
    """Four rows of one person, a plan for one row each, with and without the step that drops the others."""
    rows, key = table(*[CROWD] * 40, *[OTHER] * 4), b"k" * 32
    people = [*range(40), 40, 40, 40, 40]
    joined = Table.from_arrow(rows.to_arrow().append_column("person", [people]))
    if bounded:
        joined = joined.bounded("person", 1, key)
    plan = planned("independent", EPSILON, PERSON)
    bound = audited("independent", plan, CALM, joined.select(SMALL.modelled), noise=unsafe_SeededNoise(3), runs=400,
                    delta=DELTA, alpha=0.01)  # fmt: skip
    price = claimed(plan.tree, DELTA)
    assert (bound.epsilon(DELTA) <= price) is bounded
    assert bounded or bound.epsilon(DELTA) > 1.0


def test_a_domain_read_from_the_data_is_caught():
    """The values of a column, taken as they occur, hold the one that a single person has."""
    plan_of = planned("independent", EPSILON)

    def run(rows):
        seen = sorted(set(rows.to_arrow().column("a").to_pylist()))
        found = schema(**{**COLUMNS, "a": {"kind": "categorical", "values": seen}})
        fit = fit_of("independent", rows, plan_of, found)
        return float("y" in fit(unsafe_SeededNoise(1)).domains["a"].values)

    bound = two_world(run, CALM, WITH_OTHER, runs=100, delta=DELTA)
    assert bound.epsilon(DELTA) == pytest.approx(bound.ceiling(DELTA))
    assert bound.epsilon(DELTA) > max(1.0, claimed(plan_of.tree, DELTA))


def test_a_fit_with_a_known_seed_is_caught():
    """Who knows the seed fits both tables and compares."""
    plan = planned("independent", EPSILON)
    told = {rows: fit_of("independent", rows, plan)(unsafe_SeededNoise(7)).rows for rows in (CALM, WITH_OTHER)}
    fresh = iter(range(10_000))

    def run(world, *, seed=lambda: 7):
        return float(fit_of("independent", world, plan)(unsafe_SeededNoise(seed())).rows == told[WITH_OTHER])

    price = claimed(plan.tree, DELTA)
    assert two_world(run, CALM, WITH_OTHER, runs=100, delta=DELTA).epsilon(DELTA) > max(1.0, price)
    unknown = two_world(lambda w: run(w, seed=lambda: next(fresh)), CALM, WITH_OTHER, runs=100, delta=DELTA)
    assert unknown.epsilon(DELTA) <= price


# --- `make audit` -----------------------------------------------------------------------------------------------------

HUNDRED = {"independent": (40, 600), "mst": (30, 400), "gibbs": (15, 100), "aim": (15, 100)}
"""Generator -> audits, and runs a world in each."""
FAMILY_ALPHA = 0.01
PAIRS = {
    "one who differs joins": (CALM, WITH_OTHER),
    "one of the crowd joins": (CALM, table(*[CROWD] * 41)),
    "the last one leaves": (WITH_OTHER, CALM),
    "the first one joins": (table(OTHER), table(OTHER, OTHER)),
    "all cells are held": (table(*MANY), table(*MANY, OTHER)),
}


@pytest.mark.audit
@pytest.mark.parametrize("name", HUNDRED)
def test_no_audit_of_a_hundred_shows_more_than_is_claimed(name, capsys):
    """Noise from the system, so the level counts: the chance that one of 100 honest audits fails is at most 1 %."""
    audits, runs = HUNDRED[name]
    found = []
    for at in range(audits):
        pair, epsilon = list(PAIRS)[at % len(PAIRS)], ("1", "4")[at % 2]
        bound, shown, price = judged(name, PAIRS[pair][1], runs=runs, epsilon=epsilon, noise=SystemNoise(),
                                     alpha=FAMILY_ALPHA / 100, without=PAIRS[pair][0])  # fmt: skip
        found.append((shown, price, bound.ceiling(DELTA), bound.mu))
        assert shown <= price, f"{name}, {pair}, epsilon {epsilon}: {shown:.3f} shown, {price:.3f} claimed"
    largest = max(found)
    with capsys.disabled():
        print(
            f"\n{name}: {audits} audits of {runs} runs a world, most shown {largest[0]:.2f} of {largest[1]:.2f} "
            f"claimed at delta {DELTA} (ceiling {largest[2]:.2f}), largest mu {max(f[3] for f in found):.2f}"
        )


@pytest.mark.audit
@pytest.mark.parametrize(("name", "runs"), [("independent", 2000), ("mst", 1000), ("gibbs", 300), ("aim", 300)])
def test_every_generator_with_half_the_noise_is_caught(name, runs, half_noise):
    """The same audit, so that a hundred quiet ones mean something."""
    _, shown, price = judged(name, WITH_OTHER, runs=runs, epsilon="4", noise=SystemNoise(), alpha=0.05)
    assert shown > price, (shown, price)


@pytest.mark.audit
def test_replace_one_priced_as_add_or_remove_is_caught_in_a_fit():
    _, shown, price = judged("independent", REPLACED, runs=8000, noise=SystemNoise(), alpha=1e-3)
    assert shown > price, (shown, price)


@pytest.mark.audit
@pytest.mark.parametrize("seed", range(3))
def test_the_output_alone_shows_less_than_the_transcript(seed):
    """Why transcripts are scored: the same fits, seen through the released total, lie far from the price."""
    plan, noise = planned("independent", EPSILON), SystemNoise()
    totals = two_world(
        lambda rows: float(fit_of("independent", rows, plan)(noise).rows), CALM, WITH_OTHER, runs=800, delta=DELTA
    )
    whole = audited("independent", plan, CALM, WITH_OTHER, noise=noise, runs=800, delta=DELTA, alpha=0.05)
    assert totals.mu < whole.mu <= 1.5
    assert np.isfinite(totals.epsilon(DELTA)) and totals.epsilon(DELTA) <= claimed(plan.tree, DELTA)
