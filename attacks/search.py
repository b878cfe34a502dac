"""The nearest row of each query, for rows that come in blocks: exact, and cheap where many rows share categories.

The squared distance is a sum over categories and over numbers. A block of mixed rows holds far fewer combinations of
categories than rows, so the first part is computed for each query and combination, by one matrix product. It bounds the
distance from below for all rows of the combination: only those that could beat the nearest row so far are looked at.
After the first block hardly any can, and a search costs a small part of the product with all rows.

Where that does not pay (numbers alone, or hardly a row like another) the product with all rows is computed, tile by
tile (`neighbours`). Rows are worked off in spans of fixed borders, and what competes in the end are distances in double
precision, so the winners are the same, to the byte, however the rows are cut at multiples of `SPAN`.

>>> search = Search(np.array([[0.0, 1.0]], dtype=np.float32), categories=np.array([False, True]))
>>> rows = np.array([[3.0, 1.0], [1.0, 0.0], [0.5, 1.0]], dtype=np.float32)
>>> [found.tolist() for found in search.add(rows, np.array([7, 8, 7], dtype=np.uint64))], float(search.distances[0])
([[0], [2]], 0.5)

Not guaranteed: where all rows are multiplied, which of two neighbours is named whose squared distances agree to about
1e-6 of the squared norms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.neighbours import TILE_QUERIES, TILE_ROWS

SPAN = 32 * TILE_ROWS
"""Rows that are worked off together."""
QUERIES = 512
"""Queries whose bounds are in memory at once."""
WORTH = 0.5
"""Most combinations of categories a row for which bounding by them is tried."""
PAIRS = 1 << 20
"""Pairs of a query and a row that are compared at once."""
TOO_MANY = 0.01
"""Share of all pairs beyond which the product with all rows is quicker."""
SLACK = 2e-4
"""What rounding may take from a bound, in units of the largest squared norm of categories and one."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Rows of one span by combination: row `order[i]` is the i-th, and combination j starts at `start[j]`."""

    combinations: Floats
    numbers: Floats
    order: Places
    start: Places
    size: Places

    @classmethod
    def of(cls, rows: Floats, groups: NDArray[np.uint64], categories: NDArray[np.bool_]) -> _Span | None:
        """None where the rows share too few combinations."""
        order = np.argsort(groups, kind="stable")
        ordered = groups[order]
        start = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        if len(start) > WORTH * len(rows):
            return None
        size = np.diff(np.append(start, len(rows)))
        numbers = np.ascontiguousarray(rows[:, ~categories][order])
        return cls(
            combinations=np.ascontiguousarray(rows[order[start]][:, categories]),
            numbers=numbers,
            order=order,
            start=start,
            size=size,
        )


class Search:
    """Nearest rows, kept over blocks; all blocks but the last hold whole spans.

    Args:
        queries: shape (q, d).
        categories: which dimensions belong to categories, shape (d,); None for none of them.

    Attributes:
        distances: float64 (q,), infinite before the first row.
    """

    def __init__(self, queries: NDArray[np.floating], categories: NDArray[np.bool_] | None = None) -> None:
        self._queries = np.ascontiguousarray(queries, dtype=np.float32)
        total, width = self._queries.shape
        self._categories = np.zeros(width, dtype=bool) if categories is None else categories
        mean = self._queries.sum(axis=0, dtype=np.float64) / max(total, 1)
        self._centre = mean.astype(np.float32)
        self._kinds = np.ascontiguousarray(self._queries[:, self._categories])
        self._numbers = np.ascontiguousarray(self._queries[:, ~self._categories])
        self._all = _with_one(self._queries - self._centre)
        self._squares = np.full(total, np.inf)
        self.distances = np.full(total, np.inf)

    def add(self, rows: Floats, groups: NDArray[np.uint64] | None = None) -> tuple[Places, Places]:
        """The next rows: the queries for which one of them is nearer than all before, and which one.

        Args:
            rows: shape (n, d).
            groups: equal for rows whose dimensions of categories are equal; None if nothing is known.
        """
        winner = np.full(len(self._queries), -1, dtype=np.intp)
        for at in range(0, len(rows), SPAN) if len(self._queries) else ():
            part = rows[at : at + SPAN]
            span = None
            if groups is not None and self._categories.any() and len(part) >= TILE_ROWS:
                span = _Span.of(part, groups[at : at + SPAN], self._categories)
            if span is None or not self._bounded(span, winner, at):
                self._multiplied(part, winner, at)
        changed = np.flatnonzero(winner >= 0)
        gap = rows[winner[changed]].astype(np.float64) - self._queries[changed]
        self.distances[changed] = np.sqrt(np.einsum("qd,qd->q", gap, gap))
        return changed, winner[changed]

    def _bounded(self, span: _Span, winner: Places, at: int) -> bool:
        """Looks at the rows whose combination is near enough; False if these are too many, with nothing lost."""
        centre = span.combinations.mean(axis=0)
        table = _products(span.combinations - centre)
        budget = TOO_MANY * len(self._queries) * len(span.order)
        slack = SLACK * (1.0 + float(np.square(span.combinations).sum(axis=1).max(initial=0.0)))
        for first in range(0, len(self._queries), QUERIES):
            tile = np.arange(first, min(first + QUERIES, len(self._queries)))
            own = self._kinds[tile] - centre
            bound = _with_one(own) @ table
            bound += np.square(own).sum(axis=1, keepdims=True)
            nearest = bound.argmin(axis=1)
            budget -= float(span.size[nearest].sum())
            if budget < 0:
                return False
            self._compare(span, tile, nearest, winner, at)
            limit = (self._squares[tile] + slack).astype(np.float32)
            bound[np.arange(len(tile)), nearest] = np.inf
            who, which = np.nonzero(bound < limit[:, None])
            budget -= float(span.size[which].sum())
            if budget < 0:
                return False
            self._compare(span, tile[who], which, winner, at)
        return True

    def _compare(self, span: _Span, who: Places, which: Places, winner: Places, at: int) -> None:
        """Compares queries with all rows of combinations, a bounded number of pairs at a time."""
        ends = np.cumsum(span.size[which])
        done = 0
        while done < len(who):
            before = ends[done - 1] if done else 0
            stop = max(int(np.searchsorted(ends, before + PAIRS, side="right")), done + 1)
            queries, sizes = who[done:stop], span.size[which[done:stop]]
            gap = span.combinations[which[done:stop]].astype(np.float64) - self._kinds[queries]
            apart = np.einsum("pd,pd->p", gap, gap)
            place = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            row = np.repeat(span.start[which[done:stop]], sizes) + place
            query = np.repeat(queries, sizes)
            gap = span.numbers[row].astype(np.float64) - self._numbers[query]
            square = np.repeat(apart, sizes) + np.einsum("pd,pd->p", gap, gap)
            self._keep(query, span.order[row] + at, square, winner)
            done = stop

    def _keep(self, query: Places, row: Places, square: Doubles, winner: Places) -> None:
        """Of pairs, and what each query had, the smallest square; of equal ones the first row."""
        closer = np.flatnonzero(square < self._squares[query])
        # in one span a row may come later that stands earlier
        same = np.flatnonzero((square == self._squares[query]) & (row < winner[query]))
        kept = np.concatenate([closer, same])
        order = kept[np.lexsort((row[kept], square[kept], query[kept]))]
        first = order[np.unique(query[order], return_index=True)[1]]
        self._squares[query[first]] = square[first]
        winner[query[first]] = row[first]

    def _multiplied(self, rows: Floats, winner: Places, at: int) -> None:
        """Looks at all rows."""
        table = _products(np.ascontiguousarray(rows, dtype=np.float32) - self._centre)
        for start in range(0, len(rows), TILE_ROWS):
            part = np.ascontiguousarray(table[:, start : start + TILE_ROWS])
            for first in range(0, len(self._queries), TILE_QUERIES):
                scores = self._all[first : first + TILE_QUERIES] @ part
                local = scores.argmin(axis=1) + start
                query = np.arange(first, first + len(local))
                gap = rows[local].astype(np.float64) - self._queries[query]
                kinds, numbers = gap[:, self._categories], gap[:, ~self._categories]
                square = np.einsum("qd,qd->q", kinds, kinds) + np.einsum("qd,qd->q", numbers, numbers)
                self._keep(query, local + at, square, winner)


def _with_one(rows: Floats) -> Floats:
    return np.concatenate([rows, np.ones((len(rows), 1), dtype=np.float32)], axis=1)


def _products(rows: Floats) -> Floats:
    """What queries with a one appended are multiplied with to give |r|^2 - 2 q.r, shape (d + 1, n)."""
    return np.ascontiguousarray(np.concatenate([-2.0 * rows, np.square(rows).sum(axis=1, keepdims=True)], axis=1).T)
