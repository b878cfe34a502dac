"""Rules of amendments: a grant changes with a second signature, in the open, and never below what is held."""

from __future__ import annotations

from accounting.ledger import signing
from accounting.ledger.amendment import approval_message, last_hash
from accounting.ledger.amounts import Charge, Grant
from accounting.ledger.books import Books
from accounting.ledger.composition import Composition
from accounting.ledger.entry import HEX64
from accounting.ledger.errors import Reason
from accounting.ledger.records import Amendment, BudgetRecord, KeyRecord
from accounting.ledger.rules.grants import budget_of
from accounting.ledger.shape import Body, broken, text


def amend(books: Books, seq: int, body: Body) -> None:
    """A budget key in use signed old and new grant; the new limit covers what is held and fits what is above."""
    budget, granted, reason = budget_of(books, seq, body), Grant.from_json(body["granted"]), text(seq, body, "reason")
    read = Composition.from_json(body["filter"], granted)
    if read is None or read[0] != budget.composition:
        raise broken(seq, Reason.RULE_BROKEN, "an amendment of the filter, which was frozen when the budget was made")
    limit = read[1]
    if granted == budget.granted or not reason.strip():
        raise broken(seq, Reason.RULE_BROKEN, "an amendment that changes nothing, or gives no reason")
    key = _approver(books, seq, body)
    message = approval_message(
        ledger_id=books.ledger_id,
        budget_id=budget.budget_id,
        before=budget.granted,
        after=granted,
        reason=reason,
        last_hash=last_hash(books.head),
    )
    signature = text(seq, body, "signature")
    if not HEX64.fullmatch(signature) or not signing.verify(key.public_key, bytes.fromhex(signature), message):
        raise broken(seq, Reason.SIGNATURE_INVALID, "an amendment that its approver did not sign")
    if not limit.covers(books.held(budget.budget_id)):
        raise broken(seq, Reason.OVERSPENT, "an amendment below what is spent and reserved already")
    _check_inside(books, seq, budget, limit)
    amendment = Amendment(
        seq=seq,
        time=text(seq, body, "time"),
        key_id=key.key_id,
        key_added=key.added,
        reason=reason,
        before=budget.granted,
        after=granted,
    )
    books.amend(amendment, budget.budget_id, limit)


def _approver(books: Books, seq: int, body: Body) -> KeyRecord:
    key = books.keys.get(text(seq, body, "key_id"))
    ledger_keys = [one.public_key for one in books.ledger_keys]
    if key is None or key.role != "budget" or key.revoked is not None or key.public_key in ledger_keys:
        raise broken(seq, Reason.RULE_BROKEN, "an amendment by a key that may not approve one")
    return key


def _check_inside(books: Books, seq: int, budget: BudgetRecord, limit: Charge) -> None:
    if budget.parent is None:
        return
    above = books.budgets[budget.parent].limit
    if not above.covers(limit):
        raise broken(seq, Reason.RULE_BROKEN, "an amendment to more than what the budget is a part of")
