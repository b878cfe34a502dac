"""Ranges from noisy bins: what stands out is in, runs beat single bins, and small tables are mostly found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.mechanisms.bounds import BINS, bin_edges, occupied_magnitudes, signed_log2_bin
from dpsynth.mechanisms.discrete_gaussian import sample_discrete_gaussian
from dpsynth.mechanisms.ranges import certain_level, likely_magnitudes, likely_range

FLAT = np.zeros(63)
ZERO = 31


def magnitudes(noisy, sigma=10.0):
    return likely_magnitudes(np.asarray(noisy, dtype=float), sigma, 1, np.zeros(31))


def bins(**rows):
    """A histogram over 31 magnitudes a side; `p3=50` is 50 rows in the third positive bin, `n2` the second negative."""
    noisy = np.zeros(63)
    for name, count in rows.items():
        noisy[ZERO if name == "zero" else ZERO + int(name[1:]) * (1 if name[0] == "p" else -1)] = count
    return noisy


@given(st.lists(st.floats(-60, 60), min_size=3, max_size=80), st.integers(0, 79), st.integers(0, 79))
@settings(max_examples=100, deadline=None)
def test_what_stands_out_is_in_the_range(noise, one, other):
    noisy = np.array(noise)
    one, other = sorted((one % len(noisy), other % len(noisy)))
    noisy[[one, other]] = certain_level(len(noisy), 10.0) + 1
    first, last = likely_range(noisy, 10.0, np.zeros(len(noisy)))
    assert 0 <= first <= one and other <= last < len(noisy)


def test_a_run_of_small_bins_beats_one_larger_bin():
    noisy = bins(p4=20, p5=25, p6=22, p7=18, p20=30)
    assert noisy.argmax() == ZERO + 20  # which alone would have been the range
    assert magnitudes(noisy) == (ZERO, ZERO + 7)


def test_the_prior_decides_between_runs_that_are_as_likely():
    noisy = bins(p4=20, p5=20, p24=20, p25=20)
    prior = np.arange(31) / 10
    assert likely_magnitudes(noisy, 10.0, 1, prior)[1] == ZERO + 5
    assert likely_magnitudes(noisy, 10.0, 1, prior[::-1])[1] == ZERO + 25


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"p5": 900, "p6": 16}, (ZERO, ZERO + 6)),  # goes on while a bin holds 1.5 sigma
        ({"p5": 900, "p6": 14}, (ZERO + 5, ZERO + 5)),
        ({"p5": 900, "zero": 16}, (ZERO, ZERO + 5)),  # beginning at zero costs less than cutting zeros off
        ({"p5": 900, "p8": 900}, (ZERO, ZERO + 8)),
        ({"p5": 900, "n3": 34}, (ZERO - 3, ZERO + 5)),  # the other sign, up to the size of this one
        ({"p5": 900, "n9": 34}, (ZERO + 5, ZERO + 5)),
        ({"n5": 900, "n6": 16}, (ZERO - 6, ZERO)),
        ({"zero": 900}, (ZERO, ZERO)),
        ({"zero": 900, "p3": 35, "p4": 35, "p5": 35}, (ZERO, ZERO + 5)),
        ({"zero": 900, "p3": 20}, (ZERO, ZERO)),
        ({"n4": 900, "p4": 900}, (ZERO - 4, ZERO + 4)),
    ],
)
def test_ends_of_a_range(rows, expected):
    assert magnitudes(bins(**rows)) == expected


def test_sizes_that_a_type_cannot_have_are_not_looked_for():
    noisy = bins(p2=25, p3=25, p20=20)
    assert likely_magnitudes(noisy, 10.0, 1, np.zeros(31))[1] == ZERO + 3
    assert likely_magnitudes(noisy, 10.0, 10, np.zeros(31))[1] == ZERO + 20


COLUMNS = {
    "ages": lambda rng, n: rng.normal(45, 15, n).clip(0, 100).astype(int),
    "incomes": lambda rng, n: rng.lognormal(10, 0.8, n).astype(int),
    "counts": lambda rng, n: rng.poisson(4, n),
    "balances": lambda rng, n: rng.normal(500, 900, n).astype(int),
}


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_thousand_rows_under_noise_of_forty_keep_nine_cells_in_ten_more_often_than_certain_bins_alone(name):
    rng = np.random.default_rng(1)
    level = certain_level(BINS, 40.0)

    def missed(values, first, last):
        return np.mean((values < bin_edges(first)[0]) | (values > bin_edges(last)[1])) > 0.1

    with_runs = alone = 0
    for seed in range(60):
        values = COLUMNS[name](rng, 1000)
        counts = np.bincount(signed_log2_bin(values.astype(float)), minlength=BINS)
        (first, last), _ = occupied_magnitudes(counts, sigma="40", noise=unsafe_SeededNoise(seed), finest=1.0)
        with_runs += missed(values, first, last)
        noisy = counts + sample_discrete_gaussian(BINS, sigma="40", noise=unsafe_SeededNoise(seed))
        certain = np.flatnonzero(noisy > level) if (noisy > level).any() else [noisy.argmax()]
        alone += missed(values, certain[0], certain[-1])
    assert alone >= 25 and with_runs <= alone / 2
