"""The network of people: exact clipped sums of several rows, input-only columns, a first row without a row before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.training import Units, clipped_total
from dpsynth.tabular.networks.features import all_features
from dpsynth.tabular.networks.protocol import Columns
from dpsynth.tabular.sequences.steps import arranged
from dpsynth.tabular.sequences.transitions import Transitions, TransitionState, repeating
from tests.conformance.network import NetworkConformance

SIZES, CONSTANT, MOST = (2, 3, 9, 4), 2, 4


def columns():
    rng = np.random.default_rng(1)
    shares = [rng.dirichlet(np.ones(size)) for size in SIZES]
    places = [np.zeros(0, np.float32), np.zeros(0, np.float32), np.linspace(0, 1, 8, dtype=np.float32)]
    return Columns(sizes=SIZES, positions=(*places, np.zeros(0, np.float32)), shares=tuple(shares))


def trained(seed=0):
    """A network whose weights are somewhere."""
    network, rng = Transitions(columns(), constant=CONSTANT, most=MOST), np.random.default_rng(seed)
    for name, parameter in network.parameters.items():
        parameter += 0.3 * rng.standard_normal(parameter.shape, dtype=np.float32) * network.live.get(name, True)
    return network


def people(count, seed=0, most=MOST):
    """Steps of people and their numbers, in the order of the people."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(count), rng.integers(1, most + 1, count))
    codes = rng.integers(0, SIZES, (len(units), len(SIZES))).astype(np.uint8)
    return arranged(codes, units, most=MOST, constant=CONSTANT, sizes=SIZES).astype(np.int64), units


class TestTransitions(NetworkConformance):
    sizes = (MOST, MOST, SIZES[2] + 1, SIZES[3] + 1, *SIZES)

    def make(self):
        return trained()


def loss_of(network, parameters, row):
    """The module's formula, read again: one row at a time, in float64."""
    tables = [torch.from_numpy(table).double() for table in all_features(columns())]
    position, left, own = row[0], row[1], row[-len(SIZES) :]
    ends = np.concatenate([[0], np.cumsum(SIZES)])
    widths = np.concatenate([[0], np.cumsum([table.shape[1] for table in tables])])
    loss, block = torch.zeros((), dtype=torch.float64), 0
    for column, size in enumerate(SIZES):
        span = slice(ends[column], ends[column + 1])
        logits = parameters["bias"][span] + parameters["time"][position, span] + parameters["time"][MOST + left, span]
        if column >= CONSTANT:
            width = tables[column].shape[1]
            weights = parameters["previous"][block : block + width * size].view(width, size)
            block += width * size
            before = row[2 + column - CONSTANT]
            if before < size:  # else there is no row before
                logits = logits + tables[column][before] @ weights
        for earlier in range(column):
            seen = tables[earlier][own[earlier]]
            logits = logits + seen @ parameters["weights"][widths[earlier] : widths[earlier + 1], span]
        if column >= CONSTANT or position == 0:
            loss = loss - torch.log_softmax(logits, 0)[own[column]]
    return loss


@pytest.mark.parametrize("clip", [0.5, 3.0, 1e6])
def test_sums_and_norms_are_those_of_a_record_by_record_loop(clip):
    network = trained()
    rows, units = people(12)
    sums, norms = network.clipped_sum(rows, units, clip)
    total = {name: torch.zeros(array.shape, dtype=torch.float64) for name, array in network.parameters.items()}
    for unit in range(12):
        leaves = {
            name: torch.from_numpy(array.astype(np.float64)).requires_grad_()
            for name, array in network.parameters.items()
        }
        loss = sum(loss_of(network, leaves, row) for row in rows[units == unit].tolist())
        loss = loss + sum(0 * leaf.sum() for leaf in leaves.values())  # a first row has no use for `previous`
        gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        norm = sum(float((g**2).sum()) for g in gradients.values()) ** 0.5
        assert norms[unit] == pytest.approx(norm, rel=1e-5)
        for name, gradient in gradients.items():
            total[name] += min(1.0, clip * (1 - 2.0**-10) / norm) * gradient
    for name, summed in sums.items():
        assert np.abs(summed - total[name].numpy()).max() <= 1e-6 * max(min(clip, 1e3), 1.0)


def test_one_person_more_changes_a_sum_by_at_most_the_clip():
    network, clip = trained(), 0.7
    rows, units = people(30, seed=3)
    kept = units != 29
    with_, without = (
        clipped_total(network, Units.of(rows[own].astype(np.uint8), units[own]), np.arange(count), clip)
        for own, count in ((slice(None), 30), (kept, 29))
    )
    apart = sum(float(((with_[name] - without[name]) ** 2).sum()) for name in with_) ** 0.5
    assert 0.9 * clip < apart <= clip


def test_a_first_row_adds_nothing_to_the_weights_of_the_row_before():
    network = trained()
    rows, _ = people(40, seed=5, most=1)
    sums, _ = network.clipped_sum(rows, np.arange(len(rows)), 1e6)
    assert np.abs(sums["bias"]).max() > 0.1 and not sums["previous"].any()


def test_a_constant_column_is_learned_from_first_rows_alone():
    network = trained()
    rows, _ = people(40, seed=6)
    later = rows[rows[:, 0] > 0]
    sums, _ = network.clipped_sum(later, np.arange(len(later)), 1e6)
    drawn = sum(SIZES[:CONSTANT])
    assert not sums["bias"][:drawn].any() and not sums["weights"][:, :drawn].any()
    assert np.abs(sums["bias"][drawn:]).max() > 0.1


def test_rows_that_cancel_are_clipped_by_what_they_cancel_from():
    """A float32 sum has no digits below 2^-12 of its parts; scaling it up to the clip would scale up rounding."""
    network = trained()
    rows, _ = people(1, most=1)
    many, clip = np.repeat(rows, 6, axis=0), 1e-9
    scales = np.array([1.0, -0.3, -0.7, 1.0, -0.9, -0.1], np.float32)
    real = Transitions._slopes
    try:
        Transitions._slopes = lambda self, *parts: real(self, *parts) * scales
        sums, norms = network.clipped_sum(many, np.zeros(6, np.int64), clip)
    finally:
        Transitions._slopes = real
    assert norms[0] < 1e-6
    assert sum(float((part.astype(np.float64) ** 2).sum()) for part in sums.values()) ** 0.5 <= clip


def test_a_network_starts_from_the_released_agreement():
    network = Transitions(columns(), constant=CONSTANT, most=MOST)
    network.start_from(np.array([0.9, 0.6]))
    state = network.state()
    for size, shares, stay, start in ((9, columns().shares[2], 0.9, 0), (4, columns().shares[3], 0.6, 81)):
        block = state.arrays["previous"][start : start + size**2].reshape(size, size)
        odds = shares * np.exp(block.astype(np.float64))
        odds /= odds.sum(axis=1, keepdims=True)
        assert float((shares * np.diagonal(odds)).sum()) == pytest.approx(stay, abs=1e-3)
    for noisy in (-3.0, 0.0, 1.0, 40.0):
        assert np.isfinite(repeating(columns().shares[2], noisy))


def test_a_state_of_other_shapes_is_refused():
    state = trained().state()
    with pytest.raises(ParameterError, match="do not fit"):
        TransitionState(sizes=state.sizes, constant=1, most=MOST, arrays=state.arrays)
