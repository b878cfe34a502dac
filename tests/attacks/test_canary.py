"""Canaries: public rows, secret coins, and a trace that copies leave and clean releases do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.canary import attack_canaries, make_canaries
from attacks.errors import AttackInputError
from attacks.limits import Limit
from tests.attacks.worlds import independent, people

DOMAIN = {"age": list(range(18, 90)), "city": ["Aach", "Bern", "Cork"], "score": [k / 10 for k in range(200)]}
LIMIT = Limit(value=0.75, planted=1.0)


def trace(canaries, release, seed=0):
    rng = np.random.default_rng(seed)
    return attack_canaries(canaries, release, limit=LIMIT, family=8, trials=10, rng=rng)


def background(rows, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({c: rng.choice(v, rows) for c, v in DOMAIN.items()})


def test_canaries_are_distinct_and_coins_are_fair():
    canaries = make_canaries(DOMAIN, 2000, rng=np.random.default_rng(1))
    assert not canaries.rows.duplicated().any()
    assert abs(int(canaries.included.sum()) - 1000) < 5 * 23
    assert len(canaries.inserted()) == canaries.included.sum()


def test_coins_do_not_show_in_a_repr():
    canaries = make_canaries(DOMAIN, 50, rng=np.random.default_rng(1))
    assert "secret" in repr(canaries)
    assert "True" not in repr(canaries)


def test_a_frame_lists_values_and_a_sampler_draws_rows():
    frame = pd.DataFrame({"a": [1, 2, None], "b": ["x", "y", "z"]})
    assert set(make_canaries(frame, 4, rng=np.random.default_rng(2)).rows["a"]) <= {1.0, 2.0}
    assert len(make_canaries(lambda n, r: people(n, r), 30, rng=np.random.default_rng(2)).rows) == 30


@pytest.mark.parametrize(
    ("domain", "count", "match"),
    [
        ({"a": [1, 2]}, 3, "does not yield 3 distinct"),
        ({"a": []}, 3, "Column 'a' has no public value"),
        ({}, 3, "has no column"),
        (DOMAIN, 1, "two at least"),
    ],
)
def test_domains_that_cannot_make_canaries_are_refused(domain, count, match):
    with pytest.raises(AttackInputError, match=match):
        make_canaries(domain, count, rng=np.random.default_rng(0))


def test_coins_that_do_not_fit_the_rows_are_refused():
    with pytest.raises(AttackInputError, match="differ in number"):
        attacks.Canaries(rows=background(3, 0), included=np.array([True]))


def test_a_release_that_copies_its_training_rows_is_caught():
    canaries = make_canaries(DOMAIN, 200, rng=np.random.default_rng(3))
    found = trace(canaries, pd.concat([background(1000, 4), canaries.inserted()]))
    assert found.measurement.effect.lower(0.01) > 0.95
    assert found.bound.value > 2.0
    assert found.bound.value <= found.bound.ceiling
    assert found.bound.value < found.gaussian.epsilon(1e-6) and found.gaussian.mu <= found.gaussian.ceiling


def test_a_release_that_knows_no_canary_is_passed_in_19_of_20_runs():
    quiet = bounded = 0
    for seed in range(20):
        canaries = make_canaries(DOMAIN, 200, rng=np.random.default_rng(seed))
        found = trace(canaries, background(1000, seed + 100), seed)
        quiet += found.measurement.effect.upper(0.05) < LIMIT.value and found.measurement.positive.caught
        bounded += found.bound.value == 0.0
    assert quiet >= 19
    assert bounded >= 19


def test_few_canaries_are_inconclusive_and_say_so():
    rng = np.random.default_rng(5)
    table = people(800, rng)
    canaries = make_canaries(lambda n, r: people(n, r), 20, rng=rng)
    report = attacks.audit(
        table[:500], independent(table[:500], 500, rng), table[500:].reset_index(drop=True), suite="quick",
        canaries=canaries,
    )  # fmt: skip
    row = next(r for r in report.attacks if r.name == "canary")
    assert row.verdict == "inconclusive"
    assert row.estimate is None
    assert report.epsilon_lower_bound.m == 20


def test_what_is_published_of_canaries_does_not_depend_on_real_rows():
    """Canary figures are called free because no real row enters; Holm's level would let the others' ranks in."""
    rng = np.random.default_rng(5)
    canaries = make_canaries(lambda n, r: people(n, r), 80, rng=rng)
    holdout, release = people(400, rng), people(600, rng)
    release = pd.concat([release, canaries.inserted()], ignore_index=True)
    seen = set()
    for members in (people(600, rng), release[:600]):  # the second release is a copy of its members
        report = attacks.audit(members, release, holdout, suite="quick", canaries=canaries)
        row = next(row for row in report.attacks if row.confidentiality == "canary_only")
        seen.add((row.estimate, row.ci_low, row.ci_high, row.alpha, report.epsilon_lower_bound))
    assert {row.verdict for row in report.attacks} >= {"fail"}
    assert len(seen) == 1


@pytest.mark.parametrize("left", [0, 1])
def test_without_two_canaries_nothing_is_shown(left):
    few = make_canaries(DOMAIN, 50, rng=np.random.default_rng(1))
    few = attacks.Canaries(rows=few.rows[:left], included=few.included[:left])
    found = trace(few, background(200, 2))
    assert (
        found.measurement.effect is None
        and found.measurement.positive is None
        and found.bound is found.gaussian is None
    )
