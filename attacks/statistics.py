"""Interval estimates and tests that turn attack scores into evidence.

Every bound is one-sided at level `alpha`, because a verdict asks one question at a time: is the leak certainly above
the limit (lower bound), or certainly below it (upper bound)? Proportions use Clopper and Pearson (1934); differences
of proportions Miettinen and Nurminen (1985), which keep their level near 0 and 1, with Newcombe's (1998) hybrid as a
second, independent method; differences over the same trials Tango (1998); the area under the ROC curve DeLong et al.
(1988). Families are corrected after Holm (1979).

>>> round(clopper_pearson_upper(0, 299, alpha=0.05), 4)    # no hit in 299 targets: below 1 %
0.01

Not guaranteed: rows that belong to one person are not independent; the harness keeps one target a person. The normal
approximations (DeLong, Miettinen-Nurminen) are not exact; `tests/attacks/test_statistics.py` measures their coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtr, ndtri

from attacks.errors import AttackParameterError

FloatArray = NDArray[np.float64]


class Effect(Protocol):
    """An estimate of how much better an attack does on members, with bounds at any level."""

    @property
    def method(self) -> str:
        """How the bounds are made."""

    @property
    def estimate(self) -> float:
        """The point estimate."""

    def lower(self, alpha: float) -> float:
        """One-sided lower confidence bound at level `alpha`."""

    def upper(self, alpha: float) -> float:
        """One-sided upper confidence bound at level `alpha`."""

    def p_exceeds(self, limit: float) -> float:
        """p-value of the hypothesis that the true effect is at most `limit`."""


def _level(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise AttackParameterError(f"Expected a level alpha in (0, 1), got {alpha}.")
    return alpha


def clopper_pearson_lower(hits: int, trials: int, *, alpha: float) -> float:
    """Exact one-sided lower bound of a proportion (Clopper and Pearson 1934)."""
    return 0.0 if hits <= 0 else float(betaincinv(hits, trials - hits + 1, _level(alpha)))


def clopper_pearson_upper(hits: int, trials: int, *, alpha: float) -> float:
    """Exact one-sided upper bound of a proportion (Clopper and Pearson 1934)."""
    return 1.0 if hits >= trials else float(betaincinv(hits + 1, trials - hits, 1.0 - _level(alpha)))


def clopper_pearson(hits: int, trials: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Exact two-sided interval: each side at `alpha / 2`."""
    half = _level(alpha) / 2.0
    return clopper_pearson_lower(hits, trials, alpha=half), clopper_pearson_upper(hits, trials, alpha=half)


def _wilson(hits: int, trials: int, z: float) -> tuple[float, float]:
    p, zz = hits / trials, z * z
    mid = (p + zz / (2 * trials)) / (1 + zz / trials)
    half = z * math.sqrt(p * (1 - p) / trials + zz / (4 * trials * trials)) / (1 + zz / trials)
    return mid - half, mid + half


def newcombe(hits1: int, n1: int, hits0: int, n0: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Two-sided hybrid score interval of p1 - p0 (Newcombe 1998, method 10)."""
    z = -float(ndtri(_level(alpha) / 2.0))
    p1, p0 = hits1 / n1, hits0 / n0
    (l1, u1), (l0, u0) = _wilson(hits1, n1, z), _wilson(hits0, n0, z)
    return p1 - p0 - math.hypot(p1 - l1, u0 - p0), p1 - p0 + math.hypot(u1 - p1, p0 - l0)


def _restricted_rates(hits1: int, n1: int, hits0: int, n0: int, delta: float) -> tuple[float, float]:
    """Maximum-likelihood rates under p1 - p0 = delta: the closed-form root of a cubic (M&N 1985, appendix)."""
    n, x = n1 + n0, hits1 + hits0
    a = float(n)
    b = (n1 + 2 * n0) * delta - n - x
    c = (n0 * delta - n - 2 * hits0) * delta + x
    d = hits0 * delta * (1.0 - delta)
    q = b**3 / (27 * a**3) - b * c / (6 * a * a) + d / (2 * a)
    p = math.copysign(math.sqrt(max(b * b / (9 * a * a) - c / (3 * a), 0.0)), q)
    turn = 0.0 if p == 0.0 else min(1.0, max(-1.0, q / p**3))
    p0 = 2.0 * p * math.cos((math.pi + math.acos(turn)) / 3.0) - b / (3.0 * a)
    p0 = min(max(p0, max(0.0, -delta)), min(1.0, 1.0 - delta))
    return p0 + delta, p0


def _solve(z: Callable[[float], float], target: float, low: float, high: float) -> float:
    """The difference at which a falling score statistic takes the value `target`."""

    def gap(delta: float) -> float:
        return float(np.clip(z(delta), -1e6, 1e6)) - target

    if gap(low) * gap(high) > 0.0:
        return high if abs(gap(high)) < abs(gap(low)) else low
    return float(brentq(gap, low, high, xtol=1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDifference:
    """Hit rate of members minus hit rate of nonmembers, score interval of Miettinen and Nurminen (1985)."""

    hits1: int
    n1: int
    hits0: int
    n0: int
    method: str = "miettinen_nurminen"

    @property
    def estimate(self) -> float:
        """Difference of the observed rates."""
        return self.hits1 / self.n1 - self.hits0 / self.n0

    def z(self, delta: float) -> float:
        """Score statistic of the hypothesis p1 - p0 = delta."""
        p1, p0 = _restricted_rates(self.hits1, self.n1, self.hits0, self.n0, delta)
        n = self.n1 + self.n0
        variance = (p1 * (1 - p1) / self.n1 + p0 * (1 - p0) / self.n0) * n / (n - 1)
        gap = self.estimate - delta
        return gap / math.sqrt(variance) if variance > 1e-18 else math.copysign(math.inf, gap) if gap else 0.0

    def p_exceeds(self, limit: float) -> float:
        """p-value of p1 - p0 <= limit."""
        return float(ndtr(-self.z(limit)))

    def lower(self, alpha: float) -> float:
        """Lower bound at level `alpha`."""
        return _solve(self.z, -float(ndtri(_level(alpha))), -1.0 + 1e-9, self.estimate)

    def upper(self, alpha: float) -> float:
        """Upper bound at level `alpha`."""
        return _solve(self.z, float(ndtri(_level(alpha))), self.estimate, 1.0 - 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Rate of one outcome minus rate of another over the same trials, score interval of Tango (1998).

    Attributes:
        first: trials with the first outcome only.
        second: trials with the second outcome only; those with both or neither say nothing about the difference.
        trials: all trials.
    """

    first: int
    second: int
    trials: int
    method: str = "tango_paired"

    @property
    def estimate(self) -> float:
        """Difference of the observed rates."""
        return (self.first - self.second) / self.trials

    def z(self, delta: float) -> float:
        """Score statistic of the hypothesis that the difference of the rates is delta."""
        n, only = self.trials, self.second
        b = (2 * n - self.first + only) * delta - self.first - only
        c = -only * delta * (1.0 - delta)
        rate = (math.sqrt(max(b * b - 8.0 * n * c, 0.0)) - b) / (4.0 * n)
        variance = n * (2.0 * rate + delta * (1.0 - delta))
        gap = self.first - only - n * delta
        return gap / math.sqrt(variance) if variance > 1e-12 else math.copysign(math.inf, gap) if gap else 0.0

    def p_exceeds(self, limit: float) -> float:
        """p-value of difference <= limit."""
        return float(ndtr(-self.z(limit)))

    def lower(self, alpha: float) -> float:
        """Lower bound at level `alpha`."""
        return _solve(self.z, -float(ndtri(_level(alpha))), -1.0 + 1e-9, self.estimate)

    def upper(self, alpha: float) -> float:
        """Upper bound at level `alpha`."""
        return _solve(self.z, float(ndtri(_level(alpha))), self.estimate, 1.0 - 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalEffect:
    """An asymptotically normal estimate with its standard error (AUC, adjusted mean difference)."""

    estimate: float
    se: float
    method: str
    smallest: float = -math.inf
    largest: float = math.inf

    def p_exceeds(self, limit: float) -> float:
        """p-value of effect <= limit."""
        if self.se <= 0.0:
            return 0.0 if self.estimate > limit else 1.0
        return float(ndtr((limit - self.estimate) / self.se))

    def lower(self, alpha: float) -> float:
        """Lower bound at level `alpha`, inside the parameter space."""
        return max(self.smallest, self.estimate + float(ndtri(_level(alpha))) * self.se)

    def upper(self, alpha: float) -> float:
        """Upper bound at level `alpha`, inside the parameter space."""
        return min(self.largest, self.estimate - float(ndtri(_level(alpha))) * self.se)


def auc_delong(positive: FloatArray, negative: FloatArray) -> NormalEffect:
    """Area under the ROC curve, ties counted one half, with DeLong's variance.

    Perfect separation has an estimated variance of zero; the standard error is then held at 1 / min(n), which makes
    the 95 % bound about that of "no error in n trials".

    Args:
        positive: scores of members, at least two.
        negative: scores of nonmembers, at least two.
    """
    n1, n0 = len(positive), len(negative)
    _, codes = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    pos, neg = codes[:n1], codes[n1:]
    below = np.concatenate([[0], np.cumsum(np.bincount(neg, minlength=codes.max() + 1))])
    above = np.concatenate([[0], np.cumsum(np.bincount(pos, minlength=codes.max() + 1))])
    v1 = (below[pos] + below[pos + 1]) / (2.0 * n0)
    v0 = 1.0 - (above[neg] + above[neg + 1]) / (2.0 * n1)
    auc = float(v1.mean())
    se = math.sqrt(v1.var(ddof=1) / n1 + v0.var(ddof=1) / n0)
    if auc in (0.0, 1.0):
        se = max(se, 1.0 / min(n1, n0))
    return NormalEffect(estimate=auc, se=se, method="delong", smallest=0.0, largest=1.0)


def adjusted_mean_difference(
    values1: FloatArray, covariate1: FloatArray, values0: FloatArray, covariate0: FloatArray
) -> NormalEffect:
    """Mean of members minus mean of nonmembers, adjusted for a covariate of the same targets.

    The covariate is blind to the release and to membership and says which targets are easy. Its regression on the
    pooled values is subtracted (analysis of covariance): under a random split this moves the variance and not the
    expectation.
    """
    values = np.concatenate([values1, values0])
    covariate = np.concatenate([covariate1, covariate0])
    spread = float(covariate.var())
    slope = float(np.cov(values, covariate, ddof=0)[0, 1]) / spread if spread > 0 else 0.0
    r1, r0 = values1 - slope * covariate1, values0 - slope * covariate0
    n1, n0 = len(r1), len(r0)
    # One pseudo-observation half a unit off keeps the error above zero when all residuals agree.
    v1 = (r1.var() * n1 + 0.25) / (n1 + 1)
    v0 = (r0.var() * n0 + 0.25) / (n0 + 1)
    estimate, se = float(r1.mean() - r0.mean()), math.sqrt(v1 / n1 + v0 / n0)
    return NormalEffect(estimate=estimate, se=se, method="ancova_normal", smallest=-1.0, largest=1.0)


def conservative_cut(nonmember_scores: FloatArray, fpr: float) -> float:
    """Smallest observed score that at most `floor(fpr * n)` of the given nonmembers strictly exceed.

    Scores above the cut are called members. Ties at the cut are *not* called, so the false positive rate on the
    scores given never exceeds `fpr`; on other nonmembers it is what is observed there, and that is reported.
    """
    if len(nonmember_scores) == 0:
        raise AttackParameterError("Expected at least one nonmember score to place a cut.")
    allowed = math.floor(fpr * len(nonmember_scores) + 1e-9)
    ordered = np.sort(nonmember_scores)
    return float(ordered[len(ordered) - 1 - min(allowed, len(ordered) - 1)])


def tpr_at_fpr(members: FloatArray, nonmembers: FloatArray, calibration: FloatArray, fpr: float) -> RateDifference:
    """True minus false positive rate at a cut placed on *other* nonmembers (`calibration`)."""
    cut = conservative_cut(calibration, fpr)
    hits1, hits0 = int((members > cut).sum()), int((nonmembers > cut).sum())
    return RateDifference(hits1=hits1, n1=len(members), hits0=hits0, n0=len(nonmembers))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm (1979) adjusted p-values: rejecting those at most alpha holds the family-wise error at alpha.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted
