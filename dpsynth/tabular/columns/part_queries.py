"""Which parts a column is asked for, from public facts alone, and how its rows fall into their outcomes.

A row in an interval has one outcome of each part; spikes and missing cells have none. So each part is one histogram of
sensitivity k in L2, for a unit of at most k rows under add/remove, and its event one discrete Gaussian.

>>> asked_parts(ColumnSpec(kind="integer", min=0, max=1_000_000)), asked_parts(ColumnSpec(kind="integer", min=0, max=9))
(('round',), ())
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.recipe import Lookup, Steps, TickPart, renumbered
from dpsynth.schema.domain import GridDomain, known_domain
from dpsynth.schema.model import ColumnSpec
from dpsynth.tabular.columns.calendar import CLASS_OF_MINUTE, calendar_parts, clock_of, outcome_of_days, ticks_per_day
from dpsynth.tabular.columns.cells import NARROW, Cells, ticks_per_second
from dpsynth.tabular.columns.parts import SIZES, UNITS, Part
from dpsynth.tabular.columns.roundness import unit_of


def asked_parts(spec: ColumnSpec) -> tuple[Part, ...]:
    """Calendar parts of dates, round numbers of numbers; of columns that are, or may turn out to be, wide."""
    if spec.kind not in ("integer", "float"):
        return calendar_parts(spec)
    domain = known_domain(spec)
    return ("round",) if domain is None or domain.size > NARROW else ()


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartCodec:
    """The outcome of a part of each row that lies in an interval; all other rows -1."""

    cells: Cells
    part: Part

    @property
    def size(self) -> int:
        """Number of outcomes."""
        return SIZES[self.part]

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Outcome of each row, shape (rows,), int64."""
        return self.of_codes(self.cells.domain.encode(values))

    def of_codes(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Outcome of each domain code, shape (rows,), int64."""
        domain = self.cells.domain
        cells = self.cells.of_codes(codes)
        counted = (cells >= 0) & (cells < self.cells.intervals)
        if not isinstance(domain, GridDomain):
            return np.full(len(codes), -1)
        ticks = codes + domain.low
        if self.part == "round":
            return np.where(counted, unit_of(ticks), -1)
        if self.part == "clock":
            return np.where(counted, clock_of(ticks, ticks_per_second(domain)), -1)
        return np.where(counted, outcome_of_days(self.part, ticks // ticks_per_day(domain)), -1)

    def recipe(self) -> TickPart | Lookup:
        """For engines: the part of the tick where the cell is an interval; of categories, nothing is counted."""
        domain, cells = self.cells.domain, self.cells.recipe()
        counted = renumbered(cells, np.where(np.arange(self.cells.size) < self.cells.intervals, 1, -1))
        if not isinstance(domain, GridDomain) or not isinstance(counted, Steps):
            return Lookup(kind=cells.kind, values=(), codes=np.zeros(0, dtype=np.int64))
        ticks = domain.recipe()
        if self.part == "round":
            return TickPart(part=self.part, ticks=ticks, counted=counted, units=tuple(UNITS.tolist()))
        if self.part == "clock":
            second = ticks_per_second(domain)
            minutes = tuple(CLASS_OF_MINUTE.tolist())
            return TickPart(part=self.part, ticks=ticks, counted=counted, second=second, minutes=minutes)
        return TickPart(part=self.part, ticks=ticks, counted=counted, day=ticks_per_day(domain))
