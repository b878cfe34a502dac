"""Unknown decimal places of a column of floats: a noisy histogram over 0 … 12 places.

A grid that is coarser than the cells rounds every one of them, and a heavy value that comes back rounded is another
value. How many places a file has is a fact about its cells, so it is asked with one discrete Gaussian histogram
(13 bins, sensitivity k in L2 for a unit of at most k rows under add/remove).

The answer is the largest number of places whose noisy count is above two levels: the one that all empty bins
together exceed with probability below 1/1000 (4.4 sigma), and 1 % of the rows in bins that pass the first. Choosing is
post-processing. The last bin holds cells of 12 places or more.

>>> decimal_places(np.array([7.0, 0.5, -6.160541, 1 / 3])).tolist()
[0, 1, 6, 12]

Not guaranteed: that a few cells with more places keep them; they are rounded with the rest.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian

MOST_PLACES = 12
PLACE_BINS = MOST_PLACES + 1
_FAILURE = 1e-3
_SMALL_SHARE = 0.01


def decimal_places(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Smallest p of each number such that it is the double nearest to a decimal of p places; at most 12.

    The test is the grid's own arithmetic, without a tolerance: `round(x 10^p) / 10^p` gives x back. Below 2^51 the
    product is off by less than half, so the rounded tick is the decimal's; 10^p is exact, so the quotient is the
    double nearest to that decimal.

    Args:
        values: numbers, float64, shape (n,); not NaN.

    Returns:
        Bins 0 … 12, int64, shape (n,).
    """
    places = np.full(len(values), MOST_PLACES, dtype=np.int64)
    left = np.arange(len(values))
    for p in range(MOST_PLACES):
        numbers, power = values[left], 10.0**p
        with np.errstate(over="ignore"):  # an infinite product gives nothing back, which is the right answer
            exact = np.rint(numbers * power) / power == numbers
        places[left[exact]] = p
        left = left[~exact]
    return places


def occupied_places(
    counts: NDArray[np.int64], *, sigma: Decimal | str, noise: NoiseSource, l2_sensitivity: Decimal | str | int = 1
) -> tuple[int | None, DiscreteGaussian]:
    """Largest number of decimal places that more than a few rows have.

    Args:
        counts: rows per bin, int64, shape (13,).
        sigma: scale of the discrete Gaussian noise.
        noise: uniform words; its `kind` enters the event.
        l2_sensitivity: largest L2 change by one unit; k for at most k records under add/remove.

    Returns:
        Decimal places, None if no bin stands out of the noise; and the event.
    """
    noisy, event = discrete_gaussian(counts, sigma=sigma, noise=noise, l2_sensitivity=l2_sensitivity)
    level = float(Decimal(sigma)) * math.sqrt(2 * math.log(len(counts) / _FAILURE))
    above = np.where(noisy > level, noisy, 0)
    found = np.flatnonzero(above > _SMALL_SHARE * above.sum())
    return (int(found[-1]) if len(found) else None), event
