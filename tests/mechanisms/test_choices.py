"""Exponential mechanism, quantile, partition selection, bounds: law, sensitivity, event."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.mechanisms.bounds import BINS, bin_edges, occupied_magnitudes, occupied_range, signed_log2_bin
from dpsynth.mechanisms.discrete_gaussian import tail
from dpsynth.mechanisms.exponential import exponential
from dpsynth.mechanisms.partition_selection import partition_selection, threshold_for
from dpsynth.mechanisms.quantile import quantile

ALPHA = 1e-6


# --- exponential ---------------------------------------------------------------------------------------------------


def draw_many(n, coefficient):
    noise = unsafe_SeededNoise(4)
    scores = [0, -3, 2, Fraction(1, 2)]
    choices = [
        exponential(scores, coefficient=coefficient, score_range=2, base=[1, 40, 2, 3], noise=noise)[0]
        for _ in range(n)
    ]
    return np.bincount(choices, minlength=4)


def law(coefficient):
    weights = np.array([1, 40, 2, 3]) * np.exp(coefficient * np.array([0, -3, 2, 0.5]))
    return weights / weights.sum()


def test_exponential_follows_its_law_and_not_one_with_another_coefficient():
    counts = draw_many(20_000, "0.7")
    assert chisquare(counts, law(0.7) * counts.sum()).pvalue > ALPHA
    assert chisquare(counts, law(0.6) * counts.sum()).pvalue < ALPHA


def test_exponential_event_is_coefficient_times_range():
    _, event = exponential([1, 2], coefficient="0.05", score_range="1.5", noise=unsafe_SeededNoise(1))
    assert (event.bounded_range, event.count, event.noise) == (Decimal("0.075"), 1, "seeded")


def test_scores_too_far_apart_for_floats_are_still_compared():
    choice, _ = exponential([0, 10**9, 10**9 - 1], coefficient="5", score_range=1, noise=unsafe_SeededNoise(1))
    assert choice == 1


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ([], {}, "Expected candidates"),
        ([1], {"coefficient": "0"}, "Expected candidates, coefficient=0 > 0"),
        ([1], {"score_range": "0"}, "score_range=0 > 0"),
        ([1], {"base": [0]}, "one positive integer base weight"),
        ([1], {"base": [1, 2]}, "one positive integer base weight"),
    ],
)
def test_exponential_refuses(scores, options, message):
    with pytest.raises(ParameterError, match=message):
        exponential(scores, **{"coefficient": "1", "score_range": "1", "noise": unsafe_SeededNoise(1), **options})


# --- quantile ------------------------------------------------------------------------------------------------------


def score(counts, q):
    """The documented score, written apart from the source."""
    before, n = 0, sum(counts)
    out = []
    for count in counts:
        out.append(-max(0, before - q * n, q * n - before - count))
        before += count
    return out


@pytest.mark.parametrize("q", [Fraction(1, 2), Fraction(1, 4), Fraction(9, 10)])
def test_quantile_score_range_is_attained_and_never_exceeded(q):
    """Brute force over all small histograms: adding a row spreads scores by at most 2 max(q, 1 - q)."""
    worst = Fraction(0)
    for counts in itertools.product(range(4), repeat=4):
        base = score(counts, q)
        for cell in range(4):
            more = score([c + (i == cell) for i, c in enumerate(counts)], q)
            change = [Fraction(b) - Fraction(a) for a, b in zip(base, more, strict=True)]
            worst = max(worst, max(change) - min(change))
    assert worst <= 2 * max(q, 1 - q)
    assert worst >= max(q, 1 - q)


def test_quantile_finds_the_cell_and_states_its_event():
    counts = np.bincount(np.random.default_rng(0).normal(50, 10, 5000).astype(int), minlength=100)
    cell, event = quantile(counts, q=Fraction(1, 4), coefficient="0.1", noise=unsafe_SeededNoise(1), max_records=2)
    assert abs(cell - 43) <= 1
    assert event.bounded_range == Decimal("0.1") * Decimal("1.5") * 2


@pytest.mark.parametrize("q", [Fraction(0), Fraction(1), Fraction(3, 2)])
def test_quantile_refuses_q_outside(q):
    with pytest.raises(ParameterError, match="Expected 0 < q="):
        quantile(np.ones(3, int), q=q, coefficient="1", noise=unsafe_SeededNoise(1))


def test_quantile_refuses_q_without_decimal():
    with pytest.raises(ParameterError, match="to be a finite decimal"):
        quantile(np.ones(3, int), q=Fraction(1, 3), coefficient="1", noise=unsafe_SeededNoise(1))


# --- partition selection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "max_keys"), [(1, 1), (3, 3)])
def test_threshold_is_the_smallest_that_keeps_the_atom(weight, max_keys):
    threshold = threshold_for(sigma="10", delta=1e-7, weight=weight, max_keys=max_keys)
    atom = [1 - (1 - tail(t - weight, sigma="10")) ** max_keys for t in (threshold, threshold - 1)]
    assert atom[0] <= 1e-7 < atom[1]


def test_threshold_agrees_with_the_accountant():
    """The atom that the accountant charges for the event is the one that the threshold was made for."""
    from accounting.gaussian import discrete_gaussian_tail
    from accounting.threshold import selection_delta

    for sigma, records in (("12.5", 1), ("40", 3)):
        threshold = threshold_for(sigma=sigma, delta=1e-8, weight=records, max_keys=records)
        charged = selection_delta(
            sigma=float(sigma),
            threshold=threshold,
            squared_change=records**2,
            max_keys=records,
            tail=discrete_gaussian_tail,
        )
        assert (0.5e-8 if records == 1 else 1e-10) < charged <= 1e-8 * (1 + 1e-6)


def test_a_key_of_one_row_is_released_at_the_rate_of_its_atom():
    """At a threshold low enough to count: p = P(1 + Z >= 8), Z of scale 4."""
    keys = list(range(200_000))
    released, _, _ = partition_selection(
        keys, np.ones(len(keys), int), sigma="4", threshold=8, noise=unsafe_SeededNoise(2)
    )
    expected = tail(7, sigma="4") * len(keys)
    assert abs(len(released) - expected) < 5 * np.sqrt(expected)


def test_a_key_that_does_not_occur_is_never_released_however_low_the_threshold():
    released, _, _ = partition_selection(
        list(range(5000)), np.zeros(5000, int), sigma="50", threshold=2, noise=unsafe_SeededNoise(2)
    )
    assert released == []


def test_selection_forgets_the_order_of_its_keys_and_never_looks_at_empty_ones():
    counts = np.array([500, 0, 700, 600])
    for order in itertools.permutations(range(4)):
        keys, noisy, _ = partition_selection(
            [("d", "e", "a", "c")[i] for i in order],
            counts[list(order)],
            sigma="5",
            threshold=60,
            noise=unsafe_SeededNoise(3),
        )
        assert keys == ["a", "c", "d"]
        assert np.all(np.abs(noisy - [700, 600, 500]) < 40)


def test_selection_refuses_unmatched_counts_and_bad_delta():
    with pytest.raises(ParameterError, match="one count per key"):
        partition_selection(["a"], np.array([1, 2]), sigma="5", threshold=60, noise=unsafe_SeededNoise(3))
    with pytest.raises(ParameterError, match="Expected 0 < delta="):
        threshold_for(sigma="5", delta=0, weight=1)


# --- bounds --------------------------------------------------------------------------------------------------------


def test_every_number_lies_in_its_bin():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 10.0 ** rng.integers(-15, 15), 50) for _ in range(40)])
    bins = signed_log2_bin(values)
    assert np.all((bins >= 0) & (bins < BINS))
    for value, at in zip(values, bins, strict=True):
        low, high = bin_edges(int(at))
        assert low <= value <= high
    assert np.all(np.diff(signed_log2_bin(np.sort(values))) >= 0)


def test_bounds_cover_the_data_and_hardly_ever_more():
    counts = np.bincount(signed_log2_bin(np.random.default_rng(0).uniform(-100, 3000, 20_000)), minlength=BINS)
    exact = 0
    for seed in range(40):
        (first, last), event = occupied_magnitudes(counts, sigma="20", noise=unsafe_SeededNoise(seed))
        low, high = bin_edges(first)[0], bin_edges(last)[1]
        assert -512.0 <= low <= -64.0 and 4096.0 <= high <= 16_384.0
        exact += (low, high) == (-128.0, 4096.0)
        assert (event.sigma, event.l2_sensitivity) == (Decimal(20), Decimal(1))
    assert exact >= 25  # each end is one bin too wide with probability 0.07


def test_an_empty_histogram_gives_some_bin_and_no_error():
    for ask in (occupied_range, occupied_magnitudes):
        (first, last), _ = ask(np.zeros(BINS, int), sigma="20", noise=unsafe_SeededNoise(1))
        assert 0 <= first <= last < BINS
