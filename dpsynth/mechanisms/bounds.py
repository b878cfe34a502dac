"""Unknown bounds of a numeric column: a noisy histogram over signed powers of two.

The public grid has 255 bins: zero (below 2^-63 in size), and for either sign [2^(b-1), 2^b) for b = -62..64. One
discrete Gaussian histogram over it (sensitivity 1 per record) is all that is paid. Which bins hold rows is decided by
`ranges`, from the noisy counts alone: post-processing, as is everything after the histogram.

Margin: bounds are powers of two, a range of positive numbers may begin at zero, and rows in bins at its ends with fewer
rows than the noise are clipped into it. Bounds that are known should be declared public: they are then free and sharp.

>>> signed_log2_bin(np.array([-5.0, 0.0, 1.0, 7.0, 8.0])).tolist()
[61, 127, 191, 193, 194]
>>> bin_edges(193)
(4.0, 8.0)
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.ranges import likely_magnitudes, likely_range

BINS = 255
_ZERO = 127
_LOWEST, _HIGHEST = -62, 64
FINEST = 2.0**-20
"""Finest size that is looked for below certain bins where neither type nor precision says it."""
_POWERS = np.arange(_LOWEST - 1, _HIGHEST, dtype=np.float64)
_PRIOR = 0.25 * (np.maximum(_POWERS - 7, 0) + np.maximum(-4 - _POWERS, 0))
"""Before any data is seen, a range that ends between 1/16 and 128 is likeliest; each power of two beyond costs 1/4."""


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
    counts: NDArray[np.int64],
    *,
    sigma: Decimal | str,
    noise: NoiseSource,
    l2_sensitivity: Decimal | str | int = 1,
    prior: NDArray[np.float64] | None = None,
) -> tuple[tuple[int, int], DiscreteGaussian]:
    """First and last bin of a public, ordered histogram that hold rows, as far as the noise lets that be seen.

    Args:
        counts: rows per bin, int64, shape (bins,).
        sigma: scale of the discrete Gaussian noise.
        noise: uniform words; its `kind` enters the event.
        l2_sensitivity: largest L2 change by one unit; k for at most k records under add/remove.
        prior: public, as in `ranges.likely_range`; None if all ranges are as likely.

    Returns:
        (first, last) and the event.
    """
    noisy, event = discrete_gaussian(counts, sigma=sigma, noise=noise, l2_sensitivity=l2_sensitivity)
    guess = np.zeros(len(counts)) if prior is None else prior
    return likely_range(noisy.astype(np.float64), float(Decimal(sigma)), guess), event


def occupied_magnitudes(
    counts: NDArray[np.int64],
    *,
    sigma: Decimal | str,
    noise: NoiseSource,
    l2_sensitivity: Decimal | str | int = 1,
    finest: float = FINEST,
) -> tuple[tuple[int, int], DiscreteGaussian]:
    """First and last bin of the histogram over signed powers of two that hold rows; otherwise as `occupied_range`.

    Args:
        counts: rows per bin of `signed_log2_bin`, int64, shape (BINS,).
        sigma: scale of the discrete Gaussian noise.
        noise: uniform words.
        l2_sensitivity: k for at most k records under add/remove.
        finest: smallest size of a cell that is not zero, from type or precision: 1 for integers. Public.
    """
    noisy, event = discrete_gaussian(counts, sigma=sigma, noise=noise, l2_sensitivity=l2_sensitivity)
    smallest = int(signed_log2_bin(np.array([finest]))[0]) - _ZERO
    return likely_magnitudes(noisy.astype(np.float64), float(Decimal(sigma)), smallest, _PRIOR), event
