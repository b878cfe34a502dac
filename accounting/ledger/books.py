"""The running state of a ledger: budgets, reservations and keys as they stand after an entry.

`Books` only holds and adds up; which entry may change it, and how, is `accounting.ledger.rules`. The live ledger,
`Ledger.verify` and a receiver of a slice all read with these two, so a receiver checks exactly what was enforced.

Not guaranteed: that a price follows from its events. `accounting.crosscheck.price` recomputes that; the books need no
accountant.
"""

from __future__ import annotations

from accounting.ledger.amounts import NOTHING, Amounts, Balance, Charge
from accounting.ledger.entry import Head
from accounting.ledger.records import BudgetRecord, KeyRecord, ReservationRecord, Status
from accounting.ledger.rotation import LedgerKey, key_at


class Books:
    """The running state after each entry; `rules.apply` is the only way to change it.

    Attributes:
        ledger_id: random name of the ledger.
        public_key: raw Ed25519 key of its first entry, 32 bytes.
        ledger_keys: that key and its successors, in order.
        head: the entry before the one that is read or written next; None before the first.
        budgets: by id.
        reservations: by id, closed ones included.
        keys: release and review keys by id, revoked ones included.
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
        self._spent: dict[str, Charge] = {}
        self._held: dict[str, Charge] = {}  # spent and reserved together
        self._commitments: dict[str, str] = {}

    def signer_of(self, seq: int) -> bytes:
        """The raw key that must have signed an entry."""
        return self.recovered.get(seq) or key_at(self.ledger_keys, seq)

    def balance(self, budget_id: str) -> Balance:
        """Granted, spent, reserved, left of a known budget."""
        granted, spent = self.budgets[budget_id].granted, self._spent[budget_id]
        reserved = self._held[budget_id].minus(spent)
        return Balance(
            epsilon=Amounts(granted=granted.epsilon, spent=spent.epsilon, reserved=reserved.epsilon),
            delta=Amounts(granted=granted.delta, spent=spent.delta, reserved=reserved.delta),
        )

    def find_budget(self, commitment: str) -> str | None:
        """The budget granted on this data, if there is one."""
        return self._commitments.get(commitment)

    def grant(self, budget: BudgetRecord) -> None:
        """A new budget, of which nothing is spent."""
        self.budgets[budget.budget_id] = budget
        self._commitments[budget.commitment] = budget.budget_id
        self._spent[budget.budget_id] = self._held[budget.budget_id] = NOTHING

    def fits(self, budget_id: str, charge: Charge) -> bool:
        """Whether what is held and `charge` together stay inside the grant."""
        return self.budgets[budget_id].granted.covers(self._held[budget_id].plus(charge))

    def hold(self, reservation: ReservationRecord) -> None:
        """A new reservation: its charge counts from now on."""
        self.reservations[reservation.reservation_id] = reservation
        self._held[reservation.budget_id] = self._held[reservation.budget_id].plus(reservation.charge)

    def close(self, reservation: ReservationRecord, status: Status, charge: Charge) -> None:
        """The end of a reservation, at what it cost."""
        budget_id = reservation.budget_id
        if charge != reservation.charge:
            self._held[budget_id] = self._held[budget_id].minus(reservation.charge).plus(charge)
        self._spent[budget_id] = self._spent[budget_id].plus(charge)
        # The plan has served; a long ledger keeps only what later entries are checked against.
        self.reservations[reservation.reservation_id] = reservation._replace(status=status, charge=charge, plan={})
