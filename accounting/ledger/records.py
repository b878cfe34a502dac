"""What the books keep of each budget, reservation and key: plain values, read-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from accounting.ledger.amounts import Charge, Grant
from accounting.ledger.composition import Composition
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
        delta: at which its guarantee is stated.
        plan: `dpsynth.events/1` document of the worst case.
        accessed: whether its token was handed to the loader of private data.
    """

    reservation_id: str
    budget_id: str
    run_id: str
    purpose: str
    seq: int
    charge: Charge
    delta: Decimal
    plan: Mapping[str, JSON]
    token_hash: str
    accessed: bool = False
    status: Status = Status.OPEN

    def used(self) -> ReservationRecord:
        """The record after its token was used. Built field by field: `_replace` takes three times as long."""
        kept = (self.reservation_id, self.budget_id, self.run_id, self.purpose, self.seq, self.charge, self.delta)
        return ReservationRecord(*kept, self.plan, self.token_hash, True, self.status)

    def closed(self, status: Status, charge: Charge) -> ReservationRecord:
        """The record at its end, without the plan, which has served."""
        kept = (self.reservation_id, self.budget_id, self.run_id, self.purpose, self.seq)
        return ReservationRecord(*kept, charge, self.delta, {}, self.token_hash, self.accessed, status)

    def __str__(self) -> str:
        return f"{self.reservation_id} {self.status.value} {self.charge} run {self.run_id}: {self.purpose}"


class Recipient(StrEnum):
    """For whom a share of a budget is meant; a share of a share keeps its recipient."""

    ANY = "any"
    INTERNAL = "internal"
    RESTRICTED = "restricted"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """One change of a grant, by the holder of a key of role `budget`.

    Attributes:
        seq: its entry.
        time: as the ledger's machine claimed it.
        key_id: who approved it.
        key_added: entry that made that key known; a key that is younger than the first run is worth a question.
        reason: in words.
        before: the grant until then.
        after: the grant from then on.
    """

    seq: int
    time: str
    key_id: str
    key_added: int
    reason: str
    before: Grant
    after: Grant

    def to_json(self) -> dict[str, JSON]:
        """The object of reports, cards and `budget show --json`."""
        return {
            "seq": self.seq,
            "time": self.time,
            "key_id": self.key_id,
            "key_added": self.key_added,
            "reason": self.reason,
            "before": dict(self.before.to_json()),
            "after": dict(self.after.to_json()),
        }

    def __str__(self) -> str:
        return (
            f"Entry {self.seq} ({self.time}), key {self.key_id}: from {self.before} to {self.after}, "
            f"because: {self.reason}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRecord:
    """What a person granted on one node of a data lineage.

    Attributes:
        budget_id: of the node.
        dataset: name that people know the data by.
        commitment: to the data, by content or by place; a share of a budget has its parent's.
        relation, unit: of the whole family.
        granted: now.
        seq: entry that created it.
        root: the lineage's first budget; its own id for a root.
        composition: the family's filter, with this budget's conversion delta.
        limit: what charges may add up to, in the filter's currency.
        original: the grant when it was made.
        parent: the budget that this one is a part of, None for a root.
        purpose: what a share is for, None for any.
        recipient: for whom.
        amendments: what changed it since, in order.
    """

    budget_id: str
    dataset: str
    commitment: str
    relation: str
    unit: JSON
    granted: Grant
    seq: int
    root: str
    composition: Composition
    limit: Charge
    original: Grant
    parent: str | None = None
    purpose: str | None = None
    recipient: Recipient = Recipient.ANY
    amendments: tuple[Amendment, ...] = ()

    @property
    def claim(self) -> str:
        """Relation and unit, for messages."""
        who = "one record" if self.unit == "record" else "all records of one user"
        return f"{self.relation.replace('_', '/')} {who}"

    @property
    def label(self) -> str:
        """The node in words: data, purpose, recipient, and whether it is the whole."""
        purpose = "" if self.purpose is None else f", for {self.purpose}"
        recipient = "" if self.recipient is Recipient.ANY else f", recipients {self.recipient.value}"
        return f"{self.dataset}{purpose}{recipient}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A public key that the ledger vouches for, and the entry that revoked it, if any."""

    key_id: str
    public_key: bytes
    role: str
    added: int
    revoked: int | None = None
