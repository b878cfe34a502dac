"""Tools that make bad bundles out of good ones: edit, sign again, pack otherwise; and the register of cases."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting import Signer
from dpsynth.release.bundle import write_members
from dpsynth.release.documents import pretty
from dpsynth.release.dsse import seal_envelope
from dpsynth.release.layout import LEDGER, MEMBERS, STATEMENT, root
from dpsynth.release.seal import sha256
from dpsynth.release.statement import make_statement
from tests.release.world import World


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


def zip_entries(raw: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def zip_bytes(entries: list[tuple[str, bytes]], gap: bytes = b"") -> bytes:
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
