"""One noisy histogram per column, the measurement that every marginal generator starts from.

A column's domain is cut into cells. Categories and narrow grids (up to 512 ticks) have one cell for each outcome. A
wide grid gets at most 512 intervals of equal width and, beside them, *spikes*: single values that many rows share (zero
inflation, censoring codes, round numbers), found among the values that occur by partition selection. Spikes are taken
out of their interval, so that a bin midpoint or a uniform draw never replaces the zero that nine rows in ten hold.
Missing is an outcome of its own.

Each row falls in exactly one cell (or missing) of its column: sensitivity k, in L2, for a unit of at most k rows under
add/remove. No row count is read; the total comes from the noisy histograms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.partition_selection import partition_selection
from dpsynth.schema.domain import Domain, GridDomain
from dpsynth.tabular.allocation import NARROW, Allocation, SpikeNoise

MAX_SPIKES = 64


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """A partition of a domain: intervals of `width` codes, then single codes ("spikes") taken out of them.

    Attributes:
        domain: the column's domain.
        width: codes per interval; 1 for categories and narrow grids.
        spikes: released domain codes with a cell of their own, int64, ascending.
    """

    domain: Domain
    width: int
    spikes: NDArray[np.int64]

    @property
    def intervals(self) -> int:
        """Number of interval cells; they come first."""
        return -(-self.domain.size // self.width)

    @property
    def size(self) -> int:
        """Number of cells, missing not counted."""
        return self.intervals + len(self.spikes)

    def encode(self, values: pa.ChunkedArray) -> NDArray[np.int64]:
        """Cell of each row, shape (rows,), missing -1."""
        return self.of_codes(self.domain.encode(values))

    def of_codes(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cell of each domain code, shape (rows,), missing -1."""
        cells = np.where(codes < 0, -1, codes // self.width)
        if len(self.spikes):
            at = np.minimum(np.searchsorted(self.spikes, codes), len(self.spikes) - 1)
            cells = np.where(self.spikes[at] == codes, self.intervals + at, cells)
        return cells

    def draw(self, cells: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A domain code inside each cell, uniform in intervals; -1 stays missing."""
        codes = cells
        if self.width > 1:
            first = np.maximum(cells, 0) * self.width
            room = np.minimum(self.width, self.domain.size - first)
            room = np.maximum(room, 1)
            codes = np.where(cells < 0, -1, first + rng.integers(0, room))
        if len(self.spikes):
            spike = cells >= self.intervals
            codes = codes.copy()
            codes[spike] = self.spikes[cells[spike] - self.intervals]
        return codes


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneWay:
    """Released counts of one column.

    Attributes:
        cells: what is counted.
        counts: noisy rows per cell, then missing; float64, shape (cells.size + 1,).
        variance: noise variance of each entry, same shape.
    """

    cells: Cells
    counts: NDArray[np.float64]
    variance: NDArray[np.float64]


def measure_oneways(
    table: Table,
    domains: Mapping[str, Domain],
    allocation: Allocation,
    *,
    noise: NoiseSource,
    progress: Progress = silent,
) -> tuple[dict[str, OneWay], tuple[Event, ...]]:
    """Noisy histograms of all columns.

    Args:
        table: the private rows, at most `allocation.max_records` of each unit.
        domains: column -> domain, public or derived.
        allocation: scales of noise for these columns.
        noise: uniform words.
        progress: called once a column.

    Returns:
        Column -> released counts, and the events spent: exactly those that the allocation planned.
    """
    oneways: dict[str, OneWay] = {}
    events: list[Event] = []
    for name, domain in domains.items():
        oneways[name], spent = _measure(table, name, domain, allocation, noise)
        events.extend(spent)
        progress("count columns", len(oneways), len(domains))
    return oneways, tuple(events)


def row_total(oneways: Mapping[str, OneWay]) -> float:
    """Estimate of the number of rows from the noisy histograms, each weighted by its precision; at least 1.

    Post-processing; the exact number is never read.
    """
    precision = np.array([1.0 / oneway.variance.sum() for oneway in oneways.values()])
    sums = np.array([oneway.counts.sum() for oneway in oneways.values()])
    return max(float((sums * precision).sum() / precision.sum()), 1.0)


def _measure(
    table: Table, name: str, domain: Domain, allocation: Allocation, noise: NoiseSource
) -> tuple[OneWay, list[Event]]:
    events: list[Event] = []
    spikes, spike_counts = np.zeros(0, dtype=np.int64), np.zeros(0)
    width = 1
    if isinstance(domain, GridDomain):
        width = -(-domain.size // NARROW)
    if name in allocation.spikes:  # also where a derived grid turned out narrow: as planned
        spikes, spike_counts, event = _find_spikes(table, name, domain, allocation, noise)
        events.append(event)
    cells = Cells(domain=domain, width=width, spikes=spikes)
    (exact,) = table.counts({name: cells}, [(name,)])
    sigma = allocation.histogram[name]
    noisy, event = discrete_gaussian(exact, sigma=sigma, noise=noise, l2_sensitivity=allocation.max_records)
    events.append(event)
    counts = noisy.astype(np.float64)
    variance = np.full(len(counts), float(sigma) ** 2)
    if len(spikes):  # counted twice, independently: the mean is released
        own = slice(cells.intervals, cells.size)
        other = float(allocation.spikes[name].sigma) ** 2
        share = other / (other + variance[own])
        counts[own] = share * counts[own] + (1 - share) * spike_counts
        variance[own] = share * variance[own]
    return OneWay(cells=cells, counts=counts, variance=variance), events


def _find_spikes(
    table: Table, name: str, domain: Domain, allocation: Allocation, noise: NoiseSource
) -> tuple[NDArray[np.int64], NDArray[np.float64], Event]:
    """Domain codes with many rows, ascending, at most `MAX_SPIKES`; their noisy counts; the event."""
    settings: SpikeNoise = allocation.spikes[name]
    observed = table.value_counts(name, domain)
    keys, noisy, event = partition_selection(
        observed.values,
        observed.counts,
        sigma=settings.sigma,
        threshold=settings.threshold,
        noise=noise,
        l2_sensitivity=allocation.max_records,
        max_keys=allocation.max_records,
    )
    kept = np.sort(np.argsort(-noisy, kind="stable")[:MAX_SPIKES])
    return np.array(keys, dtype=np.int64)[kept], noisy[kept].astype(np.float64), event
