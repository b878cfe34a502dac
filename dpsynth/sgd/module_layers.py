"""Layers of any torch module on a tape: dense, looked up, scaled, and a lookup that shares its weight with a head.

`taped_module` hangs a `Tap` on every layer that is trained; what stands here turns taps into norms and sums, in the
closed forms of `norms`. One weight that is used twice has one gradient, the sum of both uses. For a tied embedding E
(lookups i_t with slopes g_t; head inputs a_u with slopes s_u over the vocabulary)

    |E|^2 = sum [i_t = i_u] <g_t, g_u>  +  sum <a_t, a_u> <s_t, s_u>  +  2 sum <g_t, a_u> s_u[i_t]

The last term is what ghost clipping (Li et al. 2022) leaves out, so that Opacus' refuses tied models. All are sums over
pairs of positions, without a unit's gradient; where positions are many and the layer small, the gradient is formed.

>>> import torch
>>> tap = Tap("x"); tap.inputs, tap.output = torch.ones(2, 3, 4), torch.ones(2, 3, 1); tap.slope = tap.output
>>> Dense(tap, weight="w", bias="b").squared_norms(None).tolist()
[45.0, 45.0]

Not guaranteed: more digits than the tensors have; see `norms`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

from dpsynth.sgd import norms
from dpsynth.sgd.layers import kept, of_units

if TYPE_CHECKING:
    from torch import Tensor, nn


class Uses(Protocol):
    """What one trained weight, or one layer's weights, left on a tape."""

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """See `Tape.squared_norms`, for these weights."""

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """See `Tape.weighted_sum`, for these weights."""


@final
class Tap:
    """One call of one layer.

    Attributes:
        name: of the layer, for messages.
        inputs: what went in, without history: floats (rows, ..., n), or int64 ids (rows, positions).
        output: what came out, part of the graph, until the backward pass.
        slope: the loss's derivative at the output, shaped like it.
    """

    __slots__ = ("inputs", "name", "output", "slope")
    inputs: Tensor
    output: Tensor
    slope: Tensor

    def __init__(self, name: str) -> None:
        self.name = name

    def keep(self, rows: Tensor) -> None:
        """Zero what stands in the other rows; ids stay, their slopes are zero."""
        self.slope = kept(self.slope, rows)
        if self.inputs.is_floating_point():
            self.inputs = kept(self.inputs, rows)


@final
class Dense:
    """`y = x W + b` at every position; either may be frozen (None).

    Args:
        tap: of the layer.
        weight, bias: names of the parameters, if trained.
        transposed: whether the weight is stored (n, k), not (k, n) as torch's `Linear` does.
    """

    def __init__(self, tap: Tap, *, weight: str | None, bias: str | None, transposed: bool = False) -> None:
        self._tap, self._weight, self._bias, self._transposed = tap, weight, bias, transposed

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Gram matrices or the small gradient itself, whichever is cheaper."""
        g = of_units(positions(self._tap.slope), index)
        if self._weight is None:
            return norms.bias(g)
        a = of_units(positions(self._tap.inputs), index)
        return norms.dense(a, g) if self._bias is None else norms.dense_with_bias(a, g)

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self._tap.keep(rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """One matrix product, and one with a vector; factors go to the narrower side."""
        a, g, made = positions(self._tap.inputs), positions(self._tap.slope), {}
        if self._bias is not None:
            made[self._bias] = factors.repeat_interleave(g.shape[1]) @ g.flatten(0, 1)
        if self._weight is not None:
            if a.shape[2] < g.shape[2]:
                a = a * factors[:, None, None]
            else:
                g = g * factors[:, None, None]
            a, g = a.flatten(0, 1), g.flatten(0, 1)
            made[self._weight] = a.T @ g if self._transposed else g.T @ a
        return made


@final
class Scale:
    """`y = w * x^ + b`, coordinate by coordinate, where x^ is what a normalisation makes of its input.

    Args:
        tap: of the layer.
        weight, bias: names of the parameters, if trained.
        layer: asked for x^, as its output at weight 1 less its output at weight 0 (so `1 + w` is covered).
    """

    def __init__(self, tap: Tap, *, weight: str | None, bias: str | None, layer: nn.Module) -> None:
        self._tap, self._weight, self._bias, self._layer = tap, weight, bias, layer
        self._rows: dict[str, Tensor] | None = None

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Of each unit's own sums, which are as small as the weights."""
        import torch

        own = [g if index is None else g[index].sum(1) for g in self._each().values()]
        return torch.stack([gradient.square().sum(1) for gradient in own]).sum(0)

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self._rows = {name: kept(gradient, rows) for name, gradient in self._each().items()}

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """Of the rows' own sums."""
        return {name: factors @ gradient for name, gradient in self._each().items()}

    def _each(self) -> dict[str, Tensor]:
        """Each row's gradient, shape (rows, n)."""
        if self._rows is None:
            self._rows = {}
            if self._bias is not None:
                self._rows[self._bias] = positions(self._tap.slope).sum(1)
            if self._weight is not None:
                self._rows[self._weight] = positions(self._tap.slope * self._normalised()).sum(1)
        return self._rows

    def _normalised(self) -> Tensor:
        import torch

        own = dict(self._layer.named_parameters())
        one, zero = ({n: torch.full_like(p, at) for n, p in own.items()} for at in (1.0, 0.0))
        x = (self._tap.inputs,)
        if "bias" in own:
            zero["bias"] = one["bias"]
        made: Tensor = torch.func.functional_call(self._layer, one, x) - torch.func.functional_call(
            self._layer, zero, x
        )
        return made


@final
class Lookup:
    """`y = scale * W[id]`; ids of `ignored` have no gradient."""

    def __init__(self, tap: Tap, *, weight: str, shape: tuple[int, ...], scale: float, ignored: int | None) -> None:
        self._tap, self._weight, self._shape = tap, weight, shape
        _settle(tap, scale, ignored)

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Pairs of positions that look up the same row."""
        ids, g = of_ids(self._tap.inputs, index), of_units(self._tap.slope, index)
        return _lookup_norms(ids, g).clamp_min(0.0)

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self._tap.keep(rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """Slopes added up by id."""
        total = self._tap.slope.new_zeros(self._shape)
        return {self._weight: _add_by_id(total, self._tap, factors)}


@final
class Tied:
    """A lookup and a head that share one weight (V, d); the head may have a bias of its own."""

    def __init__(
        self, lookup: Tap, head: Tap, *, weight: str, bias: str | None, scale: float, ignored: int | None
    ) -> None:
        self._lookup, self._head, self._weight, self._bias = lookup, head, weight, bias
        _settle(lookup, scale, ignored)

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """The three sums above, or each unit's own gradient."""
        import torch

        ids, g = of_ids(self._lookup.inputs, index), of_units(self._lookup.slope, index)
        a, s = of_units(self._head.inputs, index), of_units(self._head.slope, index)
        count, d, v = a.shape[1], a.shape[2], s.shape[2]
        if count * (d + v) <= 2 * d * v:
            crossed = torch.gather(s, 2, ids[:, None, :].expand(-1, count, -1))  # [unit, u, t] = s_u[i_t]
            total = (norms.gram(a) * norms.gram(s)).sum((1, 2)) + _lookup_norms(ids, g)
            total = total + 2 * (torch.bmm(a, g.transpose(1, 2)) * crossed).sum((1, 2))
            total = total.clamp_min(0.0)
        else:
            own = [(s[u].T @ a[u]).index_add_(0, ids[u], g[u]).square().sum() for u in range(len(s))]
            total = torch.stack(own)
        return total if self._bias is None else total + norms.bias(s)

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self._lookup.keep(rows)
        self._head.keep(rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """The head's product, and slopes added up by id on top of it."""
        a, s = self._head.inputs * factors[:, None, None], self._head.slope
        made = {self._weight: _add_by_id(s.flatten(0, 1).T @ a.flatten(0, 1), self._lookup, factors)}
        if self._bias is not None:
            made[self._bias] = factors.repeat_interleave(s.shape[1]) @ s.flatten(0, 1)
        return made


def positions(x: Tensor) -> Tensor:
    """(rows, ..., n) -> (rows, positions, n)."""
    return x if x.dim() == 3 else x.reshape(x.shape[0], -1, x.shape[-1])


def of_ids(ids: Tensor, index: Tensor | None) -> Tensor:
    """(rows, positions) -> (units, positions of all its rows)."""
    return ids if index is None else ids[index].flatten(1, 2)


def _settle(tap: Tap, scale: float, ignored: int | None) -> None:
    """The slope at the looked-up rows themselves."""
    if scale != 1.0:
        tap.slope = tap.slope * scale
    if ignored is not None:
        tap.slope = tap.slope * (tap.inputs != ignored)[:, :, None]


def _lookup_norms(ids: Tensor, g: Tensor) -> Tensor:
    return (norms.gram(g) * (ids[:, :, None] == ids[:, None, :])).sum((1, 2))


def _add_by_id(total: Tensor, tap: Tap, factors: Tensor) -> Tensor:
    g = tap.slope * factors[:, None, None]
    return total.index_add_(0, tap.inputs.flatten(), g.flatten(0, 1))
