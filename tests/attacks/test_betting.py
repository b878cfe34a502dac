"""Bounds by betting: they hold at their level whatever the distribution, and are not idle."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.generators.betting import BettingMean

RUNS = 300


@pytest.mark.parametrize("kind", ["coins", "rare", "spread", "constant"])
def test_bounds_hold_in_at_least_95_of_100_runs(kind):
    rng = np.random.default_rng(1)
    draw, truth = {
        "coins": (lambda n: rng.integers(0, 2, n) * 2.0 - 1.0, 0.0),
        "rare": (lambda n: (rng.random(n) < 0.03) * 2.0, 0.06),
        "spread": (lambda n: rng.uniform(-0.2, 0.4, n), 0.1),
        "constant": (lambda n: np.full(n, 0.3), 0.3),
    }[kind]
    found = [BettingMean(values=draw(80), smallest=-2.0, largest=2.0) for _ in range(RUNS)]
    assert np.mean([effect.lower(0.05) > truth + 1e-9 for effect in found]) <= 0.05
    assert np.mean([effect.upper(0.05) < truth - 1e-9 for effect in found]) <= 0.05


def test_the_bound_narrows_with_trials_and_beats_hoeffding_where_numbers_vary_little():
    rng = np.random.default_rng(2)
    values = 0.2 + 0.05 * rng.standard_normal(400).clip(-3, 3)
    widths = [0.2 - BettingMean(values=values[:n], smallest=-2.0, largest=2.0).lower(0.05) for n in (50, 100, 400)]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 4.0 * np.sqrt(np.log(20.0) / 800.0) / 4.0


def test_the_p_value_is_the_level_at_which_the_bound_reaches_the_limit():
    effect = BettingMean(values=np.random.default_rng(3).uniform(-0.5, 1.0, 200), smallest=-1.0, largest=1.0)
    limit = effect.lower(0.01)
    assert effect.p_exceeds(limit) == pytest.approx(0.01, rel=0.05)
    assert effect.p_exceeds(limit - 0.05) < 0.01 < effect.p_exceeds(limit + 0.05)


def test_nothing_is_shown_of_the_ends():
    everything = BettingMean(values=np.ones(30), smallest=-1.0, largest=1.0)
    assert everything.estimate == everything.upper(0.05) == 1.0
    assert 0.6 < everything.lower(0.05) < 1.0
    assert everything.p_exceeds(1.0) == 1.0
