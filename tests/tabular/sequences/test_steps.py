"""Steps: a person's rows are never mixed with another's, and one person moves a released count by its bound at most."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dpsynth.tabular.sequences.steps as steps_module
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.tabular.sequences.steps import arranged, measured_lengths, measured_stays

SIZES = (2, 5, 3)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_the_row_before_is_of_the_same_person_whatever_stands_between(owners, constant, seed):
    units = np.unique(owners, return_inverse=True)[1]
    codes = np.random.default_rng(seed).integers(0, SIZES, (len(units), 3)).astype(np.uint8)
    made = arranged(codes, units, most=4, constant=constant, sizes=SIZES)
    for at, unit in enumerate(units):
        earlier = np.flatnonzero(units[:at] == unit)
        later = np.flatnonzero(units[at + 1 :] == unit)
        before = codes[earlier[-1], constant:] if len(earlier) else SIZES[constant:]
        assert made[at].tolist() == [min(len(earlier), 3), min(len(later), 3), *before, *codes[at]]


def test_no_rows_are_no_steps():
    empty = arranged(np.zeros((0, 3), np.uint8), np.zeros(0, np.int64), most=4, constant=1, sizes=SIZES)
    assert empty.shape == (0, 7)


def exactly(monkeypatch, measure):
    """What a measurement counted before its noise."""
    seen = []
    real = steps_module.discrete_gaussian
    monkeypatch.setattr(
        steps_module, "discrete_gaussian", lambda exact, **rest: seen.append(exact) or real(exact, **rest)
    )
    _, event = measure()
    monkeypatch.undo()
    return seen[0], event


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_one_person_more_moves_one_count_of_rows_by_one(monkeypatch, rows):
    units = np.array([0, 0, 1, 2, 2, 2])
    noise = unsafe_SeededNoise(1)
    counts = []
    for owners in (units, np.concatenate([units, [3] * rows])):
        exact, event = exactly(
            monkeypatch, lambda owners=owners: measured_lengths(owners, most=4, sigma=Decimal(2), noise=noise)
        )
        counts.append(exact)
        assert event.l2_sensitivity == 1 and event.count == 1
    assert counts[0].tolist() == [1, 1, 1, 0]
    assert np.abs(counts[1] - counts[0]).sum() == 1


def test_one_person_more_moves_each_count_of_agreement_by_k_less_one_at_most(monkeypatch):
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(5), 3)
    codes = rng.integers(0, SIZES, (15, 3)).astype(np.uint8)
    person = np.tile(codes[:1], (4, 1))  # whose rows are all alike
    counts = []
    for extra in (0, 4):
        cells = np.concatenate([codes, person[:extra]])
        owners = np.concatenate([units, np.full(extra, 5)])
        steps = arranged(cells, owners, most=4, constant=1, sizes=SIZES)
        noise = unsafe_SeededNoise(1)
        exact, event = exactly(
            monkeypatch,
            lambda steps=steps, noise=noise: measured_stays(steps, constant=1, most=4, sigma=Decimal(2), noise=noise),
        )
        counts.append(exact)
        assert event.l2_sensitivity == 3 and event.count == 2
    assert (counts[1] - counts[0]).tolist() == [3, 3]
    agree = [(codes[1:, at] == codes[:-1, at])[units[1:] == units[:-1]].sum() for at in (1, 2)]
    assert counts[0].tolist() == agree
