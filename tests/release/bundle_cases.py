"""Named bad bundles: who made them, how, and the reason with which they must be refused.

    outsider   has the bundle and no key: edits files or the zip
    insider    holds the release key, not the ledger key: edits, recomputes every digest, signs again
    owner      holds both keys and the vault: writes a real ledger, and a bundle that looks consistent

Each case is a function that takes a fresh copy of a good bundle (folder) and returns what is to be verified.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from accounting import DiscreteGaussian, EventTree, Signer
from accounting.ledger import Ledger
from accounting.ledger.entry import Entry, Head, Kind, seal, stamp
from dpsynth.release import Documents, encode_parquet, record_attempt, record_recall
from dpsynth.release.bundle import write_members
from dpsynth.release.documents import digest, pretty
from dpsynth.release.dsse import PAYLOAD_TYPE, pae, seal_envelope
from dpsynth.release.entries import record_decision
from dpsynth.release.export import _compose, _on_record, _signed, gather
from dpsynth.release.gate import gate
from dpsynth.release.keys import to_pem
from dpsynth.release.layout import LEDGER, MEMBERS, ROOTED, STATEMENT, root
from dpsynth.release.seal import sha256
from dpsynth.release.statement import make_statement
from tests.release.world import TERMS, World, attack_report, make_world, ready_world, render


@dataclass(frozen=True)
class Case:
    """A bad bundle: `make(world, folder)` returns the path to verify; `check` and `code` are the answer."""

    name: str
    who: str
    check: str
    code: str
    make: Callable[[World, Path], Path]


CASES: list[Case] = []


def case(who: str, check: str, code: str) -> Callable[[Callable[[World, Path], Path]], Callable[[World, Path], Path]]:
    def register(make: Callable[[World, Path], Path]) -> Callable[[World, Path], Path]:
        CASES.append(Case(make.__name__, who, check, code, make))
        return make

    return register


# --- tools ----------------------------------------------------------------------------------------------------------


def read(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in MEMBERS}


def predicate(members: dict[str, bytes]) -> dict[str, Any]:
    envelope = json.loads(members[STATEMENT])
    return json.loads(base64.b64decode(envelope["payload"]))["predicate"]


def resign(members: dict[str, bytes], signer: Signer, **claims: Any) -> dict[str, bytes]:
    """Digests, root and signature recomputed over changed members, with changed claims."""
    digests = {name: sha256(raw) for name, raw in members.items() if name != STATEMENT}
    body = {**predicate(members), "root": root(digests), **claims}
    return {**members, STATEMENT: seal_envelope(make_statement(digests, body).encode(), signer)}


def write(folder: Path, members: dict[str, bytes]) -> Path:
    shutil.rmtree(folder)
    write_members(folder, members)
    return folder


def edit(folder: Path, name: str, old: bytes, new: bytes) -> Path:
    path = folder / name
    raw = path.read_bytes()
    assert old in raw, f"{name} does not contain {old!r}"
    path.write_bytes(raw.replace(old, new, 1))
    return folder


def edit_ledger(
    world: World, folder: Path, change: Callable[[list[Any]], list[Any]], *, move_head: bool = False
) -> Path:
    """An insider's ledger: entries changed, everything signed again with the release key."""
    members = read(folder)
    slice_ = json.loads(members[LEDGER])
    slice_["entries"] = change(slice_["entries"])
    claims = {}
    if move_head:
        last = slice_["entries"][-1]
        slice_["head"] = {"seq": last["seq"], "hash": last["hash"]}
        claims["ledger"] = {**predicate(members)["ledger"], "head": slice_["head"]}
    members[LEDGER] = pretty(slice_)
    return write(folder, resign(members, world.signer, **claims))


def edit_json(world: World, folder: Path, name: str, change: Callable[[dict[str, Any]], None], **claims: Any) -> Path:
    """An insider's document: changed and signed again."""
    members = read(folder)
    body = json.loads(members[name])
    change(body)
    members[name] = pretty(body)
    return write(folder, resign(members, world.signer, **claims))


def as_zip(folder: Path, pack: Callable[[zipfile.ZipFile, dict[str, bytes]], None]) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        pack(archive, read(folder))
    return path


def good_zip(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    write_members(path, read(folder))
    return path


def own_bundle(world: World, members_of: World, folder: Path, **changes: Any) -> Path:
    """A bundle from another workspace of the same publisher (same keys for the receiver)."""
    members_of.signer = world.signer
    out = folder.parent / "own"
    members_of.release(out, **changes)
    return out


# --- outsiders: bytes -----------------------------------------------------------------------------------------------


@case("outsider", "layout", "extra_file")
def extra_file(world: World, folder: Path) -> Path:
    (folder / "notes.txt").write_text("by the way")
    return folder


@case("outsider", "layout", "missing_file")
def missing_file(world: World, folder: Path) -> Path:
    (folder / "policy.yaml").unlink()
    return folder


@case("outsider", "layout", "symlink_member")
def symlink_member(world: World, folder: Path) -> Path:
    (folder / "report.html").rename(folder.parent / "elsewhere.html")
    (folder / "report.html").symlink_to(folder.parent / "elsewhere.html")
    return folder


@case("outsider", "layout", "symlink_member")
def symlink_bundle(world: World, folder: Path) -> Path:
    (folder.parent / "link").symlink_to(folder)
    return folder.parent / "link"


@case("outsider", "layout", "not_a_file")
def folder_as_member(world: World, folder: Path) -> Path:
    (folder / "card.yaml").unlink()
    (folder / "card.yaml").mkdir()
    return folder


@case("outsider", "layout", "not_a_file")
def pipe_as_member(world: World, folder: Path) -> Path:
    (folder / "data.csv").unlink()
    os.mkfifo(folder / "data.csv")
    return folder


@case("outsider", "layout", "case_clash")
def case_clash(world: World, folder: Path) -> Path:
    (folder / "Card.yaml").write_bytes((folder / "card.yaml").read_bytes())
    return folder


@case("outsider", "layout", "unicode_clash")
def unicode_name_clash(world: World, folder: Path) -> Path:
    (folder / "card\u200b.yaml").write_bytes(b"decision: ship")
    return folder


@case("outsider", "layout", "unicode_clash")
def fullwidth_name_clash(world: World, folder: Path) -> Path:
    (folder / "\uff43ard.yaml").write_bytes(b"decision: ship")
    return folder


@case("outsider", "layout", "zip_slip")
def zip_slip(world: World, folder: Path) -> Path:
    def pack(archive: zipfile.ZipFile, members: dict[str, bytes]) -> None:
        archive.writestr("../../home/user/.bashrc", b"curl evil")
        for name, raw in members.items():
            archive.writestr(name, raw)

    return as_zip(folder, pack)


@case("outsider", "layout", "zip_slip")
def zip_absolute_path(world: World, folder: Path) -> Path:
    return as_zip(folder, lambda archive, members: archive.writestr("/etc/cron.d/x", b"evil"))


@case("outsider", "layout", "zip_slip")
def zip_backslash_path(world: World, folder: Path) -> Path:
    return as_zip(folder, lambda archive, members: archive.writestr("..\\card.yaml", b"evil"))


@case("outsider", "layout", "symlink_member")
def zip_symlink_member(world: World, folder: Path) -> Path:
    def pack(archive: zipfile.ZipFile, members: dict[str, bytes]) -> None:
        entry = zipfile.ZipInfo("card.yaml")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, b"/etc/passwd")

    return as_zip(folder, pack)


@case("outsider", "layout", "duplicate_member")
def duplicate_member(world: World, folder: Path) -> Path:
    raw = good_zip(folder).read_bytes()
    entries = _entries(raw)
    twice = [*entries, entries[2]]
    path = folder.with_suffix(".zip")
    path.write_bytes(_zip(twice))
    return path


@case("outsider", "layout", "zip_compressed")
def zip_bomb(world: World, folder: Path) -> Path:
    def pack(archive: zipfile.ZipFile, members: dict[str, bytes]) -> None:
        archive.writestr("data.csv", b"0" * 50_000_000, compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)

    return as_zip(folder, pack)


@case("outsider", "layout", "zip_malformed")
def zip_overlapping_members(world: World, folder: Path) -> Path:
    path = good_zip(folder)
    raw = bytearray(path.read_bytes())
    second = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"PK\x01\x02"))
    raw[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(raw)
    return path


@case("outsider", "layout", "zip_malformed")
def zip_hidden_bytes(world: World, folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    path.write_bytes(_zip(_entries(good_zip(folder).read_bytes()), gap=b"a second reading"))
    return path


@case("outsider", "layout", "zip_malformed")
def zip_prefixed_with_a_program(world: World, folder: Path) -> Path:
    path = good_zip(folder)
    path.write_bytes(b"#!/bin/sh\nrm -r ~\n" + path.read_bytes())
    return path


@case("outsider", "layout", "zip_truncated")
def truncated_zip(world: World, folder: Path) -> Path:
    path = good_zip(folder)
    path.write_bytes(path.read_bytes()[:-400])
    return path


@case("outsider", "layout", "zip_compressed")
def zip_packed_anew(world: World, folder: Path) -> Path:
    def pack(archive: zipfile.ZipFile, members: dict[str, bytes]) -> None:
        for name, raw in members.items():
            archive.writestr(name, raw, compress_type=zipfile.ZIP_DEFLATED)

    return as_zip(folder, pack)


@case("outsider", "layout", "member_too_large")
def huge_json(world: World, folder: Path) -> Path:
    with (folder / "decision.json").open("ab") as file:
        file.truncate(MEMBERS["decision.json"].limit + 1)
    return folder


@case("outsider", "files", "file_altered")
def csv_row_appended(world: World, folder: Path) -> Path:
    with (folder / "data.csv").open("ab") as file:
        file.write(b"99,1,1,x\n")
    return folder


@case("outsider", "files", "file_altered")
def parquet_reordered(world: World, folder: Path) -> Path:
    table = pq.read_table(folder / "data.parquet")
    (folder / "data.parquet").write_bytes(encode_parquet(table.take(list(range(table.num_rows))[::-1])))
    return folder


@case("outsider", "files", "file_altered")
def parquet_metadata_changed(world: World, folder: Path) -> Path:
    table = pq.read_table(folder / "data.parquet").replace_schema_metadata({"source": "real"})
    pq.write_table(table, folder / "data.parquet")
    return folder


@case("outsider", "files", "file_altered")
def edited_epsilon_in_card(world: World, folder: Path) -> Path:
    return edit(folder, "card.yaml", b"epsilon: '0.29", b"epsilon: '0.09")


@case("outsider", "files", "file_altered")
def swapped_report(world: World, folder: Path) -> Path:
    page = b"<p>" + predicate(read(folder))["draft_digest"].encode() + b" all is well"
    (folder / "report.html").write_bytes(page)
    return folder


@case("outsider", "files", "file_altered")
def policy_swapped(world: World, folder: Path) -> Path:
    return edit(folder, "policy.yaml", b"max_attempts: 5", b"max_attempts: 9")


@case("outsider", "files", "file_altered")
def rolled_back_ledger(world: World, folder: Path) -> Path:
    slice_ = json.loads((folder / LEDGER).read_bytes())
    slice_["entries"] = slice_["entries"][:-1]
    (folder / LEDGER).write_bytes(pretty(slice_))
    return folder


@case("outsider", "signature", "signature_invalid")
def edited_epsilon_in_statement(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b'"epsilon":"0.29', b'"epsilon":"0.09')
    envelope["payload"] = base64.b64encode(payload).decode()
    (folder / STATEMENT).write_bytes(pretty(envelope))
    return folder


@case("outsider", "signature", "wrong_key")
def self_signed_key_inside_bundle(world: World, folder: Path) -> Path:
    forger = Signer.generate()
    members = {**read(folder), "data.csv": b"forged\n", "release.pub": to_pem(forger.public_bytes)}
    return write(folder, resign(members, forger, release_key=forger.key_id))


@case("outsider", "signature", "signature_invalid")
def signature_under_borrowed_key_id(world: World, folder: Path) -> Path:
    forger = Signer.generate()
    envelope = json.loads(resign(read(folder), forger)[STATEMENT])
    envelope["signatures"][0]["keyid"] = world.signer.key_id
    (folder / STATEMENT).write_bytes(pretty(envelope))
    return folder


@case("outsider", "signature", "payload_type")
def payload_type_confusion(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    envelope["payloadType"] = "application/json"
    (folder / STATEMENT).write_bytes(pretty(envelope))
    return folder


@case("insider", "signature", "signature_invalid")
def signed_as_another_type(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    signature = world.signer.sign(pae("application/json", base64.b64decode(envelope["payload"])))
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    assert envelope["payloadType"] == PAYLOAD_TYPE
    (folder / STATEMENT).write_bytes(pretty(envelope))
    return folder


@case("outsider", "signature", "signature_count")
def two_signatures_one_bad(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    envelope["signatures"].append({"keyid": "00" * 16, "sig": base64.b64encode(bytes(64)).decode()})
    (folder / STATEMENT).write_bytes(pretty(envelope))
    return folder


@case("outsider", "signature", "signature_count")
def no_signature(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    envelope["signatures"] = []
    (folder / STATEMENT).write_bytes(pretty(envelope))
    return folder


@case("outsider", "signature", "envelope_malformed")
def envelope_reformatted(world: World, folder: Path) -> Path:
    (folder / STATEMENT).write_bytes(json.dumps(json.loads((folder / STATEMENT).read_bytes())).encode())
    return folder


@case("outsider", "signature", "duplicate_key")
def duplicate_json_keys(world: World, folder: Path) -> Path:
    return edit(folder, STATEMENT, b'{\n  "payload"', b'{\n  "payloadType": "text/plain",\n  "payload"')


@case("outsider", "signature", "too_deep")
def deeply_nested_json(world: World, folder: Path) -> Path:
    (folder / STATEMENT).write_bytes(b'{"payload":' * 20_000)
    return folder


@case("outsider", "signature", "not_finite")
def nan_in_json(world: World, folder: Path) -> Path:
    (folder / STATEMENT).write_bytes(b'{"payload": NaN}')
    return folder


@case("outsider", "files", "file_altered")
def statement_of_other_release(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "other-world")
    out = own_bundle(world, other, folder)
    shutil.copy(out / STATEMENT, folder / STATEMENT)
    return folder


# --- insiders with the release key: meaning -------------------------------------------------------------------------


@case("insider", "statement", "unknown_schema_version")
def unknown_schema_version(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b"dpsynth.release/1", b"dpsynth.release/2")
    (folder / STATEMENT).write_bytes(seal_envelope(payload, world.signer))
    return folder


@case("insider", "statement", "statement_malformed")
def statement_with_unknown_field(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    body = json.loads(base64.b64decode(envelope["payload"]))
    body["predicate"]["waived"] = True
    (folder / STATEMENT).write_bytes(seal_envelope(json.dumps(body).encode(), world.signer))
    return folder


@case("insider", "statement", "subjects")
def statement_that_leaves_out_a_file(world: World, folder: Path) -> Path:
    envelope = json.loads((folder / STATEMENT).read_bytes())
    body = json.loads(base64.b64decode(envelope["payload"]))
    body["subject"] = [subject for subject in body["subject"] if subject["name"] != "data.csv"]
    (folder / STATEMENT).write_bytes(seal_envelope(json.dumps(body).encode(), world.signer))
    return folder


@case("insider", "release_entry", "root_mismatch")
def row_appended_and_signed_again(world: World, folder: Path) -> Path:
    members = read(folder)
    members["data.csv"] += b"99,1,1,x\n"
    return write(folder, resign(members, world.signer))


@case("insider", "release_entry", "root_mismatch")
def report_swapped_and_signed_again(world: World, folder: Path) -> Path:
    members = read(folder)
    members["report.html"] = b"<p>" + predicate(members)["draft_digest"].encode() + b" all is well"
    return write(folder, resign(members, world.signer))


@case("insider", "release_entry", "release_entry_mismatch")
def epsilon_edited_and_signed_again(world: World, folder: Path) -> Path:
    members = read(folder)
    guarantee = {**predicate(members)["guarantee"], "epsilon": "0.1"}
    return write(folder, resign(members, world.signer, guarantee=guarantee))


@case("insider", "release_entry", "root_mismatch")
def card_epsilon_edited_and_signed_again(world: World, folder: Path) -> Path:
    members = read(folder)
    members["card.yaml"] = members["card.yaml"].replace(b"epsilon: '0.29", b"epsilon: '0.09")
    return write(folder, resign(members, world.signer))


@case("insider", "release_entry", "release_entry_mismatch")
def decision_edited_and_signed_again(world: World, folder: Path) -> Path:
    members = read(folder)
    body = json.loads(members["decision.json"])
    body["at"] = "0:" + "00" * 32
    return write(folder, resign(members, world.signer, decision_digest=digest(body)))


@case("insider", "release_entry", "release_entry_mismatch")
def noise_claimed_otherwise(world: World, folder: Path) -> Path:
    return write(folder, resign(read(folder), world.signer, noise="seeded"))


@case("insider", "documents", "duplicate_key")
def card_with_duplicate_keys(world: World, folder: Path) -> Path:
    members = read(folder)
    members["card.yaml"] += b"decision: ship\n"
    return write(folder, resign(members, world.signer))


@case("insider", "documents", "yaml_alias")
def card_with_alias_bomb(world: World, folder: Path) -> Path:
    members = read(folder)
    members["card.yaml"] = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    return write(folder, resign(members, world.signer))


@case("insider", "documents", "unknown_schema_version")
def evidence_of_unknown_version(world: World, folder: Path) -> Path:
    return edit_json(world, folder, "evidence.json", lambda body: body.update(schema="dpsynth.public_evidence/9"))


@case("insider", "documents", "policy_malformed")
def policy_with_unknown_key(world: World, folder: Path) -> Path:
    members = read(folder)
    members["policy.yaml"] += b"waive: true\n"
    return write(folder, resign(members, world.signer))


@case("insider", "release_entry", "release_entry_missing")
def ledger_rolled_back_and_signed_again(world: World, folder: Path) -> Path:
    return edit_ledger(world, folder, lambda entries: entries[:-1], move_head=True)


@case("insider", "ledger", "ledger_head_mismatch")
def ledger_cut_with_old_head(world: World, folder: Path) -> Path:
    return edit_ledger(world, folder, lambda entries: entries[:-1])


@case("insider", "ledger", "ledger_chain_broken")
def dropped_commit(world: World, folder: Path) -> Path:
    return edit_ledger(world, folder, lambda entries: [e for e in entries if e.get("body", {}).get("kind") != "commit"])


@case("insider", "ledger", "ledger_chain_broken")
def entry_of_another_ledger(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "other-ledger")
    foreign = other.ledger.slice(other.budget_id)["entries"]
    return edit_ledger(world, folder, lambda entries: [*entries[:-1], foreign[-1]])


@case("insider", "ledger", "ledger_foreign_ledger")
def ledger_key_exchanged(world: World, folder: Path) -> Path:
    members = read(folder)
    claims = {**predicate(members)["ledger"], "public_key": world.signer.public_bytes.hex()}
    return write(folder, resign(members, world.signer, ledger=claims))


@case("insider", "ledger", "ledger_chain_broken")
def committed_events_edited(world: World, folder: Path) -> Path:
    def change(entries: list[Any]) -> list[Any]:
        for entry in entries:
            if entry.get("body", {}).get("kind") == "commit":
                entry["body"]["events"]["events"][0]["sigma"] = "400"
        return entries

    return edit_ledger(world, folder, change)


@case("insider", "ledger", "ledger_redacted_own_entry")
def redacted_own_entry(world: World, folder: Path) -> Path:
    withheld = {entry.seq: entry.withheld()._asdict() for entry in world.ledger.entries()}

    def change(entries: list[Any]) -> list[Any]:
        return [withheld[e["seq"]] if e.get("body", {}).get("kind") == "attack" else e for e in entries]

    return edit_ledger(world, folder, change)


@case("insider", "release_key", "release_key_unknown")
def signed_with_the_ledger_key(world: World, folder: Path) -> Path:
    """Verified with the ledger's key: it signs entries, and nobody made it a release key."""
    return write(folder, resign(read(folder), world.ledger_signer))


# --- owners: real ledgers with a bad story --------------------------------------------------------------------------


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


def refresh(world: World, folder: Path) -> Path:
    """The bundle with the ledger as it stands now, signed again."""
    members = read(folder)
    slice_ = world.ledger.slice(world.budget_id)
    members[LEDGER] = pretty(slice_)
    claims = {**predicate(members)["ledger"], "head": slice_["head"]}
    return write(folder, resign(members, world.signer, ledger=claims))


def forced(world: World, folder: Path, signer: Signer, *, change: Callable[[Any], Any] | None = None,
           refused: bool = True) -> Path:  # fmt: skip
    """A bundle of what the gate refuses: the owner changes the decision, records it, and never verifies the copy."""
    world.signer = signer
    evidence = gather(world.documents, world.ledger, world.vault)
    decision = gate(evidence, world.policy)
    assert (decision.decision != "ship") == refused
    decision = change(decision) if change else decision
    record_decision(world.ledger, evidence.draft, decision)
    draft, facts = evidence.draft, evidence.ledger
    rows = world.vault.open(draft.draft)
    members = _compose("release-forced", evidence, draft, facts, decision, world.policy, rows, signer, render)
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
    other = make_world(folder.parent / "cheap")
    other.synthesize("draft-1")
    entries = other.ledger.entries()
    rebuilt, head = [], None
    for entry in entries:
        body = dict(entry.body)
        if body["kind"] in {"reserve", "commit"} and body["budget_id"] == other.budget_id:
            body["guarantee"] = {**body["guarantee"], "epsilon": "0.2"}
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
    return forced(other, folder, world.signer, refused=False)


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


# --- zip surgery ----------------------------------------------------------------------------------------------------


def _entries(raw: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def _zip(entries: list[tuple[str, bytes]], gap: bytes = b"") -> bytes:
    """A stored zip in our exact form, with any names in any number, and bytes between members and directory."""
    body, directory = b"", b""
    for name, raw in entries:
        shared = struct.pack("<5H3I2H", 20, 0, 0, 0, 33, zlib.crc32(raw), len(raw), len(raw), len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", (3 << 8) | 20) + shared
        directory += struct.pack("<3H2I", 0, 0, 0, (0o100644) << 16, len(body)) + name.encode()
        body += b"PK\x03\x04" + shared + name.encode() + raw
    body += gap
    end = struct.pack("<4H2IH", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end
