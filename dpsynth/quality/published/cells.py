"""Cells that the released rows alone decide, in which private rows are then counted with noise.

A column of numbers or times is cut at quantiles of its *released* values; a column of categories has the most frequent
released values, then groups by how often the release holds them. Two cells are beside them: `unseen` (a value or a
number that lies outside everything released) and missing. Which columns and pairs are counted is a public rule:

    every column, in the order of the release (the first `MOST`), then each with the target;
    without a target each with the column after it

so nothing is chosen because it looks bad on private rows.

Theorem. The cells are a function of released rows and declared target. A row adds one to one cell of each of the M
marginals, by its own cells alone; of each unit at most k rows are counted, chosen by that unit's rows and a key. So all
counts together change by at most k M in L1 when a unit is added or removed, and by 2 k M when one is replaced.

>>> released = Table.from_arrow(pa.table({"sex": ["f", "m", "f"], "age": [30, 40, 50]}))
>>> cells = cells_of(released, target=None)
>>> cells.marginals, cells.count(Table.from_arrow(pa.table({"sex": ["f", "x"], "age": [45, 90]})))[:4].tolist()
((('sex',), ('age',), ('sex', 'age')), [1, 0, 1, 0])

Not guaranteed: that cells this coarse show an error inside one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_numpy import literals, missing_of, values_of
from dpsynth.data.recipe import Kind, Lookup, Steps, thresholds
from dpsynth.data.table import CountTable, Table

Codes = NDArray[np.int64]
MOST: Final = 40
"""Columns that are counted, at most: with more the noise would be all."""
_INTERVALS: Final = 6
_FREQUENT: Final = 5
_BANDS: Final = (1, 10, 100)
_COARSE: Final = 3
SIDE: Final = _FREQUENT + len(_BANDS) + 2
"""Cells of one column at most."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ruler:
    """Cells of one column, as a codec: `shown` ones, then unseen, then missing.

    Attributes:
        name: of the column.
        edges: upper ends of intervals, the first below the smallest released number; None for categories.
        values: released categories, and `groups` the cell of each; None for numbers.
        shown: how many cells hold released values.
        coarse: cell -> cell of a pair, fewer.
    """

    name: str
    kind: str
    edges: NDArray[np.float64] | NDArray[np.int64] | None
    values: pa.Array | None
    groups: Codes
    shown: int
    coarse: Codes

    @property
    def size(self) -> int:
        """Codes, missing not counted: of what is shown, and of what is not."""
        return self.shown + 1

    def encode(self, values: pa.ChunkedArray) -> Codes:
        """The cell of each row, by that row alone, -1 if it is missing; shape (rows,)."""
        missing = missing_of(values)
        if self.values is not None:
            found = pc.index_in(values.cast(self.values.type), value_set=self.values)
            unknown = missing_of(found)
            codes = np.where(unknown, self.shown, self.groups[values_of(found).astype(np.int64)])
        elif self.edges is None:  # nothing but missing cells was released
            codes = np.full(len(missing), self.shown, dtype=np.int64)
        else:
            numbers = values_of(values)
            if self.edges.dtype == np.float64:
                numbers = numbers.astype(np.float64)
                missing = missing | np.isnan(numbers)
            codes = self._cell_at[np.searchsorted(self.edges, numbers, side="left")]
        codes[missing] = -1
        return codes

    def recipe(self) -> Lookup | Steps:
        """The same for an engine: categories are looked up, numbers (read as doubles) and times are compared."""
        if self.kind in ("string", "boolean"):
            listed = () if self.values is None else tuple(self.values.to_pylist())
            return Lookup(kind=cast("Kind", self.kind), values=listed, codes=self.groups, otherwise=self.shown)
        kind = cast("Kind", "float" if _family(self.kind) == "number" else self.kind)
        if self.edges is None:
            return Steps(kind=kind, thresholds=np.zeros(0, np.int64), codes=np.array([self.shown]))
        edges = self.edges
        cuts = thresholds(
            lambda raw: np.searchsorted(edges, raw, side="left"), kind, np.arange(1, len(edges) + 1, dtype=np.int64)
        )
        return Steps(kind=kind, thresholds=cuts, codes=self._cell_at[: len(cuts) + 1])

    @property
    def _cell_at(self) -> Codes:
        """The cell of a number by how many edges lie below it; none and all of them are `unseen`."""
        return np.concatenate([[self.shown], np.arange(self.shown), [self.shown]]).astype(np.int64)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The cells of all marginals; made by `cells_of`.

    Attributes:
        marginals: names of the columns of each, in public order.
        sizes: cells of each.
        unseen: of each marginal of one column, the cell of what the release never shows.
    """

    rulers: tuple[Ruler, ...]
    marginals: tuple[tuple[str, ...], ...]
    sizes: tuple[int, ...]
    unseen: tuple[int, ...]

    @property
    def codecs(self) -> Mapping[str, Ruler]:
        """What gives each column its cells, in memory and in an engine."""
        return {ruler.name: ruler for ruler in self.rulers}

    def check(self, types: Mapping[str, str]) -> None:
        """Refuse columns of another type than the released ones.

        Raises:
            DataError: by name.
        """
        for ruler in self.rulers:
            if _family(types[ruler.name]) != _family(ruler.kind):
                raise DataError(
                    f"Column '{ruler.name}' is {types[ruler.name]} in one table and {ruler.kind} in the other.",
                    "Use one schema for both.",
                )

    def count(self, table: CountTable) -> Codes:
        """Rows in each cell of each marginal in turn, int64, shape (sum of sizes,); as private as the rows.

        Raises:
            DataError: as `check`.
        """
        self.check(table.types)
        ruler, parts = self.codecs, []
        for names, counted in zip(self.marginals, table.counts(ruler, self.marginals), strict=True):
            for side, name in enumerate(names if len(names) > 1 else ()):
                counted = _merged(counted, ruler[name].coarse, side)
            parts.append(counted.reshape(-1))
        return np.concatenate(parts)


def cells_of(released: Table, *, target: str | None, leave_out: tuple[str, ...] = ()) -> Cells:
    """The cells that released rows decide.

    Args:
        released: synthetic rows; public, or at least released by mechanisms already charged.
        target: column that every other is counted with.
        leave_out: columns that are not counted: prose, and who a row is of.
    """
    names = [name for name in released.columns if name not in leave_out][:MOST]
    rulers = tuple(_ruler(released, name) for name in names)
    pairs = pairs_of(names, target)
    side = {ruler.name: _pair_side(ruler) for ruler in rulers}
    return Cells(
        rulers=rulers,
        marginals=(*((name,) for name in names), *pairs),
        sizes=(*(ruler.size + 1 for ruler in rulers), *(side[a] * side[b] for a, b in pairs)),
        unseen=tuple(ruler.shown for ruler in rulers),
    )


def pairs_of(names: Sequence[str], target: str | None) -> list[tuple[str, str]]:
    """Each column with the target; without a target each with the one after it."""
    if target is None or target not in names:
        return list(pairwise(names))
    return [(name, target) for name in names if name != target]


def _merged(counted: Codes, cells: Codes, side: int) -> Codes:
    """The histogram with the cells of one side added up to fewer."""
    fewer = np.zeros((int(cells.max()) + 1, *np.delete(counted.shape, side)), dtype=np.int64)
    np.add.at(fewer, cells, np.moveaxis(counted, side, 0))
    return np.moveaxis(fewer, 0, side)


def _pair_side(ruler: Ruler) -> int:
    return int(ruler.coarse.max()) + 1


def _family(kind: str) -> str:
    return "number" if kind in ("integer", "float") else kind


def _ruler(released: Table, name: str) -> Ruler:
    kind, column = released.types[name], released.column(name).drop_null()
    edges, values, groups = None, None, np.zeros(0, dtype=np.int64)
    if kind in ("string", "boolean") and len(column):
        found = released.value_counts(name)
        values, groups = _grouped(found.values, found.counts)
        shown = int(groups.max()) + 1
    elif kind in ("string", "boolean"):
        shown = 0
    else:
        numbers = np.sort(values_of(column))
        if kind in ("integer", "float"):
            numbers = numbers.astype(np.float64)
            numbers = numbers[~np.isnan(numbers)]
        if len(numbers):
            at = (np.arange(1, _INTERVALS + 1) * len(numbers) + _INTERVALS - 1) // _INTERVALS - 1
            ends = np.unique(numbers[at])
            with np.errstate(over="ignore"):  # below the least double there is nothing
                below = np.nextafter(numbers[0], -np.inf) if numbers.dtype == np.float64 else numbers[0] - 1
            edges = np.concatenate([[below], ends]).astype(numbers.dtype)
        shown = 0 if edges is None else len(edges) - 1
    inside = min(shown, _COARSE)
    coarse = np.full(shown + 2, inside, dtype=np.int64)
    if edges is not None:
        coarse[:shown] = np.arange(shown) * inside // max(shown, 1)
    else:
        coarse[:inside] = np.arange(inside)
    return Ruler(name=name, kind=kind, edges=edges, values=values, groups=groups, shown=shown, coarse=coarse)


def _grouped(values: pa.Array, counts: Codes) -> tuple[pa.Array, Codes]:
    """Released values, most frequent first, and the cell of each: its own, or that of how often it is released."""
    texts = values.to_pylist()
    order = sorted(range(len(texts)), key=lambda i: (-int(counts[i]), texts[i]))
    band = np.searchsorted(_BANDS, counts[order], side="right")
    rest = np.unique(band[_FREQUENT:])[::-1].tolist()
    groups = [at if at < _FREQUENT else _FREQUENT + rest.index(band[at]) for at in range(len(order))]
    return literals([texts[i] for i in order], values.type), np.array(groups, dtype=np.int64)
