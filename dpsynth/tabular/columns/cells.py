"""Cells of a column: what its 1-way histogram counts, and how a value is drawn inside one.

Categories and narrow grids (up to 512 ticks) have one cell for each outcome. A wide grid gets about 512 intervals, and
*spikes*: single values that many rows share, taken out of their interval.

- Intervals of numbers are a sixth as wide as they are far from zero (or from the end next to it), up to a largest
  width: amounts and counts live on all scales below a public bound that may be far out. Against equal widths the
  error of wide columns (50 quantile bins, epsilon 1) fell from 0.158 to 0.106 on credit card bills, 0.051 to 0.005 on
  network traffic and 0.070 to 0.061 on survey weights, and stayed within the noise where bounds are tight.
- Intervals of dates are of equal width; those of datetimes are whole minutes, hours or days and begin on them, so that
  an interval never cuts an hour or a day in two.

>>> from dpsynth.schema.model import ColumnSpec
>>> from dpsynth.schema.domain import known_domain
>>> amounts = known_domain(ColumnSpec(kind="integer", min=0, max=1_000_000))
>>> edges = interval_edges(amounts)
>>> len(edges) - 1, np.diff(edges)[[0, 30, 60, -2]].tolist()
(512, [1, 27, 2179, 2179])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.recipe import Lookup, Steps, renumbered
from dpsynth.schema.domain import Domain, GridDomain

NARROW = 512
"""Grids up to this many ticks are counted tick by tick; wider ones as spikes and intervals, hardly more of them."""
RELATIVE = 6
"""An interval of numbers at distance d from zero is at most d / RELATIVE wide, or one code."""
FAR = 8
"""Numbers whose domain begins farther from zero than this part of its size have intervals of equal width."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
CLOCK_WIDTHS = (
    *(minutes * MINUTE for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12)),
)
"""Widths in seconds that divide an hour or a day."""


def interval_edges(domain: Domain) -> NDArray[np.int64]:
    """First domain code of each interval, then the domain's size; ascending, int64, from public facts alone."""
    if not isinstance(domain, GridDomain) or domain.size <= NARROW:
        return np.arange(domain.size + 1)
    if domain.kind in ("integer", "float") and max(domain.low, -domain.high) <= domain.size // FAR:
        return _widening_edges(domain)
    width, lead = even_layout(domain)
    count = -(-(domain.size + lead) // width)
    return np.array([min(max(at * width - lead, 0), domain.size) for at in range(count + 1)], dtype=np.int64)


def even_layout(domain: GridDomain) -> tuple[int, int]:
    """Codes per interval of equal width, and by how many the first interval begins before the domain."""
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


def _widening_edges(domain: GridDomain) -> NDArray[np.int64]:
    """Relative widths near zero, then the smallest equal width with which at most `NARROW` intervals are needed."""
    zero = min(max(-domain.low, 0), domain.size - 1)
    few, many = 1, NARROW  # parts of the domain that the largest width is
    while many - few > 1:
        parts = (few + many) // 2
        needed = sum(len(_steps(length, -(-domain.size // parts))) for length in (domain.size - zero, zero))
        few, many = (parts, many) if needed <= NARROW else (few, parts)
    widest = -(-domain.size // few)
    right, left = _steps(domain.size - zero, widest), _steps(zero, widest)
    return np.array([*(zero - step for step in reversed(left)), zero, *(zero + step for step in right)], dtype=np.int64)


def _steps(length: int, widest: int) -> list[int]:
    """Distances of edges from zero up to `length`, which is the last."""
    steps: list[int] = []
    at = 0
    while at < length:
        at = min(at + min(max(at // RELATIVE, 1), widest), length)
        steps.append(at)
    return steps


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """A partition of a domain: intervals, then single codes ("spikes") taken out of them.

    Attributes:
        domain: the column's domain.
        edges: first code of each interval, then the domain's size; int64, shape (intervals + 1,).
        spikes: released domain codes with a cell of their own, int64, ascending.
    """

    domain: Domain
    edges: NDArray[np.int64]
    spikes: NDArray[np.int64]

    @classmethod
    def of(cls, domain: Domain, spikes: NDArray[np.int64]) -> Cells:
        """The cells that the layout of the domain prescribes, and these spikes."""
        return cls(domain=domain, edges=interval_edges(domain), spikes=spikes)

    @property
    def intervals(self) -> int:
        """Number of interval cells; they come first."""
        return len(self.edges) - 1

    @property
    def single(self) -> bool:
        """Whether each interval is one code."""
        return self.intervals == self.domain.size

    @property
    def size(self) -> int:
        """Number of cells, missing not counted."""
        return self.intervals + len(self.spikes)

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Cell of each row, shape (rows,), missing -1."""
        return self.of_codes(self.domain.encode(values))

    def recipe(self) -> Lookup | Steps:
        """For engines: of grids, the raw values where a cell begins; of categories, what the domain says."""
        if not isinstance(self.domain, GridDomain):
            return renumbered(self.domain.recipe(), self.of_codes(np.arange(self.domain.size)))
        cuts = np.unique(np.concatenate([self.edges[1:-1], self.spikes, self.spikes + 1]))
        cuts = cuts[(cuts > 0) & (cuts < self.domain.size)]
        steps = self.domain.raw_thresholds(cuts)
        codes = self.of_codes(np.append(0, cuts[: len(steps)]))
        return Steps(kind=self.domain.kind, thresholds=steps, codes=codes)

    def of_codes(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cell of each domain code, shape (rows,), missing -1."""
        cells = codes if self.single else np.searchsorted(self.edges, codes, side="right") - 1
        if len(self.spikes):
            at = np.minimum(np.searchsorted(self.spikes, codes), len(self.spikes) - 1)
            cells = np.where(self.spikes[at] == codes, self.intervals + at, cells)
        return cells

    def draw(self, cells: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A domain code inside each cell, uniform in intervals; -1 stays missing."""
        codes = cells
        if not self.single:
            at = np.clip(cells, 0, self.intervals - 1)
            codes = np.where(cells < 0, -1, rng.integers(self.edges[at], self.edges[at + 1]))
        if len(self.spikes):
            spike = cells >= self.intervals
            codes = codes.copy()
            codes[spike] = self.spikes[cells[spike] - self.intervals]
        return codes
