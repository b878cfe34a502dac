"""Trade-off curves: how far one world's probability of an event may exceed the other's.

A mechanism is f-DP (Dong, Roth and Su 2022) if no event of probability x in one world has more than `1 - f(x)` in the
other. Audits need the inverse: the least probability that an event must have in one world if it has y in the other.
Two families: the Gaussian curve of mu, and the curve of an (epsilon, delta)-claim, which assumes nothing more.

>>> round(gaussian_epsilon(1.0, delta=1e-5), 3), round(gaussian_mu(4.377, delta=1e-5), 3)
(4.377, 1.0)

Not guaranteed: that a mechanism whose events are not Gaussian has a Gaussian curve. A bound on mu refutes "mu-GDP"; it
refutes an (epsilon, delta)-claim only for mechanisms of that family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from attacks.errors import AttackParameterError

Floor: TypeAlias = Callable[[float], float]
"""The least probability in one world of an event that has the given one in the other."""

MU_MAX = 30.0


def gaussian_floor(mu: float) -> Floor:
    """Of mu-GDP: Phi(Phi^-1(y) - mu)."""
    return lambda y: float(ndtr(ndtri(min(y, 1.0)) - mu))


def approximate_floor(epsilon: float, delta: float) -> Floor:
    """Of (epsilon, delta)-DP: the larger of the two straight lines, at least 0."""
    growth = math.exp(epsilon)
    return lambda y: max(0.0, (y - delta) / growth, 1.0 - delta - growth * (1.0 - y))


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta of a mu-GDP mechanism at `epsilon` (Balle and Wang 2018, Theorem 8)."""
    if mu <= 0.0:
        return 0.0
    first = float(ndtr(mu / 2.0 - epsilon / mu))
    return max(0.0, first - math.exp(epsilon + float(log_ndtr(-mu / 2.0 - epsilon / mu))))


def gaussian_epsilon(mu: float, *, delta: float) -> float:
    """Epsilon of a mu-GDP mechanism at `delta` in (0, 1); 0 if delta alone pays for it."""
    _check(delta)
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = mu * mu / 2.0 + mu * math.sqrt(2.0 * math.log(1.0 / delta)) + 1.0
    return float(brentq(lambda epsilon: gaussian_delta(mu, epsilon) - delta, 0.0, high, xtol=1e-10))


def gaussian_mu(epsilon: float, *, delta: float) -> float:
    """The mu whose Gaussian mechanism has exactly (epsilon, delta), at most `MU_MAX`."""
    _check(delta)
    if gaussian_delta(MU_MAX, epsilon) <= delta:
        return MU_MAX
    return float(brentq(lambda mu: gaussian_delta(mu, epsilon) - delta, 0.0, MU_MAX, xtol=1e-12))


def _check(delta: float) -> None:
    if not 0.0 < delta < 1.0:
        raise AttackParameterError(f"Expected delta in (0, 1) for a Gaussian curve, got {delta}.")
