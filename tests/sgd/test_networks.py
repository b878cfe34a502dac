"""Every architecture against a record-by-record loop and against Opacus, over shapes and units; and its sampler."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.sgd import arrays
from dpsynth.sgd.opacus_network import OpacusNetwork
from dpsynth.tabular.networks.log_linear import LogLinear
from dpsynth.tabular.networks.made import Made
from dpsynth.tabular.networks.protocol import NETWORKS, NUMPY, network, sampler
from dpsynth.tabular.networks.transformer import Transformer
from tests.conformance.network import SIZES, NetworkConformance, clipped, made_rows
from tests.sgd.reference_networks import Attending, Layered, assembled, like, one_by_one
from tests.sgd.small_networks import columns_of, shaken


def pair(kind, sizes, seed=0, *, width=4, layers=2):
    """A network with parameters that are not zero, and its reference."""
    columns, rng = columns_of(sizes, seed=seed), np.random.default_rng(seed)
    if kind == "log_linear":
        made, reference = LogLinear.fresh(columns, rng), Layered(columns)
    elif kind == "made":
        made, reference = Made.fresh(columns, rng, width=width), Layered(columns, width)
    else:
        # layer norm over 2 values is a step function: float32 loses its slope, whoever computes it
        options = {"width": max(2 * width, 4), "layers": layers, "heads": 2}
        made, reference = Transformer.fresh(columns, rng, **options), Attending(columns, **options)
    return shaken(made, seed), reference


class TestLogLinear(NetworkConformance):
    def make(self):
        return pair("log_linear", SIZES)[0]


class TestMade(NetworkConformance):
    def make(self):
        return pair("made", SIZES)[0]


class TestTransformer(NetworkConformance):
    def make(self):
        return pair("transformer", SIZES)[0]


class TestOpacusNetwork(NetworkConformance):
    def make(self):
        made, reference = pair("made", SIZES)
        return OpacusNetwork(like(reference, made, torch.float32), lambda out, _: out, example=made_rows(4))


def check(made, reference, rows, units, clip):
    """Norms within 1e-5 and clipped sums within 1e-6 of a clip a unit."""
    true, true_norms = one_by_one(like(reference, made), rows, units, clip)
    sums, norms = clipped(made, rows, units, clip)
    assert float(((norms.double() - true_norms) / true_norms.clamp(min=1)).abs().max()) < 1e-5
    scale = min(clip, float(true_norms.max())) * len(true_norms)
    for name, expected in assembled(reference, made, true).items():
        assert not expected.numel() or float((sums[name].double() - expected).abs().max()) < 1e-6 * max(scale, 1.0), (
            name
        )


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("clip", [0.3, 4.0, 1e6])
def test_norms_and_sums_are_those_of_a_loop_over_rows(kind, clip):
    check(*pair(kind, SIZES), made_rows(20), None, clip)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("sizes", [(3, 1, 5, 16, 2), (40, 2), (17,)], ids=str)
def test_norms_and_sums_are_those_of_a_loop_over_units(kind, sizes):
    units = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    check(*pair(kind, SIZES, 1), made_rows(len(units)), units, 3.0)


@pytest.mark.parametrize("kind", NETWORKS)
@given(
    sizes=st.lists(st.integers(1, 11), min_size=1, max_size=5),
    groups=st.lists(st.integers(1, 4), min_size=1, max_size=4) | st.none(),
    width=st.integers(1, 5),
    layers=st.integers(1, 2),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_shape(kind, sizes, groups, width, layers, seed):
    units = None if groups is None else torch.repeat_interleave(torch.arange(len(groups)), torch.tensor(groups))
    rows = made_rows(5 if units is None else len(units), seed, sizes)
    check(*pair(kind, sizes, seed, width=width, layers=layers), rows, units, 1.0)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("groups", [None, (3, 1, 5, 20)], ids=["rows", "units"])
def test_opacus_finds_the_same(kind, groups):
    made, reference = pair(kind, SIZES, 2)
    units = None if groups is None else torch.repeat_interleave(torch.arange(len(groups)), torch.tensor(groups))
    rows = made_rows(12 if units is None else len(units), 5)
    oracle = OpacusNetwork(like(reference, made, torch.float32), lambda out, _: out, example=made_rows(4))
    theirs, their_norms = clipped(oracle, rows, units, 2.0)
    ours, norms = clipped(made, rows, units, 2.0)
    assert float(((norms - their_norms) / their_norms).abs().max()) < 1e-5
    for name, expected in assembled(reference, made, theirs).items():
        assert float((ours[name] - expected).abs().max()) < 1e-6 * 2.0 * len(norms), name


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_unit_that_is_not_a_number_adds_nothing_and_changes_no_other(kind):
    """Bias of one code infinite: rows with that code have no finite gradient in any column that follows it."""
    made, _ = pair(kind, SIZES)
    rows = made_rows(30)
    bad = rows[:, 0] == 1
    name = "vectors" if kind == "transformer" else "weights"
    live = arrays.on_cpu(made.live[name])
    poisoned = arrays.on_cpu(made.parameters[name]).copy()
    poisoned[1, live[1]] = np.nan
    arrays.put_back(made.parameters[name], poisoned)
    sums, norms = clipped(made, rows, None, 1.0)
    assert all(tensor.isfinite().all() for tensor in sums.values())
    assert not norms[bad].isfinite().any()


# --- sampling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("sizes", [SIZES, (4,), (1, 3)], ids=str)
def test_a_sampler_has_the_networks_own_conditionals(kind, sizes):
    """Log probabilities along drawn rows add up to minus the loss."""
    made, reference = pair(kind, sizes)
    rows = made_rows(40, 1, sizes)
    prefix, total = sampler(made.state()).begin(len(rows)), np.zeros(len(rows))
    for at, size in enumerate(sizes):
        logits = np.array(prefix.logits(), dtype=np.float64)
        assert logits.shape == (len(rows), size)
        codes = rows[:, at].numpy()
        total += logits[np.arange(len(rows)), codes] - np.log(np.exp(logits).sum(1))
        prefix.append(codes)
    with torch.no_grad():
        np.testing.assert_allclose(total, -like(reference, made)(rows).numpy(), atol=2e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_fresh_network_is_independent_columns_with_the_released_shares(kind):
    columns = columns_of(SIZES)
    made = network(kind).fresh(columns, np.random.default_rng(0))
    prefix = network(kind).sampler(made.state()).begin(3)
    for at, size in enumerate(SIZES):
        logits = np.array(prefix.logits())
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        expected = np.maximum(columns.shares[at], 1e-4)
        np.testing.assert_allclose(shares, np.tile(expected / expected.sum(), (3, 1)), atol=1e-5)
        prefix.append(np.array([0, size - 1, size // 2]))


@pytest.mark.parametrize("kind", NETWORKS)
def test_arrays_of_other_shapes_are_refused(kind):
    state = pair(kind, SIZES)[0].state()
    with pytest.raises(ParameterError, match="do not fit"):
        network(kind).sampler(replace(state, arrays={**state.arrays, "bias": state.arrays["bias"][:-1]}))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("made", {"width": 0}), ("transformer", {"width": 10, "heads": 4}), ("transformer", {"layers": 0})],
)
def test_options_that_make_no_network_are_refused(kind, options):
    with pytest.raises(ParameterError, match="Expected width"):
        network(kind).fresh(columns_of(SIZES), np.random.default_rng(0), **options)


@pytest.mark.parametrize("kind", NETWORKS)
def test_unknown_options_are_refused_by_name(kind):
    with pytest.raises(ParameterError, match="no option 'depth'"):
        network(kind).fresh(columns_of(SIZES), np.random.default_rng(0), depth=3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_saved_network_draws_where_there_is_no_pytorch(kind, monkeypatch):
    from dpsynth.sgd import torch_present

    state = pair(kind, SIZES)[0].state()
    monkeypatch.setattr(torch_present, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "torch", None)
    prefix = sampler(state).begin(5)
    for size in SIZES:
        assert prefix.logits().shape == (5, size)
        prefix.append(np.zeros(5, dtype=np.uint8))
    if kind not in NUMPY:
        with pytest.raises(ParameterError, match="needs PyTorch"):
            network(kind)


@pytest.mark.parametrize("kind", NETWORKS)
def test_rows_of_a_unit_that_cancel_each_other_do_not_slip_through_a_small_clip(kind):
    """One row of every code under a nearly uniform model: the sum is a thousandth of what goes in."""
    columns = replace(columns_of((16,)), shares=(np.full(16, 1 / 16),))
    made = network(kind).fresh(columns, np.random.default_rng(0))
    bias = made.parameters["bias"]
    arrays.put_back(bias, arrays.on_cpu(bias) + np.linspace(-1, 1, 16, dtype=np.float32) * 1e-4)
    rows = torch.cat([torch.arange(16)[:, None], torch.zeros(3, 1, dtype=torch.int64)])
    units = torch.tensor([0] * 16 + [1] * 3)
    reference = like(Attending(columns, 64, 2, 4) if kind == "transformer" else Layered(columns), made)
    _, true = one_by_one(reference, rows, units, 1e-4)
    _, norms = clipped(made, rows, units, 1e-4)
    alone, _ = clipped(made, rows[:16], units[:16], 1e-4)
    assert true[0] > 1e-4 and float(((norms - true) / true).abs().max()) < 1e-3
    assert sum(float((tensor.double() ** 2).sum()) for tensor in alone.values()) ** 0.5 <= 1e-4
