"""The exact sampler: its law, and that its rare exact branch decides as the law says."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.noise import SystemNoise, unsafe_SeededNoise
from dpsynth.mechanisms.inversion import ExactInversion, SymmetricSampler, bernoulli_exp

ALPHA = 1e-6


class Words:
    """A noise source that returns the given words, then refuses."""

    kind = "seeded"

    def __init__(self, *words: int) -> None:
        self.words = list(words)
        self.taken = 0

    def uint64(self, n: int) -> np.ndarray:
        assert len(self.words) >= n, "more bits were asked for than the test foresaw"
        self.taken += n
        out, self.words = self.words[:n], self.words[n:]
        return np.array(out, dtype=np.uint64)


def table(*exponents: Fraction) -> ExactInversion:
    floats = np.array([float(x) for x in exponents])
    return ExactInversion(floats, lambda i: exponents[i], bounded=True)


def survival(exponents: tuple[Fraction, ...], i: int) -> Fraction:
    import mpmath

    with mpmath.workdps(80):
        weights = [mpmath.exp(-mpmath.mpf(x.numerator) / x.denominator) for x in exponents]
        share = mpmath.fsum(weights[i:]) / mpmath.fsum(weights)
        return Fraction(int(mpmath.floor(share * 2**200)), 2**200)


@given(
    st.lists(st.fractions(min_value=0, max_value=40, max_denominator=50), min_size=1, max_size=8),
    st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_words_at_a_boundary_are_decided_by_the_exact_survival_function(rest, seed):
    """The 63-bit words around every boundary are ambiguous; with more bits the comparison with S(i) is exact."""
    exponents = (Fraction(0), *rest)
    sampler = table(*exponents)
    extra = np.random.default_rng(seed).integers(0, 2**64, 1, dtype=np.uint64)[0]
    for i in range(1, len(exponents)):
        boundary = survival(exponents, i)
        word = int(boundary * 2**63)
        for step in (-1, 0, 1):
            if not 0 <= word + step < 2**63:
                continue
            source = Words(int(extra), 0, 0)
            got = sampler.decide(np.array([word + step], dtype=np.uint64), source)[0]
            uniform = Fraction((word + step << 64) + int(extra), 2**127)
            least = sum(uniform + Fraction(1, 2**127) <= survival(exponents, j) for j in range(1, len(exponents)))
            most = sum(uniform < survival(exponents, j) for j in range(1, len(exponents)))
            if least == most:
                assert got == least


def test_the_exact_branch_asks_for_more_bits_only_where_needed():
    exponents = (Fraction(0), Fraction(1))
    word = int(survival(exponents, 1) * 2**63)
    source = Words(2**63)
    table(*exponents).decide(np.array([word], dtype=np.uint64), source)
    assert source.taken == 1
    table(*exponents).decide(np.array([word - 10**6, word + 10**6], dtype=np.uint64), Words())


def test_extending_by_zeros_and_by_ones_falls_on_either_side_of_the_boundary():
    """Mutating the order of the added bits, or the direction of the comparison, turns this red."""
    exponents = (Fraction(0), Fraction(1, 3))
    word = int(survival(exponents, 1) * 2**63)
    below = table(*exponents).decide(np.array([word], dtype=np.uint64), Words(0))[0]
    above = table(*exponents).decide(np.array([word], dtype=np.uint64), Words(2**64 - 1))[0]
    assert (below, above) == (1, 0)


def test_word_zero_reaches_beyond_the_table():
    """The unbounded law has no largest value: an all-zero prefix is extended until the tail is resolved."""
    sampler = ExactInversion(np.arange(60.0), lambda i: Fraction(i), bounded=False)
    # U = 3 * 2^-127 and S(i) = e^-i: i = floor(127 ln 2 - ln 3) = 86; two words of zero go further still.
    got = sampler.decide(np.array([0], dtype=np.uint64), Words(3, 2**63))[0]
    assert got == math.floor(127 * math.log(2) - math.log(3.5)) == 86
    further = sampler.decide(np.array([0], dtype=np.uint64), Words(0, 3, 2**63))[0]
    assert further == math.floor(191 * math.log(2) - math.log(3.5))


def test_bernoulli_exp_boundary_words_are_decided_exactly():
    import mpmath

    gamma = Fraction(7, 5)
    with mpmath.workdps(60):
        chance = Fraction(int(mpmath.exp(-mpmath.mpf(7) / 5) * 2**150), 2**150)
    word = int(chance * 2**63)
    low = bernoulli_exp(np.array([1.4]), lambda _: gamma, Words(word << 1, 0))
    high = bernoulli_exp(np.array([1.4]), lambda _: gamma, Words(word << 1, 2**64 - 1))
    assert (bool(low[0]), bool(high[0])) == (True, False)


def test_bernoulli_exp_of_zero_always_succeeds():
    assert bernoulli_exp(np.zeros(4), lambda _: Fraction(0), Words(*[2**64 - 1] * 4)).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_base_weights_multiply_the_exponential_weights(seed):
    sampler = ExactInversion(np.array([0.0, 2.0]), lambda i: Fraction(2 * i), bounded=True, base=[1, 10**9])
    draws = sampler.draw(2000, unsafe_SeededNoise(seed))
    assert Counter(draws.tolist())[1] >= 1999  # 1e9 exp(-2) against 1


def test_wide_blocks_follow_the_same_law_as_single_integers():
    """A geometric law drawn in blocks of 4 has the cell probabilities of the closed form."""
    from scipy.stats import chisquare

    scale = Fraction(5000)
    wide = SymmetricSampler(lambda n: Fraction(n) / scale, lambda _f, o: o / 5000.0, scale=5000.0)
    assert wide._width == 4
    draws = wide.draw(200_000, unsafe_SeededNoise(3))
    residues = np.bincount(np.abs(draws) % 4, minlength=4)
    weights = np.exp(-np.arange(4) / 5000.0)
    weights[0] *= 1 - (1 - np.exp(-4 / 5000.0)) / 2  # zero has one sign only
    assert chisquare(residues, weights / weights.sum() * residues.sum()).pvalue > ALPHA


def test_a_million_draws_take_about_a_second():
    import time

    sampler = SymmetricSampler(lambda n: Fraction(n * n, 1352), lambda f, o: o * (2 * f + o) / 1352.0, scale=26.0)
    start = time.perf_counter()
    sampler.draw(1_000_000, SystemNoise())
    assert time.perf_counter() - start < 3.0  # 0.12 s on an idle core; the bound leaves room for a busy machine
