"""Unknown bounds of integers: a noisy histogram over signed powers of two.

The public grid has 127 bins: {0}, and for either sign {2^(b-1), ..., 2^b - 1} for b = 1..63. One discrete Gaussian
histogram over it (sensitivity 1 per record) is all that is paid. Bounds are the outer edges of the lowest and highest
bin whose noisy count passes a level that all empty bins together exceed with probability below 1/1000; if none
passes, of the fullest bin. Everything after the histogram is post-processing.

Margin: the range is at most twice as wide as it need be on each side, and rows in bins with fewer than about four
sigma rows are clipped into it. Bounds that are known should be declared public: they are then free and sharp.

>>> signed_log2_bin(np.array([-5, 0, 1, 7, 8])).tolist()
[60, 63, 64, 66, 67]
>>> bin_edges(66)
(4, 7)
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian

BINS = 127
_ZERO = 63
_FAILURE = 1e-3


def signed_log2_bin(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bin of each integer, 0..126; 63 is zero. The most negative int64 shares its neighbour's bin."""
    size = np.abs(np.maximum(ticks, -(2**63) + 1)).astype(np.uint64)
    length = np.zeros(size.shape, dtype=np.int64)
    for shift in (32, 16, 8, 4, 2, 1):
        high = (size >> np.uint64(shift)) > 0
        length += np.where(high, shift, 0)
        size = np.where(high, size >> np.uint64(shift), size)
    length += (size > 0).astype(np.int64)
    return _ZERO + np.where(ticks < 0, -length, length)


def bin_edges(at: int) -> tuple[int, int]:
    """Smallest and largest integer of a bin."""
    length = abs(at - _ZERO)
    if length == 0:
        return 0, 0
    low, high = 2 ** (length - 1), 2**length - 1
    return (low, high) if at > _ZERO else (-high, -low)


def occupied_range(
    counts: NDArray[np.int64], *, sigma: Decimal | str, noise: NoiseSource, l2_sensitivity: Decimal | str | int = 1
) -> tuple[tuple[int, int], DiscreteGaussian]:
    """First and last bin of a public, ordered histogram that holds more rows than noise explains.

    Args:
        counts: rows per bin, int64, shape (bins,).
        sigma: scale of the discrete Gaussian noise.
        noise: uniform words; its `kind` enters the event.
        l2_sensitivity: largest L2 change by one unit; k for at most k records under add/remove.

    Returns:
        (first, last) and the event.
    """
    noisy, event = discrete_gaussian(counts, sigma=sigma, noise=noise, l2_sensitivity=l2_sensitivity)
    level = float(Decimal(sigma)) * math.sqrt(2 * math.log(len(counts) / _FAILURE))
    above = np.flatnonzero(noisy > level)
    if not len(above):
        above = np.array([int(np.argmax(noisy))])
    return (int(above[0]), int(above[-1])), event
