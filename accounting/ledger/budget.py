"""What the entries add up to: identities, keys, budgets, reservations, and the rules that bind them.

`Books` reads bodies in chain order and refuses the first one that breaks a rule, whoever signed it. The live
ledger, `Ledger.verify` and a receiver of a slice all read with this one class, so a receiver checks exactly
the rules that the ledger enforced:

- the first entry, and only it, creates the ledger;
- a budget is created once per data commitment, with relation, unit, epsilon and delta above zero;
- a reservation has its budget's relation and unit, is charged at least its own guarantee, and fits: spent +
  reserved + asked <= granted, in epsilon and in delta;
- a reservation is closed once: by a commit whose events its plan covers and whose charge it covers; by an
  abort, free only if its token was never used; or by an expiry, which is charged in full;
- until then it counts.

Not guaranteed: that a price follows from its events. `accounting.crosscheck.price` recomputes that; this file
only adds up and needs no accountant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from accounting.errors import AccountingError
from accounting.ledger import signing
from accounting.ledger.amounts import NOTHING, PRICE_PLACES, Amounts, Balance, Charge
from accounting.ledger.containment import uncovered
from accounting.ledger.entry import HEX32, JSON, RECORD_KINDS, SCHEMA, Kind
from accounting.ledger.errors import LedgerTampered, Reason

Body: TypeAlias = Mapping[str, JSON]

FILTER = "basic"
KEY_ROLES = frozenset({"release", "review"})
EVENTS_SCHEMA = "dpsynth.events/1"

_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
_TREE = frozenset({"schema", "relation", "unit", "events"})
_STAMP = frozenset({"kind", "nonce", "time"})
_BUDGET_FIELDS = {"budget_id", "dataset", "commitment", "relation", "unit", "filter", "granted"}
_RESERVE_FIELDS = {"run_id", "purpose", "policy_digest", "plan", "guarantee", "charge", "token_hash"}
_FIELDS: Mapping[Kind, frozenset[str]] = {
    kind: _STAMP | fields
    for kind, fields in {
        Kind.LEDGER_CREATE: {"schema", "ledger_id", "public_key"},
        Kind.KEY_ADD: {"key_id", "public_key", "role"},
        Kind.KEY_REVOKE: {"key_id", "reason"},
        Kind.BUDGET_CREATE: _BUDGET_FIELDS,
        Kind.RESERVE: {"budget_id", "reservation_id"} | _RESERVE_FIELDS,
        Kind.ACCESS: {"budget_id", "reservation_id"},
        Kind.COMMIT: {"budget_id", "reservation_id", "events", "guarantee", "charge", "facts"},
        Kind.ABORT: {"budget_id", "reservation_id", "reason", "data_was_read"},
        Kind.EXPIRE: {"budget_id", "reservation_id", "reason"},
    }.items()
}


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


class Books:
    """The running state after each entry; `apply` is the only way to change it."""

    def __init__(self) -> None:
        self.ledger_id = ""
        self.public_key = b""
        self.budgets: dict[str, BudgetRecord] = {}
        self.reservations: dict[str, ReservationRecord] = {}
        self.keys: dict[str, KeyRecord] = {}
        self._spent: dict[str, Charge] = {}
        self._held: dict[str, Charge] = {}  # spent and reserved together
        self._commitments: dict[str, str] = {}

    def apply(self, seq: int, body: Body) -> None:
        """Take one more body into account.

        Raises:
            LedgerTampered: the body breaks a rule; `.reason` and `.seq` say which and where.
        """
        kind = _KINDS.get(str(body.get("kind")))
        if kind is None:
            raise _broken(seq, Reason.UNKNOWN_KIND, "an entry of a kind that this version does not know")
        fields = _FIELDS.get(kind)
        if fields is not None and body.keys() != fields:
            raise _broken(seq, Reason.RULE_BROKEN, f"a {kind.value} entry with missing or unknown fields")
        if (seq == 0) != (kind is Kind.LEDGER_CREATE):
            raise _broken(seq, Reason.RULE_BROKEN, "a ledger is created by its first entry and by no other")
        try:
            if kind in RECORD_KINDS:
                self._budget(seq, body)
            elif kind in _RULES:
                _RULES[kind](self, seq, body)
        except LedgerTampered:
            raise
        except AccountingError as error:
            raise _broken(seq, Reason.RULE_BROKEN, f"a {kind.value} entry that cannot be read: {error}") from error

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

    def _create_ledger(self, seq: int, body: Body) -> None:
        if body["schema"] != SCHEMA:
            raise _broken(seq, Reason.UNKNOWN_SCHEMA, f"expected schema {SCHEMA!r}")
        self.ledger_id = _text(seq, body, "ledger_id")
        self.public_key = _key_bytes(seq, body)

    def _add_key(self, seq: int, body: Body) -> None:
        public_key, name = _key_bytes(seq, body), _text(seq, body, "key_id")
        signing.load_public_bytes(public_key)
        role = _text(seq, body, "role")
        if name != signing.key_id(public_key) or name in self.keys or role not in KEY_ROLES:
            raise _broken(seq, Reason.RULE_BROKEN, "a key added twice, under a wrong id or for an unknown role")
        self.keys[name] = KeyRecord(key_id=name, public_key=public_key, role=role, added=seq)

    def _revoke_key(self, seq: int, body: Body) -> None:
        key = self.keys.get(_text(seq, body, "key_id"))
        if key is None or key.revoked is not None:
            raise _broken(seq, Reason.RULE_BROKEN, "a key revoked that was not in use")
        self.keys[key.key_id] = replace(key, revoked=seq)

    def _create_budget(self, seq: int, body: Body) -> None:
        name, commitment = _text(seq, body, "budget_id"), _text(seq, body, "commitment")
        if name in self.budgets or commitment in self._commitments:
            raise _broken(seq, Reason.RULE_BROKEN, "a second budget for the same data, which would refill the first")
        if body["filter"] != FILTER:
            raise _broken(seq, Reason.UNKNOWN_SCHEMA, "a composition filter that this version does not know")
        self.budgets[name] = BudgetRecord(
            budget_id=name,
            dataset=_text(seq, body, "dataset"),
            commitment=commitment,
            relation=_text(seq, body, "relation"),
            unit=body["unit"],
            granted=Charge.from_json(body["granted"]),
            seq=seq,
        )
        self._commitments[commitment] = name
        self._spent[name] = self._held[name] = NOTHING

    def _reserve(self, seq: int, body: Body) -> None:
        budget, name = self._budget(seq, body), _text(seq, body, "reservation_id")
        if name in self.reservations:
            raise _broken(seq, Reason.RULE_BROKEN, "a reservation made twice")
        reservation = ReservationRecord(
            reservation_id=name,
            budget_id=budget.budget_id,
            run_id=_text(seq, body, "run_id"),
            purpose=_text(seq, body, "purpose"),
            seq=seq,
            charge=_priced(seq, body),
            plan=_tree(seq, budget, body["plan"]),
            token_hash=_text(seq, body, "token_hash"),
        )
        held = self._held[budget.budget_id].plus(reservation.charge)
        if not budget.granted.covers(held):
            raise _broken(seq, Reason.OVERSPENT, "a reservation that takes the budget over its limit")
        self.reservations[name] = reservation
        self._held[budget.budget_id] = held

    def _access(self, seq: int, body: Body) -> None:
        reservation = self._open(seq, body)
        if reservation.accessed:
            raise _broken(seq, Reason.RULE_BROKEN, "a reservation's token used twice")
        self.reservations[reservation.reservation_id] = reservation._replace(accessed=True)

    def _commit(self, seq: int, body: Body) -> None:
        reservation, charge = self._open(seq, body), _priced(seq, body)
        events = _tree(seq, self.budgets[reservation.budget_id], body["events"])
        if events != reservation.plan and uncovered(_events(events), _events(reservation.plan)) is not None:
            raise _broken(seq, Reason.PLAN_EXCEEDED, "a commit of events that its reservation does not cover")
        if not reservation.charge.covers(charge):
            raise _broken(seq, Reason.PLAN_EXCEEDED, "a commit that costs more than its reservation")
        self._close(reservation, Status.COMMITTED, charge)

    def _abort(self, seq: int, body: Body) -> None:
        reservation = self._open(seq, body)
        if body["data_was_read"] is True:
            self._close(reservation, Status.FORFEITED, reservation.charge)
        elif body["data_was_read"] is False and not reservation.accessed:
            self._close(reservation, Status.REFUNDED, NOTHING)
        else:
            raise _broken(seq, Reason.RULE_BROKEN, "a refund for a reservation whose token was used")

    def _expire(self, seq: int, body: Body) -> None:
        reservation = self._open(seq, body)
        self._close(reservation, Status.FORFEITED, reservation.charge)

    def _budget(self, seq: int, body: Body) -> BudgetRecord:
        budget = self.budgets.get(str(body.get("budget_id")))
        if budget is None:
            raise _broken(seq, Reason.RULE_BROKEN, "an entry on a budget that was never created")
        return budget

    def _open(self, seq: int, body: Body) -> ReservationRecord:
        reservation = self.reservations.get(_text(seq, body, "reservation_id"))
        if reservation is None or reservation.budget_id != body["budget_id"]:
            raise _broken(seq, Reason.RULE_BROKEN, "an entry on a reservation that was never made")
        if reservation.status is not Status.OPEN:
            raise _broken(seq, Reason.RULE_BROKEN, "an entry on a reservation that is closed")
        return reservation

    def _close(self, reservation: ReservationRecord, status: Status, charge: Charge) -> None:
        budget_id = reservation.budget_id
        if charge != reservation.charge:
            self._held[budget_id] = self._held[budget_id].minus(reservation.charge).plus(charge)
        self._spent[budget_id] = self._spent[budget_id].plus(charge)
        # The plan has served; a long ledger keeps only what later entries are checked against.
        self.reservations[reservation.reservation_id] = reservation._replace(status=status, charge=charge, plan={})


_RULES: Mapping[Kind, Callable[[Books, int, Body], None]] = {
    Kind.LEDGER_CREATE: Books._create_ledger,
    Kind.KEY_ADD: Books._add_key,
    Kind.KEY_REVOKE: Books._revoke_key,
    Kind.BUDGET_CREATE: Books._create_budget,
    Kind.RESERVE: Books._reserve,
    Kind.ACCESS: Books._access,
    Kind.COMMIT: Books._commit,
    Kind.ABORT: Books._abort,
    Kind.EXPIRE: Books._expire,
}


def _broken(seq: int, reason: Reason, what: str) -> LedgerTampered:
    return LedgerTampered(
        reason, f"Entry {seq} is {what}.", "Trust nothing after it; compare with an earlier copy.", seq=seq
    )


def _text(seq: int, body: Body, name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not value:
        raise _broken(seq, Reason.RULE_BROKEN, f"one whose {name} is not text")
    return value


def _key_bytes(seq: int, body: Body) -> bytes:
    text = _text(seq, body, "public_key")
    if not HEX32.fullmatch(text):
        raise _broken(seq, Reason.RULE_BROKEN, "one whose public_key is not 32 bytes of hex")
    return bytes.fromhex(text)


def _priced(seq: int, body: Body) -> Charge:
    """The charge, which must not be below the guarantee it stands for."""
    charge, guarantee = Charge.from_json(body["charge"]), body["guarantee"]
    if not isinstance(guarantee, dict):
        raise _broken(seq, Reason.RULE_BROKEN, "one without a guarantee")
    claim: JSON = {"epsilon": guarantee.get("epsilon"), "delta": guarantee.get("delta")}
    if guarantee.get("epsilon") == "0":
        claim = {"epsilon": str(PRICE_PLACES), "delta": guarantee.get("delta")}  # what a free run is charged
    if claim != body["charge"] and not charge.covers(Charge.from_json(claim)):
        raise _broken(seq, Reason.RULE_BROKEN, "one charged less than its guarantee states")
    return charge


def _tree(seq: int, budget: BudgetRecord, tree: JSON) -> Mapping[str, JSON]:
    if not isinstance(tree, dict) or tree.keys() != _TREE or not isinstance(tree["events"], list):
        raise _broken(seq, Reason.RULE_BROKEN, "one whose events are not an event tree")
    if tree["schema"] != EVENTS_SCHEMA:
        raise _broken(seq, Reason.UNKNOWN_SCHEMA, "one with events of another schema")
    if tree["relation"] != budget.relation or tree["unit"] != budget.unit:
        raise _broken(seq, Reason.RULE_BROKEN, "one whose relation or unit is not its budget's")
    for event in tree["events"]:
        if not isinstance(event, dict):
            raise _broken(seq, Reason.RULE_BROKEN, "one whose events are not objects")
    return tree


def _events(tree: Mapping[str, JSON]) -> list[Mapping[str, object]]:
    events = tree["events"]
    return [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []
