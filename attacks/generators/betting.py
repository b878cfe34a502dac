"""Exact one-sided bounds of the mean of independent bounded numbers, by betting against it.

To test "the mean is at most m" a gambler stakes part of her capital on every next number exceeding m. If the hypothesis
holds, her capital is a supermartingale, so by Ville's inequality it ever exceeds 1 / alpha with probability alpha at
most: the p-value is one over the largest capital reached, at any sample size and for any distribution on the interval
(Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables by betting). Stakes follow the variance seen
so far: where the numbers vary little the bound is far tighter than Hoeffding's, though wider than the normal one.

>>> sure = BettingMean(values=np.full(100, 0.3), smallest=-1.0, largest=1.0)
>>> 0.2 < sure.lower(0.05) < sure.estimate < sure.upper(0.05) < 0.4
True

Not guaranteed: anything where the numbers are not independent of those before them with one and the same mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from attacks.statistics import FloatArray

AIM = 0.02
"""Level at which the stakes are best; bounds at other levels hold as well."""
MOST = 0.75
"""Largest stake, as a part of the one that could lose everything."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BettingMean:
    """The mean of `values`, independent numbers in [smallest, largest], as an `Effect`."""

    values: FloatArray
    smallest: float
    largest: float
    method: str = "betting_waudby_smith_ramdas"

    @property
    def estimate(self) -> float:
        """The mean, inside [-1, 1] where the numbers stand for a difference of rates."""
        return float(np.clip(self.values.mean(), max(self.smallest, -1.0), min(self.largest, 1.0)))

    def p_exceeds(self, limit: float) -> float:
        """p-value of mean <= limit."""
        return min(1.0, math.exp(-_log_capital(self._unit(), self._place(limit))))

    def lower(self, alpha: float) -> float:
        """Lower bound at level `alpha`."""
        return max(-1.0, self.smallest + self._width * _lower(self._unit(), alpha))

    def upper(self, alpha: float) -> float:
        """Upper bound at level `alpha`."""
        return min(1.0, self.largest - self._width * _lower(1.0 - self._unit(), alpha))

    @property
    def _width(self) -> float:
        return self.largest - self.smallest

    def _unit(self) -> FloatArray:
        return np.asarray((self.values - self.smallest) / self._width)

    def _place(self, value: float) -> float:
        return min(1.0, max(0.0, (value - self.smallest) / self._width))


def _stakes(unit: FloatArray) -> FloatArray:
    """Stakes from the mean and variance of what came before, with one pseudo-number at one half."""
    n = len(unit)
    seen = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(unit)) / (seen + 1)
    spread = (0.25 + np.cumsum((unit - means) ** 2)) / (seen + 1)
    before = np.concatenate([[0.25], spread[:-1]])
    return np.asarray(np.sqrt(2.0 * math.log(1.0 / AIM) / (n * before)))


def _log_capital(unit: FloatArray, mean: float) -> float:
    """Log of the largest capital, which is 1 at the start, of a gambler against "the mean is at most `mean`"."""
    if mean >= 1.0:
        return 0.0
    stakes = np.minimum(_stakes(unit), MOST / max(mean, 1e-12))
    return max(0.0, float(np.cumsum(np.log1p(stakes * (unit - mean))).max(initial=0.0)))


def _lower(unit: FloatArray, alpha: float) -> float:
    """Smallest mean that is not ruled out at level `alpha`; capital falls as the mean rises."""
    wanted = math.log(1.0 / alpha)
    if _log_capital(unit, 0.0) <= wanted:
        return 0.0
    if _log_capital(unit, 1.0 - 1e-12) > wanted:
        return 1.0 - 1e-12
    return float(brentq(lambda mean: _log_capital(unit, mean) - wanted, 0.0, 1.0 - 1e-12, xtol=1e-7))
