"""The running state of a ledger: budgets, reservations and keys as they stand after an entry.

`Books` only holds and adds up; which entry may change it, and how, is `accounting.ledger.rules`. The live ledger,
`Ledger.verify` and a receiver of a slice all read with these two, so a receiver checks exactly what was enforced.

Not guaranteed: that a price follows from its events. `accounting.crosscheck.price` recomputes that; the books need no
accountant.
"""

from __future__ import annotations

from dataclasses import replace

from accounting.ledger.amounts import Charge, nothing
from accounting.ledger.balance import Amounts, Balance
from accounting.ledger.desk import Desk
from accounting.ledger.entry import Head, Kind
from accounting.ledger.records import Amendment, BudgetRecord, KeyRecord, ReservationRecord, Status
from accounting.ledger.rotation import LedgerKey, key_at
from accounting.ledger.shape import Body


class Books:
    """The running state after each entry; `rules.apply` is the only way to change it.

    Attributes:
        ledger_id: random name of the ledger.
        public_key: raw Ed25519 key of its first entry, 32 bytes.
        ledger_keys: that key and its successors, in order.
        head: the entry before the one that is read or written next; None before the first.
        budgets: by id.
        reservations: by id, closed ones included.
        keys: release, review and budget keys by id, revoked ones included.
        desk: what reviewers have before them: evidence, appeals and votes of each draft.
    """

    def __init__(self) -> None:
        self.ledger_id = ""
        self.public_key = b""
        self.ledger_keys: list[LedgerKey] = []
        self.recovered: dict[int, bytes] = {}  # rotations that a recovery key signed
        self.head: Head | None = None
        self.budgets: dict[str, BudgetRecord] = {}
        self.reservations: dict[str, ReservationRecord] = {}
        self.keys: dict[str, KeyRecord] = {}
        self.desk = Desk()
        self._spent: dict[str, Charge] = {}
        self._held: dict[str, Charge] = {}  # spent and reserved together
        self._lines: dict[str, tuple[str, ...]] = {}
        self._commitments: dict[str, str] = {}

    def signer_of(self, seq: int) -> bytes:
        """The raw key that must have signed an entry."""
        return self.recovered.get(seq) or key_at(self.ledger_keys, seq)

    def balance(self, budget_id: str) -> Balance:
        """Granted, spent, reserved, left of a known budget, what was spent through its parts included."""
        return Balance.of(self.budgets[budget_id], spent=self._spent[budget_id], held=self._held[budget_id])

    def deltas(self, budget_id: str) -> Amounts:
        """The delta column: the filter's limit, and what charges hold of it."""
        spent, held = self._spent[budget_id], self._held[budget_id]
        limit = self.budgets[budget_id].limit
        return Amounts(granted=limit.delta, spent=spent.delta, reserved=held.minus(spent).delta)

    def find_budget(self, commitment: str) -> str | None:
        """The budget granted on this data, if there is one."""
        return self._commitments.get(commitment)

    def line(self, budget_id: str) -> tuple[str, ...]:
        """Ids of a known budget, its parent, and so on up to the root."""
        return self._lines[budget_id]

    def family(self, body: Body) -> str | None:
        """Id of the root that an entry belongs to; None for an entry of no budget.

        A budget that is not known is its own root: the entry creates it, or breaks a rule that says so.
        """
        over = body.get("parent") if body.get("kind") == Kind.BUDGET_CHILD.value else body.get("budget_id")
        if not isinstance(over, str):
            return None
        return self.budgets[over].root if over in self.budgets else over

    def grant(self, budget: BudgetRecord, *, commits: bool = True) -> None:
        """A new budget, of which nothing is spent; `commits` if the data commitment is its own."""
        self.budgets[budget.budget_id] = budget
        above = () if budget.parent is None else self._lines[budget.parent]
        self._lines[budget.budget_id] = (budget.budget_id, *above)
        if commits:
            self._commitments[budget.commitment] = budget.budget_id
        self._spent[budget.budget_id] = self._held[budget.budget_id] = nothing(budget.composition.currency)

    def amend(self, amendment: Amendment, budget_id: str, limit: Charge) -> None:
        """Another grant for a known budget; what is spent stays spent."""
        budget = self.budgets[budget_id]
        self.budgets[budget_id] = replace(
            budget, granted=amendment.after, limit=limit, amendments=(*budget.amendments, amendment)
        )

    def held(self, budget_id: str) -> Charge:
        """Spent and reserved together."""
        return self._held[budget_id]

    def short(self, budget_id: str, charge: Charge) -> BudgetRecord | None:
        """The first budget, from this one up to the root, that `charge` would carry over its limit."""
        for name in self._lines[budget_id]:
            if not self.budgets[name].limit.covers_sum(self._held[name], charge):
                return self.budgets[name]
        return None

    def room(self, budget_id: str, charge: Charge) -> tuple[int, BudgetRecord]:
        """How many more such charges fit, and the budget, from this one up to the root, that stops the next."""
        line = [self.budgets[name] for name in self._lines[budget_id]]
        each = [(node.limit.minus(self._held[node.budget_id]).holds(charge), node) for node in line]
        return min(each, key=lambda one: one[0])

    def left(self, budget_id: str) -> list[tuple[BudgetRecord, Charge]]:
        """What this budget and each one above it still hold, in the filter's currency, the root last."""
        line = [self.budgets[name] for name in self._lines[budget_id]]
        return [(node, node.limit.minus(self._held[node.budget_id])) for node in line]

    def hold(self, reservation: ReservationRecord) -> None:
        """A new reservation: its charge counts from now on, in its budget and in all above it."""
        self.reservations[reservation.reservation_id] = reservation
        for name in self._lines[reservation.budget_id]:
            self._held[name] = self._held[name].plus(reservation.charge)

    def close(self, reservation: ReservationRecord, status: Status, charge: Charge) -> None:
        """The end of a reservation, at what it cost."""
        for name in self._lines[reservation.budget_id]:
            if charge is not reservation.charge:
                self._held[name] = self._held[name].minus(reservation.charge).plus(charge)
            self._spent[name] = self._spent[name].plus(charge)
        # The plan has served; a long ledger keeps only what later entries are checked against.
        self.reservations[reservation.reservation_id] = reservation.closed(status, charge)
