"""From a noisy histogram over ordered bins to the range that holds the rows. Post-processing of released counts.

Bins above the level that all empty bins together exceed with probability below 1/1000 are certain (about five sigma).
Only they used to count, and the fullest bin where there was none; on 200 rows that bin is mostly noise. Two more facts
are free. Rows lie in neighbouring bins, so a run of bins tells more than one: each bin gives its log likelihood ratio
of holding rows (an exponential number of 2.5 sigma in the mean) against holding none, and without a certain bin the run
of the largest sum is taken. And not every range is as likely as another before any data is seen: `prior` takes that
off the sum, a public guess that costs no privacy and only decides where the counts hardly say anything.

A range that is a bin too wide costs little, one that cuts rows off cannot be mended. So a range goes on while the next
bin holds 1.5 sigma.

>>> noisy = np.array([3.0, -8, 11, 14, 12, -2, 5, -9])
>>> likely_range(noisy, 9.0, np.zeros(8))
(2, 4)

The constants were set on 111 numeric columns of eight public tables; docs/concepts/data-and-schema.md has the figures.
Not guaranteed: that no row lies outside; with few rows for the noise the range may be wrong altogether.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FAILURE = 1e-3
GOES_ON = 1.5
OTHER_SIGN = 3.0
BESIDE_ZERO = 5.0
MEAN_ROWS = 2.5
NEGATIVE = 3.0


def certain_level(bins: int, sigma: float) -> float:
    """Rows that all of so many empty bins together exceed with probability below 1/1000."""
    return sigma * math.sqrt(2 * math.log(bins / FAILURE))


def likely_range(noisy: NDArray[np.float64], sigma: float, prior: NDArray[np.float64]) -> tuple[int, int]:
    """First and last bin that hold rows.

    Args:
        noisy: rows per bin with noise of scale `sigma`, shape (bins,).
        sigma: > 0.
        prior: how much less likely than others a range is that ends at each bin, log scale, >= 0, shape (bins,).
    """
    certain = np.flatnonzero(noisy > certain_level(len(noisy), sigma))
    if len(certain):
        first, last = int(certain[0]), int(certain[-1])
    else:
        _, first, last = best_run(noisy, sigma, prior)
    while last + 1 < len(noisy) and noisy[last + 1] > GOES_ON * sigma:
        last += 1
    while first > 0 and noisy[first - 1] > GOES_ON * sigma:
        first -= 1
    return first, last


def likely_magnitudes(
    noisy: NDArray[np.float64], sigma: float, smallest: int, prior: NDArray[np.float64]
) -> tuple[int, int]:
    """First and last bin of a histogram over signed magnitudes: negative ones, zero in the middle, positive ones.

    Where the bins close to zero are is of little weight: a range from zero up is less than twice as wide as one that
    leaves out the small numbers. So its ends away from zero are looked for, on either side.

    Args:
        noisy: rows per bin, shape (2 m + 1,).
        sigma: > 0.
        smallest: smallest magnitude that the column's type or precision allows, 1 .. m.
        prior: as in `likely_range`, for magnitudes 1 .. m of either sign, shape (m,).
    """
    zero, level = len(noisy) // 2, certain_level(len(noisy), sigma)
    sides = {1: noisy[zero + 1 :].copy(), -1: noisy[:zero][::-1].copy()}
    certain = {sign: np.flatnonzero(rows > level) + 1 for sign, rows in sides.items()}
    ends = {sign: (int(held[0]), int(held[-1])) for sign, held in certain.items() if len(held)}
    zeros = float(noisy[zero])
    if not ends:
        runs = {sign: best_run(rows[smallest - 1 :], sigma, prior[smallest - 1 :]) for sign, rows in sides.items()}
        sign = 1 if runs[1][0] >= runs[-1][0] - NEGATIVE else -1
        if zeros > level and runs[sign][0] < BESIDE_ZERO:
            return zero, zero
        ends[sign] = (0, runs[sign][2] + smallest)
    for sign, (low, high) in ends.items():
        while high < zero and sides[sign][high] > GOES_ON * sigma:
            high += 1
        ends[sign] = (low, high)
    farthest = max(high for _, high in ends.values())
    for sign in {1, -1} - set(ends):
        near = sides[sign][smallest - 1 : farthest + 1]
        score, low, high = best_run(near, sigma, np.zeros(len(near)))
        if score > OTHER_SIGN:
            ends[sign] = (low + smallest, high + smallest)
    if len(ends) == 2:
        return zero - ends[-1][1], zero + ends[1][1]
    ((sign, (low, high)),) = ends.items()
    below = sides[sign][max(low - 4, 0) : max(low - 1, 0)]
    pooled = len(below) and float(below.sum()) > GOES_ON * sigma * math.sqrt(len(below))
    if high > low or zeros > GOES_ON * sigma or pooled:
        low = 0
    return (zero + low, zero + high) if sign > 0 else (zero - high, zero - low)


def best_run(noisy: NDArray[np.float64], sigma: float, prior: NDArray[np.float64]) -> tuple[float, int, int]:
    """The run of bins with the largest sum of log likelihood ratios, less the prior of its end: sum, first, last."""
    gain = _holds_rows(noisy / sigma)
    before = np.concatenate([[0.0], np.cumsum(gain)])
    first = 0
    best = (-math.inf, 0, 0)
    for last in range(len(noisy)):
        if before[last] < before[first]:
            first = last
        score = float(before[last + 1] - before[first] - prior[last])
        best = max(best, (score, first, last), key=lambda run: run[0])
    return best


def _holds_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log likelihood ratio, for counts in units of sigma, of an exponential number of rows against none."""
    shifted = rows - 1 / MEAN_ROWS
    normal = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in np.maximum(shifted, -30.0).tolist()])
    ratio: NDArray[np.float64] = -math.log(MEAN_ROWS) + 0.5 * math.log(2 * math.pi) + shifted**2 / 2 + np.log(normal)
    return ratio
