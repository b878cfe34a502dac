"""The budget that paid for a draft and all that it is part of, as card, report and `verify` show it.

A section is made from a verified slice alone and is compared with the slice by whoever verifies: a grant that was
raised later stands beside the original, with when, why and by whose key, on the card, in the report and in the answer
of `verify`. Numbers are as of one entry of the ledger, which the section names; the entry is not before the decision on
the draft, and no amendment of the family stands between it and the release.

    line        root first, the budget that paid last; of each what was granted first, amendments, spent, left
    odometer    what the spent charges of the root prove so far, with the caveat that belongs to it

Amounts are decimal strings in the family's relation and unit. The texts are part of the schema: a section is compared
word by word.

Not guaranteed: that nothing happened after the entry; `verify` shows the line again as the slice leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from accounting.ledger.balance import Balance
from accounting.ledger.entry import Entry, Kind
from accounting.ledger.evidence.clock import set_back, times_of
from accounting.ledger.records import BudgetRecord
from accounting.ledger.rotation import key_at
from accounting.ledger.signing import key_id
from accounting.ledger.slice import SliceFacts, verify_slice
from dpsynth.release.documents import JSON

SCHEMA: Final = "dpsynth.budget/1"
CAVEAT: Final = (
    "Spent so far is a bound only at a point that was chosen before the outputs were seen; the guarantee is the grant."
)
_MOVES: Final = frozenset(
    {Kind.BUDGET_CREATE, Kind.BUDGET_CHILD, Kind.BUDGET_AMEND, Kind.RESERVE, Kind.COMMIT, Kind.ABORT, Kind.EXPIRE}
)


def line(known: SliceFacts, budget_id: str) -> list[BudgetRecord]:
    """A budget and all above it, the root first."""
    found = [known.budgets[budget_id]]
    while found[-1].parent is not None:
        found.append(known.budgets[found[-1].parent])
    return found[::-1]


def budget_section(known: SliceFacts, budget_id: str, *, as_of: int | None = None) -> dict[str, JSON]:
    """The section of a budget.

    Args:
        known: what `verify_slice` accepted, up to the entry `as_of` or to one after which no amount changed.
        budget_id: the budget that paid.
        as_of: the entry that the amounts are as of; default the last that changed an amount or decided on a draft, so
            that whatever else is recorded leaves the section as it is.
    """
    nodes = line(known, budget_id)
    if as_of is None:
        as_of = max(entry.seq for entry in known.entries if entry.kind in _MOVES or entry.kind is Kind.DECISION)
    root = known.balances[nodes[0].budget_id]
    return {
        "schema": SCHEMA,
        "as_of": as_of,
        "amended": any(node.amendments for node in nodes),
        "line": [_node(node, known.balances[node.budget_id]) for node in nodes],
        "odometer": {**root.odometer.to_json(), "caveat": CAVEAT},
    }


def budget_as_of(raw: Mapping[str, Any], known: SliceFacts, budget_id: str, seq: int) -> dict[str, JSON]:
    """The section as it was at an entry of the slice, replayed only if an amount changed after it.

    Args:
        raw: the slice.
        known: what `verify_slice` found in it.
        budget_id: the budget that paid.
        seq: an entry of the chain, from the budget's creation on.
    """
    if any(entry.seq > seq and entry.kind in _MOVES for entry in known.entries):
        entries = raw["entries"][: seq + 1]
        cut = {**raw, "entries": entries, "head": {"seq": seq, "hash": entries[-1]["hash"]}}
        known = verify_slice(cut, ledger_key=bytes.fromhex(raw["public_key"]))
    return budget_section(known, budget_id, as_of=seq)


def is_plain(section: Mapping[str, Any]) -> bool:
    """Whether a card from before there were families, filters and amendments says all of it: one budget, as granted."""
    nodes = section["line"]
    return len(nodes) == 1 and nodes[0]["filter"] == "basic" and not section["amended"]


def budget_lines(section: Mapping[str, Any]) -> Iterator[str]:
    """The section in sentences, one a line; control characters in names and reasons are replaced."""
    yield from map(_printable, _lines(section))


def _lines(section: Mapping[str, Any]) -> Iterator[str]:
    nodes = section["line"]
    for place, node in enumerate(nodes):
        who = "The whole" if place == 0 else "Paid by the share" if place == len(nodes) - 1 else "Part of"
        name = node["dataset"] if len(nodes) > 1 else f"{node['dataset']} (no shares)"
        for what, key in (("for", "purpose"), ("recipients", "recipient")):
            if node[key] not in (None, "any"):
                name += f", {what} {node[key]}"
        yield f"{who}: {name}; {node['budget_id']}; {filter_words(node['filter'])}."
        for quantity in ("epsilon", "delta"):
            amount = node[quantity]
            yield (
                f"  {quantity} {amount['granted']} granted, {amount['spent']} spent, {amount['reserved']} reserved, "
                f"{amount['left']} left"
            )
        if node["amendments"]:
            first = node["original"]
            yield f"  AMENDED: granted first was epsilon {first['epsilon']}, delta {first['delta']}"
        for change in node["amendments"]:
            yield f"  {amendment_words(change)}"
    meter = section["odometer"]
    yield f"Spent so far proves epsilon {meter['epsilon']} at delta {meter['delta']}. {meter['caveat']}"


def amendment_words(change: Mapping[str, Any]) -> str:
    """One change of a grant: when, from what to what, by whose key, why."""
    before, after = change["before"], change["after"]
    return (
        f"entry {change['seq']}, {change['time']}: from epsilon {before['epsilon']}, delta {before['delta']} to "
        f"epsilon {after['epsilon']}, delta {after['delta']}, approved by key {change['key_id']}: {change['reason']}"
    )


def filter_words(body: str | Mapping[str, Any]) -> str:
    """The composition filter for people: which quantity adds up across runs."""
    if isinstance(body, str):
        return "epsilons and deltas add up (basic)"
    what = "rho adds up (zcdp)" if "order" not in body else f"the divergence of order {body['order']} adds up (rdp)"
    return f"{what}, converted at delta {body['conversion_delta']}"


def chain_notes(known: SliceFacts) -> Iterator[str]:
    """One sentence for each rotation of the ledger's key and for each clock that was set back."""
    for entry in known.of(Kind.KEY_ROTATE):
        yield _printable(_rotation(known, entry))
    for step in set_back(times_of(known.entries)):
        yield step.sentence()


def _rotation(known: SliceFacts, entry: Entry) -> str:
    old, recovery = key_id(key_at(known.ledger_keys, entry.seq)), entry.body.get("recovery_key")
    how = "handed over to" if recovery is None else f"was replaced, by recovery key {recovery}, with"
    return f"Entry {entry.seq}: the ledger's key {old} {how} {entry.body['key_id']}: {entry.body['reason']}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _node(node: BudgetRecord, balance: Balance) -> dict[str, JSON]:
    body: dict[str, JSON] = {
        "budget_id": node.budget_id,
        "dataset": node.dataset,
        "purpose": node.purpose,
        "recipient": node.recipient.value,
        "filter": node.composition.to_json(node.limit),
        "original": {**node.original.to_json()},
        "epsilon": {**balance.epsilon.to_json()},
        "delta": {**balance.delta.to_json()},
        "amendments": [change.to_json() for change in node.amendments],
    }
    if node.composition.conversion_delta is not None:
        body["loss"] = {"currency": balance.currency.value, **balance.loss.to_json()}
    return body
