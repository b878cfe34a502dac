"""What each step writes, and the refusal that a person reads when it may not.

One function per kind of entry: it looks at the books, refuses with numbers and the next allowed action, or
returns the fields of the body. `Ledger` calls it under the write lock, so what it saw is still true when the
entry lands. `accounting.ledger.rules` checks the finished body once more; these functions exist for their
messages, not for safety.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import cast

from accounting.event import EventTree
from accounting.guarantee import Guarantee
from accounting.ledger.amounts import Charge
from accounting.ledger.books import Books
from accounting.ledger.containment import uncovered
from accounting.ledger.entry import APPENDABLE, JSON, RECORD_KINDS
from accounting.ledger.errors import (
    BudgetExceeded,
    BudgetRefused,
    EntryRefused,
    PlanExceeded,
    ReservationRefused,
)
from accounting.ledger.records import BudgetRecord, ReservationRecord, Status

Fields = dict[str, JSON]


def reserve_fields(
    books: Books,
    *,
    budget_id: str,
    reservation_id: str,
    run_id: str,
    purpose: str,
    policy_digest: str | None,
    plan: EventTree,
    guarantee: Guarantee,
    charge: Charge,
    token: str,
) -> Fields:
    """A worst case; refused if it does not fit into what is left, here or in a budget above."""
    check_fits(books, budget_id, charge)
    return {
        "budget_id": budget_id,
        "reservation_id": reservation_id,
        "run_id": run_id,
        "purpose": purpose,
        "policy_digest": policy_digest,
        "plan": plan.to_json(),
        "guarantee": guarantee.to_json(),
        "charge": cast("JSON", charge.to_json()),
        "token_hash": token_hash(reservation_id, token),
    }


def access_fields(books: Books, reservation_id: str, token: str) -> Fields:
    """The one use of a token; refused if it is wrong or was used."""
    reservation = open_reservation(books, reservation_id)
    if not hmac.compare_digest(reservation.token_hash, token_hash(reservation_id, token)):
        raise ReservationRefused("The token does not belong to this reservation.", "Reserve, then read.")
    if reservation.accessed:
        raise ReservationRefused(
            "The reservation's token was used already: one reservation pays for one read.",
            "Reserve again for another run.",
        )
    return _about(reservation)


def check_read_before(books: Books, reservation_id: str, token: str) -> None:
    """Return if the reservation is open and was read with this token.

    Raises:
        ReservationRefused: it is not, or was not.
    """
    reservation = open_reservation(books, reservation_id)
    if not hmac.compare_digest(reservation.token_hash, token_hash(reservation_id, token)):
        raise ReservationRefused("The token does not belong to this reservation.", "Reserve, then read.")
    if not reservation.accessed:
        raise ReservationRefused("The reservation was never read, so there is no run to go on.", "Use its token.")


def commit_fields(
    books: Books,
    reservation_id: str,
    *,
    events: EventTree,
    guarantee: Guarantee,
    charge: Charge,
    facts: Mapping[str, JSON],
) -> Fields:
    """What ran; refused if it costs more than was reserved."""
    reservation = open_reservation(books, reservation_id)
    if not reservation.charge.covers(charge):
        raise PlanExceeded(
            f"The events cost {charge}, more than the {reservation.charge} reserved: their order or the accountant "
            "differs.",
            "Abort with data_was_read=True, then reserve the events in the order in which they run.",
        )
    return _about(reservation) | {
        "events": events.to_json(),
        "guarantee": guarantee.to_json(),
        "charge": cast("JSON", charge.to_json()),
        "facts": dict(facts),
    }


def abort_fields(books: Books, reservation_id: str, reason: str, *, data_was_read: bool) -> Fields:
    """The end of a failed run; a refund is refused once the token was used."""
    reservation = open_reservation(books, reservation_id)
    if reservation.accessed and not data_was_read:
        raise ReservationRefused(
            "The reservation's token was used, so private rows may have been read: no refund.",
            "Abort with data_was_read=True.",
        )
    return _about(reservation) | {"reason": _reason(reason), "data_was_read": data_was_read}


def expire_fields(books: Books, reservation_id: str, reason: str) -> Fields:
    """A person's end to a run that a crash left open."""
    return _about(open_reservation(books, reservation_id)) | {"reason": _reason(reason)}


def record_fields(books: Books, kind: str, body: Mapping[str, JSON]) -> Fields:
    """Something that moves no budget; refused for kinds that do."""
    if kind not in {item.value for item in APPENDABLE}:
        raise EntryRefused(
            f"Entries of kind {kind[:40]!r} are not appended by hand.",
            f"Expected one of {', '.join(sorted(APPENDABLE))}.",
        )
    if kind in RECORD_KINDS:
        known_budget(books, str(body.get("budget_id")))
    elif "budget_id" in body:
        raise EntryRefused(f"A {kind} entry concerns the whole ledger.", "Leave out budget_id.")
    return dict(body)


def known_budget(books: Books, budget_id: str) -> BudgetRecord:
    """The budget.

    Raises:
        BudgetRefused: there is none.
    """
    if budget_id not in books.budgets:
        raise BudgetRefused(
            "No such budget in this ledger.", "Create one: create_budget(...); a grant is a person's act."
        )
    return books.budgets[budget_id]


def open_reservation(books: Books, reservation_id: str) -> ReservationRecord:
    """The reservation.

    Raises:
        ReservationRefused: there is none, or it is closed.
    """
    reservation = books.reservations.get(reservation_id)
    if reservation is None:
        raise ReservationRefused("No such reservation in this ledger.", "Reserve first.")
    if reservation.status is not Status.OPEN:
        raise ReservationRefused(f"The reservation is closed ({reservation.status.value}).", "Reserve again.")
    return reservation


def check_same_terms(budget: BudgetRecord, tree: EventTree) -> None:
    """Unit and relation of plan and budget must agree.

    Raises:
        BudgetRefused: they do not.
    """
    if tree.relation.value != budget.relation or tree.unit.to_json() != budget.unit:
        raise BudgetRefused(
            f"The plan is for {tree.relation.value}, {tree.unit}; the budget is for {budget.claim}: their "
            "epsilons do not add up.",
            "Plan in the budget's unit and relation.",
        )


def check_covered(reservation: ReservationRecord, events: EventTree) -> None:
    """Each event that ran must be covered by the plan.

    Raises:
        PlanExceeded: one is not.
    """
    ran = events.to_json()["events"]
    stray = uncovered(ran, cast("list[Mapping[str, object]]", reservation.plan["events"]))
    if stray is not None:
        raise PlanExceeded(
            f"Event {stray} ({ran[stray]['type']}) is not covered by the reserved plan, so its cost was never granted.",
            "Abort with data_was_read=True, then reserve a plan that holds it.",
        )


def token_hash(reservation_id: str, token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(f"dpsynth.token/1 {reservation_id} {token}".encode()).hexdigest()


def _about(reservation: ReservationRecord) -> Fields:
    return {"budget_id": reservation.budget_id, "reservation_id": reservation.reservation_id}


def _reason(reason: str) -> str:
    if not reason.strip():
        raise EntryRefused("Closing a run without a commit needs a reason.", "Say what happened.")
    return reason


def check_fits(books: Books, budget_id: str, asked: Charge) -> None:
    """Return if a charge fits into what is left, here and in the budgets above.

    Raises:
        BudgetExceeded: it does not; says where and by how much.
    """
    node = books.short(budget_id, asked)
    if node is None:
        return
    balance = books.balance(node.budget_id)
    # Deltas stand in the filter's own column here: a conversion delta that was set apart is not to be had.
    short_of_loss = asked.loss > balance.loss.left
    amounts, price = (balance.loss, asked.loss) if short_of_loss else (books.deltas(node.budget_id), asked.delta)
    raise BudgetExceeded(
        quantity=asked.currency.value if short_of_loss else "delta",
        budget_id=node.budget_id,
        node=node.label,
        claim=node.claim,
        spent=amounts.spent,
        reserved=amounts.reserved,
        asked=price,
        limit=amounts.granted,
        left=amounts.left,
    )
