"""What a plan would cost under each filter, how often it fits, and the order of an rdp filter: nothing is appended.

A filter is chosen once, when the root is created, so it is worth a look before. `quotes` prices one run and `runs` like
it under basic composition, zcdp, and rdp at the order that is best for that many; `room` says how many still fit into
a budget as it stands, and which budget above stops the next. Plans are functions of public things, so no data is read.

>>> from accounting.event import Gaussian
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Gaussian(sigma="20", l2_sensitivity="1", count=20),))
>>> grant = Grant(epsilon=Decimal(6), delta=Decimal("1e-5"))
>>> for quote in quotes(tree, delta=Decimal("1e-7"), granted=grant, runs=20):
...     print(quote)
basic: 20 runs epsilon 20.98476, of which 5 fit into epsilon 6, delta 1e-5
zcdp: 20 runs epsilon 4.882223, of which 28 fit into epsilon 6, delta 1e-5
rdp of order 5.6: 20 runs epsilon 4.88227, of which 27 fit into epsilon 6, delta 1e-5

Not guaranteed: that the next runs are like this one. The filter charges what they are, and refuses what does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np

from accounting.decimals import decimal_text
from accounting.errors import UnsupportedEventError
from accounting.event import EventTree, PoissonSampled
from accounting.ledger.amounts import Charge, Grant
from accounting.ledger.composition import Composition, FilterName
from accounting.ledger.errors import AmountRefused, BudgetRefused
from accounting.ledger.pricing import price_run
from accounting.rdp import divergence

_FINE = tuple(Decimal(n) / 10 for n in range(11, 100))
_HALVES = tuple(Decimal(n) / 2 for n in range(3, 20))  # sampled events are integrated at each order that is no integer
_WHOLE = tuple(map(Decimal, (*range(10, 64), *range(64, 256, 8), *range(256, 2049, 128))))
_SIX = Decimal("1e-6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One filter's answer.

    Attributes:
        name: basic, zcdp or rdp.
        order: alpha, for rdp.
        runs: how many equal runs the totals are for.
        granted: the grant that was asked about, with nothing spent of it.
        charge: of one run; None if the filter has no price for an event, and `reason` says why.
        epsilon: of all runs together, at the filter's conversion delta; rounded up to six decimals.
        delta: of all runs together.
        fits: how many such runs an unspent grant holds.
        reason: why there is no charge.
    """

    name: FilterName
    runs: int
    granted: Grant
    order: Decimal | None = None
    charge: Charge | None = None
    epsilon: Decimal | None = None
    delta: Decimal | None = None
    fits: int = 0
    reason: str = ""

    @property
    def label(self) -> str:
        """The filter in words."""
        return self.name.value if self.order is None else f"{self.name.value} of order {decimal_text(self.order)}"

    def to_json(self) -> dict[str, Any]:
        """One row of `budget plan --json`; numbers as decimal strings, null where there is no price."""

        def text(value: Decimal | None) -> str | None:
            return None if value is None else decimal_text(value)

        return {
            "filter": self.name.value,
            "order": text(self.order),
            "runs": self.runs,
            "charge": None if self.charge is None else self.charge.to_json(),
            "epsilon": text(self.epsilon),
            "delta": text(self.delta),
            "fits": self.fits,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        if self.epsilon is None:
            return f"{self.label}: no price. {self.reason}"
        total = f"{self.runs} runs epsilon {decimal_text(self.epsilon)}"
        return f"{self.label}: {total}, of which {self.fits} fit into {self.granted}"


def quotes(
    tree: EventTree, *, delta: Decimal, granted: Grant, runs: int, conversion_delta: Decimal | None = None
) -> tuple[Quote, ...]:
    """Price a plan under each filter.

    Args:
        tree: worst case of one run.
        delta: at which the run's guarantee is stated; basic composition charges it.
        granted: the grant of a new root.
        runs: how many such runs are meant, at least 1.
        conversion_delta: for zcdp and rdp; default half of the grant's delta.

    Returns:
        Quotes for basic, zcdp, and rdp at the best order for `runs` runs, in this order.

    Raises:
        AmountRefused: runs below 1, or the conversion delta is not below the grant's.
        CrossCheckError: two accountants contradict each other about the plan.
        UnsupportedEventError: fewer than two accountants have a proof for the plan at all.
    """
    apart = granted.delta / 2 if conversion_delta is None else conversion_delta
    if runs < 1 or not 0 < apart < granted.delta:
        raise AmountRefused("Expected at least one run, and 0 < conversion delta < the grant's.", "Correct the plan.")
    found = [quote(tree, Composition.basic(), delta=delta, granted=granted, runs=runs)]
    found.append(quote(tree, Composition.zcdp(conversion_delta=apart), delta=delta, granted=granted, runs=runs))
    order = best_order(tree, runs=runs, conversion_delta=apart)
    by_order = Composition.rdp(order=order, conversion_delta=apart)
    found.append(quote(tree, by_order, delta=delta, granted=granted, runs=runs))
    return tuple(found)


def best_order(tree: EventTree, *, runs: int, conversion_delta: Decimal) -> Decimal:
    """Alpha whose filter gives the smallest epsilon after `runs` such runs.

    Args:
        tree: worst case of one run.
        runs: how many of them.
        conversion_delta: at which the divergence is converted.

    Raises:
        UnsupportedEventError: no proof covers an event under the tree's relation.
    """
    sampled = any(isinstance(event, PoissonSampled) for event in tree.events)
    orders = (_HALVES if sampled else _FINE) + _WHOLE
    alphas = np.array([float(order) for order in orders])
    excess = alphas - 1
    cost = (-np.log(float(conversion_delta)) + excess * np.log1p(-1 / alphas) - np.log(alphas)) / excess
    return orders[int(np.argmin(runs * divergence(tree, alphas) + cost))]


def quote(tree: EventTree, composition: Composition, *, delta: Decimal, granted: Grant, runs: int) -> Quote:
    """Price a plan under one filter; arguments and errors as `quotes`."""
    about: dict[str, Any] = {"name": composition.name, "order": composition.order, "runs": runs, "granted": granted}
    try:
        charge = price_run(tree, delta, composition)[1]
    except UnsupportedEventError as error:
        if composition.conversion_delta is None:
            raise
        return Quote(**about, reason=error.message)
    try:
        fits = composition.limit(granted).holds(charge)
    except BudgetRefused:  # the conversion alone takes the whole grant
        fits = 0
    total = composition.epsilon(charge.loss * runs).quantize(_SIX, rounding=ROUND_CEILING)
    apart = composition.conversion_delta or Decimal(0)
    return Quote(**about, charge=charge, epsilon=total, delta=charge.delta * runs + apart, fits=fits)
