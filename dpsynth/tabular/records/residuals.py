"""What the records are fitted to, and how far they are from it: all cells of all marginals in one flat array.

A marginal counts the records by one to three columns, each with its own codes or with codes merged by a map (age by
decade in one table, by year in another). Its residuals (count - target) / sigma^2 are kept once for each of its
columns, with that column innermost: a move of the column then reads consecutive numbers, whatever the other columns
are. A move changes two cells of each copy. Memory: 4 bytes a cell and column; 96 kB for a triple of 20 codes each.

Forbidden cells are marginals of weight 0, whose residuals no move changes: allowed cells cost exactly nothing,
forbidden ones `FORBIDDEN` at any strength. The kernels need no special case for them.

>>> decades = Marginal(columns=(0, 1), table=np.eye(2), sigma=1.0, maps=(None, [0, 0, 1, 1]))
>>> residuals = Residuals((2, 4, 1), [decades])
>>> counted = residuals.refresh(np.array([[0, 3, 0], [0, 2, 0]], dtype=np.int16))
>>> residuals.flat[:4].reshape(2, 2).tolist()
[[-1.0, 0.0], [2.0, -1.0]]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpsynth.core.errors import ParameterError

Columns = tuple[int, ...]
"""One to three columns of a record table, ascending."""

Maps = tuple["ArrayLike | None", ...]
"""For each column its map, code -> coarse code, or None for its own codes; empty for own codes throughout."""

FORBIDDEN = 1e9
"""Cost of a forbidden cell, whatever the strength: far above any sum of residuals, and finite, so that records that
start in forbidden cells still prefer states with fewer of them."""

LARGEST = 3
"""Columns of a marginal at most."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marginal:
    """A noisy table that records are fitted to.

    Attributes:
        columns: one to three columns, ascending.
        table: counts in records, one axis a column, as long as the column has codes or, with a map, coarse codes.
        sigma: standard deviation of the noise in each cell, records.
        maps: see `Maps`.
    """

    columns: Columns
    table: NDArray[Any]
    sigma: float
    maps: Maps = ()


class Held(NamedTuple):
    """The tables that hold one column, as the kernels read them; those that merge its codes alike are consecutive.

    Attributes:
        others: the other columns, the constant one where there are fewer than two; int64, shape (tables, 2).
        maps_at: where the maps of this column and of the others begin in `Residuals.maps`; int64, shape (tables, 3).
        cells: of each copy of the table, this column's first: where it begins in `Residuals.flat`, and the strides of
            this column and of the others; int64, shape (tables, 3, 4).
        turns: number of copies, int64, shape (tables,).
        weights: 1 / variance, float32, shape (tables,).
        groups: runs of tables with one map of this column: first, past the last, coarse codes, where the map begins;
            int64, shape (groups, 4). A map at 0 is the identity.
    """

    others: NDArray[np.int64]
    maps_at: NDArray[np.int64]
    cells: NDArray[np.int64]
    turns: NDArray[np.int64]
    weights: NDArray[np.float32]
    groups: NDArray[np.int64]


@final
class Residuals:
    """Target tables, and in one flat array how far the records are from them.

    Args:
        sizes: codes of each column, the constant one last.
        marginals: the targets; several may have the same columns.
        penalties: columns -> cells that no record may be in, one axis a column.

    Attributes:
        maps: identity, then all distinct maps; int16.
        flat: (count - target) / sigma^2 of each cell of each copy, float32.

    Raises:
        ParameterError: columns, maps and shape of a table do not fit together.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        marginals: Sequence[Marginal],
        penalties: Mapping[Columns, NDArray[np.bool_]] = MappingProxyType({}),
    ) -> None:
        forbidden = [np.asarray(cells, dtype=bool) for cells in penalties.values()]
        self.layout = Layout(
            sizes, [*((m.columns, m.maps) for m in marginals), *((columns, ()) for columns in penalties)]
        )
        self._targets: list[NDArray[Any]] = [np.asarray(marginal.table) for marginal in marginals]
        self._targets += [np.zeros(cells.shape) for cells in forbidden]
        for target, shape, columns in zip(self._targets, self.layout.shapes, self.layout.columns, strict=True):
            if target.shape != shape:
                raise ParameterError(f"Expected a table of shape {shape} for columns {columns}, not {target.shape}.")
        self._weights = np.zeros(len(self._targets), dtype=np.float32)
        self._weights[: len(marginals)] = [m.sigma**-2 for m in marginals]
        copies = np.array([len(columns) for columns in self.layout.columns], dtype=np.int64)
        cells = np.array([target.size for target in self._targets], dtype=np.int64)
        self._starts = np.cumsum(copies * cells) - copies * cells
        self.maps = self.layout.maps
        self.flat = np.zeros(int((copies * cells).sum()), dtype=np.float32)
        tables: list[list[int]] = [[] for _ in sizes]
        for at, columns in enumerate(self.layout.columns):
            for column in columns:
                tables[column].append(at)
        self._of_column = [self._held(column, listed) for column, listed in enumerate(tables)]
        self._forbidden = self._cells_of(forbidden, len(marginals))

    def of(self, column: int) -> Held:
        """The tables that hold a column."""
        return self._of_column[column]

    def refresh(self, records: NDArray[np.int16]) -> list[NDArray[np.int64]]:
        """Residuals of these records in every copy; returns the counts of the marginals, then of the penalties."""
        counts = self.layout.count(records)
        for at, counted in enumerate(counts):
            self._write(at, (counted - self._targets[at]) * self._weights[at])
        return counts

    def forbid(self, strength: float) -> None:
        """Let each forbidden cell cost the same at this strength as at any other.

        Raises:
            ParameterError: strength is not positive.
        """
        if not strength > 0:
            raise ParameterError(f"Expected strength={strength} > 0: at 0 no cell could be forbidden.")
        self.flat[self._forbidden] = FORBIDDEN / strength

    def _write(self, at: int, table: NDArray[Any]) -> None:
        for turn in range(table.ndim):
            start = self._starts[at] + turn * table.size
            self.flat[start : start + table.size] = np.moveaxis(table, turn, -1).ravel()

    def _cells_of(self, masks: Iterable[NDArray[np.bool_]], first: int) -> NDArray[np.int64]:
        """Where the marked cells of the tables from `first` on lie in `flat`, in every copy."""
        found = [np.zeros(0, dtype=np.int64)]
        for at, mask in enumerate(masks, first):
            for turn in range(mask.ndim):
                start = self._starts[at] + turn * mask.size
                found.append(start + np.flatnonzero(np.moveaxis(mask, turn, -1)))
        return np.concatenate(found)

    def _held(self, column: int, tables: Sequence[int]) -> Held:
        layout = self.layout
        constant = len(layout.sizes) - 1
        others: list[tuple[int, ...]] = []
        maps_at: list[tuple[int, ...]] = []
        cells: list[list[tuple[int, ...]]] = []
        groups: list[list[int]] = []
        ordered = sorted(tables, key=lambda at: layout.maps_at[at][layout.columns[at].index(column)])
        for at in ordered:
            columns, shape, maps = layout.columns[at], layout.shapes[at], layout.maps_at[at]
            own = columns.index(column)
            axes = [own, *(axis for axis in range(len(columns)) if axis != own)]
            none = (0,) * (LARGEST - len(axes))
            others.append((*(columns[axis] for axis in axes[1:]), *(constant for _ in none)))
            maps_at.append((*(maps[axis] for axis in axes), *none))
            copies = []
            for turn in axes:  # this column's copy first
                steps = _strides(shape, turn)
                start = int(self._starts[at]) + turn * math.prod(shape)
                copies.append((start, *(steps[axis] for axis in axes), *none))
            cells.append(copies + [(0,) * (1 + LARGEST)] * len(none))
            if not groups or groups[-1][3] != maps[own]:
                groups.append([len(cells) - 1, 0, shape[own], maps[own]])
            groups[-1][1] = len(cells)
        return Held(
            others=np.array(others, dtype=np.int64).reshape(-1, LARGEST - 1),
            maps_at=np.array(maps_at, dtype=np.int64).reshape(-1, LARGEST),
            cells=np.array(cells, dtype=np.int64).reshape(-1, LARGEST, 1 + LARGEST),
            turns=np.array([len(layout.columns[at]) for at in ordered], dtype=np.int64),
            weights=self._weights[np.array(ordered, dtype=np.int64)],
            groups=np.array(groups, dtype=np.int64).reshape(-1, 4),
        )


@final
class Layout:
    """Columns, maps and shapes of tables, checked, and their counts.

    Args:
        sizes: codes of each column, the constant one last.
        wanted: columns and maps of each table.

    Attributes:
        columns, shapes: of each table.
        maps: identity of the largest column, then all distinct maps; int16.
        maps_at: of each table, where the maps of its columns begin in `maps`.

    Raises:
        ParameterError: there are no columns of that kind, or a map does not fit its column.
    """

    def __init__(self, sizes: Sequence[int], wanted: Sequence[tuple[Columns, Maps]]) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        self.columns = [tuple(int(column) for column in columns) for columns, _ in wanted]
        known = [np.arange(max(self.sizes), dtype=np.int16)]
        places: dict[bytes, int] = {}
        self.maps_at: list[tuple[int, ...]] = []
        self.shapes: list[tuple[int, ...]] = []
        for columns, (_, maps) in zip(self.columns, wanted, strict=True):
            self._check(columns, maps)
            at, shape = [], []
            for column, mapping in zip(columns, maps or (None,) * len(columns), strict=True):
                if mapping is None:
                    at.append(0)
                    shape.append(self.sizes[column])
                    continue
                coarse = self._checked(column, mapping)
                key = coarse.tobytes()
                if key not in places:
                    places[key] = sum(len(part) for part in known)
                    known.append(coarse)
                at.append(places[key])
                shape.append(int(coarse.max()) + 1)
            self.maps_at.append(tuple(at))
            self.shapes.append(tuple(shape))
        self.maps = np.concatenate(known)
        cells = [math.prod(shape) for shape in self.shapes]
        self._starts = [0, *itertools.accumulate(cells)]
        rows = []
        for of, places_of, dims, start in zip(self.columns, self.maps_at, self.shapes, self._starts, strict=False):
            none = (0,) * (LARGEST - len(of))
            constant = (len(self.sizes) - 1,) * len(none)
            rows.append((*of, *constant, *places_of, *none, start, *_strides(dims, len(dims) - 1), *none))
        self._tables = np.array(rows, dtype=np.int64).reshape(-1, 3 * LARGEST + 1)

    def count(self, records: NDArray[np.int16]) -> list[NDArray[np.int64]]:
        """Counts of these records, table by table."""
        from dpsynth.tabular.records.kernels import count_cells

        out = np.zeros(self._starts[-1], dtype=np.int64)
        count_cells(records, self._tables, self.maps, out)
        ends = zip(self._starts, self._starts[1:], self.shapes, strict=False)
        return [out[start:end].reshape(shape) for start, end, shape in ends]

    def _check(self, columns: Columns, maps: Maps) -> None:
        if not 1 <= len(columns) <= LARGEST or list(columns) != sorted(set(columns)):
            raise ParameterError(f"Expected one to three columns, ascending, not {columns}.")
        if not (columns[0] >= 0 and columns[-1] < len(self.sizes)):
            raise ParameterError(f"Expected columns below {len(self.sizes)}, not {columns}.")
        if maps and len(maps) != len(columns):
            raise ParameterError(f"Expected a map, or None, for each of the columns {columns}; there are {len(maps)}.")

    def _checked(self, column: int, mapping: ArrayLike) -> NDArray[np.int16]:
        coarse = np.ascontiguousarray(mapping, dtype=np.int16)
        if coarse.shape != (self.sizes[column],) or coarse.min() < 0 or coarse.max() >= self.sizes[column]:
            raise ParameterError(
                f"Expected a map of column {column} with {self.sizes[column]} codes, each to a smaller number.",
                "Number the coarse codes from 0; there cannot be more of them than codes.",
            )
        return coarse


def _strides(shape: tuple[int, ...], innermost: int) -> list[int]:
    """Strides of the axes of a table whose axis `innermost` is last, the others in their order."""
    steps, step = [0] * len(shape), 1
    for axis in (innermost, *(axis for axis in reversed(range(len(shape))) if axis != innermost)):
        steps[axis] = step
        step *= shape[axis]
    return steps
