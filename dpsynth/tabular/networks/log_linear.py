"""The log-linear network: p(x_i | x_<i) = softmax(b_i + sum over j < i of W_ij[x_j]), clipped in closed form.

W_ij is a fixed table of features of column j (`features`) times a trained block; blocks of j >= i are masked. Without a
sequence axis the gradient of a row is a (its features) times g (probabilities minus one-hot), of rank one, so

    || gradient ||^2 = sum over i of ||g_i||^2 (1 + sum over j < i of ||a_j||^2)

costs d numbers a row, and the clipped sum is one matrix product A^T (c G): no gradient of a single row is ever formed
(Goodfellow 2015; Bu et al. 2022 on book-keeping). For units of several rows the norm of their summed gradient is the
same sum over pairs of rows of `<a_j, a'_j> <g_i, g'_i>` (Gram matrices), or the gradient itself for large units.

The loss is convex and weights start at zero, which is the model of independent columns: there is nothing to seed.
About 20,000 parameters on 15 columns.

Not guaranteed: dependence beyond what sums over pairs can say; the conditionals are exact, their shape is limited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.bookkeeping import CANCELLED
from dpsynth.sgd.clipping import clip_factors
from dpsynth.tabular.networks.features import all_features
from dpsynth.tabular.networks.protocol import Columns, NetworkState

GRAM_ROWS = 16
"""Units of more rows have their gradient formed, one at a time."""
GROUPS = 4
"""Groups of outputs that are multiplied apart, each with the inputs before it: 5/8 of the whole product."""

Floats = NDArray[np.float32]


@final
class LogLinear:
    """Biases and masked blocks of one linear map, in numpy: it trains without PyTorch.

    Args:
        columns: sizes, places and released shares.
    """

    kind: ClassVar[str] = "log_linear"

    def __init__(self, columns: Columns) -> None:
        self._tables = all_features(columns)
        widths = [table.shape[1] for table in self._tables]
        self._sizes = columns.sizes
        self._outputs = np.concatenate([[0], np.cumsum(columns.sizes)]).tolist()
        self._inputs = np.concatenate([[0], np.cumsum(widths)]).tolist()
        self._squares = [(table**2).sum(axis=1) for table in self._tables]
        count = len(columns.sizes)
        of_output = np.repeat(np.arange(count), columns.sizes)
        of_input = np.repeat(np.arange(count), widths)
        mask = of_input[:, None] < of_output[None, :]
        self._groups = self._grouped()
        self.parameters: Mapping[str, Floats] = {
            "bias": columns.log_shares,
            "weights": np.zeros(mask.shape, dtype=np.float32),
        }
        self.live: Mapping[str, NDArray[np.bool_]] = {"weights": mask}

    @classmethod
    def fresh(cls, columns: Columns, rng: np.random.Generator, *, device: str = "cpu", **options: int) -> Self:
        """An untrained network: independent columns with the released shares; on the CPU."""
        del rng, device
        if options:
            raise ParameterError(f"A log-linear network has no option {sorted(options)[0]!r}.")
        return cls(columns)

    def clipped_sum(
        self, rows: NDArray[np.int64], units: NDArray[np.int64] | None, clip: float
    ) -> tuple[dict[str, Floats], Floats]:
        """See `Network.clipped_sum`; exact, without a row's gradient."""
        inputs = self._seen(rows)
        slopes = self._slopes(inputs, rows)
        if units is None:
            norms = self._row_norms(rows, slopes)
            factors = clip_factors(norms, clip)
        else:
            norms = self._unit_norms(rows, inputs, slopes, units)
            factors = clip_factors(norms, clip)[units]
        slopes *= factors
        slopes[:, factors == 0] = 0.0
        return {"bias": slopes.sum(axis=1), "weights": self._outer(inputs, slopes)}, norms

    def _seen(self, rows: NDArray[np.int64]) -> Floats:
        """Features of all columns, shape (rows, inputs)."""
        return np.concatenate([table[rows[:, at]] for at, table in enumerate(self._tables)], axis=1)

    def _slopes(self, inputs: Floats, rows: NDArray[np.int64]) -> Floats:
        """Probabilities minus one-hots: the loss's slope in every logit, shape (outputs, rows).

        Rows stand side by side, so that the softmax of a column reduces over long contiguous lines.
        """
        weights = self.parameters["weights"]
        slopes = np.empty((self._outputs[-1], len(rows)), dtype=np.float32)
        for before, own in self._groups:
            np.matmul(weights[:before, own].T, inputs[:, :before].T, out=slopes[own])
        slopes += self.parameters["bias"][:, None]
        everyone = np.arange(len(rows))
        for at, column in enumerate(self._views(slopes)):
            column -= column.max(axis=0)
            np.exp(column, out=column)
            column /= column.sum(axis=0)
            column[rows[:, at], everyone] -= 1.0
        return slopes

    def _outer(self, inputs: Floats, slopes: Floats) -> Floats:
        """Sum over rows of features times slopes, zero where masked; shape (inputs, outputs)."""
        summed = np.zeros((self._inputs[-1], self._outputs[-1]), dtype=np.float32)
        for before, own in self._groups:
            summed[:before, own] = inputs[:, :before].T @ slopes[own].T
        summed *= self.live["weights"]
        return summed

    def _grouped(self) -> list[tuple[int, slice]]:
        """Neighbouring columns in groups of about equal width: inputs before the last of a group, its outputs."""
        ends = np.array(self._outputs[1:])
        cuts = sorted({int(np.searchsorted(ends, ends[-1] * (part + 1) / GROUPS)) for part in range(GROUPS)})
        groups, first = [], 0
        for last in cuts:
            groups.append((self._inputs[last], slice(self._outputs[first], self._outputs[last + 1])))
            first = last + 1
        return groups

    def _views(self, values: Floats) -> list[Floats]:
        """Views of (outputs, …) by column."""
        return [values[start:end] for start, end in zip(self._outputs, self._outputs[1:], strict=False)]

    def _row_norms(self, rows: NDArray[np.int64], slopes: Floats) -> Floats:
        squared = np.zeros(len(rows), dtype=np.float32)
        before = np.ones(len(rows), dtype=np.float32)  # of the bias
        for at, own in enumerate(self._views(slopes)):
            squared += np.einsum("or,or->r", own, own) * before
            before += self._squares[at][rows[:, at]]
        norms: Floats = np.sqrt(squared)
        return norms

    def _unit_norms(self, rows: NDArray[np.int64], inputs: Floats, slopes: Floats, units: NDArray[np.int64]) -> Floats:
        """Norms of the units' summed gradients, shape (units,); from the sum itself where rows cancel each other."""
        sizes = np.bincount(units)
        starts = np.cumsum(sizes) - sizes
        norms = np.zeros(len(sizes), dtype=np.float32)
        small = np.flatnonzero(sizes <= GRAM_ROWS)
        if len(small):
            place = np.arange(sizes[small].max())
            held = place[None, :] < sizes[small][:, None]
            at = np.where(held, starts[small][:, None] + place, 0)
            norms[small] = self._gram_norms(inputs[at], np.where(held, slopes[:, at], np.float32(0.0)))
        together = np.bincount(units, self._row_norms(rows, slopes))
        for unit in np.flatnonzero((sizes > GRAM_ROWS) | (norms < together / CANCELLED)).tolist():
            own = slice(int(starts[unit]), int(starts[unit] + sizes[unit]))
            gradient = self._outer(inputs[own], slopes[:, own])
            norms[unit] = math.sqrt(float((gradient**2).sum()) + float((slopes[:, own].sum(axis=1) ** 2).sum()))
        return norms

    def _gram_norms(self, inputs: Floats, slopes: Floats) -> Floats:
        """Norms from pairs of rows.

        Args:
            inputs: shape (units, rows, inputs).
            slopes: shape (outputs, units, rows), zero where there is no row.
        """
        squared = np.zeros(len(inputs), dtype=np.float32)
        shared = np.ones((inputs.shape[0], inputs.shape[1], inputs.shape[1]), dtype=np.float32)  # of the bias
        for at, own in enumerate(self._views(slopes)):
            by_unit = own.transpose(1, 2, 0)
            squared += ((by_unit @ by_unit.transpose(0, 2, 1)) * shared).sum(axis=(1, 2))
            known = inputs[..., self._inputs[at] : self._inputs[at + 1]]
            shared += known @ known.transpose(0, 2, 1)
        norms: Floats = np.sqrt(np.maximum(squared, 0.0))
        return norms

    def state(self) -> NetworkState:
        """Biases, and each code's own row of weights: features times blocks, so that sampling adds rows up."""
        weights = self.parameters["weights"] * self.live["weights"]
        rows = np.concatenate(
            [
                table @ weights[start:end]
                for table, start, end in zip(self._tables, self._inputs, self._inputs[1:], strict=False)
            ]
        )
        arrays = {"bias": self.parameters["bias"].copy(), "rows": rows}
        return NetworkState(kind=self.kind, sizes=self._sizes, arrays=arrays)

    @classmethod
    def sampler(cls, state: NetworkState) -> LogLinearSampler:
        """See `ColumnNetwork.sampler`; needs no torch."""
        outputs = sum(state.sizes)
        shapes = {name: array.shape for name, array in state.arrays.items()}
        if shapes != {"bias": (outputs,), "rows": (outputs, outputs)}:
            raise ParameterError("The arrays of a log-linear network do not fit its columns.")
        return LogLinearSampler(state)


@final
class LogLinearSampler:
    """Draws by adding up rows of weights."""

    def __init__(self, state: NetworkState) -> None:
        self._bias, self._rows = state.arrays["bias"], state.arrays["rows"]
        self._ends = np.concatenate([[0], np.cumsum(state.sizes)]).tolist()

    def begin(self, rows: int) -> LogLinearPrefix:
        """See `Sampler.begin`; holds one float32 for each row and each output."""
        return LogLinearPrefix(np.tile(self._bias, (rows, 1)), self._rows, self._ends)


@final
class LogLinearPrefix:
    """Logits of all columns so far."""

    def __init__(self, logits: NDArray[np.float32], rows: NDArray[np.float32], ends: list[int]) -> None:
        self._logits, self._rows, self._ends, self._column = logits, rows, ends, 0

    def logits(self) -> NDArray[np.float32]:
        """See `Prefix.logits`."""
        return self._logits[:, self._ends[self._column] : self._ends[self._column + 1]]

    def append(self, codes: NDArray[np.integer[Any]]) -> None:
        """See `Prefix.append`."""
        start, end = self._ends[self._column], self._ends[self._column + 1]
        self._column += 1
        if self._column + 1 < len(self._ends):
            self._logits[:, end:] += self._rows[start:end, end:][codes]
