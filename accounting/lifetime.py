"""What a run costs a lifetime budget: its rho, its divergence at one order, and the delta beside it, rounded up.

The currencies add up exactly however the next run was chosen (`accounting.ledger.composition`), so one number a run is
all that has to be remembered. Events with a delta of their own (partition selection, approximate mechanisms) put it
into a column of its own; there it is added, which is never less than what composes.

Closed forms are exact fractions, rounded up at the twelfth place; everything else comes from the own zCDP and RDP
accountants, whose doubles are raised by one part in 1e12 first.

>>> from accounting.event import EventTree, Gaussian
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Gaussian(sigma="10", l2_sensitivity="1", count=20),))
>>> total_rho_up(tree), total_divergence_up(tree, Decimal(8)), total_atoms_up(tree)
(Decimal('0.1'), Decimal('0.800000000001'), Decimal('0'))
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import numpy as np

from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PureDP,
    ZCDPFilter,
)
from accounting.filters import exact_rho
from accounting.rdp import divergence
from accounting.zcdp import event_rho, total_atoms

PLACES = Decimal("1e-12")
_EXACT = (Gaussian, DiscreteGaussian, Exponential, PureDP, Laplace, DiscreteLaplace)
_RAISED = Fraction(10**12 + 1, 10**12)
_WIDE = decimal.Context(prec=80)


def total_rho_up(tree: EventTree) -> Decimal:
    """Rho of all events together, rounded up to twelve places: zCDP, relation and unit of the tree.

    Raises:
        UnsupportedEventError: an event has no zCDP, such as Poisson sampling, which zCDP does not amplify.
    """
    return _up(sum((event.count * _rho(event) for event in tree.events), Fraction(0)), PLACES)


def total_divergence_up(tree: EventTree, order: Decimal) -> Decimal:
    """Renyi divergence of this order of all events together, in nats, rounded up to twelve places.

    Args:
        tree: events; atoms of thresholds are apart (`total_atoms_up`).
        order: alpha > 1.

    Raises:
        UnsupportedEventError: no proof covers an event under the tree's relation.
    """
    return _up(Fraction(float(divergence(tree, np.array([float(order)]))[0])) * _RAISED, PLACES)


def total_atoms_up(tree: EventTree) -> Decimal:
    """Sum of the deltas of events that no divergence bounds, rounded up; 0 if there are none."""
    stated = Fraction(0)
    for event in tree.events:
        stated += event.count * Fraction(event.delta) if isinstance(event, ApproxDP) else 0
    others = tuple(event for event in tree.events if not isinstance(event, ApproxDP))
    computed = total_atoms(EventTree(relation=tree.relation, unit=tree.unit, events=others)) if others else 0.0
    if computed <= 0:
        return _up(stated, Decimal("1e-40"))
    place = Decimal(1).scaleb(max(-40, Decimal(computed).adjusted() - 11))
    return _up(stated + Fraction(computed) * _RAISED, place)


def _rho(event: Event) -> Fraction:
    if isinstance(event, ZCDPFilter):
        return Fraction(event.rho)
    if isinstance(event, _EXACT):
        return exact_rho(event)
    return Fraction(event_rho(event)) * _RAISED


def _up(value: Fraction, place: Decimal) -> Decimal:
    steps = value / Fraction(place)
    whole = -(-steps.numerator // steps.denominator)
    return _WIDE.normalize(_WIDE.multiply(Decimal(whole), place))
