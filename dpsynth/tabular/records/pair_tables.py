"""One table for every pair of columns of a record table, in one flat array of four-byte floats.

A fit predicts all pairs, measured or not: 10,878 tables at 147 columns, 6 million cells at 24 codes a column. As
separate arrays of eight bytes they would be held several times over (sums, means, integers); flat and narrow they take
25 MB, and sums and scales are one operation. 1-ways are pairs with the constant column, as in `record_table`.

>>> tables = PairTables.product((2, 3), [np.array([0.5, 0.5]), np.array([0.2, 0.3, 0.5])], 100.0)
>>> tables[0, 1].tolist()
[[10.0, 15.0, 25.0], [10.0, 15.0, 25.0]]

Not guaranteed: counts beyond 2^24 in one cell, where four-byte floats leave out integers; records are never that many.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.records.residuals import Columns


@final
class PairTables(Mapping[Columns, NDArray[np.float32]]):
    """Columns (the smaller number first) -> table, shape (codes of the first, codes of the second).

    Args:
        sizes: codes of each column, the constant one last.
        flat: the cells of all tables, float32; zeros if left out.

    Attributes:
        sizes: as given.
        flat: the cells, table after table, pairs in ascending order; tables are views of it.
    """

    def __init__(self, sizes: Sequence[int], flat: NDArray[np.float32] | None = None) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        self._left, self._right = np.triu_indices(len(self.sizes), k=1)
        held = np.array(self.sizes, dtype=np.int64)
        cells = held[self._left] * held[self._right]
        self._starts = np.cumsum(cells) - cells
        self.flat = np.zeros(int(cells.sum()), dtype=np.float32) if flat is None else flat

    @classmethod
    def product(cls, sizes: Sequence[int], shares: Sequence[Vector], total: float) -> PairTables:
        """The tables of independent columns: `total` rows with these shares of codes (without the constant column)."""
        made = cls((*sizes, 1))
        every = [*shares, np.ones(1)]
        for (a, b), table in made.items():
            table[:] = total * np.outer(every[a], every[b])
        return made

    def __getitem__(self, columns: Columns) -> NDArray[np.float32]:
        a, b = columns
        last = len(self.sizes)
        if not 0 <= a < b < last:
            raise KeyError(columns)
        start = int(self._starts[a * last - a * (a + 1) // 2 + b - a - 1])
        return self.flat[start : start + self.sizes[a] * self.sizes[b]].reshape(self.sizes[a], self.sizes[b])

    def __iter__(self) -> Iterator[Columns]:
        return itertools.combinations(range(len(self.sizes)), 2)

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, records: NDArray[np.int16]) -> None:
        """Count these records, shape (records, columns with the constant one), on top of what is there."""
        from dpsynth.tabular.records.kernels import count_pairs

        count_pairs(records, self._left, self._right, np.array(self.sizes), self._starts, self.flat)

    def scaled(self, factor: float) -> PairTables:
        """A copy of which every cell is multiplied."""
        return PairTables(self.sizes, self.flat * np.float32(factor))
