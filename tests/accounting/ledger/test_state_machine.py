"""Any sequence of steps, crashes and reopenings agrees with a model of twenty lines."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounting import EventTree, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer
from accounting.ledger.errors import BudgetExceeded, BudgetRefused, ReservationRefused
from accounting.ledger.ledger import Reservation
from accounting.ledger.slice import verify_slice
from tests.postgresql import Server

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
SIGNER, APPROVER = Signer.generate(), Signer.generate()
LIMIT = Decimal("1.5")


def _plan(count: int) -> EventTree:
    return EventTree(events=(PureDP(epsilon="0.1", count=count),), **TERMS)


@dataclass
class Model:
    """What a family of budgets is, without chain, signatures, files or locks. One unit is epsilon 0.1."""

    parent: dict[str, str | None] = field(default_factory=dict)
    limit: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    reserved: dict[str, tuple[str, int]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def add(self, node: str, parent: str | None, limit: int) -> None:
        self.parent[node], self.limit[node], self.spent[node] = parent, limit, 0

    def line(self, node: str | None) -> list[str]:
        return [] if node is None else [node, *self.line(self.parent[node])]

    def open(self, node: str) -> int:
        return sum(cost for at, cost in self.reserved.values() if node in self.line(at))

    def lacking(self, node: str, cost: int) -> str | None:
        return next((n for n in self.line(node) if self.spent[n] + self.open(n) + cost > self.limit[n]), None)

    def close(self, run: str, cost: int) -> None:
        node, _ = self.reserved.pop(run)
        for one in self.line(node):
            self.spent[one] += cost


class LedgerMachine(RuleBasedStateMachine):
    runs = Bundle("runs")
    nodes = Bundle("nodes")

    def __init__(self, server: Server | None) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db" if server is None else server.fresh()
        self.server = server
        self.ledger = Ledger.create(self.path, signer=SIGNER)
        self.budget = self.ledger.create_budget(dataset="d", commitment="c", epsilon=LIMIT, delta="1e-3", **TERMS)
        self.ledger.append(
            "key.add", {"key_id": APPROVER.key_id, "public_key": APPROVER.public_bytes.hex(), "role": "budget"}
        )
        self.model = Model()
        self.model.add(self.budget, None, 15)
        self.amended: dict[str, list[int]] = {}
        self.head = self.ledger.head()

    @initialize(target=nodes)
    def root(self) -> str:
        return self.budget

    @rule(target=nodes, parent=nodes, limit=st.integers(1, 16))
    def part(self, parent: str, limit: int) -> str:
        about = {"dataset": "d", "parent": parent, "purpose": "p", "epsilon": Decimal(limit) / 10, "delta": "1e-3"}
        if limit > self.model.limit[parent] or len(self.model.line(parent)) == 16:
            with pytest.raises(BudgetRefused):
                self.ledger.create_budget(**about, **TERMS)
            return parent
        made = self.ledger.create_budget(**about, **TERMS)
        self.model.add(made, parent, limit)
        return made

    @rule(node=nodes, limit=st.integers(1, 30))
    def amend(self, node: str, limit: int) -> None:
        above = self.model.parent[node]
        held = self.model.spent[node] + self.model.open(node)
        allowed = limit >= held and limit != self.model.limit[node] and (
            above is None or limit <= self.model.limit[above]
        )  # fmt: skip
        try:
            self.ledger.amend(node, epsilon=Decimal(limit) / 10, delta="1e-3", reason="x", approver=APPROVER)
        except BudgetRefused:
            assert not allowed
            return
        assert allowed
        self.model.limit[node] = limit
        self.amended.setdefault(node, []).append(limit)

    @rule(target=runs, node=nodes, count=st.integers(1, 6))
    def reserve(self, node: str, count: int) -> Reservation | None:
        lacking = self.model.lacking(node, count)
        try:
            run = self.ledger.reserve(node, _plan(count), delta="1e-9", run_id="r", purpose="p")
        except BudgetExceeded as refused:
            assert refused.budget_id == lacking
            return None
        assert lacking is None
        assert run.guarantee.epsilon == Decimal(count) / 10
        self.model.reserved[run.id] = (node, count)
        return run

    @rule(run=runs)
    def read_data(self, run: Reservation | None) -> None:
        if run is None:
            return
        try:
            self.ledger.check_token(run.id, run.token)
        except ReservationRefused:
            assert run.id in self.model.read or run.id not in self.model.reserved
            return
        assert run.id in self.model.reserved
        assert run.id not in self.model.read
        self.model.read.add(run.id)

    @rule(run=consumes(runs), less=st.integers(0, 5))
    def commit(self, run: Reservation | None, less: int) -> None:
        if run is not None:
            cost = self.model.reserved[run.id][1]  # under basic composition a run that did less costs its plan
            self.ledger.commit(run.id, _plan(max(1, cost - less)))
            self.model.close(run.id, cost)

    @rule(run=runs, read=st.booleans())
    def abort(self, run: Reservation | None, read: bool) -> None:
        if run is None or run.id not in self.model.reserved:
            return
        if run.id in self.model.read and not read:
            with pytest.raises(ReservationRefused, match="no refund"):
                self.ledger.abort(run.id, "x", data_was_read=False)

    @rule(run=consumes(runs), read=st.booleans(), expire=st.booleans())
    def close(self, run: Reservation | None, read: bool, expire: bool) -> None:
        if run is None:
            return
        free = not expire and not read and run.id not in self.model.read
        if expire:
            self.ledger.expire(run.id, "x")
        else:
            self.ledger.abort(run.id, "x", data_was_read=not free)
        self.model.close(run.id, 0 if free else self.model.reserved[run.id][1])

    @rule()
    def crash_and_reopen(self) -> None:
        self.ledger._store._engine.dispose()  # the process is gone; nothing was said goodbye to
        self.ledger = Ledger.open(self.path, signer=SIGNER)

    @invariant()
    def the_balance_is_the_models(self) -> None:
        for node, limit in self.model.limit.items():
            balance = self.ledger.balance(node)
            amounts = balance.epsilon
            assert amounts.spent == Decimal(self.model.spent[node]) / 10
            assert amounts.reserved == Decimal(self.model.open(node)) / 10
            assert amounts.left == Decimal(limit) / 10 - amounts.spent - amounts.reserved >= 0
            assert [change.after.epsilon * 10 for change in balance.amendments] == self.amended.get(node, [])

    @invariant()
    def the_chain_only_grows(self) -> None:
        self.ledger.verify(anchor=self.head)
        self.head = self.ledger.head()

    def teardown(self) -> None:
        facts = verify_slice(self.ledger.slice(self.budget), ledger_key=SIGNER.public_bytes, anchor=self.head)
        assert facts.balances == {node: self.ledger.balance(node) for node in self.model.limit}
        self.ledger.verify(all_signatures=True)
        self.ledger.close()
        self.folder.cleanup()
        if self.server is not None:
            self.server.drop(self.path)


def test_any_sequence_of_steps_agrees_with_the_model(store: Server | None) -> None:
    run_state_machine_as_test(
        lambda: LedgerMachine(store),
        settings=settings(
            max_examples=25 if store is None else 4,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
