"""Poisson samples: inclusion counts by chi-square, exact thresholds, refusals."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from scipy import stats

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.sgd.poisson import BLOCK, PoissonSampler, threshold

ALPHA = 1e-6


def inclusions(sampler, units, steps):
    counts = np.zeros(units, dtype=np.int64)
    sizes = []
    for _ in range(steps):
        drawn = sampler.draw()
        counts[drawn] += 1
        sizes.append(len(drawn))
    return counts, np.array(sizes)


def p_values(counts, sizes, probability, steps):
    """Chi-square of each unit's count against its binomial, and of the sizes' spread against theirs."""
    units = len(counts)
    spread = ((counts - steps * probability) ** 2).sum() / (steps * probability * (1 - probability))
    of_sizes = ((sizes - units * probability) ** 2).sum() / (units * probability * (1 - probability))
    both = [(spread, units), (of_sizes, steps)]
    return min(2 * min(stats.chi2.sf(value, df), stats.chi2.cdf(value, df)) for value, df in both)


def test_every_unit_is_included_on_its_own_with_the_stated_probability():
    counts, sizes = inclusions(PoissonSampler(3000, Decimal("0.1"), unsafe_SeededNoise(3)), 3000, 400)
    assert p_values(counts, sizes, 0.1, 400) > ALPHA


def test_the_same_test_sees_a_rate_two_per_cent_off_and_a_fixed_batch():
    counts, sizes = inclusions(PoissonSampler(3000, Decimal("0.102"), unsafe_SeededNoise(3)), 3000, 2000)
    assert p_values(counts, sizes, 0.1, 2000) < ALPHA
    rng = np.random.default_rng(1)
    fixed = np.stack([np.bincount(rng.choice(3000, 300, replace=False), minlength=3000) for _ in range(400)])
    assert p_values(fixed.sum(0), fixed.sum(1), 0.1, 400) < ALPHA


@pytest.mark.parametrize("text", ["0.25", "0.0625", "0.3", "1e-30", "0.1234567890123456789012345678901234567890"])
def test_the_threshold_never_exceeds_the_rate(text):
    from fractions import Fraction

    exact = Fraction(text) * 2**64
    assert 0 <= exact - threshold(Decimal(text)) < 1


class Words:
    """Given words in turn."""

    kind = "exact"

    def __init__(self, *words):
        self.words, self.asked = np.array(words, dtype=np.uint64), []

    def uint64(self, n):
        self.asked.append(n)
        drawn, self.words = self.words[:n], self.words[n:]
        return drawn


def test_words_below_the_threshold_include_their_unit_and_no_others_do_each_step_anew():
    below = threshold(Decimal("0.3"))
    source = Words(below - 1, below, below + 1, 0, 2**64 - 1, *[below, below - 1, 2**63, 2**64 - 1, 0])
    sampler = PoissonSampler(5, Decimal("0.3"), source)
    assert sampler.draw().tolist() == [0, 3]
    assert sampler.draw().tolist() == [1, 4]
    assert source.asked == [5, 5]


def test_a_rate_of_one_takes_everybody_and_blocks_join():
    assert PoissonSampler(7, Decimal(1), unsafe_SeededNoise(1)).draw().tolist() == list(range(7))
    drawn = PoissonSampler(BLOCK + 50, Decimal("0.9"), unsafe_SeededNoise(1)).draw()
    assert drawn.max() >= BLOCK and np.all(np.diff(drawn) > 0)


def test_nobody_is_a_sample_too():
    assert len(PoissonSampler(0, Decimal("0.5"), unsafe_SeededNoise(1)).draw()) == 0


@pytest.mark.parametrize("rate", ["0", "-1", "1.01"])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ParameterError, match="in \\(0, 1\\]"):
        PoissonSampler(3, Decimal(rate), unsafe_SeededNoise(1))
