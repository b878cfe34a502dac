"""Days and moments inside an interval, drawn by the released calendar parts. Post-processing.

A day's weight is the product of one factor a part (weekday, day of month, month). The factors are raked (iterative
proportional fitting, Deming and Stephan 1940) until the days of all intervals together have the parts that were
counted, each interval keeping its own rows. Days are then drawn within intervals by systematic sampling; a datetime
takes its hour, its roundness and a uniform moment of that roundness after the day, or, where intervals are shorter
than a day, inside the interval.

What was counted is denoised first towards what uniform draws would give (`denoising`), so a column without a pattern
is drawn as if nothing had been asked.

Not guaranteed: intervals' own patterns; all share the factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.schema.domain import GridDomain
from dpsynth.tabular.columns.calendar import (
    ROUND_MINUTES,
    outcome_of_days,
    parts_within,
    ticks_per_day,
    uniform_roundness,
)
from dpsynth.tabular.columns.cells import DAY, HOUR, MINUTE, Cells, even_layout, ticks_per_second
from dpsynth.tabular.columns.denoising import STANDS_OUT, denoised
from dpsynth.tabular.columns.parts import HOURS, ROUNDNESS, SIZES, Part, PartCounts
from dpsynth.tabular.sampling import systematic

RAKING_STEPS = 30
CLOCK_STEPS = 20


def draw_moments(
    shape: Cells,
    rows: NDArray[np.float64],
    parts: Sequence[PartCounts],
    intervals: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """A domain code inside each interval.

    Args:
        shape: cells of a date or datetime column.
        rows: released rows of each interval, shape (shape.intervals,).
        parts: released counts; parts that the intervals leave no room for are not used.
        intervals: 0 .. shape.intervals - 1, shape (rows,).
        rng: random numbers for post-processing.
    """
    domain = shape.domain
    known = {held.part: held for held in parts}
    if not isinstance(domain, GridDomain) or not set(parts_within(domain)) & set(known):
        return shape.draw(intervals, rng)
    mass, day = np.maximum(rows, 0.0), ticks_per_day(domain)
    width, lead = even_layout(domain)
    if width >= day:
        days = _draw_days(domain, mass, known, intervals, rng)
        if domain.kind == "date":
            return days
        second = ticks_per_second(domain)
        clock = denoised_clock(known["clock"], np.full(HOURS, mass.sum() / HOURS), second)
        hours = systematic(np.zeros(len(days), dtype=np.int64), np.array([0, HOURS]), clock.sum(axis=1), rng)
        codes = days * day + hours * HOUR * second + _within_slot(clock, HOUR, hours, second, rng) - lead
    else:
        codes = _draw_times(domain, mass, known["clock"], intervals, rng)
    inside: NDArray[np.int64] = np.clip(codes, 0, domain.size - 1)
    return inside


def denoised_clock(clock: PartCounts, hours: NDArray[np.float64], second: int) -> NDArray[np.float64]:
    """Rows by hour and roundness, shape (HOURS, ROUNDNESS): the product of both, and cells that stand out of it.

    Args:
        clock: released counts.
        hours: what uniform draws would give for each hour, shape (HOURS,).
        second: ticks of the grid in a second.
    """
    noisy = clock.counts.reshape(HOURS, ROUNDNESS)
    roundness = uniform_roundness(second)
    filled = noisy
    base = noisy
    out = np.zeros(noisy.shape, dtype=bool)
    for _ in range(CLOCK_STEPS):
        by_hour = denoised(filled.sum(axis=1), clock.sigma * ROUNDNESS**0.5, hours)
        by_class = denoised(filled.sum(axis=0), clock.sigma * HOURS**0.5, roundness * by_hour.sum())
        base = np.outer(by_hour, by_class) / max(float(by_class.sum()), 1e-300)
        out = np.abs(noisy - base) > STANDS_OUT * clock.sigma
        filled = np.where(out, base, noisy)
    return np.maximum(np.where(out, noisy, base), 0.0)


def _draw_days(
    domain: GridDomain,
    mass: NDArray[np.float64],
    known: Mapping[Part, PartCounts],
    intervals: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Number of the day, from the domain's first, for each interval."""
    day = ticks_per_day(domain)
    width, lead = even_layout(domain)
    count = -(-(domain.size + lead) // day)
    days = np.arange(count) + (domain.low - lead) // day
    starts = np.minimum(np.arange(len(mass) + 1) * (width // day), count)
    asked = [part for part in parts_within(domain) if part != "clock" and part in known]
    codes = [outcome_of_days(part, days) for part in asked]
    weights = _raked(mass, starts, codes, [known[part] for part in asked])
    return systematic(intervals, starts, weights, rng)


def _raked(
    mass: NDArray[np.float64],
    starts: NDArray[np.int64],
    codes: Sequence[NDArray[np.int64]],
    parts: Sequence[PartCounts],
) -> NDArray[np.float64]:
    """Weight of each slot, shape (slots,): a product of factors that gives the parts their counts."""
    owner = np.repeat(np.arange(len(mass)), np.diff(starts))
    even = (mass / np.diff(starts))[owner]
    total = float(mass.sum())
    goals = []
    for code, held in zip(codes, parts, strict=True):
        expected = np.bincount(code, weights=even, minlength=SIZES[held.part]).astype(np.float64)
        goal = denoised(held.counts, held.sigma, expected)
        goals.append(goal * (total / max(float(goal.sum()), 1e-300)))
    weights = np.ones(len(owner))
    for _ in range(RAKING_STEPS):
        largest = 0.0
        for code, goal in zip(codes, goals, strict=True):
            own = np.bincount(owner, weights=weights, minlength=len(mass))
            rows = mass[owner] * weights / np.maximum(own[owner], 1e-300)
            have = np.bincount(code, weights=rows, minlength=len(goal))
            factor = np.where(have > 0, goal / np.maximum(have, 1e-300), 1.0)
            weights = weights * np.clip(factor, 0.0, 1e3)[code]
            largest = max(largest, float(np.abs(goal - have).sum()))
        if largest <= 1e-3 * total:
            break
    return weights


def _draw_times(
    domain: GridDomain,
    mass: NDArray[np.float64],
    clock: PartCounts,
    intervals: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Domain codes, before clamping, in intervals shorter than a day."""
    second = ticks_per_second(domain)
    width, lead = even_layout(domain)
    slot = min(width, HOUR * second)
    count = -(-(domain.size + lead) // slot)
    starts = np.minimum(np.arange(len(mass) + 1) * (width // slot), count)
    first = (domain.low - lead) // slot
    in_day = (np.arange(count) + first) % (DAY * second // slot)
    hour = in_day * slot // (HOUR * second)
    owner = np.repeat(np.arange(len(mass)), np.diff(starts))
    even = np.bincount(hour, weights=(mass / np.diff(starts))[owner], minlength=HOURS).astype(np.float64)
    table = denoised_clock(clock, even, second)
    factor = table.sum(axis=1) / np.maximum(even, 1e-300)
    slots = systematic(intervals, starts, factor[hour], rng)
    return slots * slot + _within_slot(table, slot // second, in_day[slots], second, rng) - lead


def _within_slot(
    clock: NDArray[np.float64], seconds: int, slots: NDArray[np.int64], second: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Ticks after the slot's begin: a class of roundness by the clock, then a uniform moment of that class.

    Args:
        clock: rows by hour and roundness, shape (HOURS, ROUNDNESS).
        seconds: length of a slot: whole minutes that divide an hour.
        slots: number of the slot in its day, shape (rows,).
        second: ticks in a second.
        rng: random numbers for post-processing.
    """
    number = np.arange(DAY // seconds)
    begin = number * seconds % HOUR // MINUTE
    minutes = seconds // MINUTE
    share = np.full((len(number), ROUNDNESS), minutes / 60)
    for roundness, held in enumerate(ROUND_MINUTES):
        inside = np.searchsorted(held, begin + minutes) - np.searchsorted(held, begin)
        share[:, roundness] = inside / len(held)
    weights = clock[number * seconds // HOUR] * share
    empty = weights.sum(axis=1) == 0
    weights[empty] = uniform_roundness(second) * share[empty]
    starts = np.arange(len(number) + 1) * ROUNDNESS
    drawn = systematic(slots, starts, weights.ravel(), rng) % ROUNDNESS
    chance = rng.random(len(slots))
    after = np.floor(chance * minutes).astype(np.int64)  # minutes, for the two finest classes
    fine = np.zeros(len(slots), dtype=np.int64)
    for roundness, held in enumerate(ROUND_MINUTES):
        rows = np.flatnonzero(drawn == roundness)
        low, high = (np.searchsorted(held, begin[slots[rows]] + add) for add in (0, minutes))
        pick = low + np.floor(chance[rows] * (high - low)).astype(np.int64)
        after[rows] = held[np.minimum(pick, len(held) - 1)] - begin[slots[rows]]
    whole, finer = np.flatnonzero(drawn == ROUNDNESS - 2), np.flatnonzero(drawn == ROUNDNESS - 1)
    fine[whole] = rng.integers(1, MINUTE, len(whole)) * second
    fine[finer] = rng.integers(0, MINUTE, len(finer)) * second + rng.integers(min(1, second - 1), second, len(finer))
    return after * MINUTE * second + fine
