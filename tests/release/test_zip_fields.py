"""Each field of a zip has one value that we write; another is refused by its code (APPNOTE 6.3.10, 4.3.12, 4.3.16)."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

import pytest

from dpsynth.release.archive import read_bundle
from dpsynth.release.documents import Refusal
from dpsynth.release.layout import MEMBERS
from tests.release.bundle_tools import zip_bytes

PACKED = [(name, name.encode()) for name in MEMBERS]
CENTRAL = {  # name: place in the record, its form, another value, the code
    "signature": (0, "<I", 0x01014B50, "zip_malformed"), "made by": (4, "<H", 20, "zip_malformed"),
    "version needed": (6, "<H", 45, "zip_malformed"), "encrypted": (8, "<H", 1, "zip_malformed"),
    "utf-8 names": (8, "<H", 2048, "zip_malformed"), "method": (10, "<H", 8, "zip_compressed"),
    "time": (12, "<H", 1, "zip_malformed"), "date": (14, "<H", 34, "zip_malformed"),
    "checksum": (16, "<I", 0, "zip_malformed"), "packed size": (20, "<I", 1, "zip_compressed"),
    "size": (24, "<I", 1, "zip_compressed"), "extra field": (30, "<H", 1, "zip_malformed"),
    "comment": (32, "<H", 1, "zip_malformed"), "disk": (34, "<H", 1, "zip_malformed"),
    "text file": (36, "<H", 1, "zip_malformed"), "mode": (38, "<I", (stat.S_IFREG | 0o600) << 16, "zip_malformed"),
    "link": (38, "<I", (stat.S_IFLNK | 0o777) << 16, "symlink_member"), "offset": (42, "<I", 1, "zip_malformed"),
}  # fmt: skip
END = {
    "signature": (0, "<I", 0, "zip_truncated"), "disk": (4, "<H", 1, "zip_malformed"),
    "disk of the directory": (6, "<H", 1, "zip_malformed"), "entries here": (8, "<H", 1, "zip_malformed"),
    "entries": (10, "<H", 1, "zip_malformed"), "size of the directory": (12, "<I", 46, "zip_malformed"),
    "offset of the directory": (16, "<I", 1, "zip_malformed"), "comment": (20, "<H", 1, "zip_malformed"),
}  # fmt: skip


def _code(path: Path, raw: bytes | bytearray) -> str:
    path.write_bytes(raw)
    with pytest.raises(Refusal) as refused:
        read_bundle(path)
    return refused.value.code


def test_the_archive_that_is_changed_here_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(zip_bytes(PACKED))
    found = read_bundle(path)
    assert set(found.sha256) == set(MEMBERS)
    assert found.small == {name: raw for name, raw in PACKED if not MEMBERS[name].streamed}


@pytest.mark.parametrize("field", CENTRAL)
@pytest.mark.parametrize("both", [True, False], ids=["in both headers", "in the directory alone"])
def test_a_field_of_a_member_has_one_value(tmp_path: Path, field: str, both: bool) -> None:
    place, form, value, code = CENTRAL[field]
    raw = bytearray(zip_bytes(PACKED))
    start = struct.unpack_from("<I", raw, len(raw) - 6)[0]
    struct.pack_into(form, raw, start + place, value)
    if both and 6 <= place < 32:  # what a local header says as well, two bytes earlier
        struct.pack_into(form, raw, place - 2, value)
    assert _code(tmp_path / "bundle.zip", raw) == code


@pytest.mark.parametrize("field", END)
def test_a_field_of_the_end_record_has_one_value(tmp_path: Path, field: str) -> None:
    place, form, value, code = END[field]
    raw = bytearray(zip_bytes(PACKED))
    struct.pack_into(form, raw, len(raw) - 22 + place, value)
    assert _code(tmp_path / "bundle.zip", raw) == code


def test_every_byte_belongs_to_a_member_or_the_directory(tmp_path: Path) -> None:
    path, raw = tmp_path / "bundle.zip", zip_bytes(PACKED)
    assert _code(path, zip_bytes(PACKED, gap=b"x")) == "zip_malformed"
    for changed in (raw + b"x", raw[:-1], raw[:21], b"", b"x" * 21):
        assert _code(path, changed) == "zip_truncated"
    assert _code(path, b"x" + raw) == "zip_malformed"
    assert _code(path, zip_bytes([("\u00fc", b""), *PACKED]).replace("\u00fc".encode(), b"\xfc\xfc")) == "zip_malformed"
