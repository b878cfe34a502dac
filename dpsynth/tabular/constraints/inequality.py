"""`low <= high` or `low < high`: whichever column comes second is drawn on its side of the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from dpsynth.schema.constraints import Inequality
from dpsynth.schema.domain import GridDomain
from dpsynth.tabular.constraints.allowed import Allowed, Mask
from dpsynth.tabular.constraints.draw import code_ends
from dpsynth.tabular.constraints.rule import Columns, Decoded, converted, grid_of, position_span
from dpsynth.tabular.forests.tree import Pair


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InequalityRule:
    """An order of two grids, compared as exact fractions.

    Attributes:
        low, high: the columns.
        strict: whether they may not be equal.
        domains: their grids.
    """

    low: str
    high: str
    strict: bool
    domains: tuple[GridDomain, GridDomain]

    @classmethod
    def of(cls, constraint: Inequality, columns: Columns) -> InequalityRule:
        """The rule of a declared inequality."""
        low, high = constraint.columns
        grids = (grid_of(columns, low), grid_of(columns, high))
        return cls(low=low, high=high, strict=constraint.strict, domains=grids)

    @property
    def columns(self) -> tuple[str, ...]:
        """Low, high."""
        return (self.low, self.high)

    @property
    def order(self) -> tuple[Pair, ...]:
        """None: each column can follow the other."""
        return ()

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """An interval that ends, or begins, at the other column's cell."""
        low, high = self.domains
        if name == self.high and self.low in decoded.values:
            held = decoded.values[self.low]
            bound, exact = converted(held, low, high, up=True)
            allowed.at_least(bound + (exact & self.strict), held >= 0)
        if name == self.low and self.high in decoded.values:
            held = decoded.values[self.high]
            bound, exact = converted(held, high, low, up=False)
            allowed.at_most(bound - (exact & self.strict), held >= 0)
        if name == self.low and self.high not in decoded.values:
            self._leave_room(decoded, allowed)

    def _leave_room(self, decoded: Decoded, allowed: Allowed) -> None:
        """The largest cell of the other column is above this one's."""
        last = np.array([self.domains[1].size - 1], dtype=np.int64)
        bound, exact = converted(last, self.domains[1], self.domains[0], up=False)
        rows = ~decoded.gaps[self.high]
        allowed.at_most(np.full(len(rows), int((bound - (exact & self.strict))[0])), rows)

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Codes of low that begin above the end of a code of high."""
        sizes = [columns.binnings[name].size for name in self.columns]
        forbidden = np.zeros((sizes[0] + 1, sizes[1] + 1), dtype=bool)
        begins, _ = position_span(self.domains[0], *code_ends(columns.binnings[self.low]))
        _, ends = position_span(self.domains[1], *code_ends(columns.binnings[self.high]))
        forbidden[:-1, :-1] = begins[:, None] > ends[None, :]
        yield (self.low, self.high), forbidden
