"""Decimal places: found exactly for every double that is a decimal, and released only above the noise."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.mechanisms.decimals import MOST_PLACES, PLACE_BINS, decimal_places, occupied_places


def places_of(number: float) -> int:
    """The definition, in exact arithmetic: the smallest p whose nearest decimal is read as this very double."""
    exact = Decimal(number)
    for p in range(MOST_PLACES):
        if float(exact.quantize(Decimal(1).scaleb(-p))) == number:
            return p
    return MOST_PLACES


@settings(max_examples=500, deadline=None)
@given(st.integers(-(2**51), 2**51), st.integers(0, 14))
def test_every_decimal_that_doubles_can_tell_apart_has_its_places(ticks: int, places: int) -> None:
    number = float(Decimal(ticks).scaleb(-places))
    assert decimal_places(np.array([number])).tolist() == [places_of(number)]


@pytest.mark.parametrize(
    ("number", "places"),
    [(0.0, 0), (-0.0, 0), (1e300, 0), (-5e-324, 12), (0.1, 1), (0.1 + 0.2, 12), (1 / 3, 12), (2.0**-7, 7), (1e-11, 11)],
)
def test_numbers_at_the_edges(number: float, places: int) -> None:
    assert decimal_places(np.array([number])).tolist() == [places]


def test_an_empty_column_has_no_places() -> None:
    assert decimal_places(np.zeros(0)).tolist() == []


def counts(**at: int) -> np.ndarray:
    made = np.zeros(PLACE_BINS, dtype=np.int64)
    for name, rows in at.items():
        made[int(name[1:])] = rows
    return made


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (counts(p6=4000, p5=400, p0=3000), 6),
        (counts(p2=5000, p12=30), 2),  # below 4.4 sigma
        (counts(p2=5000, p12=200), 12),
        (counts(p2=1_000_000, p12=5000), 2),  # far above the noise, and half a per cent
        (counts(p2=1_000_000, p12=20_000), 12),
        (counts(), None),
        (counts(p3=20), None),
    ],
)
def test_the_largest_places_that_stand_out_of_noise_and_rows(rows: np.ndarray, expected: int | None) -> None:
    for seed in range(50):
        found, event = occupied_places(rows, sigma="20", noise=unsafe_SeededNoise(seed), l2_sensitivity=3)
        assert found == expected
        assert (event.sigma, event.l2_sensitivity, event.count) == (Decimal(20), Decimal(3), 1)
