"""Empirical Bayes: noise alone is not believed, signal is, and the estimates are those of known answers."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.tabular.records.shrinkage import FIRMEST, WEAKEST, evident_strength, posterior_means


def test_a_few_large_scores_among_noise_are_found_and_the_rest_is_not_believed():
    """2,000 scores of 0 and 20 of 12 sigma: the largest noise (3.5 sigma) falls below 1.5, the twenty stay."""
    rng = np.random.default_rng(0)
    truth = np.concatenate([np.zeros(2000), np.full(20, 1200.0)])
    means = posterior_means(truth + rng.normal(0.0, 100.0, truth.size), 100.0)
    assert means[:2000].max() < 150
    assert means[2000:].min() > 900


def test_posterior_means_have_less_error_than_noisy_scores_where_noise_is_large():
    rng = np.random.default_rng(1)
    truth = rng.gamma(0.5, 500.0, 500)
    for sigma, factor in ((10.0, 1.05), (100.0, 1.0), (1000.0, 0.3)):
        noisy = truth + rng.normal(0.0, sigma, truth.size)
        known = np.mean((np.maximum(noisy, 0) - truth) ** 2)
        assert np.mean((posterior_means(noisy, sigma) - truth) ** 2) < factor * known


def test_scores_without_noise_to_speak_of_stay_as_they_are():
    scores = np.array([3.0, 100.0, 100.0, 5000.0])
    assert posterior_means(scores, 1.0) == pytest.approx(scores, rel=0.05, abs=1)


def test_posterior_means_keep_the_order_and_are_never_negative():
    noisy = np.sort(np.random.default_rng(2).normal(50.0, 300.0, 300))
    means = posterior_means(noisy, 300.0)
    assert np.all(np.diff(means) >= -1e-9)
    assert means.min() >= 0
    assert posterior_means(np.array([-900.0]), 300.0)[0] >= 0


@pytest.mark.parametrize("strength", [3.0, 40.0, 200.0])
def test_the_strength_of_a_table_drawn_with_it_is_found(strength):
    """Cells E + N(0, strength E) + N(0, sigma^2): mean of 200 tables within 10 % (power: 2 x is 14 sigma off)."""
    rng = np.random.default_rng(3)
    expected = np.outer(rng.gamma(1.0, 1.0, 12), rng.gamma(1.0, 1.0, 12)) * 100 + 1
    found = [
        evident_strength(
            expected + rng.normal(0, np.sqrt(strength * expected)) + rng.normal(0, 20.0, expected.shape), expected, 20.0
        )
        for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(strength, rel=0.1, abs=0.5)


def test_no_table_is_held_so_strongly_that_records_freeze():
    """Equal columns of 200,000 rows deviate 150,000 times as much as independent records would."""
    assert evident_strength(np.diag([100_000.0, 100_000.0]), np.full((2, 2), 50_000.0), 20.0) == FIRMEST


def test_a_table_of_noise_has_no_say():
    rng = np.random.default_rng(4)
    expected = np.full((8, 8), 50.0)
    found = [evident_strength(expected + rng.normal(0, 60.0, (8, 8)), expected, 60.0) for _ in range(100)]
    assert np.median(found) < 10  # of some hundreds that dependent columns have; sigma^2 / E is 72
    assert min(found) == WEAKEST
