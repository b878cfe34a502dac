"""JSON from strangers: one reading, bounded before it is built.

A document is refused, by a typed `Reason`, if it is too long, holds more values than a genuine one could, names a
field twice (then it has two readings), or is no JSON. Numbers that are not finite, integers of thousands of digits and
nesting by the thousand are no JSON here.

>>> parse(b'{"a": 1}', limit=100)
{'a': 1}

Not guaranteed: anything about what the document says; each reader checks its own shape.
"""

from __future__ import annotations

import json
from typing import NoReturn

from accounting.ledger.errors import LedgerTampered, Reason, SliceRefused

MAX_SLICE_BYTES = 256 * 2**20
MAX_VALUES = 16_000_000
"""Brackets and commas: what a parser builds is at most about 70 bytes for each (measured for `{}`, CPython 3.11)."""

_REMEDY = "Ask for a fresh copy; a genuine one is never so."


def parse(data: bytes | str, *, limit: int) -> object:
    """The one value of a document.

    Args:
        data: untrusted; bytes are UTF-8.
        limit: largest accepted length in bytes.

    Raises:
        LedgerTampered: too large, or not JSON with one reading.
    """
    check_size(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data, limit)
    try:
        value: object = json.loads(data, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _bad(Reason.MALFORMED, "The document is not JSON with one reading.") from error
    return value


def check_size(data: bytes, limit: int) -> None:
    """Refuse what would be built too large, before anything is.

    Raises:
        LedgerTampered: more bytes than `limit`, or more values than `MAX_VALUES`.
    """
    if len(data) > limit:
        raise _bad(Reason.TOO_LARGE, "The document is longer than a genuine one can be.")
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise _bad(Reason.TOO_LARGE, "The document holds more values than a genuine one can.")


def parse_slice(data: bytes) -> dict[str, object]:
    """The object of a slice's file, for `verify_slice`.

    Raises:
        SliceRefused: too large, or not a JSON object with one reading.
    """
    try:
        value = parse(data, limit=MAX_SLICE_BYTES)
    except LedgerTampered as refused:
        raise SliceRefused(refused.reason, refused.message.partition("] ")[2], refused.remedy) from refused
    if not isinstance(value, dict):
        raise SliceRefused(Reason.MALFORMED, "A slice is a JSON object.", "Give `ledger.json` of a bundle.")
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not a finite number")


def _bad(reason: Reason, message: str) -> LedgerTampered:
    return LedgerTampered(reason, message, _REMEDY)
