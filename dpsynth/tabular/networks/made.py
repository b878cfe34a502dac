"""The log-linear network with one masked hidden layer beside it (MADE, Germain et al. 2015), clipped in closed form.

Every column but the first has a block of `width` rectified units that see the columns before it and feed the column and
those after it; direct weights go from every column to the later ones, as in `log_linear`. Hidden output weights and
direct weights start at zero: training starts from independent columns with the released shares.

Each layer's row gradient is of rank one, so with a_j, h_j the features and hidden units of column j, g_i the slopes of
column i's logits and e_i those of its hidden units, a row's squared norm is

    sum over i of |g_i|^2 (1 + sum_{j<i} |a_j|^2 + sum_{j<=i} |h_j|^2)  +  |e_i|^2 (1 + sum_{j<i} |a_j|^2)

and a unit's is the same with inner products over pairs of its rows. Clipped sums are three matrix products.

Against log-linear (prototype, Adult): no gain at epsilon <= 3, none beyond seeds at 10, at two to three times the
work. It is for larger tables at larger epsilon. Not guaranteed: convergence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.sgd import norms
from dpsynth.sgd.bookkeeping import clipped_sum
from dpsynth.sgd.device import check_precision
from dpsynth.sgd.layers import kept
from dpsynth.tabular.networks.layout import Layout
from dpsynth.tabular.networks.protocol import Columns, NetworkState

if TYPE_CHECKING:
    from torch import Tensor

WIDTH = 16
"""Hidden units of a column."""

PHYSICAL = 1024
"""Rows of one pass: larger ones fall out of a core's cache."""


@final
class Made:
    """Biases, masked direct weights, and a masked hidden layer.

    Args:
        columns: sizes, places and released shares.
        rng: for the hidden layer's first weights, which are public.
        width: hidden units of a column.
        device: where the parameters live.
    """

    kind: ClassVar[str] = "made"

    def __init__(self, columns: Columns, rng: np.random.Generator, *, width: int = WIDTH, device: str = "cpu") -> None:
        import torch

        if width < 1:
            raise ParameterError(f"Expected width={width} >= 1 hidden units of a column.")
        self._layout = layout = Layout(columns, device)
        self._width = width
        hidden = width * (layout.count - 1)
        of_hidden = torch.arange(1, layout.count, device=device).repeat_interleave(width)
        self.live: Mapping[str, Tensor] = {
            "weights": layout.of_input[:, None] < layout.of_output[None, :],
            "hidden_in": layout.of_input[:, None] < of_hidden[None, :],
            "hidden_out": of_hidden[:, None] <= layout.of_output[None, :],
        }
        self._masks = {name: mask.to(torch.float32) for name, mask in self.live.items()}
        first = rng.standard_normal((layout.inputs, hidden), dtype=np.float32) * np.float32((2 / layout.count) ** 0.5)
        self.parameters: Mapping[str, Tensor] = {
            "bias": torch.from_numpy(columns.log_shares).to(device),
            "weights": torch.zeros((layout.inputs, layout.outputs), device=device),
            "hidden_bias": torch.zeros(hidden, device=device),
            "hidden_in": torch.from_numpy(first).to(device) * self._masks["hidden_in"],
            "hidden_out": torch.zeros((hidden, layout.outputs), device=device),
        }
        check_precision(self.parameters)

    @classmethod
    def fresh(cls, columns: Columns, rng: np.random.Generator, *, device: str = "cpu", **options: int) -> Self:
        """An untrained network; option: width."""
        unknown = sorted(set(options) - {"width"})
        if unknown:
            raise ParameterError(f"A MADE network has no option {unknown[0]!r}.", "It has: width.")
        return cls(columns, rng, width=options.get("width", WIDTH), device=device)

    def clipped_sum(self, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
        """See `Network.clipped_sum`; exact, without a row's gradient."""
        return clipped_sum(self._record, rows, units, clip, physical=PHYSICAL)

    def loss(self, rows: Tensor) -> Tensor:
        """Each row's loss, shape (rows,): private; for tests and for training on public rows."""
        import torch

        held = {name: p * self._masks[name] if name in self._masks else p for name, p in self.parameters.items()}
        seen = self._layout.seen(self._layout.index(rows))
        hidden = torch.relu(seen @ held["hidden_in"] + held["hidden_bias"])
        return self._layout.losses(seen @ held["weights"] + held["bias"] + hidden @ held["hidden_out"], rows)

    def _record(self, rows: Tensor) -> _Record:
        import torch

        held, layout = self.parameters, self._layout
        index = layout.index(rows)
        seen = layout.seen(index)
        hidden = torch.addmm(held["hidden_bias"], seen, held["hidden_in"]).relu_()
        logits = torch.addmm(held["bias"], seen, held["weights"]).addmm_(hidden, held["hidden_out"])
        slopes = layout.slopes(logits, index)
        hidden_slopes = (slopes @ held["hidden_out"].T).mul_(hidden > 0)
        return _Record(layout, self._masks, index, seen, hidden, slopes, hidden_slopes)

    def state(self) -> NetworkState:
        """Biases, each code's own rows of weights (features times weights: sampling adds rows up), hidden outputs."""
        import torch

        with torch.no_grad():
            held = {name: p * self._masks[name] if name in self._masks else p for name, p in self.parameters.items()}
            arrays = {
                "bias": held["bias"],
                "rows": self._layout.features @ held["weights"],
                "hidden_bias": held["hidden_bias"],
                "hidden_rows": self._layout.features @ held["hidden_in"],
                "hidden_out": held["hidden_out"],
            }
            plain = {name: array.cpu().numpy().copy() for name, array in arrays.items()}
        return NetworkState(
            kind=self.kind, sizes=tuple(self._layout.sizes), options={"width": self._width}, arrays=plain
        )

    @classmethod
    def sampler(cls, state: NetworkState) -> MadeSampler:
        """See `ColumnNetwork.sampler`; needs no torch."""
        outputs, width = sum(state.sizes), state.options.get("width", 0)
        hidden = width * (len(state.sizes) - 1)
        shapes = {
            "bias": (outputs,),
            "rows": (outputs, outputs),
            "hidden_bias": (hidden,),
            "hidden_rows": (outputs, hidden),
            "hidden_out": (hidden, outputs),
        }
        if width < 1 or {name: array.shape for name, array in state.arrays.items()} != shapes:
            raise ParameterError("The arrays of a MADE network do not fit its columns and width.")
        return MadeSampler(state)


@final
class _Record:
    """What a pass over rows left: features and hidden units seen, slopes of logits and of hidden units."""

    def __init__(
        self,
        layout: Layout,
        masks: Mapping[str, Tensor],
        index: Tensor,
        seen: Tensor,
        hidden: Tensor,
        slopes: Tensor,
        hidden_slopes: Tensor,
    ) -> None:
        self._layout, self._masks, self._index, self._seen = layout, masks, index, seen
        self._hidden, self._slopes, self._hidden_slopes = hidden, slopes, hidden_slopes

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Closed form for a row; Gram matrices, column after column, for several."""
        if index is None or index.shape[1] == 1:
            own = self._of_rows()
            return own if index is None else own[index[:, 0]]
        return self._of_pairs(index)

    def _of_rows(self) -> Tensor:
        import torch

        known = self._layout.squares[self._index]
        before = 1.0 + torch.cumsum(known, dim=1) - known
        slopes = self._layout.sums(self._slopes**2)
        total: Tensor = (slopes * before).sum(1)
        if self._hidden.shape[1]:
            shape = (len(known), self._layout.count - 1, -1)
            hidden = torch.cumsum((self._hidden**2).view(shape).sum(2), dim=1)
            total += (slopes[:, 1:] * hidden).sum(1)
            total += ((self._hidden_slopes**2).view(shape).sum(2) * before[:, 1:]).sum(1)
        return total

    def _of_pairs(self, index: Tensor) -> Tensor:
        import torch

        layout, total = self._layout, self._slopes.new_zeros(len(index))
        slopes, seen = layout.by_output(self._slopes[index]), layout.by_input(self._seen[index])
        blocks = max(layout.count - 1, 1)
        hidden = self._hidden[index].tensor_split(blocks, dim=2)
        hidden_slopes = self._hidden_slopes[index].tensor_split(blocks, dim=2)
        before = self._slopes.new_ones(len(index), index.shape[1], index.shape[1])
        reached = torch.zeros_like(before)
        for at in range(layout.count):
            if at:
                total += (norms.gram(hidden_slopes[at - 1]) * before).sum((1, 2))
                reached += norms.gram(hidden[at - 1])
            total += (norms.gram(slopes[at]) * (before + reached)).sum((1, 2))
            before += norms.gram(seen[at])
        return total.clamp_min_(0.0)

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self._hidden, self._slopes = kept(self._hidden, rows), kept(self._slopes, rows)
        self._hidden_slopes = kept(self._hidden_slopes, rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """See `Tape.weighted_sum`."""
        slopes, hidden_slopes = self._slopes * factors[:, None], self._hidden_slopes * factors[:, None]
        return {
            "bias": slopes.sum(0),
            "weights": (self._seen.T @ slopes).mul_(self._masks["weights"]),
            "hidden_bias": hidden_slopes.sum(0),
            "hidden_in": (self._seen.T @ hidden_slopes).mul_(self._masks["hidden_in"]),
            "hidden_out": (self._hidden.T @ slopes).mul_(self._masks["hidden_out"]),
        }


@final
class MadeSampler:
    """Draws by adding up rows of weights and, block by block, what the hidden units say."""

    def __init__(self, state: NetworkState) -> None:
        self._state = state

    def begin(self, rows: int) -> MadePrefix:
        """See `Sampler.begin`; holds one float32 for each row and each output and hidden unit."""
        return MadePrefix(self._state, rows)


@final
class MadePrefix:
    """Logits and hidden units of all columns so far."""

    def __init__(self, state: NetworkState, rows: int) -> None:
        self._arrays, self._width = state.arrays, state.options["width"]
        self._ends = np.concatenate([[0], np.cumsum(state.sizes)]).tolist()
        self._logits = np.tile(self._arrays["bias"], (rows, 1))
        self._hidden = np.tile(self._arrays["hidden_bias"], (rows, 1))
        self._column = 0

    def logits(self) -> NDArray[np.float32]:
        """See `Prefix.logits`."""
        return self._logits[:, self._ends[self._column] : self._ends[self._column + 1]]

    def append(self, codes: NDArray[np.integer[Any]]) -> None:
        """See `Prefix.append`."""
        start, end = self._ends[self._column], self._ends[self._column + 1]
        block = slice(self._column * self._width, (self._column + 1) * self._width)
        self._column += 1
        if self._column + 1 < len(self._ends):
            self._logits[:, end:] += self._arrays["rows"][start:end, end:][codes]
            self._hidden[:, block.start :] += self._arrays["hidden_rows"][start:end, block.start :][codes]
            now = np.maximum(self._hidden[:, block], 0.0)
            self._logits[:, end:] += now @ self._arrays["hidden_out"][block, end:]
