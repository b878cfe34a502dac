"""Reading a bundle as what it is: bytes from a stranger.

A folder is read through file descriptors that refuse links; a `.zip` is read by a parser for the one narrow
form that we write: stored members (so nothing can inflate), fixed date, no comments, no extra fields, no
gaps, no overlaps, every byte of the archive accounted for. Nothing is extracted to disk. Names are compared
with the closed list before a single member is opened. A zip that somebody packed anew is refused with the
advice to unpack it and check the folder: the files in it are what counts.

Format: PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end record).
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import unicodedata
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from dpsynth.release.documents import Refusal
from dpsynth.release.layout import MEMBERS, present

_BLOCK: Final = 2**20
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
_DOS_TIME, _DOS_DATE = 0, (1 << 5) | 1
ZIP_ATTRIBUTES: Final = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that a verifier needs of a bundle: digests of all files, bytes of the small ones.

    Attributes:
        sha256: hexadecimal digest by name, for every member.
        small: the bytes by name, for members that are not streamed; the same bytes that were hashed.
    """

    sha256: Mapping[str, str]
    small: Mapping[str, bytes] = field(repr=False)


def read_bundle(path: Path) -> Contents:
    """Read folder or zip at `path`.

    Raises:
        Refusal: with the codes of `check_names` and `missing_bundle`, `symlink_member`, `not_a_file`,
            `member_too_large`, `zip_malformed`, `zip_compressed`, `zip_truncated`, `unreadable`.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        raise Refusal("missing_bundle", f"There is no bundle at {path.name}.", "Check the path.") from None
    try:
        if stat.S_ISDIR(mode):
            return _read_folder(path)
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                return _read_zip(file)
    except OSError as error:
        raise Refusal("unreadable", f"The bundle cannot be read: {error.strerror}.") from None
    raise Refusal("symlink_member", f"{path.name} is neither a folder nor a plain file.",
                  "Give the bundle itself, not a link to it.")  # fmt: skip


def check_names(names: list[str]) -> None:
    """Hold a listing against the closed list of members.

    Raises:
        Refusal: `zip_slip` (a path), `duplicate_member`, `unicode_clash`, `case_clash`, `extra_file`,
            `missing_file`; the first that applies, in this order.
    """
    for name in names:
        if not name or name in {".", ".."} or any(mark in name for mark in "/\\:\0"):
            raise Refusal("zip_slip", "A member's name is a path; a bundle is flat.")
    if len(set(names)) != len(names):
        raise Refusal("duplicate_member", "The bundle holds two members of one name.")
    known = {name.casefold(): name for name in MEMBERS}
    for name in names:
        plain = unicodedata.normalize("NFKC", name)
        stripped = "".join(mark for mark in plain if unicodedata.category(mark) not in {"Cf", "Mn"})
        if name in MEMBERS:
            continue
        if stripped.casefold() in known and (not name.isascii()):
            raise Refusal("unicode_clash", f"A member looks like {known[stripped.casefold()]} but is not.")
        if name.casefold() in known:
            raise Refusal("case_clash", f"A member differs from {known[name.casefold()]} by case only.")
        raise Refusal("extra_file", "The bundle holds a file that no statement can vouch for.",
                      "Remove files that are not part of the bundle, or fetch it anew.")  # fmt: skip
    missing = [name for name in present(names) if name not in names]
    if missing:
        raise Refusal("missing_file", f"The bundle lacks {', '.join(missing)}.", "Fetch the bundle anew.")


def _read_folder(path: Path) -> Contents:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        entries = sorted(os.listdir(folder))  # noqa: PTH208 - by descriptor, so that nobody exchanges the path
        for name in entries:
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise Refusal("symlink_member", "A member is a link; a bundle holds plain files only.")
        check_names(entries)
        sha256: dict[str, str] = {}
        small: dict[str, bytes] = {}
        for name in present(entries):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                os.close(handle)
                raise Refusal("not_a_file", f"{name} is not a plain file.")
            with closing(os.fdopen(handle, "rb", buffering=0)) as file:
                sha256[name], body = _hash(file, name, facts.st_size)
            if body is not None:
                small[name] = body
        return Contents(sha256=sha256, small=small)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    crc: int
    size: int
    offset: int
    header: bytes  # the 26 bytes that central directory and local header share


def _read_zip(file: BinaryIO) -> Contents:
    entries, directory = _central_directory(file)
    check_names([entry.name for entry in entries])
    position = 0
    sha256: dict[str, str] = {}
    small: dict[str, bytes] = {}
    for entry in entries:
        file.seek(position)
        raw = file.read(_LOCAL.size + len(entry.name))
        expected = b"PK\x03\x04" + entry.header + entry.name.encode()
        if entry.offset != position or raw != expected:
            raise Refusal("zip_malformed", "Local headers, directory and positions contradict each other.")
        checksum = _Checksum()
        sha256[entry.name], body = _hash(file, entry.name, entry.size, checksum.update)
        if checksum.value != entry.crc:
            raise Refusal("zip_malformed", f"The checksum of {entry.name} is wrong.")
        if body is not None:
            small[entry.name] = body
        position += len(expected) + entry.size
    if position != directory:
        raise Refusal("zip_malformed", "The archive holds bytes that belong to no member.")
    return Contents(sha256=sha256, small=small)


def _central_directory(file: BinaryIO) -> tuple[list[_Entry], int]:
    """Entries in order and where the directory starts; everything that we would not write is refused."""
    size = file.seek(0, os.SEEK_END)
    if size < _END.size:
        raise Refusal("zip_truncated", "The archive is cut off.", "Fetch the bundle anew.")
    file.seek(size - _END.size)
    magic, disk, start_disk, here, total, length, offset, comment = _END.unpack(file.read(_END.size))
    if magic != b"PK\x05\x06":
        raise Refusal("zip_truncated", "The archive has no end record: it is cut off, extended or no zip.",
                      "Fetch the bundle anew.")  # fmt: skip
    if disk or start_disk or comment or here != total or offset + length + _END.size != size:
        raise Refusal("zip_malformed", "The archive's end record contradicts its size.")
    if total > 4 * len(MEMBERS):
        raise Refusal("extra_file", "The archive holds more members than a bundle has.")
    file.seek(offset)
    raw = file.read(length)
    entries: list[_Entry] = []
    at = 0
    for _ in range(total):
        if at + _CENTRAL.size > len(raw):
            raise Refusal("zip_malformed", "The archive's directory is shorter than it says.")
        fields = _CENTRAL.unpack_from(raw, at)
        name = raw[at + _CENTRAL.size : at + _CENTRAL.size + fields[10]]
        entries.append(_entry(fields, name, raw[at + 6 : at + 32]))
        at += _CENTRAL.size + len(name)
    if at != len(raw):
        raise Refusal("zip_malformed", "The archive's directory is longer than it says.")
    return entries, offset


def _entry(fields: tuple[Any, ...], raw_name: bytes, header: bytes) -> _Entry:
    (magic, made_by, needed, flags, method, time, date, crc, packed, size, _, extra, comment, disk, internal,
     external, offset) = fields  # fmt: skip
    try:
        name = raw_name.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("zip_malformed", "A member's name is not UTF-8.") from None
    if stat.S_ISLNK(external >> 16):
        raise Refusal("symlink_member", "A member is a link; a bundle holds plain files only.")
    check_names([name, *(other for other in MEMBERS if other != name)])
    if method != 0 or packed != size:
        raise Refusal("zip_compressed", "The archive is compressed, and our bundles never are.",
                      "If you packed it anew, unpack it and verify the folder.")  # fmt: skip
    if magic != b"PK\x01\x02" or (flags, time, date) != (0, _DOS_TIME, _DOS_DATE):
        raise Refusal("zip_malformed", "The archive was not written by this project.",
                      "If you packed it anew, unpack it and verify the folder.")  # fmt: skip
    if (extra, comment, disk, internal, external) != (0, 0, 0, 0, ZIP_ATTRIBUTES):
        raise Refusal("zip_malformed", "The archive holds fields that a bundle has no use for.")
    if (made_by, needed) != (_VERSION_MADE_BY, _VERSION_NEEDED):
        raise Refusal("zip_malformed", "The archive was not written by this project.")
    return _Entry(name=name, crc=crc, size=size, offset=offset, header=header)


_VERSION_NEEDED: Final = 20
_VERSION_MADE_BY: Final = (3 << 8) | 20


class _Checksum:
    """Running CRC-32."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, block: bytes) -> None:
        self.value = zlib.crc32(block, self.value)


def _hash(
    file: BinaryIO, name: str, size: int, also: Callable[[bytes], None] | None = None
) -> tuple[str, bytes | None]:
    """SHA-256 of the next `size` bytes, and the bytes themselves where the member is small."""
    member = MEMBERS[name]
    if size > member.limit:
        raise Refusal("member_too_large", f"{name} is larger than a bundle allows.")
    hasher = hashlib.sha256()
    blocks: list[bytes] = []
    left = size
    while left:
        block = file.read(min(_BLOCK, left))
        if not block:
            raise Refusal("zip_truncated", f"{name} ends before its length.", "Fetch the bundle anew.")
        hasher.update(block)
        if also is not None:
            also(block)
        if not member.streamed:
            blocks.append(block)
        left -= len(block)
    return hasher.hexdigest(), None if member.streamed else b"".join(blocks)
