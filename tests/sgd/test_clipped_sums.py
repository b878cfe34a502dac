"""Norms and clipped sums against record-by-record autograd; a planted leak between records is caught."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dpsynth.sgd.clipping import clip_factors
from tests.sgd.record_by_record import errors, leaks
from tests.sgd.small_networks import log_linear, rows_of

CLIPS = [0.3, 2.0, 1e6]


@pytest.mark.parametrize("clip", CLIPS)
def test_every_row_a_unit(clip):
    of_norms, of_sums, masked = errors(log_linear(), torch.from_numpy(rows_of(40).astype(np.int64)), None, clip)
    assert of_norms < 1e-5 and of_sums < 1e-6 and masked == 0


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 1, 5, 16, 2), (40, 2), (17,)], ids=str)
def test_units_of_several_rows_are_clipped_jointly(clip, sizes):
    units = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
    rows = torch.from_numpy(rows_of(len(units), 3).astype(np.int64))
    of_norms, of_sums, masked = errors(log_linear(1), rows, units, clip)
    assert of_norms < 1e-5 and of_sums < 1e-6 * max(sizes) and masked == 0


def test_no_unit_adds_more_than_the_clip():
    """A unit of 10,000 equal rows, and the margin for rounding."""
    rows = torch.from_numpy(np.repeat(rows_of(1), 10_000, axis=0).astype(np.int64))
    sums, norms = log_linear().clipped_sum(rows, torch.zeros(10_000, dtype=torch.int64), 1.0)
    added = sum(float((tensor.double() ** 2).sum()) for tensor in sums.values()) ** 0.5
    assert float(norms[0]) > 1000 and 0.998 < added <= 1.0


def test_rows_of_independent_units_do_not_meet():
    assert not leaks(log_linear(), torch.from_numpy(rows_of(20).astype(np.int64)), 1.0)


def test_a_planted_leak_is_caught():
    """Batch centring, as batch norm does it: what one row adds depends on the others."""

    class Leaky:
        def __init__(self):
            self._inner = log_linear()
            self.parameters, self.live = self._inner.parameters, self._inner.live
            slopes = self._inner._slopes
            self._inner._slopes = lambda inputs, index: (made := slopes(inputs, index)) - 0.01 * made.mean(0)

        def clipped_sum(self, rows, units, clip):
            return self._inner.clipped_sum(rows, units, clip)

    assert leaks(Leaky(), torch.from_numpy(rows_of(20).astype(np.int64)), 1.0)


def test_a_unit_that_is_not_a_number_adds_nothing_and_harms_nobody():
    network = log_linear()
    rows = torch.from_numpy(rows_of(12).astype(np.int64))
    rows[:, 3] = torch.arange(12) % 11
    rows[5, 3] = 11
    network._features[network._offsets[3] + 11] = float("nan")
    network._squares[network._offsets[3] + 11] = float("nan")
    sums, norms = network.clipped_sum(rows, None, 1.0)
    others = torch.cat([rows[:5], rows[6:]])
    expected, _ = network.clipped_sum(others, None, 1.0)
    assert not norms[5].isfinite() and norms[:5].isfinite().all()
    del sums  # its features are NaN too, which only the loop's unit-by-unit pass can leave out
    assert all(tensor.isfinite().all() for tensor in expected.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_factors_of_norms_that_are_not_numbers_are_zero(value):
    assert clip_factors(torch.tensor([value, 1.0]), 1.0).tolist()[0] == 0.0
