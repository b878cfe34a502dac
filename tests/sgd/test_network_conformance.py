"""The conformance suite of networks has teeth: planted leaks between records, and other faults, are caught."""

from __future__ import annotations

import pytest
import torch

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.bookkeeping import clipped_sum
from dpsynth.sgd.clipping import clip_factors
from dpsynth.sgd.opacus_network import OpacusNetwork
from tests.conformance.network import NetworkConformance, made_rows

CHECKS = sorted(name for name in dir(NetworkConformance) if name.startswith("test_"))


class Wrong(torch.nn.Module):
    """Squared error of a linear map of the first three columns to the last, with a fault to be planted."""

    def __init__(self, layer=None):
        super().__init__()
        self.linear, self.layer = torch.nn.Linear(3, 4), layer
        self.out = torch.nn.Linear(4, 1)

    def between(self, x):
        return x if self.layer is None else self.layer(x)

    def forward(self, rows):
        out = self.out(torch.tanh(self.between(self.linear(rows[:, :3].float()))))
        return (out[:, 0] - rows[:, 3].float() / 12) ** 2


class Centred(Wrong):
    def between(self, x):
        return x - x.mean(0)


class BatchMask(Wrong):
    """A mask shaped like the batch: what a place in the batch drops, whoever stands there."""

    def between(self, x):
        return x * (torch.arange(len(x)) % 2)[:, None]


class RunningMean(Wrong):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(4))

    def between(self, x):
        self.seen = 0.9 * self.seen + 0.1 * x.detach().mean(0)
        return x - self.seen


class Unchecked:
    """A network that any module passes: gradients of rows in their batch, by autograd, no refusal."""

    def __init__(self, module):
        torch.manual_seed(0)
        self._module, self.live = module, {}
        self._own = dict(module.named_parameters())
        self.parameters = {name: parameter.detach() for name, parameter in self._own.items()}

    def clipped_sum(self, rows, units, clip):
        with torch.enable_grad():
            losses = self._module(rows)
            numbers = torch.arange(len(rows)) if units is None else units
            each = [
                torch.autograd.grad(losses[numbers == u].sum(), list(self._own.values()), retain_graph=True)
                for u in range(int(numbers[-1]) + 1)
            ]
        norms = torch.stack([torch.sqrt(sum((g**2).sum() for g in own)) for own in each])
        sums = {
            name: sum(f * own[at] for f, own in zip(clip_factors(norms, clip), each, strict=True))
            for at, name in enumerate(self._own)
        }
        return sums, norms


def failures(make):
    class Suite(NetworkConformance):
        def make(self):
            return make()

    failed = set()
    for name in CHECKS:
        try:
            getattr(Suite(), name)()
        except (AssertionError, ValueError):  # torch refuses batch norm of a single row
            failed.add(name)
    return failed


def seeded(make):
    torch.manual_seed(0)
    return make()


LEAK = "test_changing_one_row_leaves_what_all_others_add"
PLANTED = {
    "batch norm": lambda: Wrong(torch.nn.BatchNorm1d(4)),
    "batch norm without weights": lambda: Wrong(torch.nn.BatchNorm1d(4, affine=False, track_running_stats=False)),
    "mean over the batch": Centred,
    "batch-shaped mask": BatchMask,
    "running statistics": RunningMean,
}


def test_a_right_network_passes_every_check():
    assert failures(lambda: Unchecked(seeded(Wrong))) == set()


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_leak_between_rows_is_caught(fault):
    failed = failures(lambda: Unchecked(seeded(PLANTED[fault])))
    assert "test_a_sum_is_the_sum_of_its_units_each_alone" in failed
    if fault != "batch-shaped mask":  # a place's mask stays when the row in it changes; the order of rows shows it
        assert LEAK in failed
    else:
        assert "test_the_order_of_rows_does_not_matter" in failed


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_leak_between_rows_is_refused_by_the_general_network(fault):
    with pytest.raises(ParameterError, match=r"mixes rows|rows beside it|statistics over rows|Opacus"):
        OpacusNetwork(seeded(PLANTED[fault]), lambda out, _: out, example=made_rows(6))


class ByPosition(torch.nn.Module):
    """Every layer sees positions where rows are expected, as models do that take padding out."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 4)
        self.out = torch.nn.Linear(4, 1)

    def forward(self, rows):
        flat = rows[:, :3].float().reshape(-1, 1)
        return self.out(torch.tanh(self.linear(flat))).view(len(rows), 3).square().sum(1)


class Borrowed(Wrong):
    """Uses a layer's weight once more outside of it, where no hook sees it."""

    def between(self, x):
        return x + rows_of(self.linear.weight, x)


def rows_of(weight, x):
    return torch.nn.functional.linear(x[:, :3], weight)


@pytest.mark.parametrize(("wrong", "said"), [(ByPosition, "see its rows first"), (Borrowed, "is not its gradient")])
def test_gradients_by_position_or_of_a_part_of_a_weight_are_refused(wrong, said):
    """By position each of a row's positions could add a whole clip, and no error would tell."""
    with pytest.raises(ParameterError, match=said):
        OpacusNetwork(seeded(wrong), lambda out, _: out, example=made_rows(6))


class Faulty:
    """The right network with one thing done wrong to its sums or norms."""

    def __init__(self, fault):
        self._inner, self._fault = Unchecked(seeded(Wrong)), fault
        self.parameters, self.live = self._inner.parameters, {}

    def clipped_sum(self, rows, units, clip):
        return self._fault(self._inner, rows, units, clip)


def batch_clipped(inner, rows, units, clip):
    """Clips the sum, not each unit."""
    sums, norms = inner.clipped_sum(rows, units, 1e9)
    size = torch.sqrt(sum((g**2).sum() for g in sums.values()))
    return {name: g * min(1.0, clip / float(size)) for name, g in sums.items()}, norms


def row_clipped(inner, rows, units, clip):
    """Clips rows where units were asked for."""
    sums, norms = inner.clipped_sum(rows, None, clip)
    return sums, norms if units is None else torch.sqrt(torch.bincount(units, norms**2)).float()


def layer_clipped(inner, rows, units, clip):
    """Clips every parameter to the whole clip on its own: together they exceed it."""
    made = {name: inner.clipped_sum(rows, units, clip * 2)[0][name] for name in inner.parameters}
    return made, inner.clipped_sum(rows, units, clip)[1]


def unclipped(inner, rows, units, clip):
    return inner.clipped_sum(rows, units, 1e9)


@pytest.mark.parametrize("fault", [batch_clipped, row_clipped, layer_clipped, unclipped], ids=lambda f: f.__name__)
def test_wrong_clipping_is_caught(fault):
    assert failures(lambda: Faulty(fault))


def test_modules_that_the_general_network_cannot_train_are_refused():
    def loss(out, rows):
        del rows
        return out

    frozen = seeded(Wrong).requires_grad_(False)
    with pytest.raises(ParameterError, match="no parameter to train"):
        OpacusNetwork(frozen, loss, example=made_rows(4))
    with pytest.raises(ParameterError, match="needs float32"):
        OpacusNetwork(seeded(Wrong).half(), loss, example=made_rows(4))
    with pytest.raises(ParameterError, match="one loss a row"):
        OpacusNetwork(seeded(Wrong), lambda out, _: out.mean(), example=made_rows(4))
    with pytest.raises(ParameterError, match="at least 2 example rows"):
        OpacusNetwork(seeded(Wrong), loss, example=made_rows(1))
    with pytest.raises(ParameterError, match="Opacus rejects"):
        OpacusNetwork(torch.nn.LSTM(4, 2), loss, example=made_rows(4))


def test_dropout_and_frozen_layers_are_no_leak():
    module = seeded(lambda: Wrong(torch.nn.Dropout(0.5)))
    module.linear.requires_grad_(False)
    made = OpacusNetwork(module, lambda out, _: out, example=made_rows(6))
    sums, norms = made.clipped_sum(made_rows(9), None, 0.1)
    assert set(sums) == {"out.weight", "out.bias"} and norms.shape == (9,) and module.layer.training


def test_a_unit_larger_than_a_physical_block_is_one_unit():
    """Its gradient is added up over blocks; nothing about the blocks shows."""
    inner, rows = Unchecked(seeded(Wrong)), made_rows(300)
    units = torch.repeat_interleave(torch.arange(4), torch.tensor([3, 150, 97, 50]))
    module = seeded(Wrong)
    blocks = OpacusNetwork(module, lambda out, _: out, example=made_rows(4), physical=16)
    ours, norms = blocks.clipped_sum(rows, units, 0.5)
    true, true_norms = inner.clipped_sum(rows, units, 0.5)
    assert torch.allclose(norms, true_norms, rtol=1e-5)
    assert all(torch.allclose(ours[name], true[name], atol=2e-6) for name in true)


def test_blocks_of_rows_are_bounded():
    seen = []

    class Ones:
        def __init__(self, rows):
            seen.append(len(rows))
            self.count = len(rows)

        def squared_norms(self, index):
            return torch.ones(self.count if index is None else len(index))

        def weighted_sum(self, factors):
            return {"p": factors.sum()[None]}

    units = torch.repeat_interleave(torch.arange(5), torch.tensor([7, 7, 7, 500, 1]))
    sums, norms = clipped_sum(Ones, made_rows(522), units, 100.0, physical=20)
    assert max(seen) <= 20 and sum(seen) == 522 and norms.shape == (5,)
    clipped_sum(Ones, made_rows(45), None, 100.0, physical=20)
    assert seen[-3:] == [20, 20, 5] and float(sums["p"]) > 0
