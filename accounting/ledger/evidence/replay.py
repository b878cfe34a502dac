"""Replay: every price in a ledger, computed again from its events by one accountant of the reader's choice.

A ledger states for each reservation and each commit the events, the delta, the epsilon that was charged and what each
accountant said. Replay believes none of it but the events. An entry holds if

* what the accountant finds now is what the entry says it said then, to the sixth decimal, and
* the charge is not below the best epsilon stated; or, where the budget adds up rho or a divergence, not below what the
  own zCDP or RDP accountant finds for the events now, with the delta beside it.

An accountant that the entry does not name (it had no proof for these events then) is compared with the charge instead:
a smaller epsilon confirms it, a larger one only fails to. Of another version of the same method the figure may lie
0.05 % below today's, as grids differ, and any way above, as proofs improve.

>>> replay((), "rdp")
[]

Equal events are priced once, so a thousand runs of one plan cost what one costs. Not guaranteed: that the events are
what ran; that is the generators' conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from accounting.decimals import decimal_up
from accounting.errors import AccountingError, ParameterError
from accounting.ledger.amounts import Charge, Currency, Grant
from accounting.ledger.composition import Composition
from accounting.ledger.entry import Entry, Kind

REPLAYED = (Kind.RESERVE, Kind.COMMIT)
TOLERANCE = Decimal("0.000002")
"""Two units of the last digit: libraries of other versions round their sums in another order."""

VERSIONS = Decimal("0.0005")
"""How far below today's figure another version of the method may lie."""


class Outcome(StrEnum):
    """What replay says of one price."""

    HOLDS = "holds"  # found again, or confirmed by a smaller one
    UNCONFIRMED = "unconfirmed"  # this accountant proves less than was charged on, and was not the one charged on
    UNSUPPORTED = "unsupported"  # this accountant has no proof for these events
    WRONG = "wrong"  # found another figure than the entry states, or the charge is below the best that it states


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One price, then and now.

    Attributes:
        seq: of the entry.
        kind: reserve or commit.
        run: the reservation.
        charged: on the books, in `currency`, relation and unit of the budget.
        currency: epsilon, rho or divergence.
        stated: what the entry says that this accountant said; None if it names another.
        found: what it says now; None if it has no proof.
        outcome: see `Outcome`.
        reason: for all but `holds`.
    """

    seq: int
    kind: Kind
    run: str
    charged: Decimal
    currency: Currency
    stated: Decimal | None
    found: Decimal | None
    outcome: Outcome
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line of `ledger replay --json`; numbers as decimal strings."""
        return {
            "seq": self.seq,
            "kind": self.kind.value,
            "reservation": self.run,
            "charged": str(self.charged),
            "currency": self.currency.value,
            "stated": None if self.stated is None else str(self.stated),
            "found": None if self.found is None else str(self.found),
            "outcome": self.outcome.value,
            "reason": self.reason,
        }


def methods() -> tuple[str, ...]:
    """Names of the accountants that can replay: analytic, pld, rdp, zcdp, pure."""
    from accounting.crosscheck import ACCOUNTANTS

    return tuple(_method(accountant.name) for accountant in ACCOUNTANTS)


def replay(entries: Iterable[Entry], method: str, *, each: Callable[[int], None] = lambda _: None) -> list[Replayed]:
    """Price every reservation and commit anew.

    Args:
        entries: of a ledger, or the disclosed ones of a slice, with those that create the budgets; chain and signatures
            are `verify`'s business.
        method: one of `methods()`.
        each: called with the number of prices done.

    Raises:
        ParameterError: there is no such accountant.
    """
    if method not in methods():
        raise ParameterError(f"There is no accountant {method[:40]!r}.", f"Use one of {', '.join(methods())}.")
    known: dict[tuple[str, str], Decimal | str] = {}
    found: list[Replayed] = []
    filters: dict[str, Composition] = {}
    for entry in entries:
        if entry.kind in (Kind.BUDGET_CREATE, Kind.BUDGET_CHILD):
            read = Composition.from_json(entry.body["filter"], Grant.from_json(entry.body["granted"]))
            if read is not None:
                filters[str(entry.budget_id)] = read[0]
        elif entry.kind in REPLAYED:
            found.append(_one(entry, method, known, filters.get(str(entry.budget_id), Composition.basic())))
            each(len(found))
    return found


def _one(entry: Entry, method: str, known: dict[tuple[str, str], Decimal | str], composition: Composition) -> Replayed:
    from accounting.event import EventTree
    from accounting.guarantee import Guarantee
    from accounting.ledger.pricing import undercharged

    body: Any = entry.body
    guarantee = Guarantee.from_json(body["guarantee"])
    tree = EventTree.from_json(body["plan" if entry.kind is Kind.RESERVE else "events"])
    key = tree.digest(), str(guarantee.delta)
    if key not in known:
        known[key] = _price(tree, guarantee.delta, method)
    answer = known[key]
    stated = next((Decimal(value) for name, value in guarantee.all.items() if _method(name) == method), None)
    charge = Charge.from_json(body["charge"], composition.currency)
    same_version = _current(method) in guarantee.all
    if composition.currency is Currency.EPSILON:
        outcome, reason = _judge(answer, stated, charge.loss, guarantee, same_version)
    else:
        outcome, reason = _judge(answer, stated, guarantee.epsilon, guarantee, same_version)
        if undercharged(charge, tree, guarantee, composition):
            outcome, reason = Outcome.WRONG, f"The events cost more {composition.currency.value} or delta than charged."
    return Replayed(
        seq=entry.seq,
        kind=entry.kind,
        run=str(body["reservation_id"]),
        charged=charge.loss,
        currency=charge.currency,
        stated=stated,
        found=answer if isinstance(answer, Decimal) else None,
        outcome=outcome,
        reason=reason,
    )


def _judge(
    answer: Decimal | str, stated: Decimal | None, charged: Decimal, guarantee: Any, same_version: bool
) -> tuple[Outcome, str]:
    best = min((Decimal(value) for value in guarantee.all.values()), default=guarantee.epsilon)
    if guarantee.epsilon < best or charged < guarantee.epsilon:
        return Outcome.WRONG, "The charge is below every epsilon that the entry itself states."
    if isinstance(answer, str):
        if stated is None:
            return Outcome.UNSUPPORTED, answer
        return Outcome.WRONG, f"The entry states a figure of this accountant, which has none: {answer}"
    below, above = (TOLERANCE, TOLERANCE) if same_version else (answer * VERSIONS + TOLERANCE, Decimal("Infinity"))
    if stated is not None and not -below <= stated - answer <= above:
        return Outcome.WRONG, "The events do not give the epsilon that the entry states."
    if answer > charged + TOLERANCE and stated is None:
        return Outcome.UNCONFIRMED, "This accountant proves less than was charged on."
    return Outcome.HOLDS, ""


def _price(tree: Any, delta: Decimal, method: str) -> Decimal | str:
    """Epsilon rounded up to six decimals as `crosscheck.price` does, or why there is none."""
    from accounting.crosscheck import ACCOUNTANTS, DIGITS

    accountant = next(one for one in ACCOUNTANTS if _method(one.name) == method)
    try:
        epsilon = accountant.opinion(tree, float(delta)).epsilon
    except AccountingError as error:
        return error.message
    return decimal_up(max(0.0, epsilon * (1 - 1e-12)), DIGITS) if epsilon < 1e6 else "It proves nothing at this delta."


def _current(method: str) -> str:
    from accounting.crosscheck import ACCOUNTANTS

    return next(one.name for one in ACCOUNTANTS if _method(one.name) == method)


def _method(name: str) -> str:
    return name.partition("/")[0]
