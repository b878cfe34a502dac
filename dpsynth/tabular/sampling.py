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

from typing import Any

import numpy as np
from numpy.typing import NDArray


def systematic(
    parents: NDArray[np.integer[Any]],
    starts: NDArray[np.int64],
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """One child for each row, given its parent.

    Args:
        parents: parent of each row, 0..p-1, any integers, shape (rows,).
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
    narrow = parents.astype(np.min_scalar_type(groups))  # one or two bytes: numpy sorts those by radix, in linear time
    order = order[np.argsort(narrow[order], kind="stable")]
    rows = np.bincount(parents, minlength=groups)
    grouped = np.repeat(np.arange(groups), rows)
    rank = np.arange(len(parents)) - np.repeat(np.cumsum(rows) - rows, rows)
    points = grouped + np.minimum((rank + np.repeat(rng.random(groups), rows)) / rows[grouped], 1 - 1e-12)
    below = np.searchsorted(points, upper)  # points ascend, so each child's rows are consecutive
    children = np.empty(len(parents), dtype=np.int64)
    children[order] = np.repeat(np.arange(len(weights)), np.diff(below, prepend=0))
    return children
