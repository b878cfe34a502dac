"""Any sequence of steps, crashes and reopenings agrees with a model of twenty lines."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from accounting import EventTree, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer
from accounting.ledger.errors import BudgetExceeded, ReservationRefused
from accounting.ledger.ledger import Reservation
from accounting.ledger.slice import verify_slice
from tests.postgresql import Server

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
SIGNER = Signer.generate()
LIMIT = Decimal("1.5")


def _plan(count: int) -> EventTree:
    return EventTree(events=(PureDP(epsilon="0.1", count=count),), **TERMS)


@dataclass
class Model:
    """What a budget is, without chain, signatures, files or locks. One unit is epsilon 0.1."""

    limit: int = 15
    spent: int = 0
    reserved: dict[str, int] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def fits(self, cost: int) -> bool:
        return self.spent + sum(self.reserved.values()) + cost <= self.limit

    def close(self, run: str, cost: int) -> None:
        del self.reserved[run]
        self.spent += cost


class LedgerMachine(RuleBasedStateMachine):
    runs = Bundle("runs")

    def __init__(self, server: Server | None) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db" if server is None else server.fresh()
        self.server = server
        self.ledger = Ledger.create(self.path, signer=SIGNER)
        self.budget = self.ledger.create_budget(dataset="d", commitment="c", epsilon=LIMIT, delta="1e-3", **TERMS)
        self.model = Model()
        self.head = self.ledger.head()

    @rule(target=runs, count=st.integers(1, 6))
    def reserve(self, count: int) -> Reservation | None:
        try:
            run = self.ledger.reserve(self.budget, _plan(count), delta="1e-9", run_id="r", purpose="p")
        except BudgetExceeded:
            assert not self.model.fits(count)
            return None
        assert self.model.fits(count)
        assert run.guarantee.epsilon == Decimal(count) / 10
        self.model.reserved[run.id] = count
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
            cost = max(1, self.model.reserved[run.id] - less)
            self.ledger.commit(run.id, _plan(cost))
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
        self.model.close(run.id, 0 if free else self.model.reserved[run.id])

    @rule()
    def crash_and_reopen(self) -> None:
        self.ledger._store._engine.dispose()  # the process is gone; nothing was said goodbye to
        self.ledger = Ledger.open(self.path, signer=SIGNER)

    @invariant()
    def the_balance_is_the_models(self) -> None:
        amounts = self.ledger.balance(self.budget).epsilon
        assert amounts.spent == Decimal(self.model.spent) / 10
        assert amounts.reserved == Decimal(sum(self.model.reserved.values())) / 10
        assert amounts.left == LIMIT - amounts.spent - amounts.reserved

    @invariant()
    def the_chain_only_grows(self) -> None:
        self.ledger.verify(anchor=self.head)
        self.head = self.ledger.head()

    def teardown(self) -> None:
        facts = verify_slice(self.ledger.slice(self.budget), ledger_key=SIGNER.public_bytes, anchor=self.head)
        assert facts.balances[self.budget] == self.ledger.balance(self.budget)
        self.ledger.verify(all_signatures=True)
        self.ledger.close()
        self.folder.cleanup()
        if self.server is not None:
            self.server.drop(self.path)


def test_any_sequence_of_steps_agrees_with_the_model(store: Server | None) -> None:
    run_state_machine_as_test(
        lambda: LedgerMachine(store),
        settings=settings(
            max_examples=25 if store is None else 8,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
