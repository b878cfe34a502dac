"""The reading side of a ledger: what is granted, spent, reserved and left, and whether the chain holds.

Everything here goes through `Chain`, so nothing is answered from rows that do not follow from each other.
`accounting.ledger.ledger` adds the writing side.

Not guaranteed: that nothing was appended after an answer. Only a write, under the lock, sees what is true then.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self

from accounting.event import EventTree
from accounting.ledger import bodies
from accounting.ledger.amounts import Charge
from accounting.ledger.balance import Balance
from accounting.ledger.books import Books
from accounting.ledger.chain import Chain, rolled_back
from accounting.ledger.entry import JSON, Entry, Head, Row
from accounting.ledger.pricing import price_run
from accounting.ledger.records import BudgetRecord, KeyRecord, ReservationRecord
from accounting.ledger.rotation import LedgerKey
from accounting.ledger.slice import make_slice
from accounting.ledger.store import Store, Transaction


class LedgerReader:
    """One ledger to read from; safe to share between threads and between processes."""

    def __init__(self, store: Store, genesis: Row) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._chain = Chain()
        self._genesis = Chain()
        self._genesis.read(genesis, thorough=True)

    def close(self) -> None:
        """Release the file."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.close()
        return False

    @property
    def ledger_id(self) -> str:
        """Random name, fixed by the first entry."""
        return self._genesis.books.ledger_id

    @property
    def public_key(self) -> bytes:
        """Raw Ed25519 public key of the first entry, 32 bytes: what receivers need."""
        return self._genesis.books.public_key

    def ledger_keys(self) -> tuple[LedgerKey, ...]:
        """The key of the first entry and those that it was rotated to, each with the first entry that it signs."""
        with self._lock:
            return tuple(self._read().ledger_keys)

    def find_budget(self, commitment: str) -> str | None:
        """The budget granted on this data, or None."""
        return self._read().find_budget(commitment)

    def budget(self, budget_id: str) -> BudgetRecord:
        """What was granted, on what, in which relation and unit.

        Raises:
            BudgetRefused: no such budget.
        """
        return bodies.known_budget(self._read(), budget_id)

    def budgets(self, within: str | None = None) -> list[BudgetRecord]:
        """All budgets, or those of one family, parents before their parts.

        Raises:
            BudgetRefused: no such budget.
        """
        with self._lock:
            books = self._read()
            root = None if within is None else bodies.known_budget(books, within).root
            return [budget for budget in books.budgets.values() if root in (None, budget.root)]

    def balance(self, budget_id: str) -> Balance:
        """Granted, spent, reserved and left, in epsilon and delta of the budget's unit and relation, parts included.

        Raises:
            BudgetRefused: no such budget.
        """
        with self._lock:
            books = self._read()
            return books.balance(bodies.known_budget(books, budget_id).budget_id)

    def room(self, budget_id: str, plan: EventTree, *, delta: Decimal) -> tuple[int, BudgetRecord]:
        """How many runs of a plan still fit, and the budget, from this one up to the root, that stops the next.

        Nothing is appended and nothing is held: what fits now may not fit later.

        Args:
            budget_id: budget with the plan's unit and relation.
            plan: worst case of one run.
            delta: that the run would state its guarantee at, in (0, 1).

        Raises:
            BudgetRefused: no such budget, or another unit or relation.
            UnsupportedEventError: the budget's filter has no price for an event.
        """
        budget = self.budget(budget_id)
        bodies.check_same_terms(budget, plan)
        charge = price_run(plan, delta, budget.composition)[1]
        with self._lock:
            return self._read().room(budget_id, charge)

    def require_room(self, budget_id: str, plan: EventTree, *, delta: Decimal) -> None:
        """Refuse a run that `reserve` would refuse as things stand; nothing is appended and nothing is held.

        Args:
            budget_id: budget with the plan's unit and relation.
            plan: worst case of the run.
            delta: that the run would state its guarantee at, in (0, 1).

        Raises:
            BudgetExceeded: loss or delta does not fit, here or in a budget above.
            BudgetRefused, UnsupportedEventError: as `room`.
        """
        budget = self.budget(budget_id)
        bodies.check_same_terms(budget, plan)
        charge = price_run(plan, delta, budget.composition)[1]
        with self._lock:
            bodies.check_fits(self._read(), budget_id, charge)

    def left(self, budget_id: str) -> list[tuple[BudgetRecord, Charge]]:
        """What a budget, and each one above it up to the root, still holds: all of them must hold a run, or several.

        Raises:
            BudgetRefused: no such budget.
        """
        with self._lock:
            books = self._read()
            bodies.known_budget(books, budget_id)
            return books.left(budget_id)

    def reservations(self, budget_id: str) -> list[ReservationRecord]:
        """Every run that claimed this budget, in order, open ones included.

        Raises:
            BudgetRefused: no such budget.
        """
        with self._lock:
            books = self._read()
            bodies.known_budget(books, budget_id)
            return [item for item in books.reservations.values() if item.budget_id == budget_id]

    def keys(self) -> Mapping[str, KeyRecord]:
        """Release and review keys by id, revoked ones included."""
        with self._lock:
            return dict(self._read().keys)

    def entries(self, budget_id: str | None = None) -> list[Entry]:
        """All entries, or those of one budget, in order; read through the chain's checks.

        Raises:
            LedgerTampered: an entry does not continue the chain.
        """
        chain = Chain()
        with self._store.reading() as transaction:
            everything = [Entry.from_row(row, chain.read(row)) for row in transaction.rows()]
        return [entry for entry in everything if budget_id in (None, entry.budget_id)]

    def head(self) -> Head:
        """Seq and hash of the last entry: keep it elsewhere, and a rolled-back ledger is found out."""
        with self._lock:
            self._read()
            return self._chain.check_head()

    def verify(self, *, all_signatures: bool = False, anchor: Head | None = None) -> None:
        """Check the whole chain, its rules, and the signature on its head.

        Args:
            all_signatures: check every signature and spelling too, about 0.2 ms each. Only then are the
                tags under which a slice withholds entries known to be right.
            anchor: a head kept elsewhere, which the chain must run through.

        Raises:
            LedgerTampered: with the `Reason` and the entry.
        """
        with self._lock:
            missing = {head for head in (anchor, self._chain.head) if head is not None}
        places = {head.seq for head in missing}
        chain = Chain()
        with self._store.reading() as transaction:
            for row in transaction.rows():
                chain.read(row, thorough=all_signatures)
                if row.seq in places and chain.head in missing:
                    missing.remove(chain.head)
        chain.check_head()
        if missing:
            raise rolled_back()

    def slice(self, budget_id: str) -> dict[str, JSON]:
        """The chain as JSON for outsiders: this budget's and global entries in full, others as digests.

        Raises:
            BudgetRefused: no such budget.
        """
        self.budget(budget_id)
        return make_slice(self.entries(), self.ledger_id, self.public_key, budget_id)

    def _read(self) -> Books:
        with self._lock, self._store.reading() as transaction:
            self._catch_up(transaction)
            return self._chain.books

    def _catch_up(self, transaction: Transaction) -> None:
        """Read what other processes appended since; never go on from a chain that lost its known end."""
        known = self._chain.head
        rows = transaction.rows(0 if known is None else known.seq)
        if known is not None:
            row = next(rows, None)
            if row is None or row.hash != known.hash:
                raise rolled_back()
        for row in rows:
            self._chain.read(row)
        if self._chain.head != known or known is None:
            self._chain.check_head()
