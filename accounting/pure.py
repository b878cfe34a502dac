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
from accounting.errors import UnsupportedEventError
from accounting.event import DiscreteLaplace, Event, EventTree, Exponential, Laplace, PureDP

_UP = Context(prec=40, rounding=ROUND_CEILING)


class PureAccountant:
    """Sum of worst-case losses; needs no delta."""

    name = "pure/own-1"

    def opinion(self, tree: EventTree, delta: float) -> Opinion:  # noqa: ARG002 - holds at any delta
        """See `accounting.accountant.Accountant`."""
        total = Decimal(0)
        for event in tree.events:
            total = _UP.add(total, _UP.multiply(Decimal(event.count), worst_loss(event)))
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
        case Exponential():
            return event.bounded_range
        case PureDP():
            return event.epsilon
        case _:
            raise UnsupportedEventError("Gaussian noise, thresholds and filters have no pure guarantee.")
