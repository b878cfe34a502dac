"""From a path to bytes, without hanging, executing or filling memory.

The path is opened without blocking and must be a regular file (links are followed); its first bytes must
fit its name; gzip is unpacked as a stream that stops at a stated size, and its checksum must hold, so a cut
file gives no table. Nothing is ever unpickled.

>>> import pathlib, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = pathlib.Path(folder, "a.csv"); _ = path.write_bytes(b"x"); print(load(path, ReadOptions()).format)
text

Not guaranteed: that the content is what its format says; the parsers check that.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from dpsynth.core.errors import DataError
from dpsynth.data.options import ReadOptions
from dpsynth.data.warning import shown

TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt"})
PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
FOREIGN = (
    (b"PK\x03\x04", "a zip archive or spreadsheet (xlsx)", "Export it as CSV or Parquet."),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (xls)", "Export it as CSV or Parquet."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV or Parquet."),
    (b"\xfd7zXZ", "xz-compressed", "Unpack it first."),
    (b"BZh", "bzip2-compressed", "Unpack it first."),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "Unpack it first."),
    (b"ARROW1", "an Arrow IPC file", "Write it as Parquet."),
    (b"%PDF", "a PDF", "Export the table as CSV or Parquet."),
)
PIECE = 1 << 20
RATIO_FROM = 64 << 20
MIB = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """The content of a file, unpacked, and what it is."""

    format: Literal["text", "parquet"]
    content: bytes


def load(path: str | os.PathLike[str], options: ReadOptions) -> Source:
    """Read a file into memory.

    Raises:
        DataError: no such file, not a regular file, a name or content that is neither CSV nor Parquet, a
            damaged gzip stream, or more bytes than `options` allow.
    """
    where = Path(path)
    suffixes = [s.lower() for s in where.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = (suffixes[:-1] if packed else suffixes)[-1:]
    raw = _regular_file(where, options.max_bytes)
    name = shown(where.name)
    if not kind or kind[0] not in TEXT_SUFFIXES | PARQUET_SUFFIXES:
        raise DataError(
            f"The file {name} is of a kind that is not read; objects are never loaded from pickle.",
            "Give a .csv, .csv.gz, .tsv or .parquet file.",
        )
    if not raw:
        raise DataError(f"The file {name} is empty: it has no bytes.", "Check the export that wrote it.")
    for magic, what, remedy in FOREIGN:
        if raw.startswith(magic):
            raise DataError(f"The file {name} is {what}, not what its name says.", remedy)
    if packed != raw.startswith(GZIP):
        what = "is not gzip, although its name ends in .gz" if packed else "is gzip, but its name lacks .gz"
        raise DataError(f"The file {name} {what}.", "Rename it to what it is.")
    wants_parquet = kind[0] in PARQUET_SUFFIXES
    content = _unpack(raw, name, options) if packed else raw
    if wants_parquet != content.startswith(PARQUET):
        what = "has no Parquet header" if wants_parquet else "is Parquet, although its name says text"
        raise DataError(f"The file {name} {what}.", "Rename it to what it is.")
    return Source("parquet" if wants_parquet else "text", content)


def fingerprint(path: str | os.PathLike[str]) -> str:
    """SHA-256 (hex) of a regular file's bytes, links followed: names the data without holding them."""
    digest = hashlib.sha256()
    with _open(Path(path)) as handle:
        while piece := handle.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _open(path: Path) -> BinaryIO:
    name = shown(path.name)
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        what = "is a link to nothing" if path.is_symlink() else "does not exist"
        raise DataError(f"The file {name} {what}.", "Check the path.") from None
    except OSError as error:
        what = {
            errno.ELOOP: "is a link that leads to itself",
            errno.EACCES: "may not be read by this account",
            errno.EISDIR: "is a folder, not a file",
        }.get(error.errno or 0, "cannot be opened")
        raise DataError(f"The file {name} {what}.", "Give the path of a regular file.") from None
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise DataError(f"The file {name} is {what}, not a regular file.", "Give the path of a regular file.")
    return os.fdopen(number, "rb")


def _regular_file(path: Path, max_bytes: int) -> bytes:
    with _open(path) as handle:
        raw = handle.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise DataError(
            f"The file {shown(path.name)} is larger than the limit of {max_bytes // MIB} MiB.",
            "Split it, keep fewer columns, or raise ReadOptions.max_bytes.",
        )
    return raw


def _unpack(raw: bytes, name: str, options: ReadOptions) -> bytes:
    """All members of a gzip file, checksums verified, never much more than the limit in memory."""
    limit = min(options.max_bytes, max(RATIO_FROM, options.max_ratio * len(raw)))
    pieces: list[bytes] = []
    total, rest = 0, raw
    while rest.strip(b"\0"):
        stream = zlib.decompressobj(wbits=31)
        pending = rest
        while not stream.eof:
            try:
                piece = stream.decompress(pending, PIECE)
            except zlib.error:
                raise DataError(
                    f"The file {name} is damaged: its gzip data or checksum is wrong.",
                    "Copy or export it again.",
                ) from None
            pending = stream.unconsumed_tail
            if not piece and not pending and not stream.eof:
                raise DataError(
                    f"The file {name} ends early: its gzip stream is cut, so no part of it is used.",
                    "Copy or export it again.",
                )
            pieces.append(piece)
            total += len(piece)
            if total > limit:
                raise DataError(
                    f"The file {name} unpacks to more than its limit of {limit // MIB} MiB.",
                    "Unpack it yourself if you trust it, or raise ReadOptions.max_ratio and max_bytes.",
                )
        rest = stream.unused_data
    content = b"".join(pieces)
    if not content:
        raise DataError(f"The file {name} is empty once unpacked.", "Check the export that wrote it.")
    return content
