"""Power arithmetic: how many people a verdict needs, and what a given number of people can show.

A test that could not have failed says nothing. The suite therefore measures its power with planted leaks
(`controls.py`); the formulas here answer the cheaper question asked before a run or after an inconclusive one: about
how many members and nonmembers would settle it. They are the usual normal approximations at 80 % power.

>>> round(rate_excess_detectable(rate=0.01, members=1000, nonmembers=1000), 4)
0.0144

Not guaranteed: they assume independent rows and a leak that moves the endpoint by its full size.
"""

from __future__ import annotations

import math

from scipy.special import ndtri

POWER = 0.8


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
