"""Rows of values that never occur (structural zeros): the last column avoids what would complete one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from dpsynth.schema.constraints import ForbiddenCombinations
from dpsynth.tabular.constraints.allowed import Allowed, Codes, Mask
from dpsynth.tabular.constraints.rule import COUNTABLE, Columns, Decoded, Tuples, lists_by
from dpsynth.tabular.forests.tree import Pair


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForbiddenCombinationsRule:
    """Listed rows.

    Attributes:
        columns: the columns.
        rows: domain codes, -1 for missing, shape (rows, columns); rows that no domain holds are left out.
    """

    columns: tuple[str, ...]
    rows: Codes

    @classmethod
    def of(cls, constraint: ForbiddenCombinations, columns: Columns) -> ForbiddenCombinationsRule:
        """The rule of declared rows."""
        cells = zip(*constraint.rows, strict=True)
        codes = [columns.codes(name, held) for name, held in zip(constraint.columns, cells, strict=True)]
        rows = np.stack(codes, axis=1)
        return cls(columns=constraint.columns, rows=rows[(rows >= -1).all(axis=1)])

    @property
    def order(self) -> tuple[Pair, ...]:
        """None: any column can be the last."""
        return ()

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """At the last column: without the cells that stand beside the decoded ones in a listed row."""
        others = [other for other in self.columns if other != name]
        if name not in self.columns or any(other not in decoded.values for other in others) or not len(self.rows):
            return
        place = self.columns.index(name)
        tuples = Tuples(self.rows[:, [self.columns.index(other) for other in others]])
        groups = tuples.find([decoded.values[other] for other in others])
        gaps = np.zeros(tuples.count, dtype=bool)
        gaps[tuples.numbers[self.rows[:, place] < 0]] = True
        allowed.present |= (groups >= 0) & gaps[np.maximum(groups, 0)]
        allowed.outside(groups, lists_by(tuples.numbers, self.rows[:, place], tuples.count))

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Of two columns: pairs of codes of which all cells are listed."""
        if len(self.columns) != 2 or any(columns.domain(name).size > COUNTABLE for name in self.columns):
            return
        left, right = self.columns
        codes = [columns.of_code(name) for name in self.columns]
        cells = [np.bincount(held, minlength=int(held[-1]) + 1) for held in codes]  # the last code is missing
        listed = np.zeros((len(cells[0]), len(cells[1])), dtype=np.int64)
        rows = np.unique(self.rows, axis=0)
        np.add.at(listed, (codes[0][rows[:, 0]], codes[1][rows[:, 1]]), 1)
        yield (left, right), listed == np.outer(*cells)
