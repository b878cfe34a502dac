"""The one-run bound: its arithmetic, its level and its power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from attacks.dp_audit.one_run import GUESS_SHARES, one_run_bound, one_run_epsilon, one_run_p_value
from attacks.errors import AttackParameterError


def test_without_delta_the_p_value_is_a_binomial_tail():
    p = one_run_p_value(m=100, guesses=40, correct=35, epsilon=1.0, delta=0.0)
    assert p == pytest.approx(binom.sf(34, 40, math.e / (1 + math.e)), rel=1e-12)


def test_the_delta_term_equals_its_definition():
    q, v, r = 1 / (1 + math.exp(-1.2)), 30, 40
    steepest = max(sum(binom.pmf(v - j, r, q) for j in range(1, i + 1)) / i for i in range(1, v + 1))
    expected = binom.sf(v - 1, r, q) + 2 * 200 * 1e-4 * steepest
    assert one_run_p_value(m=200, guesses=r, correct=v, epsilon=1.2, delta=1e-4) == pytest.approx(expected, rel=1e-9)


def test_delta_weakens_and_more_correct_guesses_strengthen_the_bound():
    pure = one_run_epsilon(m=400, guesses=80, correct=78, delta=0.0, alpha=0.05)
    assert one_run_epsilon(m=400, guesses=80, correct=78, delta=1e-4, alpha=0.05) < pure
    assert one_run_epsilon(m=400, guesses=80, correct=70, delta=0.0, alpha=0.05) < pure


def test_the_ceiling_matches_the_power_table():
    # guessing all of m right at one guess count: 100 -> 3.49, 400 -> 4.89 (log of 1/(alpha^(-1/m) - 1))
    assert one_run_epsilon(m=100, guesses=100, correct=100, delta=0.0, alpha=0.05) == pytest.approx(3.49, abs=0.01)
    assert one_run_epsilon(m=400, guesses=400, correct=400, delta=0.0, alpha=0.05) == pytest.approx(4.89, abs=0.01)


def test_the_bound_is_below_a_known_epsilon_in_95_of_100_runs_and_not_idle():
    """Randomized response on each coin leaks exactly epsilon = 1."""
    rng, above, values = np.random.default_rng(8), 0, []
    for _ in range(200):
        coins = rng.random(1000) < 0.5
        answer = np.where(rng.random(1000) < math.e / (1 + math.e), coins, ~coins)
        bound = one_run_bound(answer + rng.random(1000) * 1e-3, coins, delta=0.0, rng=rng)
        above += bound.value > 1.0
        values.append(bound.value)
    assert above <= 20  # nominal 10; binomial 99.9 % quantile 21
    assert np.median(values) > 0.75


def test_scores_that_know_nothing_bound_nothing():
    rng, above = np.random.default_rng(9), 0
    for _ in range(200):
        above += one_run_bound(rng.random(200), rng.random(200) < 0.5, delta=1e-6, rng=rng).value > 0
    assert above <= 20


def test_the_value_never_exceeds_the_ceiling():
    rng = np.random.default_rng(10)
    for m in (2, 5, 40, 333):
        coins = np.arange(m) % 2 == 0
        bound = one_run_bound(coins.astype(float), coins, delta=1e-6, rng=rng)
        assert 0.0 <= bound.value <= bound.ceiling
        assert len(GUESS_SHARES) == int(bound.method.rpartition("_")[2])


@pytest.mark.parametrize(("m", "delta", "match"), [(1, 0.0, "two canaries"), (10, 1.0, "delta"), (10, -0.1, "delta")])
def test_too_few_canaries_or_a_delta_out_of_range_are_refused(m, delta, match):
    with pytest.raises(AttackParameterError, match=match):
        one_run_bound(np.zeros(m), np.zeros(m, bool), delta=delta, rng=np.random.default_rng(0))
