"""Integer counts plus exact discrete Laplace noise, P(z) proportional to exp(-|z| / scale).

Ghosh, Roughgarden and Sundararajan (2009), the geometric mechanism: for integer queries whose change has L1 norm at
most D it is D / scale-DP, with no delta. Drawn exactly, see `inversion`.

Not guaranteed: anything for non-integer values; they are refused.

>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> noisy, event = discrete_laplace(np.zeros(100_000, int), scale="2", noise=unsafe_SeededNoise(7))
>>> round(float(np.abs(noisy).mean()), 1)        # 2 q / (1 - q^2) with q = exp(-1/2)
1.9
"""

from __future__ import annotations

import functools
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteLaplace
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.inversion import SymmetricSampler

_LARGEST = 2**40


def discrete_laplace(
    values: NDArray[np.int64],
    *,
    scale: Decimal | str,
    noise: NoiseSource,
    l1_sensitivity: Decimal | str | int = 1,
    count: int = 1,
) -> tuple[NDArray[np.int64], DiscreteLaplace]:
    """Add independent discrete Laplace noise to every entry.

    Args:
        values: integers, any shape. With `count` m they are m stacked queries, each of the stated sensitivity.
        scale: scale of the noise, a decimal.
        noise: uniform words; its `kind` enters the event.
        l1_sensitivity: largest L1 change of one query between neighbours, under the relation and unit of the
            event tree that the event will stand in. A histogram under add/remove of a unit with at most k records:
            k; under replace-one: 2k.
        count: number m of stacked queries.

    Returns:
        The noisy integers, same shape, and the event: `count` discrete Laplaces.

    Raises:
        ParameterError: values are not integers, or scale is not positive.
    """
    if not np.issubdtype(np.asarray(values).dtype, np.integer):
        raise ParameterError(
            "Expected integer values for the discrete Laplace: floating-point noise leaks through its low bits.",
            "Count, or round before the sensitivity is stated.",
        )
    draws = sample_discrete_laplace(values.size, scale=scale, noise=noise).reshape(values.shape)
    event = DiscreteLaplace(scale=Decimal(scale), l1_sensitivity=Decimal(l1_sensitivity), count=count, noise=noise.kind)
    return values.astype(np.int64) + draws, event


def sample_discrete_laplace(n: int, *, scale: Decimal | str, noise: NoiseSource) -> NDArray[np.int64]:
    """`n` independent discrete Laplaces of the given scale, shape (n,), dtype int64; exact."""
    value = Decimal(scale)
    if not (value.is_finite() and 0 < value < _LARGEST):
        raise ParameterError(f"Expected 0 < scale={scale} < 2^40 (scale of the discrete Laplace).")
    return _sampler(Fraction(value)).draw(n, noise)


@functools.lru_cache(maxsize=32)
def _sampler(scale: Fraction) -> SymmetricSampler:
    step = float(scale)

    def difference(_first: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.float64]:
        return offset / step

    return SymmetricSampler(lambda size: Fraction(size) / scale, difference, scale=step)
