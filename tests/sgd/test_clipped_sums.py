"""Norms and clipped sums against record-by-record autograd; a planted leak between records is caught."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dpsynth.sgd.clipping import clip_factors
from tests.sgd.record_by_record import errors, leaks, of
from tests.sgd.small_networks import Means, Twin, log_linear, rows_of

CLIPS = [0.3, 2.0, 1e6]


def codes(count, seed=0):
    return rows_of(count, seed).astype(np.int64)


@pytest.mark.parametrize("clip", CLIPS)
def test_every_row_a_unit(clip):
    network = log_linear()
    of_norms, of_sums, masked = errors(network, Twin(network), codes(40), None, clip)
    assert of_norms < 1e-5 and of_sums < 1e-6 and masked == 0


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 1, 5, 16, 2), (40, 2), (17,)], ids=str)
def test_units_of_several_rows_are_clipped_jointly(clip, sizes):
    units = np.repeat(np.arange(len(sizes)), sizes)
    network = log_linear(1)
    of_norms, of_sums, masked = errors(network, Twin(network), codes(len(units), 3), units, clip)
    assert of_norms < 1e-5 and of_sums < 1e-6 * max(sizes) and masked == 0


def test_no_unit_adds_more_than_the_clip():
    """A unit of 10,000 equal rows, and the margin for rounding."""
    rows = np.repeat(codes(1), 10_000, axis=0)
    sums, norms = log_linear().clipped_sum(rows, np.zeros(10_000, dtype=np.int64), 1.0)
    added = sum(float((summed.astype(np.float64) ** 2).sum()) for summed in sums.values()) ** 0.5
    assert float(norms[0]) > 1000 and 0.998 < added <= 1.0


def test_rows_of_independent_units_do_not_meet():
    assert not leaks(log_linear(), codes(20), 1.0)
    assert not leaks(Means(4), codes(20), 1.0)


def test_a_planted_leak_is_caught():
    """Batch centring, as batch norm does it: what one row adds depends on the others."""
    network = log_linear()
    slopes = network._slopes
    network._slopes = lambda inputs, rows: (made := slopes(inputs, rows)) - 0.01 * made.mean(axis=1, keepdims=True)
    assert leaks(network, codes(20), 1.0)


@pytest.mark.parametrize("units", [None, np.repeat(np.arange(6), 2)], ids=["rows", "pairs"])
def test_a_unit_that_is_not_a_number_is_seen_alone(units):
    network, rows = log_linear(), codes(12)
    rows[:, 1] = np.arange(12) % 8
    rows[0, 1] = 8
    network._tables[1][8] = network._squares[1][8] = np.nan
    _, norms = of(network, rows, units, 1.0)
    assert not np.isfinite(norms[0]) and np.isfinite(norms[1:]).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_factors_of_norms_that_are_not_numbers_are_zero(value):
    assert clip_factors(np.array([value, 1.0], dtype=np.float32), 1.0).tolist()[0] == 0.0
    assert clip_factors(torch.tensor([value, 1.0]), 1.0).tolist()[0] == 0.0
