"""Blocks of a forest's rows as fast as they can be written: tables made once, no loop in Python over rows.

What `ForestModel.sample` does for all rows at once is compiled into one table a step: child code given parent code,
then cell given code where a code has several, then a value inside an interval. Each step of a block is one pass of
`kernels.deal_children`, which has the law of `sampling.systematic`: a row's law is the forest's, and every pair of the
forest is within one row of it in each cell, per block. Over b blocks these roundings are independent and have mean
zero, so counts are within sqrt(b)/2 of the model's expectation (one standard deviation) where independent draws of n
rows would be off by sqrt(n p (1-p)).

Text stays a number until it is written: its Arrow column is a dictionary, and Parquet takes that as it is. Not for
models with declared constraints, nor under conditions: those go the way of `conditional`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import array_of
from dpsynth.schema.domain import Domain
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.decoding import shrunken_counts
from dpsynth.tabular.forests.forest_model import ForestModel

Numbers = NDArray[Any]
BLOCK = 131_072
"""Rows of a block: a column's codes, dealt hands and random bits stay in a core's cache. At most 2^18."""
WIDEST = 2**32
"""Intervals from this width on are drawn by numpy's generator."""
LISTED = 65_536
"""Columns with at most this many cells, each one value, are written by looking the value up."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One draw: a child given its parent.

    Attributes:
        tables: distribution function of each parent's children, float64, shape (parents, children).
        labels: what is written for each child, unsigned, same shape.
    """

    tables: NDArray[np.float64]
    labels: Numbers

    @classmethod
    def of(cls, weights: NDArray[np.float64], labels: Numbers) -> Step:
        """From weights that need not sum to one; a parent without weight spreads its rows evenly."""
        weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, (labels >= 0).astype(np.float64))
        running = np.cumsum(weights, axis=1)
        kind = np.uint16 if labels.max(initial=0) < 2**16 else np.uint32
        # children without weight at the end get no row by a rounded sum: they come after the point where it is 1
        tables = np.where(running >= running[:, -1:], 1.0, running / running[:, -1:])
        return cls(tables=np.ascontiguousarray(tables), labels=np.maximum(labels, 0).astype(kind))

    def draw(self, parents: Numbers, rng: np.random.Generator) -> Numbers:
        """The label of each row's child, shape (rows,)."""
        from dpsynth.tabular.records.kernels import deal_children

        out = np.empty(len(parents), dtype=self.labels.dtype)
        deal_children(parents, self.tables, self.labels, rng.random(len(self.tables)), _bits(len(parents), rng), out)
        return out


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueColumn:
    """How codes of a column become cells of a table.

    Attributes:
        domain: of the column.
        missing: the code that is missing.
        cells: cell given code; None if each code is one cell.
        values: what each cell (or code, without `cells`) holds, as Arrow values; None for intervals.
        low: smallest domain code of each cell, int64; where `values` is None.
        widths: how many domain codes it has, uint64.
    """

    domain: Domain
    missing: int
    cells: Step | None
    values: pa.Array | None
    low: NDArray[np.int64]
    widths: NDArray[np.uint64]

    @classmethod
    def of(cls, binning: Binning) -> ValueColumn:
        """The tables of a column."""
        cells = binning.oneway.cells
        order = np.argsort(binning.code_of, kind="stable")
        held = np.bincount(binning.code_of, minlength=binning.size)
        step = None if held.max() == 1 else _cell_step(binning, order, held)
        low = np.concatenate([cells.edges[:-1], cells.spikes]).astype(np.int64)
        widths = np.concatenate([np.diff(cells.edges), np.ones(len(cells.spikes), np.int64)]).astype(np.uint64)
        if step is None:
            low, widths = low[order], widths[order]
        listed = bool((widths == 1).all()) and len(low) <= LISTED
        return cls(
            domain=cells.domain,
            missing=binning.size,
            cells=step,
            values=cells.domain.decode(low) if listed else None,
            low=low,
            widths=widths,
        )

    def decode(self, codes: Numbers, rng: np.random.Generator) -> pa.Array:
        """Values inside the codes, shape (rows,); text as a dictionary."""
        gone = codes >= self.missing
        gaps = gone if gone.any() else None
        if gaps is not None:
            codes = np.where(gaps, 0, codes).astype(codes.dtype)
        at = codes if self.cells is None else self.cells.draw(codes, rng)
        if self.values is not None:
            return _looked_up(self.values, at, gaps)
        return self.domain.decode(self._inside(at, gaps, rng))

    def _inside(self, cells: Numbers, gaps: NDArray[np.bool_] | None, rng: np.random.Generator) -> NDArray[np.int64]:
        if self.widths.max() >= WIDEST:
            inside = rng.integers(self.low[cells], self.low[cells] + self.widths[cells].astype(np.int64))
        else:
            from dpsynth.tabular.records.kernels import spread_in_cells

            inside = np.empty(len(cells), dtype=np.int64)
            spread_in_cells(cells, self.low, self.widths, rng.bit_generator.random_raw(len(cells)), inside)
        return inside if gaps is None else np.where(gaps, -1, inside)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForestColumns:
    """A forest model, compiled for drawing blocks.

    Attributes:
        steps: (column, parent or None, its draw), parents first.
        columns: column -> how its codes become cells, in the schema's order.
    """

    steps: tuple[tuple[str, str | None, Step], ...]
    columns: Mapping[str, ValueColumn]

    @classmethod
    def of(cls, model: ForestModel) -> ForestColumns:
        """Compile a model; milliseconds."""
        steps = []
        for name, parent in model.forest.order:
            weights = model.forest.oneway[name][None, :] if parent is None else model.forest.given[name]
            labels = np.broadcast_to(np.arange(weights.shape[1]), weights.shape)
            steps.append((name, parent, Step.of(np.asarray(weights, dtype=np.float64), labels)))
        return cls(
            steps=tuple(steps), columns={name: ValueColumn.of(binning) for name, binning in model.binnings.items()}
        )

    def draw(self, rows: int, rng: np.random.Generator) -> pa.Table:
        """One block, at most `BLOCK` rows; text columns are dictionaries."""
        root = np.zeros(rows, dtype=np.uint16)
        codes: dict[str, Numbers] = {}
        for name, parent, step in self.steps:
            codes[name] = step.draw(root if parent is None else codes[parent], rng)
        return pa.table({name: column.decode(codes[name], rng) for name, column in self.columns.items()})


def _cell_step(binning: Binning, order: NDArray[np.int64], held: NDArray[np.int64]) -> Step:
    """Cell given code, by shrunken counts; codes with fewer cells than others have children without weight."""
    rows = binning.code_of[order]
    columns = np.arange(len(order)) - np.repeat(np.cumsum(held) - held, held)
    weights = np.zeros((binning.size, int(held.max())))
    labels = np.full(weights.shape, -1, dtype=np.int64)
    weights[rows, columns] = shrunken_counts(binning)[order]
    labels[rows, columns] = order
    return Step.of(weights, labels)


def _looked_up(values: pa.Array, at: Numbers, gaps: NDArray[np.bool_] | None) -> pa.Array:
    if pa.types.is_string(values.type):
        kind = pa.uint16() if at.dtype == np.uint16 else pa.uint32()
        return pa.DictionaryArray.from_arrays(array_of(at, kind, gaps), values)
    return values.take(array_of(at, pa.uint16() if at.dtype == np.uint16 else pa.uint32(), gaps))


def _bits(rows: int, rng: np.random.Generator) -> NDArray[np.uint32]:
    raw: NDArray[np.uint64] = rng.bit_generator.random_raw((rows + 1) // 2)
    return raw.view(np.uint32)[:rows]
