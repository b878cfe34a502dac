"""What one run is charged: its guarantee for people, and its price in the currency of the budget's filter.

Accountants are heavy, so they are loaded here, on the first price; reading a ledger needs none.
"""

from __future__ import annotations

from decimal import Decimal

from accounting.event import EventTree
from accounting.guarantee import Guarantee
from accounting.ledger.amounts import Charge, parse_delta, price_up
from accounting.ledger.composition import Composition


def price_run(tree: EventTree, delta: Decimal, composition: Composition) -> tuple[Guarantee, Charge]:
    """Price a plan, or what ran.

    Args:
        tree: events of one run; their parameters were fixed before it.
        delta: at which the guarantee is stated, in (0, 1); charged by basic composition only.
        composition: the filter of the budget.

    Returns:
        The cross-checked guarantee at `delta`, and the charge: epsilon and delta of that guarantee, or rho or the
        divergence of the events with the delta of their thresholds.

    Raises:
        UnsupportedEventError: the filter has no price for an event, such as zcdp for sampled ones.
        CrossCheckError: two accountants contradict each other.
    """
    from accounting.crosscheck import price

    guarantee = price(tree, delta)
    return guarantee, charge_of(tree, guarantee, composition)


def charge_of(tree: EventTree, guarantee: Guarantee, composition: Composition) -> Charge:
    """The charge for events whose guarantee is known already."""
    from accounting.lifetime import total_atoms_up, total_divergence_up, total_rho_up

    if composition.conversion_delta is None:
        return Charge(loss=price_up(guarantee.epsilon), delta=parse_delta(guarantee.delta))
    loss = total_rho_up(tree) if composition.order is None else total_divergence_up(tree, composition.order)
    return Charge(loss=price_up(loss), delta=total_atoms_up(tree), currency=composition.currency)


def undercharged(charge: Charge, tree: EventTree, guarantee: Guarantee, composition: Composition) -> bool:
    """Whether a ledger charged less than these events cost under its budget's filter, by today's accountants.

    Another machine may have rounded the same sum otherwise: one part in 10^9, and a unit of the last place, is allowed.

    Raises:
        UnsupportedEventError: the filter has no price for an event.
    """
    share = Decimal("1e-9")
    allowed = Charge(loss=price_up(charge.loss * share), delta=charge.delta * share, currency=charge.currency)
    return not charge.plus(allowed).covers(charge_of(tree, guarantee, composition))
