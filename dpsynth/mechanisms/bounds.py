"""Unknown bounds of a numeric column: a noisy histogram over signed powers of two.

The public grid has 255 bins: zero (below 2^-63 in size), and for either sign [2^(b-1), 2^b) for b = -62..64. One
discrete Gaussian histogram over it (sensitivity 1 per record) is all that is paid. Bounds are the outer edges of the
lowest and highest bin whose noisy count passes a level that all empty bins together exceed with probability below
1/1000; if none passes, of the fullest bin. Everything after the histogram is post-processing.

Margin: the range is at most twice as wide as it need be on each side, and rows in bins with fewer than about four
sigma rows are clipped into it. Bounds that are known should be declared public: they are then free and sharp.

>>> signed_log2_bin(np.array([-5.0, 0.0, 1.0, 7.0, 8.0])).tolist()
[61, 127, 191, 193, 194]
>>> bin_edges(193)
(4.0, 8.0)
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian

BINS = 255
_ZERO = 127
_LOWEST, _HIGHEST = -62, 64
_FAILURE = 1e-3


def signed_log2_bin(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each finite number, 0..254 in ascending order of value; 127 is zero."""
    power = np.clip(np.frexp(values)[1].astype(np.int64), _LOWEST - 1, _HIGHEST) - _LOWEST + 1
    return _ZERO + np.where(values < 0, -power, np.where(values > 0, power, 0))


def bin_edges(at: int) -> tuple[float, float]:
    """Lower and upper edge of a bin; the edge farther from zero does not belong to it."""
    level = abs(at - _ZERO)
    if level == 0:
        return 0.0, 0.0
    near, far = 2.0 ** (level + _LOWEST - 2), 2.0 ** (level + _LOWEST - 1)
    return (near, far) if at > _ZERO else (-far, -near)


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
