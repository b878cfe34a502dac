"""Who takes part in a step: every unit on its own, with one fixed probability, compared in integers.

A uniform 64-bit word below `floor(q * 2^64)` includes its unit, so the inclusions are independent Bernoulli trials of a
probability that is q rounded down, by less than 2^-64: amplification by Poisson sampling (Zhu and Wang 2019) at q
covers it. Nothing shuffles, nothing fixes a batch size, and an empty sample is a sample.

>>> threshold(Decimal("0.25")) == 2**62
True

Words are drawn block by block, so a step holds the indices of its sample and one block, never a word for every unit.
Not guaranteed: that samples of a seeded source are secret.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource

BLOCK = 1 << 16
WORDS = 1 << 64


def threshold(probability: Decimal) -> int:
    """Words below it include their unit: `floor(q * 2^64)`."""
    return int(Context(prec=60 + len(probability.as_tuple().digits)).multiply(probability, Decimal(WORDS)))


@final
class PoissonSampler:
    """Fresh Poisson samples of 0 … units-1.

    Args:
        units: how many units there are (private; used for nothing but drawing).
        probability: q of each; 0 < q <= 1.
        noise: uniform words.
    """

    def __init__(self, units: int, probability: Decimal, noise: NoiseSource) -> None:
        if not 0 < probability <= 1:
            raise ParameterError(
                f"Expected probability={probability} in (0, 1] (Poisson sampling of units).",
                "A batch rate above 1 would use every unit more than once a step.",
            )
        self._units, self._noise = units, noise
        self._below = threshold(probability)

    def draw(self) -> NDArray[np.int64]:
        """The units of one step, ascending, int64, shape (sampled,): one draw over all of them."""
        if self._below >= WORDS:
            return np.arange(self._units)
        parts = [np.zeros(0, dtype=np.int64)]
        for start in range(0, self._units, BLOCK):
            words = self._noise.uint64(min(BLOCK, self._units - start))
            parts.append(np.flatnonzero(words < np.uint64(self._below)) + start)
        return np.concatenate(parts)
