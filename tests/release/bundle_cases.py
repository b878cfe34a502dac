"""Named bad bundles: who made them, how, and the reason with which they must be refused.

    outsider   has the bundle and no key: edits files or the zip                   (this file)
    insider    holds the release key, not the ledger key: edits, signs again       (bundle_cases_insider.py)
    owner      holds both keys and the vault: writes real ledgers with a bad story (bundle_cases_owner.py)

Each case is a function that takes a fresh copy of a good bundle (folder) and returns what is to be verified.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import struct
import zipfile
from pathlib import Path

import pyarrow.parquet as pq

from accounting import Signer
from dpsynth.release import encode_parquet
from dpsynth.release.documents import pretty
from dpsynth.release.dsse import PAYLOAD_TYPE, pae
from dpsynth.release.keys import to_pem
from dpsynth.release.layout import LEDGER, MEMBERS, STATEMENT
from tests.release.bundle_tools import (
    as_zip,
    case,
    edit,
    good_zip,
    own_bundle,
    predicate,
    read,
    resign,
    write,
    zip_bytes,
    zip_entries,
)
from tests.release.world import World, ready_world

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
    entries = zip_entries(raw)
    twice = [*entries, entries[2]]
    path = folder.with_suffix(".zip")
    path.write_bytes(zip_bytes(twice))
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
    path.write_bytes(zip_bytes(zip_entries(good_zip(folder).read_bytes()), gap=b"a second reading"))
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
