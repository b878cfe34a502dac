"""Cells of a column: what its 1-way histogram counts, and how a value is drawn inside one.

Categories and narrow grids (up to 512 ticks) have one cell for each outcome. A wide grid gets at most 512 intervals of
equal width, and *spikes*: single values that many rows share, taken out of their interval. Intervals of a datetime are
whole minutes, hours or days and begin on them, so that an interval never cuts an hour or a day in two.

>>> from datetime import datetime
>>> from dpsynth.schema.model import ColumnSpec
>>> from dpsynth.schema.domain import known_domain
>>> year = known_domain(ColumnSpec(kind="datetime", min=datetime(2021, 1, 1, 8, 30), max=datetime(2021, 12, 31)))
>>> [number // 3600 for number in interval_layout(year)]  # hours a cell; hours before the first value
[24, 8]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.schema.domain import Domain, GridDomain

NARROW = 512
"""Grids up to this many ticks are counted tick by tick; wider ones as spikes and cells."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
CLOCK_WIDTHS = (
    *(minutes * MINUTE for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12)),
)
"""Widths in seconds that divide an hour or a day."""


def interval_layout(domain: Domain) -> tuple[int, int]:
    """Codes per interval, and by how many codes the first interval begins before the domain; public facts alone."""
    if not isinstance(domain, GridDomain):
        return 1, 0
    width = -(-domain.size // NARROW)
    second = ticks_per_second(domain) if domain.kind == "datetime" else 0
    if not second or width < MINUTE * second:
        return width, 0
    seconds = -(-width // second)
    day = DAY * second
    if seconds > CLOCK_WIDTHS[-1]:
        return -(-seconds // DAY) * day, domain.low % day
    width = next(nice for nice in CLOCK_WIDTHS if nice >= seconds) * second
    return width, domain.low % width


def ticks_per_second(domain: GridDomain) -> int:
    """Ticks of a datetime grid in a second; 0 if a tick is no whole part of a second."""
    return domain.scale.denominator if domain.scale.numerator == 1 else 0


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """A partition of a domain: intervals of `width` codes, then single codes ("spikes") taken out of them.

    Attributes:
        domain: the column's domain.
        width: codes per interval; 1 for categories and narrow grids.
        spikes: released domain codes with a cell of their own, int64, ascending.
        lead: codes by which the first interval begins before the domain, 0 <= lead < width.
    """

    domain: Domain
    width: int
    spikes: NDArray[np.int64]
    lead: int = 0

    @classmethod
    def of(cls, domain: Domain, spikes: NDArray[np.int64]) -> Cells:
        """The cells that the layout of the domain prescribes, and these spikes."""
        width, lead = interval_layout(domain)
        return cls(domain=domain, width=width, spikes=spikes, lead=lead)

    @property
    def intervals(self) -> int:
        """Number of interval cells; they come first."""
        return -(-(self.domain.size + self.lead) // self.width)

    @property
    def size(self) -> int:
        """Number of cells, missing not counted."""
        return self.intervals + len(self.spikes)

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Cell of each row, shape (rows,), missing -1."""
        return self.of_codes(self.domain.encode(values))

    def of_codes(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cell of each domain code, shape (rows,), missing -1."""
        cells = np.where(codes < 0, -1, (codes + self.lead) // self.width)
        if len(self.spikes):
            at = np.minimum(np.searchsorted(self.spikes, codes), len(self.spikes) - 1)
            cells = np.where(self.spikes[at] == codes, self.intervals + at, cells)
        return cells

    def draw(self, cells: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A domain code inside each cell, uniform in intervals; -1 stays missing."""
        codes = cells
        if self.width > 1:
            at = np.clip(cells, 0, self.intervals - 1)
            first = np.maximum(at * self.width - self.lead, 0)
            end = np.minimum((at + 1) * self.width - self.lead, self.domain.size)
            codes = np.where(cells < 0, -1, rng.integers(first, end))
        if len(self.spikes):
            spike = cells >= self.intervals
            codes = codes.copy()
            codes[spike] = self.spikes[cells[spike] - self.intervals]
        return codes
