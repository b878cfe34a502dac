"""Goodness of fit of the integer noises: the right law passes, a scale 2 % off is rejected, at alpha 1e-6."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian, sample_discrete_gaussian, tail
from dpsynth.mechanisms.discrete_laplace import discrete_laplace, sample_discrete_laplace

ALPHA = 1e-6
DRAWS = 400_000


def gaussian_mass(k, scale):
    return np.exp(-(k**2) / (2 * scale**2))


def laplace_mass(k, scale):
    return np.exp(-np.abs(k) / scale)


def fit(draws, mass, scale):
    """Chi-square p-value against `mass` of that scale over cells of about equal probability."""
    reach = int(60 * scale) + 60
    k = np.arange(-reach, reach + 1, dtype=float)
    p = mass(k, scale)
    cumulative = np.cumsum(p / p.sum())
    cell = np.minimum((cumulative * 60).astype(int), 59)
    cell = np.unique(cell, return_inverse=True)[1]
    expected = np.bincount(cell, weights=p / p.sum()) * len(draws)
    observed = np.bincount(cell[np.clip(draws + reach, 0, len(k) - 1)], minlength=len(expected))
    keep = expected > 20
    expected, observed = (
        np.append(expected[keep], expected[~keep].sum()),
        np.append(observed[keep], observed[~keep].sum()),
    )
    use = expected > 0
    return chisquare(observed[use], expected[use] * observed[use].sum() / expected[use].sum()).pvalue


CASES = [
    (sample_discrete_gaussian, "sigma", gaussian_mass),
    (sample_discrete_laplace, "scale", laplace_mass),
]


@pytest.mark.parametrize(("sample", "word", "mass"), CASES)
@pytest.mark.parametrize("scale", ["0.7", "3.25", "26.4", "700", "6000"])
def test_noise_follows_its_law(sample, word, mass, scale):
    draws = sample(DRAWS, **{word: scale}, noise=unsafe_SeededNoise(11))
    assert fit(draws, mass, float(scale)) > ALPHA


@pytest.mark.parametrize(("sample", "word", "mass"), CASES)
@pytest.mark.parametrize("scale", ["0.7", "3.25", "26.4", "700", "6000"])
@pytest.mark.parametrize("error", [0.98, 1.02])
def test_noise_two_per_cent_off_is_rejected(sample, word, mass, scale, error):
    draws = sample(DRAWS, **{word: scale}, noise=unsafe_SeededNoise(12))
    assert fit(draws, mass, float(scale) * error) < ALPHA


@pytest.mark.parametrize(("sample", "word", "mass"), CASES)
def test_noise_of_the_operating_system_follows_the_law(sample, word, mass):
    """Without a seed a p-value is below alpha once in a million runs."""
    assert fit(sample(DRAWS, **{word: "5.5"}, noise=SystemNoise()), mass, 5.5) > ALPHA


@pytest.mark.parametrize("sample", [sample_discrete_gaussian])
def test_signs_and_neighbouring_draws_are_independent(sample):
    draws = sample(DRAWS, sigma="9", noise=unsafe_SeededNoise(13)).astype(float)
    limit = 5.0 / np.sqrt(DRAWS)
    assert abs(np.mean(np.sign(draws))) < limit
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < limit
    assert abs(np.corrcoef(np.abs(draws), np.sign(draws))[0, 1]) < limit


@pytest.mark.parametrize("k", [1, 2, 5])
def test_gaussian_event_states_the_noise_that_was_added(k):
    counts = np.arange(300_000, dtype=np.int64)
    noisy, event = discrete_gaussian(counts, sigma="12.5", l2_sensitivity=k, count=3, noise=unsafe_SeededNoise(2))
    measured = float((noisy - counts).std())
    assert abs(measured / float(event.sigma) - 1) < 0.01
    assert (event.l2_sensitivity, event.count, event.noise) == (k, 3, "seeded")
    assert noisy.dtype == np.int64


def test_laplace_event_states_the_noise_that_was_added():
    counts = np.zeros((100, 3000), dtype=np.int64)
    noisy, event = discrete_laplace(counts, scale="8", l1_sensitivity=2, noise=unsafe_SeededNoise(2))
    q = np.exp(-1 / float(event.scale))
    assert abs(noisy.std() / (np.sqrt(2 * q) / (1 - q)) - 1) < 0.01
    assert (event.l1_sensitivity, event.count, noisy.shape) == (2, 1, (100, 3000))


def test_system_noise_is_marked_exact():
    assert discrete_gaussian(np.zeros(1, int), sigma="1", noise=SystemNoise())[1].noise == "exact"


def test_floats_are_refused():
    with pytest.raises(ParameterError, match="Expected integer values for the discrete Gaussian"):
        discrete_gaussian(np.zeros(3), sigma="1", noise=unsafe_SeededNoise(1))
    with pytest.raises(ParameterError, match="Expected integer values for the discrete Laplace"):
        discrete_laplace(np.zeros(3), scale="1", noise=unsafe_SeededNoise(1))


@pytest.mark.parametrize("scale", ["0", "-1", "NaN", "Infinity", "1e20"])
def test_scales_out_of_range_are_refused(scale):
    with pytest.raises(ParameterError, match="Expected 0 < sigma="):
        sample_discrete_gaussian(1, sigma=scale, noise=unsafe_SeededNoise(1))
    with pytest.raises(ParameterError, match="Expected 0 < scale="):
        sample_discrete_laplace(1, scale=scale, noise=unsafe_SeededNoise(1))


def test_no_draws_take_no_words():
    assert sample_discrete_gaussian(0, sigma="3", noise=unsafe_SeededNoise(1)).shape == (0,)


@pytest.mark.parametrize("sigma", ["0.5", "1", "10", "33.3"])
def test_tail_is_an_upper_bound_that_is_nearly_tight(sigma):
    import mpmath

    with mpmath.workdps(50):
        s = mpmath.mpf(sigma)
        mass = [mpmath.exp(-(mpmath.mpf(j) ** 2) / (2 * s * s)) for j in range(int(60 * s) + 60)]
        total = 2 * mpmath.fsum(mass) - 1
        for bound in (-3, 0, 1, 2, 7, int(3 * s), int(8 * s)):
            upper = mpmath.fsum(mass[bound:]) if bound > 0 else total - mpmath.fsum(mass[1 - bound :])
            exact = float(upper / total)
            assert exact <= tail(bound, sigma=sigma) <= exact * (1 + 1e-8)


@pytest.mark.parametrize("sigma", [201, 1000])
def test_tail_of_wide_noise_is_an_upper_bound_within_four_per_cent(sigma):
    k = np.arange(-60 * sigma, 60 * sigma + 1, dtype=float)
    mass = gaussian_mass(k, sigma)
    for bound in (1, sigma, 3 * sigma, 6 * sigma, 8 * sigma):
        exact = float(mass[k >= bound].sum() / mass.sum())
        assert exact * (1 - 1e-12) <= tail(bound, sigma=str(sigma)) <= exact * 1.05
    assert tail(-5, sigma=str(sigma)) == 1.0
