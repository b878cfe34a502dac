"""Many discrete Gaussians are one continuous Gaussian, a provable hair wider: the fast way through marginal tables.

A count that changes by an integer v under discrete noise of sigma has the loss v (v + 2 Y) / (2 sigma^2). Alone its
distribution is a comb, and the continuous curve of mu = v / sigma may lie below it. Added to one continuous Gaussian
loss it is smooth: if Y is discrete Gaussian and Z ~ N(0, B^2), then by Poisson summation the density of Y + Z is that
of N(0, sigma^2 + B^2) times a factor between (1 - r(s)) / (1 + r(sigma)) and (1 + r(s)) / (1 + r(sigma)), where

    1/s^2 = 1/sigma^2 + 1/B^2,   r(s) = 2 sum_{m >= 1} exp(-2 pi^2 s^2 m^2),   r(1.3) < 1e-14.

So a comb convolved with a normal loss of standard deviation b >= v B / sigma^2 is the normal loss of variance
b^2 + v^2 / sigma^2, but for an atom r(s) + r(sigma). Composing with a Gaussian mechanism that never ran only makes a
pair easier to tell apart. Hence, by induction from the last step to the first:

**Theorem.** Discrete Gaussian steps g with squared change at most N_g, used n_g times, however their integer change
vectors depend on earlier outputs, in any interleaving with mechanisms of other kinds, are dominated together by one
continuous Gaussian of

    mu^2 = sum_g n_g N_g / sigma_g^2 + b^2,   b^2 = max_g N_g s^2 / (sigma_g^2 (sigma_g^2 - s^2)),

and an atom at infinite loss of sum_g n_g N_g (r(s) + r(sigma_g)). Proof: docs/concepts/accounting.md.

A continuous Gaussian that is in the tree anyway may have been seen before a vector is chosen, and then it smooths the
better of two combs at each loss, not their average. It counts towards b^2 only where N_g <= 3: there is no choice, as
all ones dominate every other vector.

>>> folded = fold([(DiscreteGaussian(sigma="40", l2_sensitivity="1"), 29)], atom=1e-14, smooth=0.0)
>>> round(folded.mu_squared * 40**2 / 29, 6)
1.000041

Not guaranteed: that it is worth it. One table alone with little noise is cheaper by its own comb (`accounting.pld`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from accounting.errors import UnsupportedEventError
from accounting.event import DiscreteGaussian

ONE_SHAPE = 3
"""Largest squared norm at which one change vector dominates all others: as many ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """One continuous Gaussian and an atom that dominate a set of discrete Gaussians together.

    Args:
        mu_squared: of the Gaussian, the smoothing and the continuous Gaussians of the tree included.
        smoothing: what the smoothing added to it.
        atom: mass at infinite loss.
    """

    mu_squared: float
    smoothing: float
    atom: float


def fold(groups: Sequence[tuple[DiscreteGaussian, int]], *, atom: float, smooth: float) -> Folded:
    """Fold discrete Gaussians and their counts.

    Args:
        groups: events and how often each was used.
        atom: mass at infinite loss that may be spent on it, > 0.
        smooth: mu^2 of the continuous Gaussians of the same tree, composed; 0 if there are none. Of use only to events
            of at most `ONE_SHAPE`.

    Raises:
        UnsupportedEventError: if some noise is too narrow for so small an atom.
    """
    s_squared = smoothing_width(groups, atom)
    needed = max((smoothing(event, s_squared) for event, _ in groups), default=0.0)
    chosen = max((smoothing(event, s_squared) for event, _ in groups if event.squared_change > ONE_SHAPE), default=0.0)
    if math.isinf(needed):
        raise UnsupportedEventError(
            "Discrete noise this narrow has no continuous bound.", "Use sigma of 3 or more, or smaller changes."
        )
    extra = max(chosen, needed - smooth)
    mu_squared = math.fsum(n * event.squared_change / float(event.sigma) ** 2 for event, n in groups)
    return Folded(mu_squared=(smooth + mu_squared + extra) * (1 + 1e-12), smoothing=extra, atom=atom if groups else 0.0)


def smoothing_width(groups: Sequence[tuple[DiscreteGaussian, int]], atom: float) -> float:
    """Smallest s^2 for which the atoms of all coordinates stay within `atom`.

    A vector of squared norm N has at most N non-zero integers. With q = exp(-2 pi^2 s^2) <= 1/5, r(s) <= 2 q /
    (1 - q^3) is below 2.1 q, and r(sigma) <= r(s), so 5 q a coordinate is enough.
    """
    coordinates = sum(n * event.squared_change for event, n in groups)
    return math.log(max(5.0, 5 * coordinates / atom)) / (2 * math.pi**2)


def smoothing(event: DiscreteGaussian, s_squared: float) -> float:
    """b^2 that the event needs; infinite if its own noise is too narrow.

    The widest comb has teeth sqrt(N) / sigma^2 apart, so that b is B = b sigma^2 / sqrt(N) in units of the count.
    """
    variance = float(event.sigma) ** 2
    if variance <= s_squared * (1 + 1e-9):
        return math.inf
    return event.squared_change * s_squared / (variance * (variance - s_squared))
