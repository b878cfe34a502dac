"""A total and its parts, exact in ticks: each column is drawn where the ones still open can complete the sum.

All columns are counted in the finest of their grids. Coarser grids are decoded first, so the last column's share of the
sum is a whole number of its own ticks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np

from dpsynth.schema.constraints import Sum
from dpsynth.schema.domain import GridDomain
from dpsynth.tabular.constraints.allowed import Allowed, Mask
from dpsynth.tabular.constraints.draw import code_ends
from dpsynth.tabular.constraints.rule import Columns, Decoded, grid_of, position_span
from dpsynth.tabular.forests.tree import Pair

LARGEST = 2**58
"""Ends in common ticks beyond which a sum of sixteen could overflow 64 bits; then Python's integers are used."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SumRule:
    """`total - parts = 0` over grids.

    Attributes:
        columns: the total, then the parts.
        domains: column -> grid.
        ticks: column -> common ticks in one of its own.
    """

    columns: tuple[str, ...]
    domains: Mapping[str, GridDomain]
    ticks: Mapping[str, int]

    @classmethod
    def of(cls, constraint: Sum, columns: Columns) -> SumRule:
        """The rule of a declared sum."""
        grids = {name: grid_of(columns, name) for name in constraint.columns}
        common = Fraction(1, math.lcm(*(grid.scale.denominator for grid in grids.values())))
        ticks = {name: int(grid.scale / common) for name, grid in grids.items()}
        return cls(columns=constraint.columns, domains=grids, ticks=ticks)

    @property
    def order(self) -> tuple[Pair, ...]:
        """Coarse grids before fine ones."""
        width = self.ticks
        return tuple(pair for pair in itertools.permutations(self.columns, 2) if width[pair[0]] > width[pair[1]])

    def narrow(self, name: str, decoded: Decoded, allowed: Allowed) -> None:
        """The interval that the columns still open can balance; rows with a missing cell are free."""
        if name not in self.columns:
            return
        others = [other for other in self.columns if other != name]
        rows = ~np.logical_or.reduce([decoded.missing(other) for other in others])
        ends = {n: (grid.low * self.ticks[n], grid.high * self.ticks[n]) for n, grid in self.domains.items()}
        whole = object if max(abs(end) for pair in ends.values() for end in pair) > LARGEST else np.int64
        low: Any
        high: Any
        least, most = np.zeros(len(rows), dtype=whole), np.zeros(len(rows), dtype=whole)
        total = self.columns[0]
        for other in others:
            low, high = ends[other]
            if other in decoded.values:
                ticks = np.where(rows, decoded.values[other] + self.domains[other].low, 0)
                low = high = ticks.astype(whole) * self.ticks[other]
            added = total in (name, other)  # total = sum of parts; part = total - other parts
            least = least + (low if added else -high)
            most = most + (high if added else -low)
        grid, width = self.domains[name], self.ticks[name]
        first, last = -(-least // width) - grid.low, most // width - grid.low
        allowed.at_least(np.clip(first, -1, grid.size).astype(np.int64), rows)
        allowed.at_most(np.clip(last, -1, grid.size).astype(np.int64), rows)

    def pairs(self, columns: Columns) -> Iterator[tuple[Pair, Mask]]:
        """Codes of the total that a code of one part cannot belong to, whatever the other parts are."""
        total, *parts = self.columns
        spans = {n: position_span(self.domains[n], *code_ends(columns.binnings[n])) for n in self.columns}
        for part in parts:
            rest = [other for other in parts if other != part]
            if any(other in columns.gaps for other in rest):
                continue
            low = spans[part][0] + sum(spans[other][0].min() for other in rest)
            high = spans[part][1] + sum(spans[other][1].max() for other in rest)
            forbidden = np.zeros((columns.binnings[total].size + 1, columns.binnings[part].size + 1), dtype=bool)
            forbidden[:-1, :-1] = (spans[total][1][:, None] < low) | (spans[total][0][:, None] > high)
            yield (total, part), forbidden
