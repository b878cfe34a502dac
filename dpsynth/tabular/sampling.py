"""Systematic sampling: draws whose counts are within one of their expectation.

Independent draws of n rows from known proportions add multinomial noise, of the size of the DP noise itself. Instead
the n rows of one parent value take n equally spaced points, shifted by one uniform number, through the children's
distribution function (Madow 1949), in random order. Each child's count is then within one of n p, and what is left of
randomness is which row gets which child.

>>> children = systematic(np.zeros(10, int), np.array([0, 2]), np.array([0.7, 0.3]), np.random.default_rng(0))
>>> np.bincount(children).tolist()
[7, 3]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def systematic(
    parents: NDArray[np.int64],
    starts: NDArray[np.int64],
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """One child for each row, given its parent.

    Args:
        parents: parent of each row, 0..p-1, int64, shape (rows,).
        starts: parent g owns the children `starts[g] .. starts[g+1]-1`, at least one; int64, shape (p + 1,).
        weights: non-negative, shape (children,). A parent without weight spreads its rows evenly.
        rng: random numbers for post-processing.

    Returns:
        Child of each row, int64, shape (rows,).
    """
    if not len(parents):
        return np.zeros(0, dtype=np.int64)
    groups = len(starts) - 1
    owner = np.repeat(np.arange(groups), np.diff(starts))
    mass = np.bincount(owner, weights=weights, minlength=groups)
    weights = np.where(mass[owner] > 0, weights, 1.0)
    mass = np.where(mass > 0, mass, np.diff(starts))
    running = np.cumsum(weights / mass[owner])
    before = np.concatenate([[0.0], running])[starts[:-1]]
    upper = owner + np.clip(running - before[owner], 0.0, 1.0)  # distribution functions, one after the other
    upper[starts[1:] - 1] = np.arange(1, groups + 1)
    order = rng.permutation(len(parents))
    order = order[np.argsort(parents[order], kind="stable")]
    grouped = parents[order]
    rows = np.bincount(grouped, minlength=groups)
    rank = np.arange(len(parents)) - np.concatenate([[0], np.cumsum(rows)])[grouped]
    shift = rng.random(groups)
    points = grouped + np.minimum((rank + shift[grouped]) / rows[grouped], 1 - 1e-12)
    chosen = np.minimum(np.searchsorted(upper, points, side="right"), starts[grouped + 1] - 1)
    children = np.empty(len(parents), dtype=np.int64)
    children[order] = np.maximum(chosen, starts[grouped])
    return children
