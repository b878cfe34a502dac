"""What the books keep of each budget, reservation and key: plain values, read-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from accounting.ledger.amounts import Charge
from accounting.ledger.entry import JSON


class Status(StrEnum):
    """Where a reservation stands; all but `refunded` count against the budget."""

    OPEN = "open"
    COMMITTED = "committed"
    REFUNDED = "refunded"
    FORFEITED = "forfeited"  # aborted after a read, or expired: spent at the plan's price


class ReservationRecord(NamedTuple):
    """One run's claim on a budget.

    Attributes:
        charge: what it holds while open, and what it cost once closed; nothing if refunded.
        plan: `dpsynth.events/1` document of the worst case.
        accessed: whether its token was handed to the loader of private data.
    """

    reservation_id: str
    budget_id: str
    run_id: str
    purpose: str
    seq: int
    charge: Charge
    plan: Mapping[str, JSON]
    token_hash: str
    accessed: bool = False
    status: Status = Status.OPEN

    def __str__(self) -> str:
        price = self.charge.to_json()
        return (
            f"{self.reservation_id} {self.status.value} epsilon {price['epsilon']} delta {price['delta']} "
            f"run {self.run_id}: {self.purpose}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRecord:
    """What a person granted on one dataset."""

    budget_id: str
    dataset: str
    commitment: str
    relation: str
    unit: JSON
    granted: Charge
    seq: int

    @property
    def claim(self) -> str:
        """Relation and unit, for messages."""
        who = "one record" if self.unit == "record" else "all records of one user"
        return f"{self.relation.replace('_', '/')} {who}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A public key that the ledger vouches for, and the entry that revoked it, if any."""

    key_id: str
    public_key: bytes
    role: str
    added: int
    revoked: int | None = None
