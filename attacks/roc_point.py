"""One point of the ROC curve: the true positive rate at a false positive rate that was chosen beforehand.

The cut that belongs to a false positive rate q is not known; it is estimated from the nonmembers themselves. Placing it
at the j-th largest of n nonmember scores flags a new nonmember with probability j / (n + 1), so that the curve is read
at j = q (n + 1), straight lines between whole j, ties broken at random in expectation. Nothing is left to the luck of
one split: the estimate is of TPR(q) - q itself and not of what some cut does.

Two errors make the interval, which are joined as the square root of the sum of their squares (the hybrid of Newcombe
1998; Zou and Donner 2008): that of the hit rate at the cut, by Wilson's score interval, and that of the cut. For the
latter the curve is read at those j for which a cut that flags q exactly may lie there, which are the j with
alpha <= P[Binomial(n, q) >= j] <= 1 - alpha. Where the curve is steep, at the edge of a leak, this is the larger part;
where members are copies far beyond any cut it is nothing.

>>> spread = np.linspace(0.0, 1.0, 999)
>>> abs(RocPoint.of(spread, spread, 0.05).estimate) < 0.001                     # no difference
True
>>> copies = np.concatenate([spread[:900], np.full(100, 2.0)])                 # a tenth beyond all others
>>> round(RocPoint.of(copies, spread, 0.05).estimate, 3)
0.05

Not guaranteed: scores of one side depend on each other, and the hybrid is no exact interval;
`tests/attacks/test_coverage.py` measures what it covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from scipy.special import betainc, ndtr, ndtri

from attacks.errors import AttackParameterError
from attacks.statistics import FloatArray

STEPS = 50
FARTHEST = 12.0
"""Standard errors beyond which no bound is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RocPoint:
    """True positive rate at the false positive rate `fpr`, less `fpr`.

    Attributes:
        members: scores of members, ascending.
        nonmembers: scores of nonmembers, ascending.
        fpr: false positive rate at which the curve is read; never below that of the highest cut there is.
        estimate: the point estimate.
    """

    members: FloatArray = field(repr=False)
    nonmembers: FloatArray = field(repr=False)
    fpr: float
    estimate: float
    method: str = "roc_point_hybrid"

    @classmethod
    def of(cls, members: FloatArray, nonmembers: FloatArray, fpr: float) -> Self:
        """Reads the curve of these scores, at least one on either side.

        Raises:
            AttackParameterError: no scores, or a rate outside (0, 1).
        """
        if min(len(members), len(nonmembers)) == 0 or not 0.0 < fpr < 1.0:
            raise AttackParameterError("Expected scores of both sides and a false positive rate in (0, 1).")
        ours, theirs = np.sort(members), np.sort(nonmembers)
        fpr = max(fpr, 1.0 / (len(theirs) + 1))
        return cls(members=ours, nonmembers=theirs, fpr=fpr, estimate=_hit_rate(ours, theirs, fpr) - fpr)

    def p_exceeds(self, limit: float) -> float:
        """p-value of the hypothesis that the excess is at most `limit`."""
        low, high = -FARTHEST, FARTHEST
        for _ in range(STEPS):
            middle = (low + high) / 2.0
            low, high = (middle, high) if self._bound(middle) > limit else (low, middle)
        return float(ndtr(-high))

    def lower(self, alpha: float) -> float:
        """Lower bound at level `alpha`."""
        return self._bound(_quantile(alpha))

    def upper(self, alpha: float) -> float:
        """Upper bound at level `alpha`."""
        return self._bound(-_quantile(alpha))

    def _bound(self, z: float) -> float:
        """The bound `z` standard errors below the estimate; above it where z is negative."""
        rate, n = self.estimate + self.fpr, len(self.members)
        mid = (rate + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(max(rate * (1 - rate), 0.0) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        of_rate = rate - (mid - half)
        of_cut = rate - _hit_rate(self.members, self.nonmembers, _place(len(self.nonmembers), self.fpr, z))
        return self.estimate - math.copysign(math.hypot(of_rate, of_cut), z)


def _quantile(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise AttackParameterError(f"Expected a level alpha in (0, 1), got {alpha}.")
    return -float(ndtri(alpha))


def _place(n: int, fpr: float, z: float) -> float:
    """The rate j / (n + 1) with P[Binomial(n, fpr) >= j] = P[Normal <= z]: a cut at `fpr` may lie there at worst."""
    level, low, high = float(ndtr(z)), 0.0, float(n + 1)
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if betainc(middle, n + 1 - middle, fpr) > level else (low, middle)
    return (low + high) / 2.0 / (n + 1)


def _hit_rate(members: FloatArray, nonmembers: FloatArray, fpr: float) -> float:
    """Share of members above the cut that flags a new nonmember with probability `fpr`; both ascending."""
    j = min(max(fpr * (len(nonmembers) + 1), 0.0), len(nonmembers) + 1.0)
    whole = math.floor(j)
    first = _above(members, nonmembers, whole)
    return (first + (j - whole) * (_above(members, nonmembers, whole + 1) - first)) / len(members)


def _above(members: FloatArray, nonmembers: FloatArray, j: int) -> float:
    """How many members are expected above the j-th largest nonmember if ties are broken at random."""
    n = len(nonmembers)
    if j < 1 or j > n:
        return 0.0 if j < 1 else float(len(members))
    cut = nonmembers[n - j]
    beyond = n - int(np.searchsorted(nonmembers, cut, side="right"))
    level = n - beyond - int(np.searchsorted(nonmembers, cut, side="left"))
    above = len(members) - int(np.searchsorted(members, cut, side="right"))
    equal = len(members) - above - int(np.searchsorted(members, cut, side="left"))
    return above + equal * (j - beyond) / (level + 1)
