"""Total variation distance between tables, over columns, pairs and triples of columns.

TVD(p, q) = 1/2 sum |p(c) - q(c)| over cells c: the largest error in the share of any set of cells. One pass
over the pairs makes each pair's joint histogram of every table once; distances, intervals and tails are read
from it. Beside the tables there are *redraws*: the real rows (training and holdout) split anew at random, of which
only counts are made.

Intervals. TVD is linear in the shares wherever no two are equal, with influence 1/2 sign(p - q) at the row's
cell, so its standard error is the infinitesimal jackknife's (Efron 1982, ch. 6), for one pair and, with
influences averaged over pairs row by row, for the mean over pairs although pairs share rows. Below 200 rows
a normal interval is not trustworthy: there the interval is McDiarmid's (1989), which is exact for every
statistic that one row of n moves by at most 1/n.

Not guaranteed: intervals cover the sampling of independent rows, not several rows of one person, and not the
upward bias that every distance between finite tables has; reference and floor carry the same bias and show
its size.

>>> import numpy as np
>>> float(total_variation(np.array([1, 1, 2]), np.array([0, 2, 2])))
0.25
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.coding import Coded

NORMAL_ROWS = 200
_Z = 1.959963984540054
_DENSE_CELLS = 1 << 21

Counts = NDArray[np.int64]
Interval = tuple[float, float]


def total_variation(left: NDArray[np.integer], right: NDArray[np.integer]) -> float:
    """Total variation distance of two histograms over the same cells, in [0, 1]."""
    return 0.5 * float(np.abs(left / left.sum() - right / right.sum()).sum())


def mcdiarmid(value: float, rows: int, other_rows: int) -> Interval:
    """Exact 95 % interval, in [0, 1], of a statistic that one row moves by at most 1/rows or 1/other_rows."""
    half = float(np.sqrt(np.log(2 / 0.05) / 2 * (1 / rows + 1 / other_rows)))
    return max(0.0, value - half), min(1.0, value + half)


def interval(value: float, variance: float, rows: int, other_rows: int) -> Interval:
    """95 % interval in [0, 1] from the jackknife variance, or McDiarmid's where a table is small."""
    if min(rows, other_rows) < NORMAL_ROWS:
        return mcdiarmid(value, rows, other_rows)
    half = _Z * float(np.sqrt(max(variance, 0.0)))  # rounding leaves -1e-20 where tables are disjoint
    return max(0.0, value - half), min(1.0, value + half)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Joint:
    """Joint histogram of some columns in every table.

    Attributes:
        places: positions of the columns.
        shape: codes of each, if every combination has a cell of its own; None where only those that occur have.
        keys: table -> cell index of each row, shape (rows,).
        counts: table -> rows in each cell, shape (cells,); also `real~0`, `holdout~0` and so on for redraws.
    """

    places: tuple[int, ...]
    shape: tuple[int, ...] | None
    keys: Mapping[str, NDArray[np.int64]]
    counts: Mapping[str, Counts]

    @property
    def i(self) -> int:
        """Position of the first column."""
        return self.places[0]

    @property
    def j(self) -> int:
        """Position of the second column."""
        return self.places[1]


def one_way(coded: Coded, table: str) -> list[Counts]:
    """Histogram of each column of one table."""
    return [np.bincount(c, minlength=k) for c, k in zip(coded.tables[table], coded.sizes, strict=True)]


def joint_of(coded: Coded, places: Sequence[int], redraws: Sequence[NDArray[np.int64]] = ()) -> Joint:
    """The joint histogram of the columns at these positions.

    Args:
        coded: the tables; with redraws, `real` and `holdout` among them.
        places: positions of the columns.
        redraws: of each, the positions of its holdout among the rows of `real` followed by those of `holdout`.
    """
    shape = tuple(coded.sizes[place] for place in places)
    cells = math.prod(shape)
    keys = {name: _flat(codes, places, shape) for name, codes in coded.tables.items()}
    dense = cells <= _DENSE_CELLS
    if not dense:  # near-unique columns: number only the cells that occur
        parts = np.cumsum([k.size for k in keys.values()])[:-1]
        present, inverse = np.unique(np.concatenate(list(keys.values())), return_inverse=True)
        keys = dict(zip(keys, np.split(inverse, parts), strict=True))
        cells = present.size
    counts = {name: np.bincount(k, minlength=cells) for name, k in keys.items()}
    if redraws:
        pool, total = np.concatenate([keys["real"], keys["holdout"]]), counts["real"] + counts["holdout"]
        for number, held in enumerate(redraws):
            counts[f"holdout~{number}"] = np.bincount(pool[held], minlength=cells)
            counts[f"real~{number}"] = total - counts[f"holdout~{number}"]
    return Joint(places=tuple(places), shape=shape if dense else None, keys=keys, counts=counts)


def _flat(codes: NDArray[np.int64], places: Sequence[int], shape: Sequence[int]) -> NDArray[np.int64]:
    key: NDArray[np.int64] = codes[places[0]]
    for place, size in zip(places[1:], shape[1:], strict=True):
        key = key * size + codes[place]
    return key


def joints(coded: Coded, redraws: Sequence[NDArray[np.int64]] = ()) -> Iterator[Joint]:
    """Joint histograms of all pairs of columns, each made once; arguments as `joint_of`."""
    for i in range(len(coded.columns)):
        for j in range(i + 1, len(coded.columns)):
            yield joint_of(coded, (i, j), redraws)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """A distance with its 95 % interval."""

    value: float
    low: float
    high: float


def distance(left: Counts, right: Counts) -> Distance:
    """TVD of two histograms with its interval; left and right are independent samples of rows."""
    n, m = int(left.sum()), int(right.sum())
    p, q = left / n, right / m
    sign = 0.5 * np.sign(p - q)
    value = float(sign @ (p - q))
    variance = sum((float(r @ sign**2) - float(r @ sign) ** 2) / rows for r, rows in ((p, n), (q, m)))
    low, high = interval(value, variance, n, m)
    return Distance(value=value, low=low, high=high)


@dataclass(slots=True, repr=False)
class PairDistances:
    """Accumulates the distance of one table to another over all pairs, with the influence of each row."""

    left: str
    right: str
    values: list[float] = field(default_factory=list)
    _influence: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, joint: Joint) -> None:
        """Take in one more pair of columns."""
        p, q = (joint.counts[t] / joint.counts[t].sum() for t in (self.left, self.right))
        sign = 0.5 * np.sign(p - q)
        self.values.append(float(sign @ (p - q)))
        for table in (self.left, self.right):
            seen = sign[joint.keys[table]]
            if table in self._influence:
                self._influence[table] += seen
            else:
                self._influence[table] = seen

    def mean(self) -> Distance:
        """Mean over pairs; the interval allows for pairs that share rows."""
        value = float(np.mean(self.values))
        rows = [self._influence[t] / len(self.values) for t in (self.left, self.right)]
        variance = sum(float(np.var(r)) / r.size for r in rows)
        low, high = interval(value, variance, rows[0].size, rows[1].size)
        return Distance(value=value, low=low, high=high)
