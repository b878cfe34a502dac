"""Budgets of a workspace's data: a grant, a version of the data, a share for a purpose, another grant.

    root      ws.create_budget(claims, epsilon=3, delta="1e-5", filter="zcdp")
    version   ws.create_budget(claims_2025, epsilon=1, delta="1e-6", parent="claims")
    share     ws.create_budget(claims, epsilon=1, delta="1e-6", purpose="teaching", recipient="public")

A run is charged to the budget that it names and to every budget above it (docs/concepts/ledger.md). People name a
budget by its data set, or by the purpose of one of its shares; a purpose names one share of one data set, so that no
run is charged to a budget that somebody else meant.

Not guaranteed: that a version is one. Which people stand in two files is known to those who made them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from accounting.decimals import decimal_text
from accounting.ledger.amounts import parse_delta
from accounting.ledger.errors import BudgetExceeded as LedgerExceeded
from accounting.ledger.errors import KeyRefused
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import BudgetRefused, ParameterError
from dpsynth.workspace.registry.overlaps import doubts, refuse_overlap

if TYPE_CHECKING:
    from pathlib import Path

    from accounting.ledger import Balance, Ledger, Signer
    from accounting.ledger.records import BudgetRecord, ReservationRecord
    from dpsynth.workspace.registry.datasets import DatasetRecord
    from dpsynth.workspace.workspace import Workspace

ANYBODY = "any"


class BudgetExceeded(BudgetRefused):
    """A run that would take a budget, or one above it, over its limit; `facts` says which and by how much."""

    exit_code: ClassVar[int] = 6

    def __init__(self, short: LedgerExceeded, data: str) -> None:
        plan = shlex.join(["dpsynth", "budget", "plan", data])
        super().__init__(
            short.message,
            f"Plan a run that costs at most {short.quantity} {decimal_text(short.left)} ({plan} …); or draw more rows "
            "from a draft that is paid for, which is post-processing and free: dpsynth sample DRAFT; or have the "
            f"holder of a budget key change the grant, which every later report shows: {_command('amend', data)} …",
        )
        amounts = ("spent", "reserved", "asked", "limit", "left")
        self.facts = {"budget_id": short.budget_id, "quantity": short.quantity} | {
            name: decimal_text(getattr(short, name)) for name in amounts
        }

    def to_json(self) -> dict[str, Any]:
        """Type, message and remedy, and the numbers as decimal strings."""
        return {**super().to_json(), **self.facts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One budget of a family, and where it stands.

    Attributes:
        record: what was granted, to whom, for what.
        balance: granted, spent, reserved, left; of its parts too.
        depth: steps below the root.
    """

    record: BudgetRecord
    balance: Balance
    depth: int

    def to_json(self) -> dict[str, Any]:
        """One of the `nodes` of `budget show --json`."""
        own = self.record
        return {
            "budget_id": own.budget_id,
            "parent": own.parent,
            "depth": self.depth,
            "dataset": own.dataset,
            "purpose": own.purpose,
            "recipient": own.recipient.value,
            **self.balance.to_json(),
        }


def create(
    workspace: Workspace,
    record: DatasetRecord,
    *,
    epsilon: Any,
    delta: Any,
    filter_: str | None,
    order: Any,
    conversion_delta: Any,
    parent: str | Path | DatasetRecord | None,
    purpose: str | None,
    recipient: str,
    warn: Callable[[str], None],
) -> BudgetRecord:
    """See `Workspace.create_budget`."""
    if purpose is None and recipient != ANYBODY:
        raise ParameterError(
            f"A share for {recipient} recipients needs a name, by which runs draw on it.", "Add --purpose TEXT."
        )
    with workspace.ledger(write=True) as ledger:
        own = ledger.find_budget(record.commitment)
        if own is not None and purpose is None:
            raise BudgetRefused(
                f"'{record.name}' has a budget already, and a second would refill the first.",
                f"See what is left of it: {_command('show', record.name)}; or take a share of it: --purpose TEXT.",
            )
        if own is None and purpose is not None:
            raise BudgetRefused(
                f"A share for a purpose is a part of a data set's budget, and '{record.name}' has none.",
                f"Grant it first: {_command('create', record.path or record.name)} --epsilon 3 --delta 1e-5"
                + ("." if parent is None else f" --parent {shlex.quote(str(parent))}."),
            )
        above = None
        if purpose is not None:
            above = _share_of(ledger, record, purpose, parent)
        elif parent is not None:
            above = _named(workspace, ledger, parent)
        else:
            refuse_overlap(workspace, ledger, record)
            for doubt in doubts(workspace, ledger, record):
                warn(doubt)
        if above is not None and conversion_delta is None and filter_ is None:
            conversion_delta = _in_proportion(above, parse_delta(str(delta)))
        made = ledger.create_budget(
            dataset=record.name,
            commitment=record.commitment if purpose is None else None,
            unit=record.unit,
            relation=NeighboringRelation.ADD_REMOVE,
            epsilon=str(epsilon),
            delta=str(delta),
            filter=filter_,
            order=_text(order),
            conversion_delta=_text(conversion_delta),
            parent=None if above is None else above.budget_id,
            purpose=purpose,
            recipient=recipient,
        )
        return ledger.budget(made)


def amend(
    workspace: Workspace,
    record: DatasetRecord,
    *,
    epsilon: Any,
    delta: Any,
    reason: str,
    approver: Signer,
    purpose: str | None,
) -> BudgetRecord:
    """See `Workspace.amend_budget`."""
    with workspace.ledger(write=True) as ledger:
        budget = budget_of(ledger, record, purpose)
        to = {
            "epsilon": decimal_text(budget.granted.epsilon) if epsilon is None else str(epsilon),
            "delta": decimal_text(budget.granted.delta) if delta is None else str(delta),
        }
        try:
            ledger.amend(budget.budget_id, **to, reason=reason, approver=approver)
        except KeyRefused as refused:
            raise BudgetRefused(
                refused.message,
                "Another person makes a key (dpsynth keys make -o FILE) and hands over its .pub; the ledger's owner "
                "adds that: dpsynth keys add FILE.pub --role budget.",
            ) from None
        return ledger.budget(budget.budget_id)


def budget_of(ledger: Ledger, record: DatasetRecord, purpose: str | None = None) -> BudgetRecord:
    """The budget that pays for a run: the data set's own, or one of its shares.

    Args:
        ledger: where it stands.
        record: the data set.
        purpose: of a share, or a budget's id; None for the data set's own.

    Raises:
        BudgetRefused: nothing was granted, or there is no such share of this data set.
    """
    own = ledger.find_budget(record.commitment)
    if own is None:
        raise no_budget(record.path or record.name)
    if purpose is None:
        return ledger.budget(own)
    known = _on_same_data(ledger, record, own)
    found = [budget for budget in known if purpose in (budget.purpose, budget.budget_id)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(budget.budget_id for budget in found)
        raise BudgetRefused(f"'{record.name}' has several shares for '{purpose}'.", f"Give the id of one: {ids}.")
    shares = ", ".join(f"'{budget.purpose}'" for budget in known if budget.purpose is not None) or "none yet"
    raise BudgetRefused(
        f"'{record.name}' has no share for '{purpose}'. Shares: {shares}.",
        f"A person takes one with: {_command('create', record.name)} --purpose {shlex.quote(purpose)} "
        "--epsilon 1 --delta 1e-6",
    )


def runs_on(ledger: Ledger, record: DatasetRecord) -> list[ReservationRecord]:
    """Every run that claimed a budget of this data set, its own or a share."""
    own = ledger.find_budget(record.commitment)
    if own is None:
        return []
    return [run for budget in _on_same_data(ledger, record, own) for run in ledger.reservations(budget.budget_id)]


def family(ledger: Ledger, budget_id: str) -> tuple[Node, ...]:
    """All budgets of the family, each above its parts."""
    known = ledger.budgets(budget_id)

    def below(parent: str | None, depth: int) -> list[Node]:
        return [
            node
            for own in known
            if own.parent == parent
            for node in (
                Node(record=own, balance=ledger.balance(own.budget_id), depth=depth),
                *below(own.budget_id, depth + 1),
            )
        ]

    return tuple(below(None, 0))


def no_budget(data: str, *, table: str | None = None) -> BudgetRefused:
    """The refusal for data that nobody has granted anything; `data` without a password."""
    named = "" if table is None else f" --table {shlex.quote(table)}"
    return BudgetRefused(
        f"Nobody has granted '{data}' a privacy budget, so nothing may be computed from it.",
        f"A person grants one with: {_command('create', data)}{named} --epsilon 3 --delta 1e-5; what it would pay for: "
        f"{_command('plan', data)}{named} --epsilon 1",
    )


def _share_of(ledger: Ledger, record: DatasetRecord, purpose: str, parent: object) -> BudgetRecord:
    """The budget of the same data that a new share is taken from; the purpose must be a new one."""
    above = budget_of(ledger, record, None if parent is None or str(parent) == record.name else str(parent))
    for known in _on_same_data(ledger, record, above.budget_id):
        if known.purpose == purpose:
            raise BudgetRefused(
                f"'{record.name}' has a share for '{purpose}' already.",
                f"Draw on it: --purpose {shlex.quote(purpose)}; or name another purpose.",
            )
    return above


def _in_proportion(above: BudgetRecord, delta: Decimal) -> Decimal | None:
    """A part converts the same share of its delta as what it is a part of, so that its delta column fits into that."""
    apart = above.composition.conversion_delta
    if apart is None:
        return None
    return min(delta, Context(prec=6, rounding=ROUND_CEILING).divide(delta * apart, above.granted.delta))


def _named(workspace: Workspace, ledger: Ledger, parent: str | Path | DatasetRecord) -> BudgetRecord:
    """The budget that new data belongs under: an id, a registered data set, or its file."""
    if isinstance(parent, str) and parent.startswith("budget-"):
        return ledger.budget(parent)
    return budget_of(ledger, workspace.find(parent))


def _on_same_data(ledger: Ledger, record: DatasetRecord, budget_id: str) -> list[BudgetRecord]:
    return [budget for budget in ledger.budgets(budget_id) if budget.commitment == record.commitment]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _command(what: str, data: str) -> str:
    return shlex.join(["dpsynth", "budget", what, data])
