"""Bad bundles by whoever holds the release key: digests and signature fit, the story is not the ledger's."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from dpsynth.release.documents import digest
from dpsynth.release.dsse import seal_envelope
from dpsynth.release.layout import LEDGER, STATEMENT
from tests.release.bundle_tools import (
    case,
    edit_json,
    edit_ledger,
    predicate,
    read,
    resign,
    write,
)
from tests.release.world import World, ready_world


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


@case("insider", "files", "root_mismatch")
def row_appended_under_the_recorded_root(world: World, folder: Path) -> Path:
    """Digests of the changed files, root of the recorded ones: ledger and statement agree, the files do not."""
    members = read(folder)
    recorded = predicate(members)["root"]
    members["data.csv"] += b"99,1,1,x\n"
    return write(folder, resign(members, world.signer, root=recorded))


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


@case("insider", "ledger", "ledger_too_large")
def ledger_of_millions_of_empty_lists(world: World, folder: Path) -> Path:
    """Within the limit of bytes, and gigabytes once it is built."""
    members = read(folder)
    members[LEDGER] = b'{"entries": [' + b"[]," * 8_000_000 + b"[]]}"
    return write(folder, resign(members, world.signer))


@case("insider", "documents", "policy_malformed")
def policy_that_names_an_import_path(world: World, folder: Path) -> Path:
    members = read(folder)
    members["policy.yaml"] += b"plugin: os:system\n"
    return write(folder, resign(members, world.signer))
