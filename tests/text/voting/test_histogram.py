"""Votes as integers: what one unit can change, by proof and by search."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.relation import NeighboringRelation
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.text.voting.histogram import GRID, MOST, Votes, histogram, isqrt, noisy_histogram, sensitivity

CANDIDATES = 9
ADD_REMOVE, REPLACE_ONE = NeighboringRelation.ADD_REMOVE, NeighboringRelation.REPLACE_ONE

ballots = st.lists(st.lists(st.integers(0, CANDIDATES - 1), min_size=0, max_size=5), min_size=0, max_size=12)


def counted(units: list[list[list[int]]]) -> np.ndarray:
    """Histogram of units, each a list of texts, each a list of candidates voted for."""
    texts = [(unit, text) for unit, own in enumerate(units) for text in own]
    rows = [row for row, (_, text) in enumerate(texts) for _ in text]
    chosen = [candidate for _, text in texts for candidate in text]
    votes = Votes(rows=np.array(rows, dtype=np.int64), candidates=np.array(chosen, dtype=np.int64))
    return histogram(votes, CANDIDATES, units=np.array([unit for unit, _ in texts], dtype=np.int64))


@settings(max_examples=300, deadline=None)
@given(st.lists(ballots, max_size=4), ballots, st.integers(0, 4))
def test_a_unit_more_changes_the_histogram_by_a_norm_of_one_vote_at_most(others, unit, place) -> None:
    """Whatever its texts, whatever their topics, and however many; squared norms compared as integers."""
    with_it = counted([*others[:place], unit, *others[place:]])
    change = with_it - counted(others)
    assert int((change**2).sum()) <= GRID**2 == int(sensitivity(ADD_REMOVE)) ** 2
    assert (change >= 0).all()
    if any(unit):  # and it is not wasted: rounding takes less than one unit of the grid from each candidate
        assert np.sqrt((change**2).sum()) > GRID - 3 * CANDIDATES


@settings(max_examples=300, deadline=None)
@given(st.lists(ballots, max_size=3), ballots, ballots)
def test_a_unit_replaced_changes_it_by_the_root_of_two(others, old, new) -> None:
    change = counted([*others, old]) - counted([*others, new])
    assert int((change**2).sum()) <= 2 * GRID**2 <= sensitivity(REPLACE_ONE) ** 2


def test_the_bound_is_attained() -> None:
    one = counted([[[3]]])
    assert one.tolist() == [GRID if i == 3 else 0 for i in range(CANDIDATES)]
    assert int(((one - counted([[[4]]])) ** 2).sum()) == 2 * GRID**2


def test_a_norm_for_each_text_instead_of_each_unit_would_break_it() -> None:
    """The mutant that this suite must catch: a unit of two texts that are units of their own."""
    assert int((counted([[[1], [1]]]) ** 2).sum()) == GRID**2
    assert int((counted([[[1]], [[1]]]) ** 2).sum()) == 4 * GRID**2


def test_a_unit_of_a_million_texts_still_has_one_vote() -> None:
    rows = np.arange(3_000_000)
    votes = Votes(rows=rows, candidates=np.where(rows < 2_900_000, 2, 5))
    counts = histogram(votes, CANDIDATES, units=np.zeros(len(rows), dtype=np.int64))
    assert len(rows) > MOST and 0 < int((counts**2).sum()) <= GRID**2


@given(st.integers(0, 2**50))
def test_integer_roots_are_exact(value: int) -> None:
    import math

    assert isqrt(np.array([value]))[0] == math.isqrt(value)


def test_noise_is_drawn_for_every_candidate_and_paid_once() -> None:
    sigma = Decimal(5 * GRID)
    noisy, event = noisy_histogram(
        np.zeros(20_000, dtype=np.int64), sigma=sigma, relation=ADD_REMOVE, noise=unsafe_SeededNoise(3)
    )
    assert noisy.dtype == np.int64
    assert noisy.std() == pytest.approx(5 * GRID, rel=0.03)
    assert (event.sigma, event.l2_sensitivity, event.count) == (sigma, Decimal(GRID), 1)
