"""Everything that a workspace's ledger knows, for the person who answers for it: data, budgets, drafts, releases, time.

The document is made from the verified chain and from each draft's own document; it holds no row, no category and no
figure of an attack, but names, amounts, verdicts and dates. It is internal: names of data sets and failed attempts are.

Not guaranteed: what other workspaces did with the same people, unless they share this ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from accounting.ledger.entry import Entry, Kind
from accounting.ledger.records import Recipient
from dpsynth.workspace import budgets
from dpsynth.workspace.governance import queue

if TYPE_CHECKING:
    from dpsynth.workspace.workspace import Workspace

SCHEMA: Final = "dpsynth.portfolio/1"


def portfolio_document(workspace: Workspace) -> dict[str, Any]:
    """All data sets, budgets, drafts, releases and what happened, in the order of the chain."""
    with workspace.ledger() as ledger:
        entries, head, ledger_id = tuple(ledger.entries()), ledger.head(), ledger.ledger_id
        known = ledger.budgets()
        roots = [record for record in known if record.parent is None]
        families = [
            [node.to_json() | _place(workspace, node) for node in budgets.family(ledger, root.budget_id)]
            for root in roots
        ]
    named = {record.budget_id: record.dataset for record in known}
    standings = {one.draft: one for one in queue(workspace)}
    return {
        "schema": SCHEMA,
        "workspace": workspace.layout.root.name,
        "ledger_id": ledger_id,
        "head": {"seq": head.seq, "hash": head.hash, "time": str(entries[-1].body.get("time", "")) if entries else ""},
        "families": families,
        "drafts": [
            {
                "draft": draft.name,
                "dataset": draft.document.dataset,
                "generator": draft.document.generator.name,
                "epsilon": (draft.document.guarantee or {}).get("epsilon"),
                "created": draft.document.created,
                "state": standings[draft.name].state.value,
                "next_step": standings[draft.name].next_step,
                "attacks": _count(entries, Kind.ATTACK, draft.name),
                "decisions": _count(entries, Kind.DECISION, draft.name),
            }
            for draft in workspace.drafts()
        ],
        "releases": _releases(entries, named),
        "spending": _spending(entries, {record.budget_id: record.root for record in known}, named),
        "timeline": [said for entry in entries if (said := _said(entry, named)) is not None],
    }


def _place(workspace: Workspace, node: budgets.Node) -> dict[str, str]:
    """Where the rows of a budget of its own stay, if in an engine and registered here; without secrets."""
    of_share = node.record.purpose is not None or node.record.recipient is not Recipient.ANY
    known = None if of_share else workspace.registry.by_commitment(node.record.commitment)
    return {} if known is None or known.place is None else {"place": known.place.shown}


def _count(entries: Sequence[Entry], kind: Kind, draft: str) -> int:
    return sum(entry.kind is kind and entry.body.get("draft") == draft for entry in entries)


def _releases(entries: Sequence[Entry], named: Mapping[str, str]) -> list[dict[str, Any]]:
    recalled = {str(e.body.get("release")): e for e in entries if e.kind is Kind.RECALL}
    found = []
    for entry in entries:
        if entry.kind is Kind.RELEASE:
            body, back = entry.body, recalled.get(str(entry.body.get("release")))
            found.append(
                {
                    "release": body.get("release"),
                    "draft": body.get("draft"),
                    "dataset": named.get(str(body.get("budget_id"))),
                    "time": body.get("time"),
                    "seq": entry.seq,
                    "recalled": None if back is None else back.body.get("time"),
                    "reason": None if back is None else back.body.get("reason"),
                }
            )
    return found


def _spending(entries: Sequence[Entry], roots: Mapping[str, str], named: Mapping[str, str]) -> list[dict[str, Any]]:
    """Epsilon charged so far to each whole, after every commit; under a filter other than basic these do not add up."""
    spent: dict[str, Decimal] = {}
    steps = []
    for entry in entries:
        claim = entry.body.get("guarantee")
        if entry.kind is Kind.COMMIT and isinstance(claim, Mapping):
            root = roots.get(str(entry.body.get("budget_id")), "")
            spent[root] = spent.get(root, Decimal(0)) + Decimal(str(claim.get("epsilon")))
            steps.append(
                {
                    "seq": entry.seq,
                    "time": entry.body.get("time"),
                    "dataset": named.get(root, ""),
                    "epsilon": f"{spent[root]:f}",
                }
            )
    return steps


_WORDS: Final[Mapping[Kind, str]] = {
    Kind.LEDGER_CREATE: "ledger made",
    Kind.KEY_ADD: "key added",
    Kind.KEY_REVOKE: "key revoked",
    Kind.KEY_ROTATE: "key rotated",
    Kind.BUDGET_CREATE: "budget granted",
    Kind.BUDGET_CHILD: "share taken",
    Kind.BUDGET_AMEND: "grant amended",
    Kind.COMMIT: "epsilon spent",
    Kind.ABORT: "run aborted",
    Kind.EXPIRE: "run expired",
    Kind.UNPROTECTED: "unprotected baseline",
    Kind.ATTEMPT: "draft sealed",
    Kind.ATTACK: "attacked",
    Kind.DECISION: "decided",
    Kind.REVIEW: "reviewed",
    Kind.RELEASE: "released",
    Kind.RECALL: "recalled",
}


def _said(entry: Entry, named: Mapping[str, str]) -> dict[str, Any] | None:
    """One line of what happened, or None for steps that follow from another."""
    body = entry.body
    word = _WORDS.get(entry.kind) or (None if entry.kind in _QUIET else entry.kind.value)
    if word is None:
        return None
    claim = body.get("guarantee")
    details = [
        str(body[name])
        for name in ("role", "draft", "verdict", "decision", "release", "vote", "rule", "purpose", "reason")
        if isinstance(body.get(name), str)
    ]
    if entry.kind is Kind.COMMIT and isinstance(claim, Mapping):
        details.append(f"epsilon {claim.get('epsilon')}")
    return {
        "seq": entry.seq,
        "time": body.get("time"),
        "what": word,
        "dataset": named.get(str(body.get("budget_id")), ""),
        "detail": ", ".join(dict.fromkeys(details)),
    }


_QUIET: Final = frozenset({Kind.RESERVE, Kind.ACCESS, Kind.QUALITY, Kind.POLICY, Kind.CHECKPOINT})
