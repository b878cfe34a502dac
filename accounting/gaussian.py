"""Gaussian noise, continuous and discrete, in closed form: the yardstick that the other accountants are held to.

Continuous noise with mu = sensitivity / sigma (Balle and Wang 2018, Theorem 8):

    delta(eps) = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu)

Discrete noise on integer queries, one coordinate shifted by one (Canonne, Kamath and Steinke 2020, Theorem 7):

    delta(eps) = Pr[Y > eps sigma^2 - 1/2] - e^eps Pr[Y > eps sigma^2 + 1/2]

The second exceeds the first at some eps, so the first must not account for discrete noise.

>>> round(gaussian_delta(1.0, 1.0), 6), round(gaussian_epsilon(1.0, 1e-5), 6)
(0.126937, 4.377178)
>>> round(discrete_gaussian_delta(1.0, 1.0), 6)
0.141351
"""

from __future__ import annotations

import math

import numpy as np

from accounting.accountant import Opinion
from accounting.errors import UnsupportedEventError
from accounting.event import EventTree, Gaussian

_WIDE = 50_000.0  # above this sigma a sum over the support costs more than an integral bound loses


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta of one Gaussian query with sensitivity `mu` noise standard deviations, at `epsilon`."""
    near, far = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
    return max(0.0, _normal_cdf(near) - _exp_times(epsilon, far))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Smallest epsilon >= 0 with `gaussian_delta(mu, epsilon) <= delta`, rounded up by bisection."""
    if delta <= 0:
        return math.inf
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2 * high
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    while high - low > 1e-12 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(mu, middle) > delta else (low, middle)
    return high


def discrete_gaussian_tail(sigma: float, start: int) -> float:
    """Pr[Y >= start] for Pr[Y = j] proportional to exp(-j^2 / (2 sigma^2)), never below the true value."""
    if start <= 0:
        return min(1.0, 1.0 - discrete_gaussian_tail(sigma, 1 - start) * (1 - 3e-12))
    weight = math.exp(-0.5 * (start / sigma) ** 2)
    if sigma > _WIDE:
        # Sum over j >= start is at most its first term plus the integral from `start`; the norm is > sqrt(2 pi) sigma.
        return min(1.0, weight / (math.sqrt(2 * math.pi) * sigma) + _normal_cdf(-start / sigma))
    steps = np.arange(math.ceil(40 * sigma) + 2, dtype=np.float64)
    terms = np.exp(-steps * (steps + 2 * start) / (2 * sigma**2))
    return float(weight * terms.sum() / _norm(sigma)) * (1 + 1e-12)


def discrete_gaussian_delta(sigma: float, epsilon: float) -> float:
    """Exact delta at `epsilon` of one discrete Gaussian count that changes by one."""
    cut = epsilon * sigma**2
    near = discrete_gaussian_tail(sigma, math.floor(cut - 0.5) + 1)
    far = discrete_gaussian_tail(sigma, math.floor(cut + 0.5) + 1)
    return max(0.0, near - math.exp(epsilon) * far)


class AnalyticAccountant:
    """Exact epsilon of trees that hold Gaussian events only: mu^2 adds up (Dong, Roth and Su 2022)."""

    name = "analytic/own-1"

    def opinion(self, tree: EventTree, delta: float) -> Opinion:
        """See `accounting.accountant.Accountant`."""
        if not all(isinstance(event, Gaussian) for event in tree.events):
            raise UnsupportedEventError("The closed form covers Gaussian events only.")
        mu = composed_mu(tree)
        return Opinion(epsilon=gaussian_epsilon(mu, delta) if mu else 0.0)


def composed_mu(tree: EventTree) -> float:
    """sqrt(sum of (sensitivity / sigma)^2) over the tree's continuous Gaussian events; 0 if there are none."""
    gaussians = [event for event in tree.events if isinstance(event, Gaussian)]
    return math.sqrt(math.fsum(e.count * float(e.l2_sensitivity / e.sigma) ** 2 for e in gaussians))


def _norm(sigma: float) -> float:
    steps = np.arange(1, math.ceil(40 * sigma) + 2, dtype=np.float64)
    return 1.0 + 2.0 * float(np.exp(-0.5 * (steps / sigma) ** 2).sum())


def _normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _exp_times(exponent: float, x: float) -> float:
    """exp(exponent) * Phi(x) without overflow: for x << 0 Phi(x) is below exp(-x^2 / 2)."""
    tail = _normal_cdf(x)
    return math.exp(exponent + math.log(tail)) if tail > 0 else 0.0
