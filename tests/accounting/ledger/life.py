"""The life of a small ledger in which every kind of entry occurs, and what a reader finds in it.

`ledger_life.json` is such a life as it was written on 2026-11-23: chains outlive programs, so every later version must
read it as it was read then, and must still write entries of these shapes. `python -m tests.accounting.ledger.life`
writes it anew; that is for a new kind of entry or field, never for one that reads otherwise than before.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounting import EventTree, Laplace, Ledger, NeighboringRelation, PrivacyUnit, Signer, ZCDPFilter
from accounting.ledger.entry import Head, Row, canonical
from accounting.ledger.evidence.checkpoint import Checkpoint, check_heads
from accounting.ledger.evidence.replay import replay
from accounting.ledger.slice import verify_slice

KNOWN = Path(__file__).with_name("ledger_life.json")
TERMS: dict[str, Any] = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
USERS: dict[str, Any] = {
    "relation": NeighboringRelation.REPLACE_ONE,
    "unit": PrivacyUnit(kind="user", column="id", max_records=3),
}
ROLES = ("release", "review", "review", "review", "generate", "budget", "recovery")
DIGESTS = {name: f"{number:02x}" * 32 for number, name in enumerate(
    ("rows", "rows-2", "attempt", "attack", "quality", "decision", "policy", "root"), start=1)}  # fmt: skip


def signer(number: int) -> Signer:
    """A key that protects nothing."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def plan(count: int, **terms: Any) -> EventTree:
    """Laplace noise of scale 20, so many times: epsilon 0.05 each."""
    return EventTree(events=(Laplace(scale="20", l1_sensitivity="1", count=count),), **(terms or TERMS))


def live(path: str | Path) -> dict[str, Any]:
    """Write a life; what a reader cannot know from the chain comes back."""
    keys = [signer(number) for number in range(10, 10 + len(ROLES))]
    third, approver, recovery = keys[3], keys[5], keys[6]
    with Ledger.create(path, signer=signer(1)) as ledger:
        for key, role in zip(keys, ROLES, strict=True):
            ledger.append("key.add", {"key_id": key.key_id, "public_key": key.public_bytes.hex(), "role": role})
        ledger.append("policy", {"digest": DIGESTS["policy"]})
        budget = ledger.create_budget(dataset="claims", commitment="claims-2026", epsilon="3", delta="1e-6", **TERMS)
        share = ledger.create_budget(
            dataset="claims", parent=budget, purpose="teaching", recipient="public", epsilon="1", delta="1e-7", **TERMS
        )
        runs = [
            ledger.reserve(share, plan(4), delta="1e-9", run_id=f"run-{number}", purpose="release",
                           policy_digest=DIGESTS["policy"])
            for number in range(4)
        ]  # fmt: skip
        for run in runs[:2]:
            ledger.check_token(run.id, run.token)
        ledger.commit(runs[0].id, plan(3), facts={"noise": "exact", "table": {"rows": 4012}})
        ledger.abort(runs[1].id, "the machine stopped", data_was_read=True)
        ledger.abort(runs[2].id, "not wanted", data_was_read=False)
        ledger.append("checkpoint", {"seq": ledger.head().seq, "hash": ledger.head().hash})
        ledger.amend(budget, epsilon="4", delta="2e-6", reason="a second year", approver=approver)
        ledger.expire(runs[3].id, "left by a crash")
        ledger.append("unprotected", {"budget_id": share, "read_id": "read-1", "purpose": "a baseline"})
        _drafts(ledger, share, runs[0].id, keys)
        ledger.rotate(signer(2), "a yearly change")
        for adds_up, more in (("zcdp", {}), ("rdp", {"order": "8", "conversion_delta": "1e-7"})):
            other = ledger.create_budget(dataset="visits", commitment=f"visits-{adds_up}", epsilon="4", delta="1e-6",
                                         filter=adds_up, **more, **USERS)  # fmt: skip
            tree = EventTree(events=(ZCDPFilter(rho="0.001"),), **USERS)
            run = ledger.reserve(other, tree, delta="1e-8", run_id=f"run-{adds_up}", purpose="figures")
            ledger.check_token(run.id, run.token)
            if adds_up == "zcdp":
                ledger.commit(run.id, tree)
        ledger.append("key.revoke", {"key_id": third.key_id, "reason": "left"})
    with Ledger.recover(path, recovery=recovery, new_signer=signer(3), reason="the key was lost") as ledger:
        kept = ledger.checkpoint().witnessed(signer(4))
        rows = [entry.to_json() | {"body": canonical(entry.body).decode()} for entry in ledger.entries()]
    return {"rows": rows, "budget": budget, "share": share, "checkpoint": kept.to_json()}


def _drafts(ledger: Ledger, budget: str, run: str, keys: list[Signer]) -> None:
    """One draft that is reviewed under seal, released and called back, one that is returned and withdrawn."""
    release, first, second, third, generator, *_ = keys
    for draft, rows in (("draft-1", "rows"), ("draft-2", "rows-2")):
        about = {"budget_id": budget, "draft": draft, "draft_digest": DIGESTS[rows]}
        sealed = {**about, "run_id": "run-0", "reservation_id": run, "document": DIGESTS["attempt"]}
        ledger.record_signed(sealed, generator=generator)
        ledger.append("attack", {**about, "document": DIGESTS["attack"], "verdict": "pass"})
        ledger.append("quality", {**about, "document": DIGESTS["quality"]})
        ledger.append("decision", {**about, "document": DIGESTS["decision"], "decision": "ship",
                                   "policy_digest": DIGESTS["policy"]})  # fmt: skip
    ledger.appeal(budget, "draft-1", rule="utility", owner="C. Owner", reason="tails are not asked for")
    kept = [ledger.seal_vote(budget, "draft-1", vote="approve", reason=f"looked {number}", of=2, reviewer=key)
            for number, key in enumerate((first, second))]  # fmt: skip
    for one, key in zip(kept, (first, second), strict=True):
        ledger.open_vote(budget, "draft-1", vote=one.vote, reason=one.reason, salt=one.salt, reviewer=key)
    ledger.approve(budget, "draft-1")
    ledger.append("release", {"budget_id": budget, "draft": "draft-1", "draft_digest": DIGESTS["rows"],
                              "release": "release-1", "root": DIGESTS["root"]})  # fmt: skip
    ledger.recall(budget, "release-1", root=DIGESTS["root"], reason="a wrong column", signer=release)
    ledger.review(budget, "draft-2", vote="return", reason="too few rows", reviewer=first)
    ledger.review(budget, "draft-2", vote="reject", reason="no", reviewer=third)
    ledger.withdraw(budget, "draft-2", reason="another will be made")


def reading(path: str | Path, life: dict[str, Any]) -> dict[str, Any]:
    """All that the ledger says of itself, and what a receiver of a slice finds."""
    with Ledger.open(path) as ledger:
        ledger.verify(all_signatures=True)
        entries, budgets = ledger.entries(), [one.budget_id for one in ledger.budgets()]
        found = {
            "ledger_id": ledger.ledger_id,
            "keys": {name: asdict(key) if not isinstance(key, tuple) else key._asdict()
                     for name, key in ledger.keys().items()},
            "ledger_keys": [[key.public_key.hex(), key.first] for key in ledger.ledger_keys()],
            "balances": {name: ledger.balance(name).to_json() for name in budgets},
            "budgets": [str(ledger.budget(name)) for name in budgets],
            "left": {name: [[above.label, str(charge)] for above, charge in ledger.left(name)] for name in budgets},
            "runs": [str(run) for name in budgets for run in ledger.reservations(name)],
            "desk": [asdict(draft) for draft in ledger.desk()],
            "kinds": [entry.kind.value for entry in entries],
            "replay": {method: [one.to_json() for one in replay(entries, method)] for method in ("pure", "zcdp")},
            "slice": ledger.slice(life["share"]),
        }  # fmt: skip
        check_heads([Head(entry.seq, entry.hash) for entry in entries], [Checkpoint.from_json(life["checkpoint"])],
                    ledger_id=ledger.ledger_id, ledger_key=ledger.ledger_keys(),
                    witness_key=signer(4).public_bytes)  # fmt: skip
    facts = verify_slice(found["slice"], ledger_key=signer(1).public_bytes)
    found["receiver"] = {
        "root": facts.root.budget_id,
        "balances": {name: balance.to_json() for name, balance in facts.balances.items()},
        "commits": [entry.seq for entry in facts.commits],
        "attempts": [entry.seq for entry in facts.attempts],
        "releases": [entry.seq for entry in facts.releases],
        "shown": [entry.seq for entry in facts.entries],
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=_plain))
    return plain


def rows_of(life: dict[str, Any]) -> Iterable[Row]:
    """The chain as it is stored."""
    return (Row(**row) for row in life["rows"])


_SHAPES = (
    (re.compile(r"(?<![0-9a-z-])(ledger|budget|run)-[0-9a-f]{32}"), r"\1-…"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"(?<![0-9a-z-])(?!(?:([0-9a-f]{2})\1{15,})(?![0-9a-f]))[0-9a-f]{32,}(?![0-9a-z])"),
     lambda found: f"HEX{len(found[0]) // 2}"),
)  # fmt: skip


def shape(life: dict[str, Any]) -> list[Any]:
    """Its bodies, with what is new each time under a name: random words, signatures and times."""
    return [json.loads(_masked(row["body"])) for row in life["rows"]] + [
        json.loads(_masked(json.dumps(life["checkpoint"])))
    ]


def _masked(text: str) -> str:
    for what, name in _SHAPES:
        text = what.sub(name, text)
    return text


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else list(value) if isinstance(value, (tuple, set)) else str(value)


def main() -> int:
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "life.db"
        life = live(path)
        KNOWN.write_text(json.dumps({**life, "reading": reading(path, life)}, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
