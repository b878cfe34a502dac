"""The network of people's rows: each column given its own cell in the row before, and the columns before it.

    logit of column i at a row = bias_i + time_i[position, rows left] + previous_i[own cell of the row before]
                               + sum over columns j < i of weights_ji[cell of this row]

Codes enter by their features (`networks.features`); a first row has no row before it, its start code has no feature,
and so it adds nothing to the gradient of `previous`. Columns declared constant are drawn once: at later rows of a
person they have no loss, only an influence. Position, rows left and the previous row are input only.

A unit's gradient is the sum over its rows; its norm comes from Gram matrices over pairs of them,

    sum over i, r, r' of <g_ir, g_ir'> (1 + [position] + [left] + <p_ir, p_ir'> + sum over j < i of <a_jr, a_jr'>)

in float64, so it is exact where rows cancel; a unit whose rows cancel below 2^-12 of their norms is clipped as if
they did not, since its float32 sum has no more digits. Numpy alone. The loss is convex and weights start at zero.

Not guaranteed: what a column owes to *another* column of the row before, but through the columns drawn before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.clipping import clip_factors
from dpsynth.tabular.networks.features import all_features
from dpsynth.tabular.networks.protocol import Columns
from dpsynth.tabular.sequences.steps import LEADING

Floats = NDArray[np.float32]
GRAM_ROWS = 32
"""Units of more rows have their gradient formed, one at a time."""
GROUPS = 4
CANCELLED = 2.0**-12


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransitionState:
    """The trained network as arrays.

    Attributes:
        sizes: codes of each column, in the network's order, constant columns first.
        constant: how many are constant.
        most: k, rows of a person at most.
        arrays: `bias` (outputs,), `time` (2 k, outputs), `previous` (sum of squared sizes of changing columns,) and
            `rows` (outputs, outputs).
    """

    sizes: tuple[int, ...]
    constant: int
    most: int
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        outputs = sum(self.sizes)
        blocks = sum(size**2 for size in self.sizes[self.constant :])
        asked = {
            "bias": (outputs,),
            "time": (2 * self.most, outputs),
            "previous": (blocks,),
            "rows": (outputs, outputs),
        }
        fits = 0 <= self.constant <= len(self.sizes) and self.most >= 1 and min(self.sizes, default=0) >= 1
        if not fits or {name: array.shape for name, array in self.arrays.items()} != asked:
            raise ParameterError("The arrays of a network of people do not fit its columns.")


@final
class Transitions:
    """See the module; rows are steps (`steps.arranged`).

    Args:
        columns: sizes, places and released shares, constant columns first.
        constant: how many are constant.
        most: k.
    """

    def __init__(self, columns: Columns, *, constant: int, most: int) -> None:
        self._sizes, self._constant, self._most = columns.sizes, constant, most
        self._tables, self._shares = all_features(columns), columns.shares
        widths = [table.shape[1] for table in self._tables]
        self._before = [np.concatenate([table, np.zeros_like(table[:1])]) for table in self._tables]  # START is last
        self._outputs = np.concatenate([[0], np.cumsum(columns.sizes)]).tolist()
        self._inputs = np.concatenate([[0], np.cumsum(widths)]).tolist()
        blocks = [width * size for width, size in zip(widths, columns.sizes, strict=True)][constant:]
        self._blocks = np.concatenate([[0], np.cumsum(blocks)]).astype(np.int64).tolist()
        count = len(columns.sizes)
        mask = np.repeat(np.arange(count), widths)[:, None] < np.repeat(np.arange(count), columns.sizes)[None, :]
        self._groups = self._grouped()
        self.parameters: Mapping[str, Floats] = {
            "bias": columns.log_shares,
            "time": np.zeros((2 * most, self._outputs[-1]), dtype=np.float32),
            "previous": np.zeros(self._blocks[-1], dtype=np.float32),
            "weights": np.zeros(mask.shape, dtype=np.float32),
        }
        self.live: Mapping[str, NDArray[np.bool_]] = {"weights": mask}

    def start_from(self, stays: NDArray[np.float64]) -> None:
        """Let each changing column repeat the cell before as often as was released, before any step; in place.

        Args:
            stays: share of consecutive rows that agree, shape (changing columns,); noisy, so any number.
        """
        views, shares = self._views(self.parameters), self._shares[self._constant :]
        for block, table, own, stay in zip(views, self._tables[self._constant :], shares, stays, strict=True):
            codes = np.arange(len(own))
            block[codes, codes] = repeating(own, float(stay)) / table[codes, codes]

    def clipped_sum(
        self, rows: NDArray[np.int64], units: NDArray[np.int64] | None, clip: float
    ) -> tuple[dict[str, Floats], Floats]:
        """See `Network.clipped_sum`."""
        own = rows[:, -len(self._sizes) :]
        inputs = np.concatenate([table[own[:, at]] for at, table in enumerate(self._tables)], axis=1)
        before = [table[rows[:, LEADING + at]] for at, table in enumerate(self._before[self._constant :])]
        slopes = self._slopes(inputs, before, rows)
        numbers = np.arange(len(rows)) if units is None else units
        norms, together = self._norms(inputs, before, rows[:, :LEADING], slopes, numbers)
        factors = clip_factors(np.maximum(norms, CANCELLED * together).astype(np.float32), clip)[numbers]
        slopes *= factors
        slopes[:, factors == 0] = 0.0
        return self._sums(inputs, before, rows[:, :LEADING], slopes), norms.astype(np.float32)

    def state(self) -> TransitionState:
        """Biases, times, and each code's own weights: features times blocks, so that drawing adds rows up."""
        weights = self.parameters["weights"] * self.live["weights"]
        spans = zip(self._tables, self._inputs, self._inputs[1:], strict=False)
        rows = np.concatenate([table @ weights[start:end] for table, start, end in spans])
        previous = [
            (table @ block).ravel()
            for table, block in zip(self._tables[self._constant :], self._views(self.parameters), strict=True)
        ]
        arrays = {
            "bias": self.parameters["bias"].copy(),
            "time": self.parameters["time"].copy(),
            "previous": np.concatenate([np.zeros(0, dtype=np.float32), *previous]),
            "rows": rows,
        }
        return TransitionState(sizes=self._sizes, constant=self._constant, most=self._most, arrays=arrays)

    def _slopes(self, inputs: Floats, before: list[Floats], rows: NDArray[np.int64]) -> Floats:
        """Probabilities minus one-hots, shape (outputs, rows); 0 where a constant column is not drawn."""
        slopes = np.empty((self._outputs[-1], len(rows)), dtype=np.float32)
        for seen, own in self._groups:
            np.matmul(self.parameters["weights"][:seen, own].T, inputs[:, :seen].T, out=slopes[own])
        time = self.parameters["time"]
        slopes += (self.parameters["bias"] + time[rows[:, 0]] + time[self._most + rows[:, 1]]).T
        for at, (known, block) in enumerate(zip(before, self._views(self.parameters), strict=True)):
            slopes[self._span(self._constant + at)] += (known @ block).T
        everyone, later = np.arange(len(rows)), rows[:, 0] > 0
        for at in range(len(self._sizes)):
            column = slopes[self._span(at)]
            column -= column.max(axis=0)
            np.exp(column, out=column)
            column /= column.sum(axis=0)
            column[rows[:, at - len(self._sizes)], everyone] -= 1.0
            if at < self._constant:
                column[:, later] = 0.0
        return slopes

    def _norms(
        self,
        inputs: Floats,
        before: list[Floats],
        leading: NDArray[np.int64],
        slopes: Floats,
        units: NDArray[np.int64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Norms of the units' gradients, and the sums of their rows' norms; shape (units,) each."""
        sizes = np.bincount(units)
        norms, together = np.zeros(len(sizes)), np.zeros(len(sizes))
        for numbers, at in by_size(sizes):
            if at.shape[1] > GRAM_ROWS:
                for number, own in zip(numbers.tolist(), at, strict=True):
                    parts = self._sums(
                        inputs[own],
                        [known[own] for known in before],
                        leading[own],
                        np.ascontiguousarray(slopes[:, own]),
                    )
                    norms[number] = np.sqrt(sum(float((part.astype(np.float64) ** 2).sum()) for part in parts.values()))
                continue  # its own float32 sum was measured
            squared, rows = self._gram(inputs[at], [known[at] for known in before], leading[at], slopes, at)
            norms[numbers], together[numbers] = np.sqrt(np.maximum(squared, 0.0)), rows
        return norms, together

    def _gram(
        self, inputs: Floats, before: list[Floats], leading: NDArray[np.int64], slopes: Floats, at: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Squared norms of units of equal size from pairs of rows, and the sums of their rows' norms.

        Args:
            inputs: shape (units, rows, features).
            before: of each changing column, shape (units, rows, features).
            leading: shape (units, rows, 2).
            slopes: of all rows, shape (outputs, rows).
            at: rows of each unit, shape (units, rows).
        """
        same = leading[:, :, None, :] == leading[:, None, :, :]
        shared = 1.0 + same.sum(axis=3, dtype=np.float64)
        total = np.zeros_like(shared)
        for column in range(len(self._sizes)):
            own = slopes[self._span(column)].T[at].astype(np.float64)
            met = shared
            if column >= self._constant:
                known = before[column - self._constant].astype(np.float64)
                met = shared + pairs(known)
            total += pairs(own) * met
            shared = shared + pairs(inputs[..., self._inputs[column] : self._inputs[column + 1]].astype(np.float64))
        single = np.sqrt(np.maximum(np.diagonal(total, axis1=1, axis2=2), 0.0)).sum(axis=1)
        return total.sum(axis=(1, 2)), single

    def _sums(
        self, inputs: Floats, before: list[Floats], leading: NDArray[np.int64], slopes: Floats
    ) -> dict[str, Floats]:
        """Gradients of the rows' losses, each times what `slopes` was scaled by."""
        weights = np.zeros((self._inputs[-1], self._outputs[-1]), dtype=np.float32)
        for seen, own in self._groups:
            weights[:seen, own] = inputs[:, :seen].T @ slopes[own].T
        weights *= self.live["weights"]
        time = np.zeros((2 * self._most, self._outputs[-1]), dtype=np.float32)
        for half in range(LEADING):
            one_hot = (leading[:, half, None] == np.arange(self._most)).astype(np.float32)
            time[half * self._most : (half + 1) * self._most] = one_hot.T @ slopes.T
        previous = [(known.T @ slopes[self._span(self._constant + at)].T).ravel() for at, known in enumerate(before)]
        return {
            "bias": slopes.sum(axis=1),
            "time": time,
            "previous": np.concatenate([np.zeros(0, dtype=np.float32), *previous]),
            "weights": weights,
        }

    def _span(self, column: int) -> slice:
        return slice(self._outputs[column], self._outputs[column + 1])

    def _views(self, parameters: Mapping[str, Floats]) -> list[Floats]:
        """`previous` as one block of (features, codes) for each changing column."""
        return [
            parameters["previous"][start:end].reshape(-1, size)
            for start, end, size in zip(self._blocks, self._blocks[1:], self._sizes[self._constant :], strict=False)
        ]

    def _grouped(self) -> list[tuple[int, slice]]:
        """Neighbouring columns in groups of about equal width: inputs before the last of a group, its outputs."""
        ends = np.array(self._outputs[1:])
        cuts = sorted({int(np.searchsorted(ends, ends[-1] * (part + 1) / GROUPS)) for part in range(GROUPS)})
        groups, first = [], 0
        for last in cuts:
            groups.append((self._inputs[last], slice(self._outputs[first], self._outputs[last + 1])))
            first = last + 1
        return groups


def repeating(shares: NDArray[np.float64], stay: float) -> float:
    """The weight w with which p(x | y) ~ share_x exp(w [x = y]) repeats y in `stay` of the rows, -3 to 12.

    >>> round(repeating(np.array([0.5, 0.5]), 0.75), 3)
    1.099
    """
    low, high = -3.0, 12.0
    for _ in range(50):
        middle = (low + high) / 2
        odds = shares * math.exp(middle)
        repeated = float((shares * odds / (odds + 1.0 - shares)).sum())
        low, high = (middle, high) if repeated < stay else (low, middle)
    return (low + high) / 2


def by_size(sizes: NDArray[np.integer[Any]]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Units of equal size together: their numbers, shape (u,), and their rows, shape (u, size)."""
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 0]).tolist():
        numbers = np.flatnonzero(sizes == size)
        yield numbers, starts[numbers, None] + np.arange(size)


def pairs(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inner products of a unit's rows with each other; (units, rows, n) -> (units, rows, rows)."""
    if x.shape[1] == 1:
        single: NDArray[np.float64] = np.einsum("urn,urn->ur", x, x)[:, :, None]
        return single
    made: NDArray[np.float64] = x @ x.transpose(0, 2, 1)
    return made
