"""A column that is one value, or missing, for the rows of a condition; with `iff` for no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from dpsynth.schema.constraints import NotApplicable
from dpsynth.tabular.constraints.allowed import Allowed, Lists, Mask
from dpsynth.tabular.constraints.rule import (
    COUNTABLE,
    Columns,
    Condition,
    Decoded,
    all_but_whole_rows,
)
from dpsynth.tabular.forests.tree import Pair


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NotApplicableRule:
    """One value for some rows.

    Attributes:
        column: the column.
        condition: its rows.
        value: domain code, -1 for missing, -2 if the domain does not hold it: then such rows are missing.
        iff: whether other rows may not hold the value.
    """

    column: str
    condition: Condition
    value: int
    iff: bool

    @classmethod
    def of(cls, constraint: NotApplicable, columns: Columns) -> NotApplicableRule:
        """The rule of a declared value."""
        value = int(columns.codes(constraint.column, (constraint.value,))[0])
        condition = Condition.of(constraint.when, columns)
        return cls(column=constraint.column, condition=condition, value=value, iff=constraint.iff)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the condition, then the column."""
        return (*self.condition.cells, self.column)

    @property
    def order(self) -> tuple[Pair, ...]:
        """The condition comes first."""
        return tuple((name, self.column) for name in self.condition.cells)

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """The value in the rows of the condition, everything else in the others."""
        if list(self.condition.cells) == [name] and self.column in decoded.values:
            held = decoded.values[self.column]
            self.condition.exclude(name, (held != self.value) & ((held >= 0) | (self.value == -1)), allowed)
        if name != self.column or not self.condition.decided(decoded):
            return
        applies, known = self.condition.meets(decoded)
        others = known & ~applies
        if self.value < 0:
            allowed.missing |= applies
            if self.iff and self.value == -1:
                allowed.present |= others
            return
        allowed.exactly(np.full(len(applies), self.value), applies)
        if self.iff:
            value = Lists.of(np.zeros(1, np.int64), np.array([self.value]), 1)
            allowed.outside(np.where(others, 0, -1), value)

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Codes without the value beside codes that always meet the condition; with `iff` the reverse."""
        found = self.condition.of_codes(columns)
        if found is None or columns.domain(self.column).size > COUNTABLE:
            return
        name, always, never = found
        of_code = columns.of_code(self.column)
        other = np.ones(columns.binnings[self.column].size + 1, dtype=bool)
        other[of_code[max(self.value, -1)]] = False
        other[-1] = False  # a missing cell satisfies
        forbidden = np.outer(always, other)
        if self.iff and self.value >= -1:
            alone = np.bincount(of_code, minlength=len(other)) == 1
            forbidden |= np.outer(never, ~other & alone & (np.arange(len(other)) == of_code[self.value]))
        if self.column not in columns.gaps:
            forbidden[:, :-1] = all_but_whole_rows(forbidden[:, :-1])
        yield (name, self.column), all_but_whole_rows(forbidden)
