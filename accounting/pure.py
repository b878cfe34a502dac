"""Basic composition of pure guarantees in exact decimals: what everybody can check on paper.

>>> from accounting.event import EventTree, Laplace
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Laplace(scale="10", l1_sensitivity="1", count=3),))
>>> round(PureAccountant().opinion(tree, 0.0).epsilon, 6)
0.3

Epsilons add (Dwork and Roth 2014, Theorem 3.14). Best for few events or tiny delta; never below the truth.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal

from accounting.accountant import Opinion
from accounting.errors import DeltaTooSmallError, UnsupportedEventError
from accounting.event import (
    ApproxDP,
    DiscreteLaplace,
    Event,
    EventTree,
    Exponential,
    Laplace,
    PredictionTokens,
    PureDP,
    SparseVector,
)

_UP = Context(prec=40, rounding=ROUND_CEILING)


class PureAccountant:
    """Sum of worst-case losses, and of the deltas of events that have one of their own."""

    name = "pure/own-1"

    def opinion(self, tree: EventTree, delta: float) -> Opinion:
        """See `accounting.accountant.Accountant`."""
        total = failures = Decimal(0)
        for event in tree.events:
            total = _UP.add(total, _UP.multiply(Decimal(event.count), worst_loss(event)))
            if isinstance(event, ApproxDP):
                failures = _UP.add(failures, _UP.multiply(Decimal(event.count), event.delta))
        if failures > Decimal(delta) * (1 + Decimal("1e-15")):
            raise DeltaTooSmallError(
                f"The deltas of (epsilon, delta) events alone sum to {failures:.3g}, more than {delta:.3g}.",
                "Grant a larger delta.",
            )
        return Opinion(epsilon=float(total), tight=False)


def worst_loss(event: Event) -> Decimal:
    """Largest privacy loss of one use of `event`, rounded up.

    Raises:
        UnsupportedEventError: if the loss is unbounded.
    """
    match event:
        case Laplace():
            return _UP.divide(event.l1_sensitivity, event.scale)
        case DiscreteLaplace():
            return _UP.divide(Decimal(event.change), event.scale)
        case Exponential() | PredictionTokens():
            return event.bounded_range
        case PureDP() | ApproxDP() | SparseVector():
            return event.epsilon
        case _:
            raise UnsupportedEventError("Gaussian noise, thresholds and filters have no pure guarantee.")
