"""Only listed rows of values: each column is drawn among those that complete what is decoded to a listed row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from dpsynth.schema.constraints import FixedCombinations
from dpsynth.tabular.constraints.allowed import Allowed, Codes, Mask
from dpsynth.tabular.constraints.rule import COUNTABLE, Columns, Decoded, Tuples, lists_by
from dpsynth.tabular.forests.tree import Pair


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixedCombinationsRule:
    """Listed rows.

    Attributes:
        columns: the columns.
        rows: domain codes, shape (rows, columns); rows with a value that a domain does not hold are left out.
    """

    columns: tuple[str, ...]
    rows: Codes

    @classmethod
    def of(cls, constraint: FixedCombinations, columns: Columns) -> FixedCombinationsRule:
        """The rule of declared rows."""
        cells = zip(*constraint.rows, strict=True)
        codes = [columns.codes(name, held) for name, held in zip(constraint.columns, cells, strict=True)]
        rows = np.stack(codes, axis=1)
        return cls(columns=constraint.columns, rows=rows[(rows >= 0).all(axis=1)])

    @property
    def order(self) -> tuple[Pair, ...]:
        """None: any column can follow any others."""
        return ()

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """Values that stand beside the decoded ones in a listed row; rows with a missing cell are free."""
        if name not in self.columns:
            return
        others = [other for other in self.columns if other != name]
        free = np.logical_or.reduce([decoded.missing(other) for other in others])
        known = [other for other in others if other in decoded.values]
        place = self.columns.index(name)
        if not known:
            groups, numbers, count = np.zeros(len(free), np.int64), np.zeros(len(self.rows), np.int64), 1
        else:
            tuples = Tuples(self.rows[:, [self.columns.index(other) for other in known]])
            groups = tuples.find([decoded.values[other] for other in known])
            numbers, count = tuples.numbers, tuples.count + 1
            groups = np.where(groups < 0, tuples.count, groups)  # of the last list, which is empty
        allowed.among(np.where(free, -1, groups), lists_by(numbers, self.rows[:, place], count))

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Pairs of codes that no listed row falls into, unless a third column may be missing."""
        if any(columns.domain(name).size > COUNTABLE for name in self.columns):
            return
        codes = [columns.of_code(name)[self.rows[:, at]] for at, name in enumerate(self.columns)]
        for left, right in itertools.combinations(range(len(self.columns)), 2):
            pair = (self.columns[left], self.columns[right])
            if any(name in columns.gaps for name in self.columns if name not in pair):
                continue
            forbidden = np.zeros([columns.binnings[name].size + 1 for name in pair], dtype=bool)
            forbidden[:-1, :-1] = True
            forbidden[codes[left], codes[right]] = False
            yield pair, forbidden
