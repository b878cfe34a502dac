"""Zero-concentrated DP: one number rho an event, that adds up whatever is chosen adaptively.

Looser than the other accountants, yet valid where they are not: for any integer change vector, and as a filter when
parameters depend on earlier outputs. rho: Gaussian N / (2 sigma^2) (Canonne, Kamath and Steinke 2020, Theorem 14),
pure epsilon^2 / 2 (Bun and Steinke 2016, Proposition 1.4), bounded range eta^2 / 8 (Cesar and Rogers 2021; also of
tokens and sparse vectors), a filter its bound (see `event.ZCDPFilter`). From
rho to (epsilon, delta): Canonne, Kamath and Steinke 2020, Corollary 13, here as a bisection on delta(epsilon).

>>> round(zcdp_epsilon(0.5, 1e-5), 6)
4.728387
"""

from __future__ import annotations

import math

from accounting.accountant import Opinion, split_delta
from accounting.errors import UnsupportedEventError
from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    Event,
    EventTree,
    Exponential,
    Gaussian,
    PartitionSelection,
    PoissonSampled,
    PredictionTokens,
    SparseVector,
    ZCDPFilter,
)
from accounting.gaussian import discrete_gaussian_tail
from accounting.pure import worst_loss
from accounting.threshold import selection_delta

_GOLDEN = (math.sqrt(5) - 1) / 2


class ZCDPAccountant:
    """Sums rho and the deltas of partition selection (approximate zCDP)."""

    name = "zcdp/own-1"

    def opinion(self, tree: EventTree, delta: float) -> Opinion:
        """See `accounting.accountant.Accountant`."""
        rho = math.fsum(event.count * event_rho(event) for event in tree.events)
        return Opinion(epsilon=zcdp_epsilon(rho, split_delta(delta, total_atoms(tree))), tight=False)


def event_rho(event: Event) -> float:
    """Rho of one use of `event`: zCDP, relation and unit of its tree.

    Raises:
        UnsupportedEventError: for Poisson sampling, which zCDP does not amplify.
    """
    match event:
        case Gaussian():
            return float(event.l2_sensitivity / event.sigma) ** 2 / 2
        case DiscreteGaussian() | PartitionSelection():
            return event.squared_change / (2 * float(event.sigma) ** 2)
        case Exponential() | PredictionTokens() | SparseVector():
            return float(event.bounded_range) ** 2 / 8
        case ZCDPFilter():
            return float(event.rho)
        case PoissonSampled():
            raise UnsupportedEventError("zCDP has no amplification by sampling.")
        case _:
            return float(worst_loss(event)) ** 2 / 2


def total_atoms(tree: EventTree) -> float:
    """Mass at infinite loss of all partition selections and (epsilon, delta) events: 1 - prod (1 - delta_i)."""
    log_safe = 0.0
    for event in tree.events:
        if isinstance(event, ApproxDP):
            log_safe += event.count * math.log1p(-float(event.delta) * (1 + 1e-12))
        if isinstance(event, PartitionSelection):
            one = selection_delta(
                sigma=float(event.sigma),
                threshold=float(event.threshold),
                squared_change=event.squared_change,
                max_keys=event.max_keys,
                tail=discrete_gaussian_tail,
            )
            log_safe += event.count * (math.log1p(-one) if one < 1 else -math.inf)
    return -math.expm1(log_safe)


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Smallest epsilon that rho-zCDP gives at `delta`.

    Args:
        rho: zCDP parameter, >= 0.
        delta: in [0, 1); 0 gives infinity unless rho is 0.
    """
    if rho <= 0:
        return 0.0
    if delta <= 0:
        return math.inf
    low, high = 0.0, rho + 2 * math.sqrt(rho * -math.log(delta)) + 1e-12
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _log_delta(rho, middle) > math.log(delta) else (low, middle)
    return high


def _log_delta(rho: float, epsilon: float) -> float:
    """Log of min over alpha > 1 of exp((alpha - 1)(alpha rho - epsilon)) / (alpha - 1) * (1 - 1/alpha)^alpha."""

    def at(log_excess: float) -> float:
        excess = math.exp(log_excess)
        alpha = 1 + excess
        return excess * (alpha * rho - epsilon) - log_excess - alpha * math.log1p(1 / excess)

    # Quasi-convex in log(alpha - 1); near (epsilon + rho) / (2 rho) for small delta, larger for small rho.
    centre = math.log(max(epsilon / (2 * rho), 1e-3))
    low, high = centre - 8.0, centre + 8.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    f_left, f_right = at(left), at(right)
    while high - low > 1e-6:
        if f_left < f_right:
            high, right, f_right = right, left, f_left
            left = high - _GOLDEN * (high - low)
            f_left = at(left)
        else:
            low, left, f_left = left, right, f_right
            right = low + _GOLDEN * (high - low)
            f_right = at(right)
    return min(f_left, f_right)
