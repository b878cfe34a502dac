"""A small causal transformer over columns, clipped by Gram matrices in one forward and one activation-only backward.

Slot i of a row holds the features of column i - 1 times that column's own table of vectors, plus the slot's own
vector; blocks of causal self-attention and a rectified layer follow (Vaswani et al. 2017; norm first, Xiong et al.
2020); slot i feeds the logits of column i alone, so no softmax runs over other columns' codes. Output weights start at
zero: training starts from independent columns with the released shares. Layer norm has no weights of its own: the
next layer's would absorb them, and each would cost noise.

Norms: dense layers by slots-by-slots Gram matrices or the small sum itself, whichever is cheaper (`norms`); tables of
vectors and output weights column by column, since a column meets one slot (`layers`, `bookkeeping`).

Against log-linear (prototype, Adult): worse at epsilon 10, at ten times the work. For large tables and large
epsilon, and for public pre-training. Not guaranteed: convergence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.sgd import norms
from dpsynth.sgd.bookkeeping import clipped_sum
from dpsynth.sgd.device import check_precision
from dpsynth.sgd.layers import Dense, Layer, Taped, kept, taped
from dpsynth.tabular.networks.layout import Layout
from dpsynth.tabular.networks.protocol import Columns, NetworkState
from dpsynth.tabular.networks.transformer_sampler import TransformerSampler

if TYPE_CHECKING:
    from torch import Tensor

OPTIONS: Mapping[str, int] = {"width": 64, "layers": 2, "heads": 4}

PHYSICAL = 512
"""Rows of one pass: activations take about 0.3 MiB a row at 15 columns."""


def shapes(sizes: tuple[int, ...], inputs: int, options: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter; `inputs`: all columns' features."""
    width = options["width"]
    made: dict[str, tuple[int, ...]] = {"vectors": (inputs, width), "slots": (len(sizes), width)}
    for at in range(options["layers"]):
        for name, n, k in (("attend", width, 3 * width), ("mix", width, width)):
            made |= {f"{name}_{at}": (n, k), f"{name}_{at}_bias": (k,)}
        for name, n, k in (("up", width, 2 * width), ("down", 2 * width, width)):
            made |= {f"{name}_{at}": (n, k), f"{name}_{at}_bias": (k,)}
    return made | {"out": (width, sum(sizes)), "bias": (sum(sizes),)}


@final
class Transformer:
    """Tables of vectors, attention blocks, and each column's own output weights.

    Args:
        columns: sizes, places and released shares.
        rng: for the first weights, which are public.
        options: width of a slot, layers, heads; width a multiple of heads.
        device: where the parameters live.
    """

    kind: ClassVar[str] = "transformer"

    def __init__(
        self, columns: Columns, rng: np.random.Generator, *, options: Mapping[str, int], device: str = "cpu"
    ) -> None:
        import torch

        self.options = checked(options)
        self._layout = layout = Layout(columns, device)
        self.parameters: Mapping[str, Tensor] = {
            name: torch.from_numpy(_first(name, shape, columns, self.options, rng)).to(device)
            for name, shape in shapes(columns.sizes, layout.inputs, self.options).items()
        }
        seen = (layout.of_input < layout.count - 1)[:, None].expand(-1, self.options["width"]).contiguous()
        self.live: Mapping[str, Tensor] = {"vectors": seen}
        self.parameters["vectors"].mul_(seen)
        check_precision(self.parameters)

    @classmethod
    def fresh(cls, columns: Columns, rng: np.random.Generator, *, device: str = "cpu", **options: int) -> Self:
        """An untrained network; options: width, layers, heads."""
        return cls(columns, rng, options=options, device=device)

    def clipped_sum(self, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
        """See `Network.clipped_sum`; exact, without a row's gradient."""
        return clipped_sum(self._record, rows, units, clip, physical=PHYSICAL)

    def loss(self, rows: Tensor) -> Tensor:
        """Each row's loss, shape (rows,): private; for tests and for training on public rows."""
        held = dict(self.parameters) | {"vectors": self.parameters["vectors"] * self.live["vectors"]}
        index = self._layout.index(rows)
        top, _ = self._trunk(held, self._start(held, index))
        return self._layout.losses(self._logits(held, top), rows)

    def _start(self, held: Mapping[str, Tensor], index: Tensor) -> Tensor:
        """What the slots hold before the first block, shape (rows, columns, width)."""
        import torch

        looked = torch.nn.functional.embedding(index[:, :-1], self._layout.features @ held["vectors"])
        return torch.nn.functional.pad(looked, (0, 0, 1, 0)) + held["slots"]

    def _trunk(self, held: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, list[Layer]]:
        import torch

        layers: list[Layer] = []

        def norm(x: Tensor) -> Tensor:
            return torch.nn.functional.layer_norm(x, x.shape[-1:])

        def dense(name: str, x: Tensor) -> Tensor:
            layers.append(layer := Dense(held, weight=name, bias=f"{name}_bias"))
            return layer(x)

        heads, shape = self.options["heads"], x.shape
        for at in range(self.options["layers"]):
            split = dense(f"attend_{at}", norm(x)).view(*shape[:2], 3, heads, -1)
            query, key, value = split.permute(2, 0, 3, 1, 4)
            mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + dense(f"mix_{at}", mixed.transpose(1, 2).reshape(shape))
            x = x + dense(f"down_{at}", torch.relu(dense(f"up_{at}", norm(x))))
        return norm(x), layers

    def _logits(self, held: Mapping[str, Tensor], top: Tensor) -> Tensor:
        import torch

        heads = self._layout.by_output(held["out"])
        return torch.cat([top[:, at] @ own for at, own in enumerate(heads)], dim=1) + held["bias"]

    def _record(self, rows: Tensor) -> Taped:
        """Output weights by hand, everything below by autograd on activations."""
        import torch

        held, layout = self.parameters, self._layout
        index = layout.index(rows)
        with torch.enable_grad():
            start = _Start(layout, index, self._start(held, index).requires_grad_())
            top, layers = self._trunk(held, start.output)
        with torch.no_grad():
            head = _Head(layout, top.detach(), layout.slopes(self._logits(held, top.detach()), index))
            below = [own @ out.T for own, out in zip(head.by_column(), layout.by_output(held["out"]), strict=True)]
            tape = taped([start, *layers], top, torch.stack(below, dim=1))
        return Taped([*tape.layers, head])

    def state(self) -> NetworkState:
        """Parameters as they are, but each code's own vector (features times table) in place of the table."""
        import torch

        with torch.no_grad():
            arrays = dict(self.parameters)
            arrays["vectors"] = self._layout.features @ (arrays["vectors"] * self.live["vectors"])
            plain = {name: array.cpu().numpy().copy() for name, array in arrays.items()}
        return NetworkState(kind=self.kind, sizes=tuple(self._layout.sizes), options=dict(self.options), arrays=plain)

    @classmethod
    def sampler(cls, state: NetworkState) -> TransformerSampler:
        """See `ColumnNetwork.sampler`; needs no torch."""
        expected = shapes(state.sizes, sum(state.sizes), checked(state.options))
        if {name: array.shape for name, array in state.arrays.items()} != expected:
            raise ParameterError("The arrays of a transformer do not fit its columns and options.")
        return TransformerSampler(state)


def checked(options: Mapping[str, int]) -> Mapping[str, int]:
    """Options with the defaults of those left out.

    Raises:
        ParameterError: unknown, below 1, or a width that the heads do not divide.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ParameterError(f"A transformer has no option {unknown[0]!r}.", f"It has: {', '.join(OPTIONS)}.")
    made = {**OPTIONS, **options}
    if min(made.values()) < 1 or made["width"] % made["heads"]:
        raise ParameterError(
            f"Expected width={made['width']}, layers={made['layers']}, heads={made['heads']} >= 1.",
            "Let the number of heads divide the width.",
        )
    return made


def _first(
    name: str, shape: tuple[int, ...], columns: Columns, options: Mapping[str, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """First value of a parameter; what writes into the stream is scaled down by depth (Radford et al. 2019)."""
    if name == "bias":
        return columns.log_shares
    if name == "out" or name.endswith("_bias"):
        return np.zeros(shape, dtype=np.float32)
    deviation = 0.5 if name in ("vectors", "slots") else shape[0] ** -0.5
    if name.startswith(("mix", "down")):
        deviation *= (2 * options["layers"]) ** -0.5
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)


@final
class _Start:
    """Tables of vectors (each column's own, met in one slot) and the slots' own vectors."""

    def __init__(self, layout: Layout, index: Tensor, output: Tensor) -> None:
        self._layout, self._index, self.output, self.slope = layout, index, output, output

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Slots: sums, then squares. Vectors: a slot's features and slopes are one dense layer."""
        if index is None or index.shape[1] == 1:
            each = self.slope.square().sum(2)
            each = each.sum(1) + (self._layout.squares[self._index[:, :-1]] * each[:, 1:]).sum(1)
            return each if index is None else each[index[:, 0]]
        slope, features = self.slope[index], self._layout.features[self._index[index]]
        total = slope.sum(1).square().sum((1, 2))
        for at in range(self._layout.count - 1):
            total += norms.dense(features[:, :, at], slope[:, :, at + 1])
        return total

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self.slope = kept(self.slope, rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """Slopes added up by code, then spread over the code's features."""
        g = self.slope * factors[:, None, None]
        codes = g.new_zeros(self._layout.outputs, g.shape[2])
        codes.index_add_(0, self._index[:, :-1].flatten(), g[:, 1:].flatten(0, 1))
        return {"vectors": self._layout.features.T @ codes, "slots": g.sum(0)}


@final
class _Head:
    """Output weights: column i's from slot i alone."""

    def __init__(self, layout: Layout, top: Tensor, slope: Tensor) -> None:
        self._layout, self._top, self.slope, self.output = layout, top, slope, slope

    def by_column(self) -> tuple[Tensor, ...]:
        """Slopes of each column's logits."""
        return self._layout.by_output(self.slope)

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Column by column a dense layer with a bias."""
        if index is None or index.shape[1] == 1:
            own = (self._layout.sums(self.slope**2) * (1.0 + self._top.square().sum(2))).sum(1)
            return own if index is None else own[index[:, 0]]
        total = self.slope.new_zeros(len(index))
        for at, own in enumerate(self.by_column()):
            total += norms.dense_with_bias(self._top[:, at][index], own[index])
        return total

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self._top, self.slope = kept(self._top, rows), kept(self.slope, rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """One small product a column."""
        import torch

        g = self.slope * factors[:, None]
        out = [self._top[:, at].T @ own for at, own in enumerate(self._layout.by_output(g))]
        return {"out": torch.cat(out, dim=1), "bias": g.sum(0)}
