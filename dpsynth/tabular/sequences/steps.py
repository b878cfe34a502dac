"""Rows of people as steps: each row's place among its person's rows, and the row before it.

    position     rows of the same person before this one
    left         rows of the same person after it
    previous     codes of the row before it, for the columns that may change; `START` where there is none
    own          codes of the row itself

All of it is a function of that person's rows alone, so whoever bounds what a person's rows do bounds what the steps do.

>>> codes = np.array([[0, 3], [0, 4], [1, 5]], dtype=np.uint8)
>>> steps = arranged(codes, np.array([7, 7, 2]), most=4, constant=1, sizes=(2, 6))
>>> steps.tolist()
[[0, 1, 6, 0, 3], [1, 0, 3, 0, 4], [0, 0, 6, 1, 5]]

Not guaranteed: order. Rows of one person stand in the table in their order, as `Table.in_order` gives them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian

Codes = NDArray[np.unsignedinteger[Any]]
LEADING = 2
"""Columns of steps before the previous row: position and rows left."""


def arranged(
    codes: Codes, units: NDArray[np.integer[Any]], *, most: int, constant: int, sizes: tuple[int, ...]
) -> Codes:
    """Rows as steps, in the rows' own order.

    Args:
        codes: shape (rows, columns), constant columns first; rows of one unit in their order.
        units: number of each row's unit, shape (rows,).
        most: k; a later position, or more rows left, counts as the last.
        constant: number of columns that are the same in all rows of a unit.
        sizes: codes of each column.

    Returns:
        Smallest unsigned integers, shape (rows, 2 + changing columns + columns).
    """
    rows, changing = len(codes), codes.shape[1] - constant
    order = np.argsort(units, kind="stable")
    ends = np.bincount(units) if rows else np.zeros(0, dtype=np.int64)
    lengths = np.repeat(ends, ends)
    position = np.arange(rows) - np.repeat(np.cumsum(ends) - ends, ends)
    made = np.zeros((rows, LEADING + changing + codes.shape[1]), dtype=np.min_scalar_type(max(*sizes, most)))
    made[order, 0] = np.minimum(position, most - 1)
    made[order, 1] = np.minimum(lengths - 1 - position, most - 1)
    before = np.empty((rows, changing), dtype=made.dtype)
    before[1:] = codes[order[:-1], constant:]
    before[position == 0] = sizes[constant:]
    made[order, LEADING : LEADING + changing] = before
    made[:, LEADING + changing :] = codes
    return made


def measured_lengths(
    units: NDArray[np.integer[Any]], *, most: int, sigma: Decimal, noise: NoiseSource
) -> tuple[NDArray[np.float64], Event]:
    """Noisy numbers of units with 1 … k rows, and the event: one unit more or less changes one count by one.

    Args:
        units: number of each row's unit, at most k rows of each.
        most: k.
        sigma: scale of the discrete Gaussian noise; L2 sensitivity 1, whatever k is.
        noise: uniform words.

    Returns:
        float64, shape (k,); the event, add/remove one unit.
    """
    rows = np.bincount(units) if len(units) else np.zeros(0, dtype=np.int64)
    exact = np.bincount(np.minimum(rows[rows > 0], most), minlength=most + 1)[1:]
    noisy, event = discrete_gaussian(exact, sigma=sigma, noise=noise, l2_sensitivity=1)
    return noisy.astype(np.float64), event


def measured_stays(
    steps: Codes, *, constant: int, most: int, sigma: Decimal, noise: NoiseSource
) -> tuple[NDArray[np.float64], Event]:
    """Noisy numbers of consecutive rows that agree in each column that may change, and the event of all of them.

    Args:
        steps: of `arranged`.
        constant: number of constant columns.
        most: k; a person has at most k - 1 pairs of consecutive rows, which is the L2 sensitivity of each count.
        sigma: scale of the discrete Gaussian noise.
        noise: uniform words.

    Returns:
        float64, shape (changing columns,); the event, add/remove one unit.
    """
    changing = (steps.shape[1] - LEADING - constant) // 2
    before, own = steps[:, LEADING : LEADING + changing], steps[:, LEADING + changing + constant :]
    exact = ((before == own) & (steps[:, :1] > 0)).sum(axis=0, dtype=np.int64)
    noisy, event = discrete_gaussian(exact, sigma=sigma, noise=noise, l2_sensitivity=most - 1, count=changing)
    return noisy.astype(np.float64), event
