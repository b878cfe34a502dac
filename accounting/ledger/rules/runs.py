"""Rules of runs: a reservation holds the worst case, and is closed once."""

from __future__ import annotations

from accounting.ledger.amounts import nothing
from accounting.ledger.books import Books
from accounting.ledger.containment import uncovered
from accounting.ledger.errors import Reason
from accounting.ledger.records import ReservationRecord, Status
from accounting.ledger.rules.grants import budget_of
from accounting.ledger.shape import Body, broken, event_tree, events_in, guarantee_delta, priced, text

_OPEN = Status.OPEN  # a member of an enum is looked up by code, and a long ledger has many entries


def reserve(books: Books, seq: int, body: Body) -> None:
    """A reservation is in its budget's unit and relation, and fits."""
    budget, name = budget_of(books, seq, body), text(seq, body, "reservation_id")
    if name in books.reservations:
        raise broken(seq, Reason.RULE_BROKEN, "a reservation made twice")
    reservation = ReservationRecord(
        reservation_id=name,
        budget_id=budget.budget_id,
        run_id=text(seq, body, "run_id"),
        purpose=text(seq, body, "purpose"),
        seq=seq,
        charge=priced(seq, body, budget.composition.currency),
        delta=guarantee_delta(seq, body),
        plan=event_tree(seq, body["plan"], relation=budget.relation, unit=budget.unit),
        token_hash=text(seq, body, "token_hash"),
    )
    if books.short(budget.budget_id, reservation.charge) is not None:
        raise broken(seq, Reason.OVERSPENT, "a reservation that takes its budget, or one above it, over its limit")
    books.hold(reservation)


def access(books: Books, seq: int, body: Body) -> None:
    """A token is used once."""
    reservation = _open(books, seq, body)
    if reservation.accessed:
        raise broken(seq, Reason.RULE_BROKEN, "a reservation's token used twice")
    books.reservations[reservation.reservation_id] = reservation.used()


def commit(books: Books, seq: int, body: Body) -> None:
    """What ran is covered by the plan, and costs no more than it."""
    reservation = _open(books, seq, body)
    budget = books.budgets[reservation.budget_id]
    charge = priced(seq, body, budget.composition.currency)
    events = event_tree(seq, body["events"], relation=budget.relation, unit=budget.unit)
    if events != reservation.plan and uncovered(events_in(events), events_in(reservation.plan)) is not None:
        raise broken(seq, Reason.PLAN_EXCEEDED, "a commit of events that its reservation does not cover")
    if not reservation.charge.covers(charge):
        raise broken(seq, Reason.PLAN_EXCEEDED, "a commit that costs more than its reservation")
    books.close(reservation, Status.COMMITTED, charge)


def abort(books: Books, seq: int, body: Body) -> None:
    """A refund is for runs that never used their token."""
    reservation = _open(books, seq, body)
    if body["data_was_read"] is True:
        books.close(reservation, Status.FORFEITED, reservation.charge)
    elif body["data_was_read"] is False and not reservation.accessed:
        books.close(reservation, Status.REFUNDED, nothing(reservation.charge.currency))
    else:
        raise broken(seq, Reason.RULE_BROKEN, "a refund for a reservation whose token was used")


def expire(books: Books, seq: int, body: Body) -> None:
    """What a crash left open is spent in full."""
    reservation = _open(books, seq, body)
    books.close(reservation, Status.FORFEITED, reservation.charge)


def _open(books: Books, seq: int, body: Body) -> ReservationRecord:
    reservation = books.reservations.get(text(seq, body, "reservation_id"))
    if reservation is None or reservation.budget_id != body["budget_id"]:
        raise broken(seq, Reason.RULE_BROKEN, "an entry on a reservation that was never made")
    if reservation.status is not _OPEN:
        raise broken(seq, Reason.RULE_BROKEN, "an entry on a reservation that is closed")
    return reservation
