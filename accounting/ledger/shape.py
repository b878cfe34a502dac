"""The shape of each kind's body, and how a rule reads its parts.

Every reader answers with the typed refusal of the first thing that is wrong; none looks at another entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from accounting.ledger.amounts import PRICE_PLACES, Charge, Currency, delta_in_chain
from accounting.ledger.entry import HEX32, JSON, Kind
from accounting.ledger.errors import LedgerTampered, Reason

Body: TypeAlias = Mapping[str, JSON]

EVENTS_SCHEMA = "dpsynth.events/1"

_EPSILON = Currency.EPSILON
_TREE = frozenset({"schema", "relation", "unit", "events"})
_STAMP = frozenset({"kind", "nonce", "time"})
_BUDGET_FIELDS = {"budget_id", "dataset", "commitment", "relation", "unit", "filter", "granted"}
_CHILD_FIELDS = {"parent", "purpose", "recipient"}
_AMEND_FIELDS = {"budget_id", "granted", "filter", "reason", "key_id", "signature"}
_RESERVE_FIELDS = {"run_id", "purpose", "policy_digest", "plan", "guarantee", "charge", "token_hash"}
FIELDS: Mapping[Kind, frozenset[str]] = {
    kind: _STAMP | fields
    for kind, fields in {
        Kind.LEDGER_CREATE: {"schema", "ledger_id", "public_key"},
        Kind.KEY_ADD: {"key_id", "public_key", "role"},
        Kind.KEY_REVOKE: {"key_id", "reason"},
        Kind.KEY_ROTATE: {"key_id", "public_key", "reason", "recovery_key", "countersignature"},
        Kind.BUDGET_CREATE: _BUDGET_FIELDS,
        Kind.BUDGET_CHILD: _BUDGET_FIELDS | _CHILD_FIELDS,
        Kind.BUDGET_AMEND: _AMEND_FIELDS,
        Kind.RESERVE: {"budget_id", "reservation_id"} | _RESERVE_FIELDS,
        Kind.ACCESS: {"budget_id", "reservation_id"},
        Kind.COMMIT: {"budget_id", "reservation_id", "events", "guarantee", "charge", "facts"},
        Kind.ABORT: {"budget_id", "reservation_id", "reason", "data_was_read"},
        Kind.EXPIRE: {"budget_id", "reservation_id", "reason"},
    }.items()
}


def broken(seq: int, reason: Reason, what: str) -> LedgerTampered:
    """The refusal of entry `seq`, which is `what`."""
    return LedgerTampered(
        reason, f"Entry {seq} is {what}.", "Trust nothing after it; compare with an earlier copy.", seq=seq
    )


def text(seq: int, body: Body, name: str) -> str:
    """A field that must be text, and not empty."""
    value = body[name]
    if not isinstance(value, str) or not value:
        raise broken(seq, Reason.RULE_BROKEN, f"one whose {name} is not text")
    return value


def key_bytes(seq: int, body: Body) -> bytes:
    """The 32 bytes of `public_key`."""
    value = text(seq, body, "public_key")
    if not HEX32.fullmatch(value):
        raise broken(seq, Reason.RULE_BROKEN, "one whose public_key is not 32 bytes of hex")
    return bytes.fromhex(value)


def optional_text(seq: int, body: Body, name: str) -> str | None:
    """A field that is text, and not empty, or null."""
    return None if body[name] is None else text(seq, body, name)


def priced(seq: int, body: Body, currency: Currency) -> Charge:
    """The charge; in epsilon it must not be below the guarantee it stands for."""
    charge, guarantee = Charge.from_json(body["charge"], currency), body["guarantee"]
    if not isinstance(guarantee, dict):
        raise broken(seq, Reason.RULE_BROKEN, "one without a guarantee")
    if currency is not _EPSILON:
        return charge  # of another currency than the guarantee: replay computes it again from the events
    claim: JSON = {"epsilon": guarantee.get("epsilon"), "delta": guarantee.get("delta")}
    if guarantee.get("epsilon") == "0":
        claim = {"epsilon": str(PRICE_PLACES), "delta": guarantee.get("delta")}  # what a free run is charged
    if claim != body["charge"] and not charge.covers(Charge.from_json(claim)):
        raise broken(seq, Reason.RULE_BROKEN, "one charged less than its guarantee states")
    return charge


def guarantee_delta(seq: int, body: Body) -> Decimal:
    """The delta at which an entry's guarantee is stated."""
    guarantee = body["guarantee"]
    delta = guarantee.get("delta") if isinstance(guarantee, dict) else None
    if not isinstance(delta, str):
        raise broken(seq, Reason.RULE_BROKEN, "one whose guarantee states no delta")
    return delta_in_chain(delta)


def event_tree(seq: int, tree: JSON, *, relation: str, unit: JSON) -> Mapping[str, JSON]:
    """An event tree of this relation and unit."""
    if not isinstance(tree, dict) or tree.keys() != _TREE or not isinstance(tree["events"], list):
        raise broken(seq, Reason.RULE_BROKEN, "one whose events are not an event tree")
    if tree["schema"] != EVENTS_SCHEMA:
        raise broken(seq, Reason.UNKNOWN_SCHEMA, "one with events of another schema")
    if tree["relation"] != relation or tree["unit"] != unit:
        raise broken(seq, Reason.RULE_BROKEN, "one whose relation or unit is not its budget's")
    for event in tree["events"]:
        if not isinstance(event, dict):
            raise broken(seq, Reason.RULE_BROKEN, "one whose events are not objects")
    return tree


def events_in(tree: Mapping[str, JSON]) -> list[Mapping[str, object]]:
    """The events of a tree."""
    events = tree["events"]
    return [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []
