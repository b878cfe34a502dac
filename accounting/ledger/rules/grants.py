"""Rules of grants: what a person allowed to be spent, once per data, whole and in parts.

A root stands for a lineage: everything that was ever computed from the same people's data. Its parts are later versions
of the data, with a commitment of their own, overlapping data sets, and shares for one purpose or one class of
recipients. What a part spends, every budget above it spends too, so the parts never add up to more than the whole.
"""

from __future__ import annotations

from accounting.ledger.amounts import Grant
from accounting.ledger.books import Books
from accounting.ledger.composition import Composition
from accounting.ledger.errors import Reason
from accounting.ledger.records import BudgetRecord, Recipient
from accounting.ledger.shape import Body, broken, optional_text, text

MAX_GENERATIONS = 16


def create_root(books: Books, seq: int, body: Body) -> None:
    """A budget is created once per data commitment."""
    granted = Grant.from_json(body["granted"])
    read = Composition.from_json(body["filter"], granted)
    if read is None:
        raise broken(seq, Reason.UNKNOWN_SCHEMA, "a composition filter that this version does not know")
    name, commitment = _new_name(books, seq, body), text(seq, body, "commitment")
    _check_new_data(books, seq, commitment)
    budget = BudgetRecord(
        budget_id=name,
        dataset=text(seq, body, "dataset"),
        commitment=commitment,
        relation=text(seq, body, "relation"),
        unit=body["unit"],
        granted=granted,
        seq=seq,
        root=name,
        composition=read[0],
        limit=read[1],
        original=granted,
    )
    books.grant(budget)


def create_child(books: Books, seq: int, body: Body) -> None:
    """A part has its root's unit, relation and filter, and no larger grant than what it is a part of."""
    parent = books.budgets.get(text(seq, body, "parent"))
    if parent is None:
        raise broken(seq, Reason.RULE_BROKEN, "a part of a budget that was never created")
    if len(books.line(parent.budget_id)) >= MAX_GENERATIONS:
        raise broken(seq, Reason.TOO_LARGE, f"a part more than {MAX_GENERATIONS} steps below its root")
    granted, name = Grant.from_json(body["granted"]), _new_name(books, seq, body)
    read = Composition.from_json(body["filter"], granted)
    if read is None:
        raise broken(seq, Reason.UNKNOWN_SCHEMA, "a composition filter that this version does not know")
    composition, limit = read
    if body["relation"] != parent.relation or body["unit"] != parent.unit:
        raise broken(seq, Reason.RULE_BROKEN, "a part whose relation or unit is not its root's")
    if not composition.same_kind(parent.composition):
        raise broken(seq, Reason.RULE_BROKEN, "a part whose filter is not its root's: their charges do not add up")
    if not parent.limit.covers(limit):
        raise broken(seq, Reason.RULE_BROKEN, "a part with a larger grant than what it is a part of")
    recipient, commitment = text(seq, body, "recipient"), optional_text(seq, body, "commitment")
    if recipient not in set(Recipient) or parent.recipient not in (Recipient.ANY, recipient):
        raise broken(seq, Reason.RULE_BROKEN, "a part for recipients whom what it is a part of is not for")
    if commitment is not None:
        _check_new_data(books, seq, commitment)
    budget = BudgetRecord(
        budget_id=name,
        dataset=text(seq, body, "dataset"),
        commitment=parent.commitment if commitment is None else commitment,
        relation=parent.relation,
        unit=parent.unit,
        granted=granted,
        seq=seq,
        root=parent.root,
        composition=composition,
        limit=limit,
        original=granted,
        parent=parent.budget_id,
        purpose=optional_text(seq, body, "purpose"),
        recipient=Recipient(recipient),
    )
    books.grant(budget, commits=commitment is not None)


def budget_of(books: Books, seq: int, body: Body) -> BudgetRecord:
    """The budget that an entry names, which must exist."""
    budget = books.budgets.get(str(body.get("budget_id")))
    if budget is None:
        raise broken(seq, Reason.RULE_BROKEN, "an entry on a budget that was never created")
    return budget


def _new_name(books: Books, seq: int, body: Body) -> str:
    name = text(seq, body, "budget_id")
    if name in books.budgets:
        raise broken(seq, Reason.RULE_BROKEN, "a second budget under the id of another")
    return name


def _check_new_data(books: Books, seq: int, commitment: str) -> None:
    if books.find_budget(commitment) is not None:
        raise broken(seq, Reason.RULE_BROKEN, "a second budget for the same data, which would refill the first")
