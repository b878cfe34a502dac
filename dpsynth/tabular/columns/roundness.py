"""Round numbers: how often the values of a wide column are multiples of 5, 10, 50, 100, …, and draws that keep that.

Amounts are paid in hundreds and limits set in tens of thousands. The most frequent round numbers become spikes; the
many others are lost in intervals that are drawn from uniformly. So rows of intervals are counted once more by the
largest unit of the chain 1, 5, 10, 50, 100, … that divides their tick (zero by all): one histogram, sensitivity k in L2
for a unit of at most k rows under add/remove.

Inside an interval, a unit is drawn with the weight (numbers of exactly that unit in the interval) times a factor of the
unit, raked over all intervals so that together they have the units that were counted; then one of those numbers,
uniformly. Counts are denoised towards a uniform draw first, so a column without round numbers is left alone.

>>> unit_of(np.array([7, 15, 300, 25_000, 0])).tolist()   # 1, 5, 100, 5000, the largest
[0, 1, 4, 7, 23]

Not guaranteed: that round numbers are as frequent in each interval as they are over all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dpsynth.schema.domain import GridDomain
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.denoising import denoised
from dpsynth.tabular.columns.parts import UNITS
from dpsynth.tabular.sampling import systematic

RAKING_STEPS = 50
REDRAWS = 4


def unit_of(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position in `UNITS` of the largest unit that divides each tick, shape (ticks,)."""
    units = np.zeros(len(ticks), dtype=np.int64)
    left = np.arange(len(ticks))
    for at, unit in enumerate(UNITS.tolist()[1:], start=1):
        left = left[ticks[left] % unit == 0]
        units[left] = at
        if not len(left):
            break
    return units


def draw_round(
    cells: Cells,
    rows: NDArray[np.float64],
    noisy: NDArray[np.float64],
    sigma: float,
    intervals: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """A domain code inside each interval.

    Args:
        cells: of a column of numbers.
        rows: released rows of each interval, shape (cells.intervals,).
        noisy: released rows of each unit, shape (len(UNITS),).
        sigma: scale of the noise of `noisy`.
        intervals: 0 .. cells.intervals - 1, shape (rows,).
        rng: random numbers for post-processing.
    """
    if not isinstance(cells.domain, GridDomain) or cells.single:
        return cells.draw(intervals, rng)
    low = cells.domain.low
    numbers = _numbers_of_units(cells, low)
    weights = _raked(np.maximum(rows, 0.0), numbers, noisy, sigma)
    starts = np.arange(cells.intervals + 1) * len(UNITS)
    units = systematic(intervals, starts, weights.ravel(), rng) % len(UNITS)
    codes = _of_unit(cells, low, intervals, units, rng)
    for _ in range(REDRAWS):  # spikes have rows of their own
        again = np.flatnonzero(np.isin(codes, cells.spikes))
        if not len(again):
            break
        codes[again] = _of_unit(cells, low, intervals[again], units[again], rng)
    return codes


def _numbers_of_units(cells: Cells, low: int) -> NDArray[np.float64]:
    """How many numbers of exactly each unit an interval has, spikes left out; shape (intervals, units)."""
    before = (cells.edges + low - 1)[:, None] // UNITS
    multiples = np.diff(before, axis=0)
    exactly = multiples - np.append(multiples[:, 1:], np.zeros((len(multiples), 1), dtype=np.int64), axis=1)
    if len(cells.spikes):
        at = np.searchsorted(cells.edges, cells.spikes, side="right") - 1
        np.subtract.at(exactly, (at, unit_of(cells.spikes + low)), 1)
    return np.asarray(exactly, dtype=np.float64)


def _raked(
    mass: NDArray[np.float64], numbers: NDArray[np.float64], noisy: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    """Weight of each unit in each interval, shape (intervals, units)."""
    possible = numbers.sum(axis=0) > 0
    even = numbers / np.maximum(numbers.sum(axis=1, keepdims=True), 1.0)
    expected = mass @ even
    goal = np.where(possible, denoised(np.where(possible, noisy, 0.0), sigma, expected), 0.0)
    goal *= mass.sum() / max(float(goal.sum()), 1e-300)
    factor = np.ones(len(UNITS))
    for _ in range(RAKING_STEPS):
        weights = numbers * factor
        have = mass @ (weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300))
        factor = factor * np.clip(np.where(have > 0, goal / np.maximum(have, 1e-300), 1.0), 0.0, 1e3)
        if np.abs(goal - have).sum() <= 1e-3 * mass.sum():
            break
    weights = numbers * factor
    nothing = weights.sum(axis=1) == 0
    return np.where(nothing[:, None], numbers, weights)


def _of_unit(
    cells: Cells,
    low: int,
    intervals: NDArray[np.int64],
    units: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """A uniform number of exactly that unit in each interval, as a domain code.

    `m - m // q` counts the non-multiples of q up to m, so the t-th of them is `t + (t - 1) // (q - 1)`.
    """
    unit = UNITS[units]
    first, end = cells.edges[intervals] + low, cells.edges[intervals + 1] + low
    before, last = (first - 1) // unit, (end - 1) // unit
    step = np.where(units + 1 < len(UNITS), np.where(units % 2 == 0, 5, 2), 1 << 40)
    rank, ranks = before - before // step, last - last // step
    room = ranks - rank
    chosen = rank + 1 + np.floor(rng.random(len(units)) * np.maximum(room, 1)).astype(np.int64)
    ticks = (chosen + (chosen - 1) // (step - 1)) * unit
    drawn: NDArray[np.int64] = np.where(room > 0, ticks - low, cells.draw(intervals, rng))
    return drawn
