"""The nearest row of each query, for rows that come in blocks: exact, and cheap where many rows share categories.

The squared distance is a sum over categories and over numbers. A block of mixed rows holds far fewer combinations of
categories than rows, so the first part is computed for each query and combination, by one matrix product. It bounds the
distance from below for all rows of the combination: only those that could beat the nearest row so far are looked at.
After the first block hardly any can. Combinations come again in later blocks, so the pairs that may still matter are
kept (`_Known`), and the product is computed for combinations that are new.

Rows of few dimensions that vary, such as the numbers of a table alone, go into a k-d tree (Bentley 1975; scipy's), of
which a query sees what is nearer than its nearest row so far. Where neither pays, the product with all different rows
is computed, tile by tile (`neighbours`). Rows are worked off in spans of fixed borders, and what competes in the end
are distances in double precision, so the winners are the same, to the byte, however rows are cut at multiples of SPAN.

>>> search = Search(np.array([[0.0, 1.0]], dtype=np.float32), categories=np.array([False, True]))
>>> rows = np.array([[3.0, 1.0], [1.0, 0.0], [0.5, 1.0]], dtype=np.float32)
>>> [found.tolist() for found in search.add(rows, np.array([7, 8, 7], dtype=np.uint64))], float(search.distances[0])
([[0], [2]], 0.5)

Not guaranteed: where all rows are multiplied, which of two neighbours is named whose squared distances agree to about
1e-6 of the squared norms; in a tree, which of two that are equally far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
"""Share of all pairs beyond which looking at all rows is quicker."""
SLACK = 2e-4
"""What rounding may take from a bound, in units of the largest squared norm of categories and one."""
KEPT = 1 << 22
"""Most pairs of a query and a combination, and most numbers of combinations' points, that are kept: 64 MiB."""
TREE_DIMS = 8
"""Most dimensions that vary for which rows go into a tree. Of Adult's six numbers 262,144 rows and 20,000 queries take
0.1 CPU s, where the product takes 4.5."""
TREE_ROWS = 1024
TREE_PARTS = 16
"""Parts of the queries, by how near their nearest row so far is; each part looks as far as its last one needs."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Places = NDArray[np.intp]
Ids = NDArray[np.uint64]


class Points(Protocol):
    """Rows whose points are made when they are asked for."""

    def __len__(self) -> int:
        """Number of rows."""

    def at(self, rows: Places) -> Floats:
        """All dimensions of some rows."""

    def numbers(self, first: int, stop: int) -> Floats:
        """The dimensions that belong to no category, of rows in a range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Points that are in memory."""

    points: Floats
    categories: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.points)

    def at(self, rows: Places) -> Floats:
        """All dimensions of some rows."""
        return self.points[rows]

    def numbers(self, first: int, stop: int) -> Floats:
        """The dimensions that belong to no category."""
        return self.points[first:stop, ~self.categories]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Rows of one span by combination: row `order[i]` is the i-th, and combination j starts at `start[j]`."""

    ids: Ids
    order: Places
    start: Places
    size: Places

    @classmethod
    def of(cls, groups: Ids) -> _Span | None:
        """None where the rows share too few combinations."""
        order = np.argsort(groups, kind="stable")
        ordered = groups[order]
        start = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        if len(start) > WORTH * len(groups):
            return None
        return cls(ids=ordered[start], order=order, start=start, size=np.diff(np.append(start, len(groups))))


class _Known:
    """Combinations that were seen, and pairs of a query and one of them whose rows could be the nearest.

    A pair is given up when the query's nearest row is nearer than the bound; distances only shrink. What does not fit
    is not kept, and is then computed anew where it occurs.
    """

    def __init__(self, width: int) -> None:
        self._ids = np.zeros(0, dtype=np.uint64)
        self._number = np.zeros(0, dtype=np.intp)
        self._points = np.zeros((0, width), dtype=np.float32)
        self._query = np.zeros(0, dtype=np.int32)
        self._which = np.zeros(0, dtype=np.int32)
        self._least = np.zeros(0, dtype=np.float32)

    def places(self, ids: Ids) -> Places:
        """Number of each combination; -1 for new ones."""
        if not len(self._ids):
            return np.full(len(ids), -1, dtype=np.intp)
        spot = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[spot] == ids, self._number[spot], -1)

    def points(self, numbers: Places) -> Floats:
        """Categories of combinations."""
        return self._points[numbers]

    def pairs(self, squares: Doubles) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Queries and combinations that may still matter; the others are given up."""
        left = np.flatnonzero(self._least < squares[self._query])
        if len(left) < len(self._query):
            self._query, self._which, self._least = self._query[left], self._which[left], self._least[left]
        return self._query, self._which

    def keep(self, ids: Ids, points: Floats, query: Places, which: Places, least: Floats) -> None:
        """New combinations, with pairs of a query and the number of one of these."""
        total = len(self._ids) + len(ids)
        if len(self._query) + len(query) > KEPT or total * max(points.shape[1], 1) > 4 * KEPT:
            return
        place = np.searchsorted(self._ids, ids)
        base = len(self._points)
        self._ids = np.insert(self._ids, place, ids)
        self._number = np.insert(self._number, place, np.arange(base, total))
        self._points = np.concatenate([self._points, points])
        self._query = np.concatenate([self._query, query.astype(np.int32)])
        self._which = np.concatenate([self._which, (which + base).astype(np.int32)])
        self._least = np.concatenate([self._least, least])


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
        self._known = _Known(self._kinds.shape[1])
        self.distances = np.full(total, np.inf)

    def add(self, rows: Floats | Points, groups: Ids | None = None, same: Ids | None = None) -> tuple[Places, Places]:
        """The next rows: the queries for which one of them is nearer than all before, and which one.

        Args:
            rows: shape (n, d), or what makes them.
            groups: equal for rows whose dimensions of categories are equal; None if nothing is known.
            same: equal for rows whose dimensions are all equal; None if nothing is known.
        """
        points = Held(points=rows, categories=self._categories) if isinstance(rows, np.ndarray) else rows
        winner = np.full(len(self._queries), -1, dtype=np.intp)
        for at in range(0, len(points), SPAN) if len(self._queries) else ():
            stop = min(at + SPAN, len(points))
            span = None
            if groups is not None and self._categories.any() and stop - at >= TILE_ROWS:
                span = _Span.of(groups[at:stop])
            if span is None or not self._bounded(span, points, winner, at):
                self._every(points, None if same is None else same[at:stop], winner, at, stop)
        changed = np.flatnonzero(winner >= 0)
        gap = points.at(winner[changed]).astype(np.float64) - self._queries[changed]
        self.distances[changed] = np.sqrt(np.einsum("qd,qd->q", gap, gap))
        return changed, winner[changed]

    def _bounded(self, span: _Span, rows: Points, winner: Places, at: int) -> bool:
        """Looks at the rows whose combination is near enough; False if these are too many, with nothing lost."""
        number = self._known.places(span.ids)
        old, new = np.flatnonzero(number >= 0), np.flatnonzero(number < 0)
        fresh = np.ascontiguousarray(rows.at(span.order[span.start[new]] + at)[:, self._categories])
        kinds = np.empty((len(number), self._kinds.shape[1]), dtype=np.float32)
        kinds[old], kinds[new] = self._known.points(number[old]), fresh
        if self._numbers.shape[1]:
            numbers, queries = self._varying(rows.numbers(at, at + len(span.order)))
            pairs = _Pairs(kinds=kinds, numbers=numbers, queries=queries, span=span, size=span.size)
        else:  # equal categories are equal rows: the first one says all, and an old combination nothing new
            pairs = _Pairs(kinds=kinds, numbers=None, queries=None, span=span, size=np.ones_like(span.size))
            old = old[:0]
        budget = TOO_MANY * len(self._queries) * len(span.order)
        if len(old):
            here = np.full(int(number[old].max()) + 1, -1, dtype=np.intp)
            here[number[old]] = old
            who, which = self._known.pairs(self._squares)
            near = np.flatnonzero(which < len(here))
            near = near[here[which[near]] >= 0]
            query, local = who[near].astype(np.intp), here[which[near]]
            budget -= float(pairs.size[local].sum())
            if budget < 0:
                return False
            self._compare(pairs, query, local, winner, at)
        return not len(new) or self._bound(pairs, new, winner, at, budget)

    def _varying(self, numbers: Floats) -> tuple[Doubles, Doubles]:
        """Numbers of rows and of queries, in double precision, without dimensions in which all of them are alike."""
        first = numbers[0]
        kept = np.flatnonzero((numbers != first).any(axis=0) | (self._numbers != first).any(axis=0))
        return numbers[:, kept].astype(np.float64), self._numbers[:, kept].astype(np.float64)

    def _bound(self, pairs: _Pairs, new: Places, winner: Places, at: int, budget: float) -> bool:
        """The same for combinations that are new."""
        kinds = pairs.kinds[new]
        centre = kinds.mean(axis=0)
        table = _products(kinds - centre)
        slack = SLACK * (1.0 + float(np.square(kinds).sum(axis=1).max(initial=0.0)))
        kept: list[tuple[Places, Places, Floats]] = []
        for first in range(0, len(self._queries), QUERIES):
            tile = np.arange(first, min(first + QUERIES, len(self._queries)))
            own = self._kinds[tile] - centre
            bound = _with_one(own) @ table
            bound += np.square(own).sum(axis=1, keepdims=True)
            nearest = bound.argmin(axis=1)
            budget -= float(pairs.size[new[nearest]].sum())
            if budget < 0:
                return False
            self._compare(pairs, tile, new[nearest], winner, at)
            limit = (self._squares[tile] + slack).astype(np.float32)
            least = bound[np.arange(len(tile)), nearest]
            bound[np.arange(len(tile)), nearest] = np.inf
            who, which = np.nonzero(bound < limit[:, None])
            budget -= float(pairs.size[new[which]].sum())
            if budget < 0:
                return False
            self._compare(pairs, tile[who], new[which], winner, at)
            kept += [
                (tile, nearest, least - np.float32(slack)),
                (tile[who], which, bound[who, which] - np.float32(slack)),
            ]
        query, which, least = (np.concatenate(part) for part in zip(*kept, strict=True))
        near = np.flatnonzero(least < self._squares[query])
        self._known.keep(pairs.span.ids[new], kinds, query[near], which[near], least[near])
        return True

    def _compare(self, pairs: _Pairs, who: Places, which: Places, winner: Places, at: int) -> None:
        """Compares queries with all rows of combinations, a bounded number of pairs at a time."""
        ends = np.cumsum(pairs.size[which])
        done = 0
        while done < len(who):
            before = ends[done - 1] if done else 0
            stop = max(int(np.searchsorted(ends, before + PAIRS, side="right")), done + 1)
            queries, sizes = who[done:stop], pairs.size[which[done:stop]]
            gap = pairs.kinds[which[done:stop]].astype(np.float64) - self._kinds[queries]
            apart = np.einsum("pd,pd->p", gap, gap)
            place = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            row = pairs.span.order[np.repeat(pairs.span.start[which[done:stop]], sizes) + place]
            query, square = np.repeat(queries, sizes), np.repeat(apart, sizes)
            if pairs.numbers is not None and pairs.queries is not None:
                gap = pairs.numbers[row]
                gap -= pairs.queries[query]
                square = square + np.einsum("pd,pd->p", gap, gap)
            self._keep(query, row + at, square, winner)
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

    def _every(self, rows: Points, same: Ids | None, winner: Places, at: int, stop: int) -> None:
        """Looks at all rows of a span; of equal ones at the first."""
        chosen = np.arange(at, stop)
        if same is not None:
            chosen = at + np.sort(np.unique(same, return_index=True)[1])
        points = rows.at(chosen)
        vary = int((points.min(axis=0) < points.max(axis=0)).sum())
        if vary <= TREE_DIMS and len(points) >= TREE_ROWS:
            self._from_tree(points, chosen, winner)
        else:
            self._multiplied(points, chosen, winner)

    def _from_tree(self, points: Floats, chosen: Places, winner: Places) -> None:
        """Looks for what is nearer in a tree of the rows."""
        from scipy.spatial import cKDTree

        tree = cKDTree(points.astype(np.float64), balanced_tree=False, compact_nodes=False)
        for query in np.array_split(np.argsort(self._squares, kind="stable"), TREE_PARTS):
            if not len(query):
                continue
            far = float(np.sqrt(self._squares[query[-1]])) * (1.0 + 1e-9) + 1e-12
            near = tree.query(self._queries[query].astype(np.float64), distance_upper_bound=far)[1]
            there = np.flatnonzero(near < len(points))
            self._judge(points, near[there], query[there], chosen, winner)

    def _multiplied(self, points: Floats, chosen: Places, winner: Places) -> None:
        """Looks at all rows."""
        table = _products(np.ascontiguousarray(points, dtype=np.float32) - self._centre)
        for start in range(0, len(points), TILE_ROWS):
            part = np.ascontiguousarray(table[:, start : start + TILE_ROWS])
            for first in range(0, len(self._queries), TILE_QUERIES):
                scores = self._all[first : first + TILE_QUERIES] @ part
                local = scores.argmin(axis=1) + start
                self._judge(points, local, np.arange(first, first + len(local)), chosen, winner)

    def _judge(self, points: Floats, local: Places, query: Places, chosen: Places, winner: Places) -> None:
        """Compares each query with one row, in double precision."""
        gap = points[local].astype(np.float64) - self._queries[query]
        kinds, numbers = gap[:, self._categories], gap[:, ~self._categories]
        square = np.einsum("qd,qd->q", kinds, kinds) + np.einsum("qd,qd->q", numbers, numbers)
        self._keep(query, chosen[local], square, winner)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """What pairs of queries and combinations of a span are compared by; `size` rows of each combination count."""

    kinds: Floats
    numbers: Doubles | None
    queries: Doubles | None
    span: _Span
    size: Places


def _with_one(rows: Floats) -> Floats:
    return np.concatenate([rows, np.ones((len(rows), 1), dtype=np.float32)], axis=1)


def _products(rows: Floats) -> Floats:
    """What queries with a one appended are multiplied with to give |r|^2 - 2 q.r, shape (d + 1, n)."""
    return np.ascontiguousarray(np.concatenate([-2.0 * rows, np.square(rows).sum(axis=1, keepdims=True)], axis=1).T)
