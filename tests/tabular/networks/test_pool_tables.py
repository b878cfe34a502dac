"""Pair tables after training: which are worth their noise, and tables that agree with their columns."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.networks.pool_tables import agreeing, worth_measuring

SIZES = (2, 2, 60, 60)


def pool(rows=20_000):
    """The second column follows the first; of 60 codes each, the fourth follows the third as often."""
    rng = np.random.default_rng(0)
    first, third = rng.integers(0, 2, rows), rng.integers(0, 60, rows)
    second = np.where(rng.random(rows) < 0.4, first, rng.integers(0, 2, rows))
    fourth = np.where(rng.random(rows) < 0.4, third, rng.integers(0, 60, rows))
    return np.stack([first, second, third, fourth], axis=1).astype(np.uint8)


def test_a_table_that_its_noise_would_drown_is_left_to_the_network():
    noisy = worth_measuring(pool(), SIZES, 20_000.0, TableNoise(count=4, sigma=Decimal(50)))
    sharp = worth_measuring(pool(), SIZES, 20_000.0, TableNoise(count=4, sigma=Decimal("0.5")))
    assert noisy == {(0, 1): 4}
    assert (2, 3) in sharp
    assert sum(noisy.values()) == sum(sharp.values()) == 4


def test_a_table_agrees_with_its_columns_and_keeps_its_odds_ratios():
    rng = np.random.default_rng(1)
    counts, left, right = rng.uniform(1, 50, (3, 4)), rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    made = agreeing(counts, left, right)
    assert np.allclose(made.sum(axis=1), left, atol=1e-6)
    assert np.allclose(made.sum(axis=0), right, atol=1e-6)
    odds = made / counts
    assert np.allclose(odds[1:, 1:] * odds[0, 0], odds[1:, :1] * odds[:1, 1:], rtol=1e-6)
