"""Rules of grants: what a person allowed to be spent, once per data."""

from __future__ import annotations

from accounting.ledger.amounts import Charge
from accounting.ledger.books import Books
from accounting.ledger.errors import Reason
from accounting.ledger.records import BudgetRecord
from accounting.ledger.shape import Body, broken, text

FILTER = "basic"


def create_budget(books: Books, seq: int, body: Body) -> None:
    """A budget is created once per data commitment."""
    name, commitment = text(seq, body, "budget_id"), text(seq, body, "commitment")
    if name in books.budgets or books.find_budget(commitment) is not None:
        raise broken(seq, Reason.RULE_BROKEN, "a second budget for the same data, which would refill the first")
    if body["filter"] != FILTER:
        raise broken(seq, Reason.UNKNOWN_SCHEMA, "a composition filter that this version does not know")
    books.grant(
        BudgetRecord(
            budget_id=name,
            dataset=text(seq, body, "dataset"),
            commitment=commitment,
            relation=text(seq, body, "relation"),
            unit=body["unit"],
            granted=Charge.from_json(body["granted"]),
            seq=seq,
        )
    )


def budget_of(books: Books, seq: int, body: Body) -> BudgetRecord:
    """The budget that an entry names, which must exist."""
    budget = books.budgets.get(str(body.get("budget_id")))
    if budget is None:
        raise broken(seq, Reason.RULE_BROKEN, "an entry on a budget that was never created")
    return budget
