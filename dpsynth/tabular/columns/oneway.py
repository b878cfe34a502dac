"""One noisy histogram per column, the measurement that every marginal generator starts from.

A column's domain is cut into `cells`. A wide grid gets at most 512 intervals of equal width and, beside them, *spikes*:
single values that many rows share (zero inflation, censoring codes, round numbers), found among the values that occur
by partition selection. Spikes are taken out of their interval, so that a bin midpoint or a uniform draw never replaces
the zero that nine rows in ten hold. Wide intervals are counted once more by `parts`: weekdays, hours, round numbers.
Missing is an outcome of its own.

Each row falls in exactly one cell (or missing) of its column: sensitivity k, in L2, for a unit of at most k rows under
add/remove. No row count is read; the total comes from the noisy histograms. The table is asked once for all columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.lazy_counts import LazyCounts
from dpsynth.data.table import Codec, CountTable, ValueCounts
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.measured import once
from dpsynth.mechanisms.partition_selection import partition_selection
from dpsynth.schema.domain import Domain
from dpsynth.tabular.allocation import Allocation, SpikeNoise
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.moments import draw_moments
from dpsynth.tabular.columns.part_queries import PartCodec
from dpsynth.tabular.columns.parts import SIZES, Part, PartCounts
from dpsynth.tabular.columns.roundness import draw_round

MAX_SPIKES = 64
NO_SPIKES = np.zeros(0, dtype=np.int64)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneWay:
    """Released counts of one column.

    Attributes:
        cells: what is counted.
        counts: noisy rows per cell, then missing; float64, shape (cells.size + 1,).
        variance: noise variance of each entry, same shape.
        parts: released parts of the intervals: calendar parts, or round numbers; empty if none were asked.
    """

    cells: Cells
    counts: NDArray[np.float64]
    variance: NDArray[np.float64]
    parts: tuple[PartCounts, ...] = ()

    def draw(self, cells: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A domain code inside each cell, shape (rows,); -1 stays missing. By the parts, else uniform."""
        codes = self.cells.draw(cells, rng)
        if self.parts and not self.cells.single:
            inside = np.flatnonzero((cells >= 0) & (cells < self.cells.intervals))
            rows = self.counts[: self.cells.intervals]
            if self.parts[0].part == "round":
                asked = self.parts[0]
                codes[inside] = draw_round(self.cells, rows, asked.counts, asked.sigma, cells[inside], rng)
            else:
                codes[inside] = draw_moments(self.cells, rows, self.parts, cells[inside], rng)
        return codes


def measure_oneways(
    table: CountTable,
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
    counted = LazyCounts(table, {name: _asked(name, domain, allocation) for name, domain in domains.items()})
    for name, domain in domains.items():
        oneways[name], spent = _measure(counted, name, domain, allocation, noise)
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


def _asked(name: str, domain: Domain, allocation: Allocation) -> tuple[Codec, ...]:
    """What is counted of a column: its domain's codes where spikes may be, from which all else follows; or its cells,
    and their parts.
    """
    if name in allocation.spikes:  # also where a derived grid turned out narrow: as planned
        return (domain,)
    cells = Cells.of(domain, NO_SPIKES)
    return (cells, *(PartCodec(cells=cells, part=part) for part in _parts(name, allocation)))


def _measure(
    counted: LazyCounts, name: str, domain: Domain, allocation: Allocation, noise: NoiseSource
) -> tuple[OneWay, list[Event]]:
    """The column's release, from the answers to `_asked`."""
    events: list[Event] = []
    spikes, spike_counts = NO_SPIKES, np.zeros(0)
    if name in allocation.spikes:
        spikes, spike_counts, event = _find_spikes(counted, name, allocation, noise)
        events.append(event)
    cells = Cells.of(domain, spikes)
    sigma = allocation.histogram[name]

    @cache
    def exact() -> Sequence[ValueCounts]:
        found = counted.of(name)
        return _regrouped(found[0], cells, _parts(name, allocation)) if name in allocation.spikes else found

    def measure() -> tuple[NDArray[np.int64], Event]:
        histogram = exact()[0].histogram(cells.size)
        return discrete_gaussian(histogram, sigma=sigma, noise=noise, l2_sensitivity=allocation.max_records)

    noisy, event = once(noise, f"rows of {name}", measure)
    events.append(event)
    counts = noisy.astype(np.float64)
    variance = np.full(len(counts), float(sigma) ** 2)
    if len(spikes):  # counted twice, independently: the mean is released
        own = slice(cells.intervals, cells.size)
        other = float(allocation.spikes[name].sigma) ** 2
        share = other / (other + variance[own])
        counts[own] = share * counts[own] + (1 - share) * spike_counts
        variance[own] = share * variance[own]
    parts: tuple[PartCounts, ...] = ()
    if name in allocation.parts:
        parts, event = _count_parts(lambda: exact()[1:], name, allocation, noise)
        events.append(event)
    return OneWay(cells=cells, counts=counts, variance=variance, parts=parts), events


def _parts(name: str, allocation: Allocation) -> tuple[Part, ...]:
    return allocation.parts[name].parts if name in allocation.parts else ()


def _regrouped(counted: ValueCounts, cells: Cells, parts: Sequence[Part]) -> list[ValueCounts]:
    """Rows of each cell and of each part, from the rows of each domain code."""
    codes = np.asarray(counted.values, dtype=np.int64)
    found = []
    asked: list[Cells | PartCodec] = [cells, *(PartCodec(cells=cells, part=part) for part in parts)]
    for codec in asked:
        coarse = codec.of_codes(codes)
        rows = np.zeros(codec.size + 1, dtype=np.int64)
        np.add.at(rows, coarse, counted.counts)  # -1 is the last entry, that of missing
        rows[-1] += counted.missing
        found.append(ValueCounts(values=np.arange(codec.size), counts=rows[:-1], missing=int(rows[-1])))
    return found


def _count_parts(
    counted: Callable[[], Sequence[ValueCounts]], name: str, allocation: Allocation, noise: NoiseSource
) -> tuple[tuple[PartCounts, ...], Event]:
    """Noisy parts of the rows in intervals, and the event of all of them."""
    settings = allocation.parts[name]

    def measure() -> tuple[NDArray[np.int64], Event]:
        exact = [own.histogram(SIZES[part])[:-1] for own, part in zip(counted(), settings.parts, strict=True)]
        return discrete_gaussian(
            np.concatenate(exact),
            sigma=settings.sigma,
            noise=noise,
            l2_sensitivity=allocation.max_records,
            count=len(exact),
        )

    noisy, event = once(noise, f"parts of {name}", measure)
    ends = np.cumsum([SIZES[part] for part in settings.parts])[:-1]
    released = zip(settings.parts, np.split(noisy.astype(np.float64), ends), strict=True)
    sigma = float(settings.sigma)
    return tuple(PartCounts(part=part, counts=counts, sigma=sigma) for part, counts in released), event


def _find_spikes(
    counted: LazyCounts, name: str, allocation: Allocation, noise: NoiseSource
) -> tuple[NDArray[np.int64], NDArray[np.float64], Event]:
    """Domain codes with many rows, ascending, at most `MAX_SPIKES`; their noisy counts; the event."""
    settings: SpikeNoise = allocation.spikes[name]

    def measure() -> tuple[NDArray[np.int64], NDArray[np.int64], Event]:
        observed = counted.of(name)[0]
        keys, noisy, event = partition_selection(
            observed.values,
            observed.counts,
            sigma=settings.sigma,
            threshold=settings.threshold,
            noise=noise,
            l2_sensitivity=allocation.max_records,
            max_keys=allocation.max_records,
        )
        return np.array(keys, dtype=np.int64), noisy, event

    found, noisy, event = once(noise, f"spikes of {name}", measure)
    kept = np.sort(np.argsort(-noisy, kind="stable")[:MAX_SPIKES])
    return found[kept], noisy[kept].astype(np.float64), event
