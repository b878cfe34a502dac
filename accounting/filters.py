"""A run-time filter: admits steps chosen on the way while their zCDP adds up to at most a bound fixed before.

An algorithm that looks at its outputs to decide what to ask next, and with how much noise, cannot list its events
beforehand. It reserves one `ZCDPFilter` event instead, asks `admit` before each draw of noise, and is refused where
the sum would pass the bound. The theorem is stated at the event. What is admitted counts even if it is never drawn.

Sums are exact fractions: a million steps cannot creep past the bound by rounding. rho of a step is that of
`accounting.zcdp`, in closed form: Gaussian N / (2 sigma^2), bounded range eta^2 / 8, pure epsilon^2 / 2.

>>> from accounting.event import DiscreteGaussian
>>> left = RunningFilter(ZCDPFilter(rho="0.5"))
>>> left.admit(DiscreteGaussian(sigma="2", l2_sensitivity="1", count=3))
>>> left.left
Fraction(1, 8)

Not guaranteed: that the step admitted is the step that runs; the caller hands both the same event.
"""

from __future__ import annotations

from fractions import Fraction
from typing import final

from accounting.decimals import decimal_text
from accounting.errors import FilterExhaustedError, UnsupportedEventError
from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    Event,
    Exponential,
    Gaussian,
    PartitionSelection,
    PoissonSampled,
    PredictionTokens,
    SparseVector,
    ZCDPFilter,
)
from accounting.pure import worst_loss


@final
class RunningFilter:
    """What is left of a `ZCDPFilter` while its steps run.

    Args:
        event: the bound, relation and unit of the tree that it stands in. A filter runs once: `count` is 1.

    Attributes:
        steps: events admitted so far, in time order.

    Raises:
        UnsupportedEventError: for a count above 1.
    """

    def __init__(self, event: ZCDPFilter) -> None:
        if event.count != 1:
            raise UnsupportedEventError("One running filter serves one use of its event.", "Make one for each use.")
        self._bound, self._left = event.rho, Fraction(event.rho)
        self.steps: list[Event] = []

    @property
    def left(self) -> Fraction:
        """Rho that further steps may spend, exactly."""
        return self._left

    def admit(self, event: Event) -> None:
        """Count `event` as spent, before its noise is drawn.

        Raises:
            FilterExhaustedError: the sum would pass the bound; nothing is counted and nothing may be drawn.
            UnsupportedEventError: the event has no zCDP.
        """
        cost = event.count * exact_rho(event)
        if cost > self._left:
            raise FilterExhaustedError(
                f"This step would carry the filter beyond its bound rho={decimal_text(self._bound)}.",
                "Ask for more noise, or stop: what was planned is spent.",
            )
        self._left -= cost
        self.steps.append(event)


def exact_rho(event: Event) -> Fraction:
    """Rho of one use of `event`: zCDP, relation and unit of its tree, as an exact fraction.

    Raises:
        UnsupportedEventError: thresholds have a delta, sampling has no zCDP, and a filter is no step.
    """
    match event:
        case Gaussian():
            return (Fraction(event.l2_sensitivity) / Fraction(event.sigma)) ** 2 / 2
        case DiscreteGaussian():
            return event.squared_change / (2 * Fraction(event.sigma) ** 2)
        case Exponential() | PredictionTokens() | SparseVector():
            return Fraction(event.bounded_range) ** 2 / 8
        case PartitionSelection() | ApproxDP() | PoissonSampled() | ZCDPFilter():
            raise UnsupportedEventError("What has a delta, sampled steps and filters are no steps of a zCDP filter.")
        case _:
            return Fraction(worst_loss(event)) ** 2 / 2
