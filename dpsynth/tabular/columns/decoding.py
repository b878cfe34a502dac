"""From codes back to cells of a table.

Inside a code, cells are drawn in proportion to the fine noisy histogram, after shrinkage towards the code's mean
(James and Stein 1961, positive part): where the histogram is mostly noise the draw is uniform, where it is mostly
signal it follows the signal. No cell falls below 2 % of the mean, so rare values stay possible. Post-processing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.sampling import systematic

FLOOR = 0.02


def decode(binning: Binning, codes: NDArray[np.integer[Any]], rng: np.random.Generator) -> pa.Array:
    """Values of a column for its codes.

    Args:
        binning: the column's codes.
        codes: 0..size-1, or `size` for missing; any integers, shape (rows,).
        rng: random numbers for post-processing.

    Returns:
        Arrow array of the domain's type, shape (rows,).
    """
    return binning.oneway.cells.domain.decode(draw_values(binning, codes, rng))


def draw_values(binning: Binning, codes: NDArray[np.integer[Any]], rng: np.random.Generator) -> NDArray[np.int64]:
    """As `decode`, before the last step: domain codes, int64, shape (rows,), missing -1."""
    present = np.flatnonzero(codes < binning.size)
    order = np.argsort(binning.code_of, kind="stable")
    starts = np.searchsorted(binning.code_of[order], np.arange(binning.size + 1))
    chosen = systematic(codes[present], starts, shrunken_counts(binning)[order], rng)
    cells = np.full(len(codes), -1, dtype=np.int64)
    cells[present] = order[chosen]
    return binning.oneway.draw(cells, rng)


def shrunken_counts(binning: Binning) -> NDArray[np.float64]:
    """Noisy cell counts pulled towards the mean of their code, non-negative, shape (cells,)."""
    noisy, variance = binning.oneway.counts[:-1], binning.oneway.variance[:-1]
    cells = np.bincount(binning.code_of, minlength=binning.size)
    mean = (np.bincount(binning.code_of, weights=noisy, minlength=binning.size) / cells)[binning.code_of]
    spread = np.bincount(binning.code_of, weights=(noisy - mean) ** 2, minlength=binning.size)
    noise = np.bincount(binning.code_of, weights=variance, minlength=binning.size) / cells
    signal = 1.0 - (cells - 1) * noise / np.maximum(spread, 1e-300)
    shrunk = mean + np.clip(signal, 0.0, 1.0)[binning.code_of] * (noisy - mean)
    floor = FLOOR * np.maximum(mean, 0.0)
    return np.maximum(np.maximum(shrunk, floor), 0.0)


def shares_within_codes(binning: Binning) -> NDArray[np.float64]:
    """Probability of each value of a cell, given the cell's code: by shrunken counts, then evenly; shape (cells,)."""
    weights, cells = shrunken_counts(binning), binning.oneway.cells
    mass = np.bincount(binning.code_of, weights=weights, minlength=binning.size)
    held = np.bincount(binning.code_of, minlength=binning.size)
    shares = np.where(
        mass[binning.code_of] > 0,
        weights / np.maximum(mass[binning.code_of], 1e-300),
        1.0 / held[binning.code_of],
    )
    widths = np.append(np.diff(cells.edges), np.ones(len(cells.spikes)))
    return np.asarray(shares / widths)
