"""Predicates on rows, made from release rows: "age 30 to 32 and job nurse and city Cork".

A predicate is one closed interval a column, and holds for a row whose values lie in all of them. It is made from one
release row: columns are added in random order until no other distinct row of the release matches, and then `spare`
more, because a predicate that is barely alone in the release matches somebody by chance in every other table. A
category has to be equal, a number to lie within one hundredth of the release's rows on either side. Copies of one
release row count as that row.

Columns are sorted once a table; a predicate then starts from its rarest column, so that asking costs about a tenth of a
millisecond whatever the number of columns.

>>> table = np.array([[1.0, 5.0], [1.0, 6.0], [2.0, 6.0]])
>>> found = Predicates(low=np.array([[1.0, -np.inf], [2.0, 6.0]]), high=np.array([[1.0, np.inf], [2.0, 6.0]]))
>>> found.alone(Sorted.of(table)).tolist()     # the first matches two rows
[-1, 2]

Not guaranteed: that a predicate is short or natural; it is as long as it must be to be alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded, Layout
from attacks.statistics import FloatArray

WINDOW = 0.01
SPARE = 3
ABSENT = -1e30  # a missing number: equal to itself, in no interval around a present one


def comparable(rows: Encoded, layout: Layout) -> FloatArray:
    """One number a cell: the code of a category, the scaled value of a number; shape (rows, columns)."""
    columns = []
    for at, numeric in enumerate(layout.numeric):
        codes = rows.codes[:, at]
        columns.append(np.where(codes < 0, ABSENT, rows.points[:, layout.dims[at].start]) if numeric else codes)
    return np.asfortranarray(np.stack(columns, axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sorted:
    """A table of comparable values with each column in order: `rows[i, c]` is the row of its i-th smallest value."""

    values: FloatArray
    rows: NDArray[np.intp]
    ordered: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        """Sorts each column."""
        rows = np.argsort(values, axis=0, kind="stable")
        return cls(values=values, rows=rows, ordered=np.take_along_axis(values, rows, axis=0))

    def __len__(self) -> int:
        return len(self.values)

    def bounds(self, low: FloatArray, high: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and one past the last place in each column's order that lies in [low, high]; shapes as given."""
        columns = range(self.values.shape[1])
        start = [np.searchsorted(self.ordered[:, c], low[:, c], side="left") for c in columns]
        stop = [np.searchsorted(self.ordered[:, c], high[:, c], side="right") for c in columns]
        return np.stack(start, axis=1), np.stack(stop, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicates:
    """Intervals [low, high], float64 (predicates, columns); a column that is not asked about has infinite bounds."""

    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return len(self.low)

    def alone(self, table: Sorted) -> NDArray[np.intp]:
        """For each predicate the row that it matches alone, -1 where it matches none or several."""
        found = np.full(len(self), -1, dtype=np.intp)
        start, stop = table.bounds(self.low, self.high)
        asked = np.isfinite(self.low) | np.isfinite(self.high)
        order = np.argsort(np.where(asked, stop - start, len(table) + 1), axis=1)
        for at in range(len(self)):
            first, *others = order[at, : int(asked[at].sum())]
            rows = table.rows[start[at, first] : stop[at, first], first]
            for column in others:
                if len(rows) == 0:
                    break
                rows = _within(table.values, rows, column, self.low[at, column], self.high[at, column])
            if len(rows) == 1:
                found[at] = rows[0]
        return found


def conjunctions(
    table: Sorted, chosen: NDArray[np.intp], layout: Layout, rng: np.random.Generator, *, spare: int = SPARE
) -> Predicates:
    """One predicate from each chosen row of the release.

    Args:
        table: distinct rows of the release.
        chosen: rows to make predicates from.
        layout: says which columns are numbers.
        rng: orders the columns, anew for each row.
        spare: columns beyond those that make it match no other row.
    """
    low_all, high_all = _windows(table, chosen, layout)
    start, stop = table.bounds(low_all, high_all)
    low, high = np.full_like(low_all, -np.inf), np.full_like(high_all, np.inf)
    order = rng.permuted(np.broadcast_to(np.arange(low.shape[1]), low.shape), axis=1)
    begin = order[:, :3]  # the rarest of them first, which is quicker
    order[:, :3] = np.take_along_axis(begin, np.argsort(np.take_along_axis(stop - start, begin, 1), axis=1), 1)
    for at, columns in enumerate(order):
        rows = table.rows[start[at, columns[0]] : stop[at, columns[0]], columns[0]]
        extra, used = 0, 1
        for column in columns[1:]:
            if len(rows) == 1:
                extra += 1
                if extra > spare:
                    break
            else:
                rows = _within(table.values, rows, column, low_all[at, column], high_all[at, column])
            used += 1
        taken = columns[:used]
        low[at, taken], high[at, taken] = low_all[at, taken], high_all[at, taken]
    return Predicates(low=low, high=high)


def single_columns(table: Sorted, chosen: NDArray[np.intp], rng: np.random.Generator) -> Predicates:
    """One predicate on one column from each chosen row that has a value which no other row has, if it has one.

    The largest and the smallest value of a column become "at least" and "at most".
    """
    values, ordered = table.values[chosen], table.ordered
    start, stop = table.bounds(values, values)
    rare = stop - start == 1
    rows = np.flatnonzero(rare.any(axis=1))
    column = np.where(rare[rows], rng.random((len(rows), values.shape[1])), -1.0).argmax(axis=1)
    low, high = np.full((len(rows), values.shape[1]), -np.inf), np.full((len(rows), values.shape[1]), np.inf)
    own, place = values[rows, column], np.arange(len(rows))
    low[place, column] = np.where((own == ordered[0, column]) & (own > ABSENT), -np.inf, own)
    high[place, column] = np.where(own == ordered[-1, column], np.inf, own)
    return Predicates(low=low, high=high)


def _windows(table: Sorted, chosen: NDArray[np.intp], layout: Layout) -> tuple[FloatArray, FloatArray]:
    """The interval of each cell: itself, or for a number `WINDOW` of the rows from the middle of its equals."""
    own = table.values[chosen]
    low, high, reach = own.copy(), own.copy(), int(WINDOW * len(table))
    start, stop = table.bounds(own, own)
    for at, numeric in enumerate(layout.numeric):
        if not numeric:
            continue
        ordered, present = table.ordered[:, at], own[:, at] > ABSENT
        first, last = start[:, at], stop[:, at] - 1  # a value more frequent than the window is asked for alone
        below = ordered[np.maximum((first + last) // 2 - reach, 0)]
        above = ordered[np.minimum((first + last + 1) // 2 + reach, len(ordered) - 1)]
        below = np.where(below > ABSENT, np.minimum(below, own[:, at]), own[:, at])
        low[:, at] = np.where(present, below, own[:, at])
        high[:, at] = np.where(present, above, own[:, at])
    return low, high


def _within(values: FloatArray, rows: NDArray[np.intp], column: int, low: float, high: float) -> NDArray[np.intp]:
    own = values[rows, column]
    kept: NDArray[np.intp] = rows[(own >= low) & (own <= high)]
    return kept
