"""Power arithmetic: how many people a verdict needs, and what a given number of people can show.

A test that could not have failed says nothing. The suite therefore measures its power with planted leaks
(`controls.py`); the formulas here answer the cheaper question asked before a run or after an inconclusive one: about
how many members and nonmembers would settle it, or how many canaries an audit takes. Of members and nonmembers they
are the usual normal approximations at 80 % power; of canaries, exact binomials for canaries that leak independently.

>>> round(rate_excess_detectable(rate=0.01, members=1000, nonmembers=1000), 4)
0.0144
>>> canaries_needed(leak=2.0, claimed=1.0, delta=1e-6)     # each canary leaks epsilon 2 where 1 is claimed
149

Not guaranteed: they assume independent rows and a leak that moves the endpoint by its full size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln, ndtri

from attacks.dp_audit.one_run import EPSILON_MAX, GUESS_SHARES, ladder, one_run_p_value
from attacks.errors import AttackParameterError
from attacks.statistics import FloatArray

POWER = 0.8
MAX_CANARIES = 10_000


def _z(alpha: float, power: float) -> float:
    return -float(ndtri(alpha)) + float(ndtri(power))


def rate_excess_detectable(
    *, rate: float, members: int, nonmembers: int, alpha: float = 0.05, power: float = POWER
) -> float:
    """Smallest difference of hit rates over a control rate that is seen with the given power."""
    z, delta = _z(alpha, power), 0.0
    for _ in range(50):  # fixed point: the variance depends on the effect
        top = min(1.0, rate + delta)
        delta = z * math.sqrt(top * (1 - top) / members + rate * (1 - rate) / nonmembers)
    return delta


def auc_detectable(*, members: int, nonmembers: int, alpha: float = 0.05, power: float = POWER) -> float:
    """Smallest AUC above one half that is seen with the given power (null variance of the Mann-Whitney statistic)."""
    return 0.5 + _z(alpha, power) * auc_null_error(members, nonmembers)


def auc_null_error(members: int, nonmembers: int) -> float:
    """Standard error of the AUC when scores carry no information and have no ties."""
    return math.sqrt((members + nonmembers + 1) / (12.0 * members * nonmembers))


def nonmembers_needed(
    *, spread: float, margin: float, members_per_nonmember: float, alpha: float = 0.05, power: float = POWER
) -> int:
    """Nonmembers for which a release without leak ends below the limit with the given power.

    Args:
        spread: standard deviation of one target's contribution (0.29 for an AUC, sqrt(p(1-p)) for a rate p).
        margin: distance from the chance value to the limit.
        members_per_nonmember: ratio of the two target groups, kept as it is.
        alpha: level of the upper bound.
        power: probability of ending below the limit.
    """
    return math.ceil((_z(alpha, power) * spread / margin) ** 2 * (1.0 + 1.0 / max(members_per_nonmember, 1e-9)))


def canary_leak_detectable(
    *, canaries: int, claimed: float, delta: float, alpha: float = 0.05, power: float = POWER
) -> float:
    """Smallest epsilon at which every canary must leak for the one-run bound to exceed the claimed epsilon.

    Each coin is told right with probability e^leak / (1 + e^leak), which is what randomized response leaks. Infinite
    where even a perfect tell would not contradict the claim. Each rung of guesses is taken by itself, so the power of
    all of them together is a little larger.
    """
    rungs = _rungs(canaries, claimed, delta, alpha)
    if _chance(canaries, rungs, EPSILON_MAX) < power:
        return math.inf
    low, high = 0.0, EPSILON_MAX
    for _ in range(30):
        middle = (low + high) / 2.0
        low, high = (low, middle) if _chance(canaries, rungs, middle) >= power else (middle, high)
    return high


def canaries_needed(*, leak: float, claimed: float, delta: float, alpha: float = 0.05, power: float = POWER) -> int:
    """About the fewest canaries with which a leak of `leak` a canary contradicts the claim with the given power.

    About half of them are planted. Their number has to be chosen before the fit, so that it depends on no private row.

    Raises:
        AttackParameterError: the leak is not above the claim, or so little above it that no number would do.
    """

    def enough(count: int) -> bool:
        return _chance(count, _rungs(count, claimed, delta, alpha), leak) >= power

    high = 2
    while leak > claimed and high <= MAX_CANARIES and not enough(high):
        high *= 2
    if leak <= claimed or high > MAX_CANARIES:
        raise AttackParameterError(f"No number of canaries tells a leak of {leak} from a claim of {claimed}.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _rungs(canaries: int, claimed: float, delta: float, alpha: float) -> list[tuple[int, int]]:
    """(guesses, fewest right ones that contradict the claim) on each rung of the audit's ladder."""
    return [
        (guesses, _right_guesses(canaries, guesses, claimed, delta, alpha / len(GUESS_SHARES)))
        for guesses in ladder(canaries)
    ]


def _right_guesses(canaries: int, guesses: int, claimed: float, delta: float, level: float) -> int:
    low, high = 0, guesses + 1
    while high - low > 1:
        middle = (low + high) // 2
        p = one_run_p_value(m=canaries, guesses=guesses, correct=middle, epsilon=claimed, delta=delta)
        low, high = (low, middle) if p <= level else (middle, high)
    return high


def _chance(canaries: int, rungs: list[tuple[int, int]], leak: float) -> float:
    """Power of the best rung if each answer is right with probability e^leak / (1 + e^leak).

    Half of a rung's guesses are called in, half out. Where the answers say "in" of fewer, or "out" of fewer, the rest
    is called against its answer; that is frequent on the last rung only, which guesses all.
    """
    right, said_in = 1.0 / (1.0 + math.exp(-leak)), np.arange(canaries + 1)
    weight = _binomial(canaries, said_in, 0.5)
    best = 0.0
    for guesses, needed in rungs:
        half = guesses // 2
        against = np.maximum(0, half - said_in) + np.maximum(0, half - (canaries - said_in))
        chance = np.bincount(against, weights=weight)
        likely = np.flatnonzero(chance > 1e-6)
        won = sum(chance[n] * _at_least(needed, guesses - n, right, n) for n in likely.tolist())
        best = max(best, float(won))
    return best


def _at_least(needed: int, by_answer: int, right: float, against: int) -> float:
    """P[Binomial(by_answer, right) + Binomial(against, 1 - right) >= needed]."""
    lucky = np.arange(against + 1)
    rest = np.where(needed <= lucky, 1.0, bdtrc(np.maximum(needed - lucky - 1, 0), by_answer, right))
    return float((_binomial(against, lucky, 1.0 - right) * rest).sum())


def _binomial(trials: int, hits: NDArray[np.int64], rate: float) -> FloatArray:
    """Probability mass of Binomial(trials, rate) at `hits`, 0 < rate < 1."""
    choose = gammaln(trials + 1) - gammaln(hits + 1) - gammaln(trials - hits + 1)
    mass: FloatArray = np.exp(choose + hits * math.log(rate) + (trials - hits) * math.log1p(-rate))
    return mass
