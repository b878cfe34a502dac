"""What a grant, a share of one and a change of one write, and the refusals that a person reads.

The counterpart of `accounting.ledger.bodies` for the acts of people: creating budgets and amending them. Called under
the write lock; `accounting.ledger.rules` checks the finished body once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from accounting.ledger.amendment import approval_message, last_hash
from accounting.ledger.amounts import Charge, Grant
from accounting.ledger.bodies import Fields, known_budget
from accounting.ledger.books import Books
from accounting.ledger.composition import Composition
from accounting.ledger.entry import JSON
from accounting.ledger.errors import BudgetRefused, KeyRefused
from accounting.ledger.records import BudgetRecord, Recipient
from accounting.ledger.rules.grants import MAX_GENERATIONS
from accounting.ledger.signing import Signer
from accounting.relation import NeighboringRelation, PrivacyUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A grant as a person asks for it, before the books are looked at."""

    budget_id: str
    dataset: str
    commitment: str | None
    unit: PrivacyUnit
    relation: NeighboringRelation
    granted: Grant
    composition: Composition

    def fields(self) -> Fields:
        """The part of the body that roots and shares have in common.

        Raises:
            BudgetRefused: the grant holds nothing under its filter.
        """
        return {
            "budget_id": self.budget_id,
            "dataset": self.dataset,
            "commitment": self.commitment,
            "relation": self.relation.value,
            "unit": cast("JSON", self.unit.to_json()),
            "filter": self.composition.to_json(self.composition.limit(self.granted)),
            "granted": cast("JSON", self.granted.to_json()),
        }


def root_fields(books: Books, wanted: Wanted) -> Fields:
    """A grant on a lineage; refused if the data has one."""
    if wanted.commitment is None:
        raise BudgetRefused(
            "A budget of its own needs a commitment to its data, or nobody could see that the data has one already.",
            "Pass the commitment, or the parent that this is a share of.",
        )
    _check_new_data(books, wanted.commitment)
    return wanted.fields()


def child_fields(books: Books, wanted: Wanted, *, parent: str, purpose: str | None, recipient: str) -> Fields:
    """A part of a budget: another version of the data, or a share for a purpose or for recipients."""
    above = known_budget(books, parent)
    if wanted.commitment is not None:
        _check_new_data(books, wanted.commitment)
    if wanted.relation.value != above.relation or wanted.unit.to_json() != above.unit:
        raise BudgetRefused(
            f"The budget above counts {above.claim}, this one {wanted.relation.value}, {wanted.unit}: what they spend "
            "does not add up.",
            "Use the unit and relation of the root.",
        )
    if not wanted.composition.same_kind(above.composition):
        raise BudgetRefused(
            f"The budget above adds up by {above.composition}, this one would by {wanted.composition}.",
            "Use the filter of the root; only the conversion delta is each budget's own.",
        )
    if recipient not in set(Recipient) or above.recipient not in (Recipient.ANY, recipient):
        raise BudgetRefused(
            f"Expected recipients of {', '.join(Recipient)}, and those of '{above.label}' or fewer.",
            f"'{above.label}' is for {above.recipient.value}.",
        )
    if wanted.commitment is None and purpose is None and recipient == Recipient.ANY:
        raise BudgetRefused(
            "A part of a budget is another version of the data, or a share for a purpose or for recipients.",
            "Pass one of commitment, purpose, recipient.",
        )
    if purpose is not None and not purpose.strip():
        raise BudgetRefused("The purpose is empty.", "Say what the share is for, or leave it out.")
    _check_inside(wanted.composition.limit(wanted.granted), wanted.granted, above)
    if len(books.line(parent)) >= MAX_GENERATIONS:
        raise BudgetRefused(f"A lineage has at most {MAX_GENERATIONS} generations.", "Take a share nearer to the root.")
    return wanted.fields() | {"parent": parent, "purpose": purpose, "recipient": recipient}


def amend_fields(books: Books, budget_id: str, *, granted: Grant, reason: str, approver: Signer) -> Fields:
    """Another grant, signed by the approver over the entry before; refused below what is held."""
    budget = known_budget(books, budget_id)
    key = books.keys.get(approver.key_id)
    own = any(approver.public_bytes == one.public_key for one in books.ledger_keys)
    if own or key is None or key.role != "budget" or key.revoked is not None:
        raise KeyRefused(
            "A grant is amended by a second person, whose key has the role `budget` and is in use; this one is not.",
            "Add it: key.add with role budget. It cannot be the ledger's own key.",
        )
    if not reason.strip():
        raise BudgetRefused("An amendment needs a reason, which every later report prints.", "Say why.")
    if granted == budget.granted:
        raise BudgetRefused(f"The grant is {granted} already.", "State another.")
    limit, held = budget.composition.limit(granted), books.held(budget_id)
    if not limit.covers(held):
        raise BudgetRefused(
            f"Expected a grant of at least what '{budget.label}' has spent and reserved ({held}); {granted} allows "
            f"{limit}.",
            "What was spent cannot be unspent; lower the grant to that at most.",
        )
    if budget.parent is not None:
        _check_inside(limit, granted, books.budgets[budget.parent])
    message = approval_message(
        ledger_id=books.ledger_id,
        budget_id=budget_id,
        before=budget.granted,
        after=granted,
        reason=reason,
        last_hash=last_hash(books.head),
    )
    return {
        "budget_id": budget_id,
        "granted": cast("JSON", granted.to_json()),
        "filter": budget.composition.to_json(limit),
        "reason": reason,
        "key_id": approver.key_id,
        "signature": approver.sign(message).hex(),
    }


def _check_new_data(books: Books, commitment: str) -> None:
    existing = books.find_budget(commitment)
    if existing is not None:
        raise BudgetRefused(
            f"This data has a budget already ({existing}), and a second would refill the first.",
            "Use it: find_budget(commitment); or take a share of it for a purpose or for recipients.",
        )


def _check_inside(limit: Charge, granted: Grant, above: BudgetRecord) -> None:
    if not above.limit.covers(limit):
        raise BudgetRefused(
            f"A part cannot be larger than the whole: {granted} allows {limit}, '{above.label}' {above.limit}.",
            f"Ask for at most {above.granted}.",
        )
