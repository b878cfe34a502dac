"""`min <= column <= max` for the rows of a condition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from dpsynth.schema.constraints import Range
from dpsynth.schema.satisfiable import limit_of
from dpsynth.tabular.constraints.allowed import Allowed, Mask
from dpsynth.tabular.constraints.draw import code_ends
from dpsynth.tabular.constraints.rule import Columns, Condition, Decoded, grid_of
from dpsynth.tabular.forests.tree import Pair


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RangeRule:
    """An interval of a grid for some rows.

    Attributes:
        column: the column.
        condition: its rows.
        low, high: first and last domain code, clipped to one code beyond the domain.
    """

    column: str
    condition: Condition
    low: int
    high: int

    @classmethod
    def of(cls, constraint: Range, columns: Columns) -> RangeRule:
        """The rule of a declared range."""
        name = constraint.column
        domain, spec = grid_of(columns, name), columns.specs[name]
        low, high = 0, domain.size - 1
        if constraint.min is not None:
            low = min(max(math.ceil(limit_of(spec, constraint.min) / domain.scale) - domain.low, 0), domain.size)
        if constraint.max is not None:
            high = max(min(math.floor(limit_of(spec, constraint.max) / domain.scale) - domain.low, high), -1)
        return cls(column=name, condition=Condition.of(constraint.when, columns), low=low, high=high)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the condition, then the column."""
        return (*self.condition.cells, self.column)

    @property
    def order(self) -> tuple[Pair, ...]:
        """The condition comes first."""
        return tuple((name, self.column) for name in self.condition.cells)

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """The interval in the rows of the condition."""
        if list(self.condition.cells) == [name] and self.column in decoded.values:
            held = decoded.values[self.column]
            self.condition.exclude(name, (held >= 0) & ((held < self.low) | (held > self.high)), allowed)
        if name == self.column and self.condition.decided(decoded):
            applies, _ = self.condition.meets(decoded)
            allowed.at_least(np.full(len(applies), self.low), applies)
            allowed.at_most(np.full(len(applies), self.high), applies)

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Codes outside the interval beside codes that always meet the condition."""
        found = self.condition.of_codes(columns)
        if found is None:
            return
        name, always, _ = found
        first, last = code_ends(columns.binnings[self.column])
        outside = np.append((last < self.low) | (first > self.high), False)
        yield (name, self.column), np.outer(always, outside)
