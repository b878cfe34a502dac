"""What a condition on values says about codes, and values drawn inside codes so that it holds.

A code stands for many values, and a model knows codes. So a condition becomes one number a code: the probability that a
value drawn inside it is allowed, by the very law that `decoding` draws by (cells in proportion to the shrunken noisy
histogram, uniform inside an interval). A code of ages 35 to 39 under the condition age = 37 counts with its share of
mass at 37, and then only 37 is drawn: the two steps together are the model's exact conditional.

Calendar parts of dates bend the law inside an interval; the share there is that of the uniform law, and days are drawn
by the calendar as far as `TRIES` draws find an allowed one. Post-processing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.decoding import shrunken_counts
from dpsynth.tabular.conditions.given import Allowed
from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.sampling import systematic

TRIES = 25
"""Draws by the calendar before a uniform one."""


def shares_of_codes(binning: Binning, allowed: Allowed) -> Vector:
    """Probability that a value drawn inside each code is allowed; missing last, shape (size + 1,), 0 to 1."""
    mass = _masses(binning)
    kept = mass * shares_of_cells(binning.oneway.cells, allowed)
    within = np.bincount(binning.code_of, weights=kept, minlength=binning.size)
    whole = np.bincount(binning.code_of, weights=mass, minlength=binning.size)
    return np.append(np.clip(within / whole, 0.0, 1.0), float(allowed.missing))


def shares_of_cells(cells: Cells, allowed: Allowed) -> Vector:
    """Part of each cell's values that is allowed, shape (cells,)."""
    first, end = _ends(cells, np.arange(cells.intervals))
    shares = (allowed.below(end) - allowed.below(first)) / (end - first)
    return np.concatenate([shares, allowed.holds(cells.spikes).astype(np.float64)])


def draw_allowed(
    binning: Binning, codes: NDArray[np.integer[Any]], allowed: Allowed, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Domain codes inside codes, all of them allowed; as `decoding.draw_values`.

    Args:
        binning: the column's codes.
        codes: codes with a positive share, `size` for missing; shape (rows,).
        allowed: the condition.
        rng: random numbers for post-processing.

    Returns:
        Domain codes, int64, shape (rows,), missing -1.
    """
    present = np.flatnonzero(codes < binning.size)
    order = np.argsort(binning.code_of, kind="stable")
    starts = np.searchsorted(binning.code_of[order], np.arange(binning.size + 1))
    weights = _masses(binning) * shares_of_cells(binning.oneway.cells, allowed)
    chosen = order[systematic(codes[present], starts, weights[order], rng)]
    values = np.full(len(codes), -1, dtype=np.int64)
    values[present] = _inside(binning, chosen, allowed, rng)
    return values


def _inside(
    binning: Binning, cells: NDArray[np.int64], allowed: Allowed, rng: np.random.Generator
) -> NDArray[np.int64]:
    """An allowed domain code inside each cell."""
    shape = binning.oneway.cells
    values = np.full(len(cells), -1, dtype=np.int64)
    spikes = cells >= shape.intervals
    values[spikes] = shape.spikes[cells[spikes] - shape.intervals]
    open_ = np.flatnonzero(~spikes)
    for _ in range(TRIES if binning.oneway.parts else 0):
        drawn = binning.oneway.draw(cells[open_], rng)
        good = allowed.holds(drawn)
        values[open_[good]] = drawn[good]
        open_ = open_[~good]
        if not len(open_):
            return values
    first, end = _ends(shape, cells[open_])
    before = allowed.below(first)
    values[open_] = allowed.numbered(rng.integers(before, allowed.below(end)))
    return values


def _ends(cells: Cells, intervals: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First domain code of each interval, and the one after its last."""
    return cells.edges[intervals], cells.edges[intervals + 1]


def _masses(binning: Binning) -> Vector:
    """Weight of each cell inside its code; equal where a code has none."""
    mass = shrunken_counts(binning)
    whole = np.bincount(binning.code_of, weights=mass, minlength=binning.size)
    return np.where(whole[binning.code_of] > 0, mass, 1.0)
