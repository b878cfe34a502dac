"""Bad bundles by whoever owns every key: real ledgers that tell a bad story. See `bundle_cases`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from accounting import DiscreteGaussian, EventTree, Signer
from accounting.ledger import Ledger
from accounting.ledger.entry import Entry, Head, Kind, seal, stamp
from dpsynth.release import Documents, record_attempt, record_recall
from dpsynth.release.bundle import write_members
from dpsynth.release.documents import pretty, to_yaml
from dpsynth.release.entries import record_decision
from dpsynth.release.export import _compose, _on_record, _signed, gather
from dpsynth.release.gate import gate
from dpsynth.release.layout import LEDGER, ROOTED, STATEMENT, root
from dpsynth.release.seal import sha256
from tests.release.bundle_tools import (
    case,
    predicate,
    read,
    resign,
    write,
)
from tests.release.figure_world import CLEAN, COPIED, buy, figure
from tests.release.world import TERMS, World, attack_report, make_world, ready_world, render


@case("owner", "not_recalled", "recalled")
def recalled(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "recalling")
    other.signer = world.signer
    made = other.release(folder.parent / "first")
    record_recall(other.ledger, budget_id=other.budget_id, release=made.release, reason="error in the source")
    return refresh(other, made.path)


@case("owner", "release_key", "key_revoked")
def key_revoked(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "revoking")
    other.signer = world.signer
    made = other.release(folder.parent / "first")
    other.ledger.append("key.revoke", {"key_id": world.signer.key_id, "reason": "laptop lost"})
    return refresh(other, made.path)


@case("owner", "ledger", "ledger_unknown_kind")
def entry_whose_kind_is_an_import_path(world: World, folder: Path) -> Path:
    members = read(folder)
    slice_ = json.loads(members[LEDGER])
    last = slice_["entries"][-1]
    body = {**stamp(Kind.POLICY, {"digest": "0"}), "kind": "os:system"}
    row = seal(body, Head(last["seq"], last["hash"]), world.ledger_signer)
    slice_["entries"].append(Entry.from_row(row, body).to_json())
    slice_["head"] = {"seq": row.seq, "hash": row.hash}
    members[LEDGER] = pretty(slice_)
    claims = {**predicate(members)["ledger"], "head": slice_["head"]}
    return write(folder, resign(members, world.signer, ledger=claims))


def refresh(world: World, folder: Path) -> Path:
    """The bundle with the ledger as it stands now, signed again."""
    members = read(folder)
    slice_ = world.ledger.slice(world.budget_id)
    members[LEDGER] = pretty(slice_)
    claims = {**predicate(members)["ledger"], "head": slice_["head"]}
    return write(folder, resign(members, world.signer, ledger=claims))


def forced(world: World, folder: Path, signer: Signer, *, change: Callable[[Any], Any] | None = None,
           refused: bool = True, tamper: Callable[[dict[str, bytes]], None] | None = None) -> Path:  # fmt: skip
    """The owner changes decision or files before anything is recorded, and never verifies the copy."""
    world.signer = signer
    evidence = gather(world.documents, world.ledger, world.vault)
    decision = gate(evidence, world.policy)
    assert (decision.decision != "ship") == refused
    decision = change(decision) if change else decision
    record_decision(world.ledger, evidence.draft, decision)
    draft, facts = evidence.draft, gather(world.documents, world.ledger, world.vault).ledger
    rows = world.vault.open(draft.draft)
    members = _compose("release-forced", evidence, draft, facts, decision, world.policy, rows, signer, render)
    if tamper is not None:
        tamper(members)
    digests = {name: sha256(members[name]) for name in ROOTED}
    body, slice_ = _on_record("release-forced", draft, facts, decision, root(digests), world.ledger, signer)
    members[LEDGER] = pretty(slice_)
    digests[LEDGER] = sha256(members[LEDGER])
    members[STATEMENT] = _signed(body, draft, facts, digests, slice_, signer)
    out = folder.parent / "forced"
    write_members(out, members)
    return out


def ship_anyway(decision: Any) -> Any:
    """Every rule marked as passed."""
    rules = tuple(replace(found, passed=True) for found in decision.rules)
    return replace(decision, decision="ship", rules=rules)


@case("owner", "decision", "decision_not_ship")
def decision_not_ship(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "not-ship")
    other.synthesize("draft-1")
    other.attack(attack_report(verdict="fail"))
    other.evaluate()
    return forced(other, folder, world.signer)


@case("owner", "decision", "rule_failed")
def ship_with_a_failed_rule(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "failed-rule")
    other.synthesize("draft-1")
    other.attack(attack_report(verdict="fail"))
    other.evaluate()
    return forced(other, folder, world.signer, change=lambda decision: replace(decision, decision="ship"))


@case("owner", "decision", "rule_missing")
def ship_with_a_rule_left_out(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "left-out")
    other.synthesize("draft-1")
    other.attack(attack_report(verdict="fail"))
    other.evaluate()
    passing = lambda d: replace(d, decision="ship", rules=tuple(f for f in d.rules if f.passed))  # noqa: E731
    return forced(other, folder, world.signer, change=passing)


@case("owner", "decision", "stale_evidence")
def stale_attack_report(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "stale")
    stale = other.documents
    other.attack(attack_report(reason="a second run"))
    other.documents = stale
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "attack_not_passed")
def failed_attack_shipped_anyway(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "leaky")
    other.synthesize("draft-1")
    other.attack(attack_report(verdict="fail"))
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "policy_noise_exact")
def seeded_noise(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "seeded")
    noise = DiscreteGaussian(sigma="40", l2_sensitivity="1", count=9, noise="seeded")
    other.synthesize("draft-1", events=EventTree(events=(noise,), **TERMS))
    other.attack()
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "guarantee", "no_guarantee")
def rows_of_a_baseline_under_a_paid_commit(world: World, folder: Path) -> Path:
    """The commit is real, but of a run whose rows were not sealed: those of a baseline were."""
    other = make_world(folder.parent / "baseline")
    other.synthesize("draft-1", generator={"name": "sdv-ctgan", "version": "sdv 2.0.0", "third_party": True})
    other.attack()
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "policy_guarantee_given")
def commit_of_no_events_at_all(world: World, folder: Path) -> Path:
    """Nothing spent costs epsilon 0, which would read as perfect privacy."""
    other = make_world(folder.parent / "free")
    other.synthesize("draft-1", events=EventTree(events=(), **TERMS))
    other.attack()
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "policy_guarantee_given")
def run_that_the_ledger_knows_as_unprotected(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "unprotected")
    entry = {"run_id": "run-draft-1", "read_id": "read-1", "generator": "sdv-tvae", "reason": "to compare"}
    other.ledger.append("unprotected", {"budget_id": other.budget_id, **entry})
    other.synthesize("draft-1")
    other.attack()
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "policy_epsilon_per_release")
def epsilon_above_the_policy(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "large", epsilon="9")
    loud = EventTree(events=(DiscreteGaussian(sigma="4", l2_sensitivity="1", count=9),), **TERMS)
    other.synthesize("draft-1", events=loud)
    other.attack()
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "policy_epsilon_total")
def budget_above_the_policy(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "generous", epsilon="50")
    other.synthesize("draft-1")
    other.attack()
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "policy_attempts")
def regenerated_until_it_passed(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "stubborn", epsilon="9")
    for attempt in range(other.policy.attempts.max_attempts + 1):
        other.synthesize(f"draft-{attempt}", delta="1e-7")
        other.attack()
        other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "policy", "policy_mismatch")
def policy_lowered_after_the_reserve(world: World, folder: Path) -> Path:
    other = make_world(folder.parent / "lowered")
    strict = other.policy.model_copy(update={"name": "the policy at the time"})
    other.synthesize("draft-1", policy=strict)
    other.attack()
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway)


@case("owner", "ledger", "ledger_overspent")
def overspent_budget(world: World, folder: Path) -> Path:
    """The owner writes a reservation past the limit into the chain, with the ledger's own key."""
    members = read(folder)
    slice_ = json.loads(members[LEDGER])
    reserve = next(e["body"] for e in slice_["entries"] if e.get("body", {}).get("kind") == "reserve")
    fields = {k: v for k, v in reserve.items() if k not in {"kind", "nonce", "time"}}
    head = Head(**slice_["head"])
    again = {"reservation_id": "run-again", "charge": {"epsilon": "3", "delta": "0.000001"}}
    row = seal(stamp(Kind.RESERVE, {**fields, **again}), head, world.ledger_signer)
    entry = Entry.from_row(row, json.loads(row.body))
    slice_["entries"].append(entry.to_json())
    slice_["head"] = {"seq": entry.seq, "hash": entry.hash}
    members[LEDGER] = pretty(slice_)
    claims = {**predicate(members)["ledger"], "head": slice_["head"]}
    return write(folder, resign(members, world.signer, ledger=claims))


@case("owner", "guarantee", "guarantee_wrong")
def epsilon_written_into_the_ledger(world: World, folder: Path) -> Path:
    """The owner commits the events below their price; the recomputed guarantee tells."""

    def cheap(body: dict[str, Any]) -> None:
        body["guarantee"] = {**body["guarantee"], "epsilon": "0.2"}

    return _repriced(make_world(folder.parent / "cheap"), folder, world.signer, cheap)


@case("owner", "guarantee", "charge_wrong")
def rho_written_into_the_ledger(world: World, folder: Path) -> Path:
    """The guarantee is right, but a budget of a zcdp filter was charged a thousandth: it would have room for more."""

    def cheap(body: dict[str, Any]) -> None:
        body["charge"] = {**body["charge"], "rho": "0.0000028"}

    return _repriced(make_world(folder.parent / "cheap", adds_up="zcdp"), folder, world.signer, cheap)


def _repriced(other: World, folder: Path, signer: Signer, change: Callable[[dict[str, Any]], None]) -> Path:
    """A release from a ledger whose owner wrote all prices of its budget anew, and signed every entry again."""
    other.synthesize("draft-1")
    rebuilt, head = [], None
    for entry in other.ledger.entries():
        body = dict(entry.body)
        if body["kind"] in {"reserve", "commit"} and body["budget_id"] == other.budget_id:
            change(body)
        row = seal(body, head, other.ledger_signer)
        rebuilt.append(row)
        head = Head(row.seq, row.hash)
    store = other.home / "ledger.db"
    other.ledger.close()
    _rewrite(store, rebuilt)
    other.ledger = Ledger.open(store, signer=other.ledger_signer)
    commit = next(e for e in other.ledger.entries(other.budget_id) if e.kind == "commit")
    draft = {**other.documents.draft, "guarantee": commit.body["guarantee"]}
    other.documents = Documents(draft=draft)
    record_attempt(other.ledger, other.draft, other.commitment(draft))
    other.attack()
    other.evaluate()
    return forced(other, folder, signer, refused=False)


def _rewrite(store: Path, rows: list[Any]) -> None:
    """Replace all entries of a SQLite ledger, triggers or not: what whoever owns the file can do."""
    with sqlite3.connect(store) as database:
        for (trigger,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f'drop trigger "{trigger}"')
        table = next(
            name
            for (name,) in database.execute("select name from sqlite_master where type = 'table'").fetchall()
            if {"seq", "body"} <= {row[1] for row in database.execute(f'pragma table_info("{name}")').fetchall()}
        )
        for row in rows:
            assignments = ", ".join(f"{field} = ?" for field in row._fields if field != "seq")
            values = [getattr(row, field) for field in row._fields if field != "seq"]
            database.execute(f'update "{table}" set {assignments} where seq = ?', [*values, row.seq])


def tampered(world: World, folder: Path, name: str, old: bytes, new: bytes) -> Path:
    """A release of a draft that passed, with one file changed before the ledger recorded the root."""

    def tamper(members: dict[str, bytes]) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new)

    return forced(ready_world(folder.parent / "tampered"), folder, world.signer, refused=False, tamper=tamper)


@case("owner", "draft", "other_draft")
def report_of_another_draft_recorded(world: World, folder: Path) -> Path:
    def tamper(members: dict[str, bytes]) -> None:
        members["report.html"] = b"<p>all is well, says the report on another draft</p>"

    return forced(ready_world(folder.parent / "tampered"), folder, world.signer, refused=False, tamper=tamper)


@case("owner", "draft", "card_mismatch")
def card_with_a_condition_that_was_not_asked(world: World, folder: Path) -> Path:
    condition = b"draft: draft-1\nsampling: {of: draft-0, given: {}, balance: null}\n"
    return tampered(world, folder, "card.yaml", b"draft: draft-1\n", condition)


@case("owner", "draft", "card_mismatch")
def card_that_hides_its_condition(world: World, folder: Path) -> Path:
    """Rows of one kind as a picture of the whole: the ledger holds a digest of what was asked."""
    other = make_world(folder.parent / "conditional")
    other.synthesize("draft-1", sampling={"of": "draft-0", "given": {"age": ["80.."]}, "balance": None})
    other.attack()
    other.evaluate()

    def tamper(members: dict[str, bytes]) -> None:
        card, sign, _ = members["card.yaml"].partition(b"\nsampling:")
        assert sign
        members["card.yaml"] = card + b"\n"

    return forced(other, folder, world.signer, refused=False, tamper=tamper)


@case("owner", "draft", "other_draft")
def card_of_another_draft_recorded(world: World, folder: Path) -> Path:
    return tampered(world, folder, "card.yaml", b"draft: draft-1", b"draft: draft-7")


@case("owner", "draft", "other_draft")
def evidence_of_another_draft_recorded(world: World, folder: Path) -> Path:
    return tampered(world, folder, "evidence.json", b'"draft": "draft-1"', b'"draft": "draft-7"')


@case("owner", "draft", "card_mismatch")
def attempts_embellished_in_the_card(world: World, folder: Path) -> Path:
    return tampered(world, folder, "card.yaml", b"attempts: 1", b"attempts: 2")


@case("owner", "guarantee", "guarantee_mismatch")
def epsilon_embellished_in_the_card(world: World, folder: Path) -> Path:
    return tampered(world, folder, "card.yaml", b"epsilon: '0.29", b"epsilon: '0.09")


@case("owner", "guarantee", "guarantee_mismatch")
def sentence_embellished_in_the_card(world: World, folder: Path) -> Path:
    return tampered(world, folder, "card.yaml", b"For any one record", b"For any one family")


@case("owner", "draft", "figures_mismatch")
def bought_figure_left_out(world: World, folder: Path) -> Path:
    """Epsilon was spent and the answer was not liked."""
    other = ready_world(folder.parent / "selective")
    buy(other)
    return forced(other, folder, world.signer, refused=False, tamper=lambda m: _evidence(m, lambda e: e.pop("figures")))


@case("owner", "draft", "figures_mismatch")
def bought_figure_flattered(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "flattering")
    buy(other)

    def flatter(evidence: Any) -> None:
        evidence["figures"][0]["counts"][0] = 0

    return forced(other, folder, world.signer, refused=False, tamper=lambda m: _evidence(m, flatter))


@case("owner", "draft", "figures_mismatch")
def figure_that_nobody_paid_for(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "unpaid")
    free = [figure(CLEAN).to_json()]
    return forced(
        other, folder, world.signer, refused=False, tamper=lambda m: _evidence(m, lambda e: e.update(figures=free))
    )


@case("owner", "guarantee", "other_draft")
def figure_of_other_rows_under_this_name(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "borrowed")
    buy(other, CLEAN, draft_digest="11" * 32)
    return forced(other, folder, world.signer, refused=False)


@case("owner", "draft", "figures_mismatch")
def card_that_is_silent_about_what_figures_cost(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "silent")
    buy(other, CLEAN)

    def hush(members: dict[str, bytes]) -> None:
        card = yaml.safe_load(members["card.yaml"])
        card["limits"] = [line for line in card["limits"] if "figures together cost" not in line]
        members["card.yaml"] = to_yaml(card)

    return forced(other, folder, world.signer, refused=False, tamper=hush)


@case("owner", "policy", "policy_published_figures")
def copies_that_a_bought_figure_shows_shipped_anyway(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "blind")
    buy(other, COPIED)
    return forced(other, folder, world.signer, change=ship_anyway)


def _evidence(members: dict[str, bytes], change: Callable[[Any], Any]) -> None:
    body = json.loads(members["evidence.json"])
    change(body)
    members["evidence.json"] = pretty(body)
