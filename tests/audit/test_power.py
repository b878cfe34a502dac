"""The power table of canaries: what it promises is what audits do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attacks.dp_audit.one_run import one_run_bound
from attacks.errors import AttackParameterError
from attacks.power import canaries_needed, canary_leak_detectable


@pytest.mark.parametrize(
    ("canaries", "claimed", "leak"),
    [(100, 1.0, 2.24), (200, 1.0, 1.71), (400, 1.0, 1.48), (200, 3.0, 6.10), (100, 0.0, 0.75)],
)
def test_the_table_of_the_docs(canaries, claimed, leak):
    assert canary_leak_detectable(canaries=canaries, claimed=claimed, delta=1e-6) == pytest.approx(leak, abs=0.005)


def test_a_leak_of_the_stated_size_is_held_against_the_claim_four_times_in_five():
    rng, caught, smaller = np.random.default_rng(12), 0, 0
    count = canaries_needed(leak=2.0, claimed=1.0, delta=1e-6)
    for _ in range(100):
        for leak in (2.0, 1.0):
            coins = rng.random(count) < 0.5
            told = np.where(rng.random(count) < 1 / (1 + math.exp(-leak)), coins, ~coins)
            above = one_run_bound(told.astype(float), coins, delta=1e-6, rng=rng).value > 1.0
            caught, smaller = caught + (above and leak == 2.0), smaller + (above and leak == 1.0)
    assert 68 < caught < 97
    assert smaller <= 13  # nominal at most 5; binomial quantile at 1e-3


def test_more_canaries_see_less_and_too_few_see_nothing():
    seen = [canary_leak_detectable(canaries=m, claimed=1.0, delta=1e-6) for m in (100, 200, 1000)]
    assert seen == sorted(seen, reverse=True) and seen[-1] > 1.0
    assert canary_leak_detectable(canaries=100, claimed=3.0, delta=1e-6) == math.inf
    assert canaries_needed(leak=3.0, claimed=1.0, delta=1e-6) < canaries_needed(leak=1.5, claimed=1.0, delta=1e-6)


@pytest.mark.parametrize("leak", [0.5, 1.0, 1.0001])
def test_a_leak_that_no_number_of_canaries_shows_is_refused(leak):
    with pytest.raises(AttackParameterError, match="No number of canaries"):
        canaries_needed(leak=leak, claimed=1.0, delta=1e-6)
