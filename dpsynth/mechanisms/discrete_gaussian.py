"""Integer counts plus exact discrete Gaussian noise, P(z) proportional to exp(-z^2 / (2 sigma^2)).

Canonne, Kamath and Steinke (2020): for integer queries whose change has L2 norm at most D, the mechanism is
D^2 / (2 sigma^2)-zCDP (Theorem 4 for one query, 14 for vectors); its approximate-DP curve is not the continuous
Gaussian's and is priced from its own mass function. Integers in, integers out: no low-order bit of a float says
anything about the count.

Not guaranteed: that sums of draws are again discrete Gaussian (they are not; never replace m draws by one), or
anything if `values` were rounded or chosen after looking at the noise.

>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> noisy, event = discrete_gaussian(np.zeros(100_000, int), sigma="2.5", noise=unsafe_SeededNoise(7))
>>> round(float(noisy.std()), 1), event.to_json()["sigma"]
(2.5, '2.5')
"""

from __future__ import annotations

import functools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.inversion import SymmetricSampler

_LARGEST = 2**40
_SUMMED = 200.0


def discrete_gaussian(
    values: NDArray[np.int64],
    *,
    sigma: Decimal | str,
    noise: NoiseSource,
    l2_sensitivity: Decimal | str | int = 1,
    count: int = 1,
) -> tuple[NDArray[np.int64], DiscreteGaussian]:
    """Add independent discrete Gaussian noise to every entry.

    Args:
        values: integers, any shape. With `count` m they are m stacked queries, each of the stated sensitivity.
        sigma: scale of the noise, a decimal (its standard deviation to within 1e-8 for sigma >= 1).
        noise: uniform words; its `kind` enters the event.
        l2_sensitivity: largest L2 change of one query between neighbours, under the relation and unit of the
            event tree that the event will stand in. A histogram under add/remove of a unit with at most k records:
            k; under replace-one: k * sqrt(2).
        count: number m of stacked queries.

    Returns:
        The noisy integers, same shape, and the event: `count` discrete Gaussians.

    Raises:
        ParameterError: values are not integers, or sigma is not positive.
    """
    if not np.issubdtype(np.asarray(values).dtype, np.integer):
        raise ParameterError(
            "Expected integer values for the discrete Gaussian: floating-point noise leaks through its low bits.",
            "Count, or round before the sensitivity is stated.",
        )
    draws = sample_discrete_gaussian(values.size, sigma=sigma, noise=noise).reshape(values.shape)
    event = DiscreteGaussian(
        sigma=Decimal(sigma), l2_sensitivity=Decimal(l2_sensitivity), count=count, noise=noise.kind
    )
    return values.astype(np.int64) + draws, event


def sample_discrete_gaussian(n: int, *, sigma: Decimal | str, noise: NoiseSource) -> NDArray[np.int64]:
    """`n` independent discrete Gaussians of scale `sigma`, shape (n,), dtype int64; exact."""
    scale = Decimal(sigma)
    if not (scale.is_finite() and 0 < scale < _LARGEST):
        raise ParameterError(f"Expected 0 < sigma={sigma} < 2^40 (scale of the discrete Gaussian).")
    return _sampler(Fraction(scale) ** 2).draw(n, noise)


@functools.lru_cache(maxsize=32)
def _sampler(variance: Fraction) -> SymmetricSampler:
    twice = float(2 * variance)

    def difference(first: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.float64]:
        return offset * (2.0 * first + offset) / twice

    return SymmetricSampler(
        lambda size: Fraction(size * size) / (2 * variance), difference, scale=math.sqrt(float(variance))
    )


def tail(bound: int, *, sigma: Decimal | str) -> float:
    """Upper bound of P(Z >= bound) for the discrete Gaussian of scale `sigma`, a float.

    Up to sigma 200 the mass function is summed over 40 sigma and rounding is covered by a factor 1 + 1e-9. Beyond, the
    sum is at most its first term plus the integral, and the norm at least sqrt(2 pi) sigma (Poisson summation): within
    4 % at six sigma, in constant time.
    """
    scale = float(Decimal(sigma))
    if bound <= 0:
        return min(1.0, 1.0 - tail(1 - bound, sigma=sigma) * (1 - 3e-9)) if scale <= _SUMMED else 1.0
    first = math.exp(-((bound / scale) ** 2) / 2)
    if scale > _SUMMED:
        above = first / (math.sqrt(2 * math.pi) * scale) + 0.5 * math.erfc(bound / scale / math.sqrt(2))
        return min(1.0, above * (1 + 1e-9))
    steps = np.arange(int(40 * scale) + 40, dtype=np.float64)
    norm = 2.0 * float(np.exp(-(steps**2) / (2 * scale**2)).sum()) - 1.0
    terms = np.exp(-steps * (steps + 2.0 * bound) / (2 * scale**2))
    return min(1.0, first * float(terms.sum()) / norm * (1 + 1e-9))
