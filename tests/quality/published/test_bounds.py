"""Bounds of noisy distances hold for the exact ones, and noise alone never makes a table look far."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.mechanisms.discrete_laplace import sample_discrete_laplace
from dpsynth.quality.published.bounds import Noise, noisy_distance, noisy_share


def drawn(size, scale, seed):
    return sample_discrete_laplace(size, scale=str(scale), noise=unsafe_SeededNoise(seed))


@pytest.mark.parametrize(("scale", "shift"), [(40, 0.0), (40, 0.2), (3, 0.02), (300, 0.1)])
def test_bounds_hold_for_the_rows_that_were_counted(scale, shift):
    """At most 5 % misses by theorem; 200 tables: more than 25 has a chance below 1e-4."""
    rng, sizes, misses = np.random.default_rng(7), [8] * 6, 0
    noise = drawn(200 * 48, scale, 11).reshape(200, 48)
    for row in noise:
        released = np.array([rng.multinomial(3000, q) for q in rng.dirichlet(np.ones(8), 6)])
        moved = np.clip(released / 3000 + shift / 4 * np.array([1, -1] * 4), 0, None)
        exact = np.array([rng.multinomial(2000, p / p.sum()) for p in moved])
        truth = np.mean(np.abs(exact / 2000 - released / 3000).sum(axis=1) / 2)
        found, people = noisy_distance(exact.ravel() + row, released.ravel(), scale=scale, sizes=sizes)
        misses += not found.low <= truth <= found.high
        assert found.low <= found.noisy <= 1.0 and abs(people - 2000) < 12 * scale
    assert binom.sf(misses - 1, 200, 0.05) > 1e-4


def test_bounds_of_a_share_hold_and_tell_something():
    misses, sizes, cells = 0, [5] * 4, [3, 8, 13, 18]
    exact = np.tile([700, 200, 60, 40, 0], 4)
    for row in drawn(400 * 20, 5, 3).reshape(400, 20):
        found = noisy_share(exact + row, scale=5, sizes=sizes, cells=cells)
        misses += not found.low <= 0.04 <= found.high
        assert found.high - found.low < 0.06
    assert binom.sf(misses - 1, 400, 0.05) > 1e-4


def test_equal_tables_are_near_and_distant_ones_are_not_called_near():
    released = np.array([500, 300, 200] * 5)
    near, _ = noisy_distance(released * 20 + drawn(15, 10, 1), released, scale=10, sizes=[3] * 5)
    far, _ = noisy_distance(released[::-1] * 20 + drawn(15, 10, 2), released, scale=10, sizes=[3] * 5)
    assert near.low == 0.0 and near.high < 0.01
    assert far.low > 0.29 and far.high < 0.31  # exactly 0.3


def test_noise_that_drowns_the_rows_gives_no_bound():
    released = np.array([5, 5])
    found, _ = noisy_distance(np.array([6, 4]), released, scale=100, sizes=[2])
    assert (found.low, found.high) == (0.0, 1.0)
    assert noisy_share(np.array([6, 4]), scale=100, sizes=[2], cells=[0]).high == 1.0


@pytest.mark.parametrize("scale", [0.5, 3.0, 40.0])
def test_moments_are_those_of_the_noise(scale):
    draws = np.arange(-int(60 * scale) - 60, int(60 * scale) + 61)
    mass = np.exp(-np.abs(draws) / scale)
    mass /= mass.sum()
    noise = Noise(scale=scale)
    assert noise.mean_size == pytest.approx(float((np.abs(draws) * mass).sum()), rel=1e-9)
    t = 0.4 / scale
    assert float(noise.log_mgf(np.array([t]))[0]) == pytest.approx(np.log((np.exp(t * draws) * mass).sum()), rel=1e-9)
    for u in (0.0, 1.0, 2.5, 10.0):
        mean = float((np.abs(u + draws) * mass).sum())
        assert noise.size_at_most(mean) >= u - 1e-9  # never below the size that has this mean


def test_noise_on_many_cells_is_not_taken_for_a_distance():
    """Cells of equal tables look far apart by noise alone; the lower bound takes off what noise gives on average."""
    released = np.full(400, 200)
    for seed in range(20):
        found, _ = noisy_distance(released + drawn(400, 50, seed), released, scale=50, sizes=[10] * 40)
        assert found.low == 0.0 and found.noisy > 0.1
