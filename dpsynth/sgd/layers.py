"""Layers of a sequence model on a tape: what went in, what came out, and the loss's derivative there.

A network runs its forward pass with a list of layers, each of which keeps its input and output; `taped` then asks
autograd for the derivatives at all outputs at once. No weight takes part in that backward pass, so no weight gradient
is formed in it.

>>> import torch
>>> layer = Dense({"w": torch.ones(2, 1), "b": torch.zeros(1)}, weight="w", bias="b")
>>> x = torch.ones(3, 1, 2, requires_grad=True)
>>> tape = taped([layer], layer(x), torch.ones(3, 1, 1))
>>> tape.squared_norms(None).tolist(), tape.weighted_sum(torch.ones(3))["w"].flatten().tolist()
([3.0, 3.0, 3.0], [3.0, 3.0])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, final

from dpsynth.sgd import norms

if TYPE_CHECKING:
    from torch import Tensor


class Layer(Protocol):
    """One layer's part of a tape; after the backward pass `slope` is the derivative at `output`."""

    output: Tensor
    slope: Tensor

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """See `Tape.squared_norms`, for this layer's parameters."""

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """See `Tape.weighted_sum`, for this layer's parameters."""


@final
class Dense:
    """`y = x W + b` at every slot."""

    output: Tensor
    slope: Tensor

    def __init__(self, parameters: Mapping[str, Tensor], *, weight: str, bias: str) -> None:
        self._weight, self._bias, self._names = parameters[weight], parameters[bias], (weight, bias)

    def __call__(self, x: Tensor) -> Tensor:
        """x: (rows, slots, n) -> (rows, slots, k)."""
        import torch

        self._input = x.detach()
        flat = torch.addmm(self._bias, x.reshape(-1, x.shape[-1]), self._weight)
        self.output = flat.view(*x.shape[:-1], flat.shape[-1])
        return self.output

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Gram matrices over slots and rows of a unit."""
        return norms.dense_with_bias(of_units(self._input, index), of_units(self.slope, index))

    def keep(self, rows: Tensor) -> None:
        """Zero input and slope of the other rows."""
        self._input, self.slope = kept(self._input, rows), kept(self.slope, rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """One matrix product, and one with a vector; factors go to the narrower side."""
        a, g = self._input, self.slope
        each = factors.repeat_interleave(a.shape[1])
        bias = each @ g.flatten(0, 1)
        if a.shape[2] < g.shape[2]:
            a = a * factors[:, None, None]
        else:
            g = g * factors[:, None, None]
        return {self._names[0]: a.flatten(0, 1).T @ g.flatten(0, 1), self._names[1]: bias}


@final
class Taped:
    """A `Tape` of layers."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Sum over the layers."""
        total = self.layers[0].squared_norms(index)
        for layer in self.layers[1:]:
            total = total + layer.squared_norms(index)
        return total

    def keep(self, rows: Tensor) -> None:
        """In every layer."""
        for layer in self.layers:
            layer.keep(rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """Of every layer."""
        made: dict[str, Tensor] = {}
        for layer in self.layers:
            made |= layer.weighted_sum(factors)
        return made


def taped(layers: Sequence[Layer], top: Tensor, slope: Tensor) -> Taped:
    """Backward through activations alone.

    Args:
        layers: those that ran, all of them below `top`.
        top: what they ended in.
        slope: the loss's derivative at `top`, row by row, same shape.
    """
    import torch

    for layer, found in zip(layers, torch.autograd.grad(top, [layer.output for layer in layers], slope), strict=True):
        layer.slope, layer.output = found, found
    return Taped(layers)


def of_units(x: Tensor, index: Tensor | None) -> Tensor:
    """(rows, slots, n) -> (units, rows of each times slots, n)."""
    return x if index is None else x[index].flatten(1, 2)


def kept(x: Tensor, rows: Tensor) -> Tensor:
    """Zero where `rows` is False, whatever was there."""
    import torch

    return torch.where(rows.view(-1, *[1] * (x.dim() - 1)), x, torch.zeros_like(x))
