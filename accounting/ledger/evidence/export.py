"""The whole chain as JSON lines: for archives, other tools, and auditors without a database.

The first line names the ledger, its key and its head; each further line is one entry with its body, hash and
signature. Reading it back checks everything: place, hash, signature and the rules of the books.

Unlike a slice this shows all budgets. It is for the auditor of the whole, not for a receiver.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from accounting.ledger.books import Books
from accounting.ledger.chain import Chain
from accounting.ledger.entry import JSON, MAX_BODY_BYTES, Entry, Head
from accounting.ledger.errors import LedgerTampered, Reason
from accounting.ledger.evidence.parsing import parse

SCHEMA = "dpsynth.ledger-export/1"
MAX_LINE = 2 * MAX_BODY_BYTES
_HEADER = {"schema", "ledger_id", "public_key", "head"}
_ENTRY = {"seq", "prev_hash", "body", "hash", "signature", "key_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A chain that was read back and checked.

    Attributes:
        books: budgets, reservations and keys after the last entry.
        entries: all of them, in order.
        head: the last.
    """

    books: Books
    entries: tuple[Entry, ...]
    head: Head


def export_lines(entries: Sequence[Entry], ledger_id: str, public_key: bytes) -> Iterator[str]:
    """Lines of an export, each with its end.

    Args:
        entries: the whole chain, at least its first entry.
        ledger_id: of the ledger.
        public_key: its raw Ed25519 key, 32 bytes.
    """
    last = entries[-1]
    header: dict[str, JSON] = {
        "schema": SCHEMA,
        "ledger_id": ledger_id,
        "public_key": public_key.hex(),
        "head": {"seq": last.seq, "hash": last.hash},
    }
    yield _line(header)
    for entry in entries:
        yield _line(entry.to_json())


def read_export(lines: Iterable[str | bytes], *, ledger_key: bytes) -> Exported:
    """Check an export, every signature included.

    Args:
        lines: untrusted.
        ledger_key: raw Ed25519 public key that the reader trusts already, 32 bytes: the ledger's first, or one that
            it was rotated to.

    Raises:
        LedgerTampered: with the `Reason` of the first thing that is wrong.
    """
    stream = iter(lines)
    header = _object(next(stream, b""), _HEADER)
    if header["schema"] != SCHEMA:
        raise _bad(Reason.UNKNOWN_SCHEMA, f"Expected schema {SCHEMA!r}.")
    chain, entries = Chain(), []
    for line in stream:
        body = _object(line, _ENTRY)
        texts = (body[name] for name in ("prev_hash", "hash", "signature", "key_id"))
        if type(body["seq"]) is not int or not isinstance(body["body"], dict) or not all(map(_is_text, texts)):
            raise _bad(Reason.MALFORMED, "An entry's fields have the wrong type.")
        entry = Entry(**body)
        chain.read_disclosed(entry)
        if entry.seq == 0 and chain.books.public_key.hex() != header["public_key"]:
            raise _bad(Reason.FOREIGN_LEDGER, "The chain's first entry names another key.")
        entries.append(entry)
    if entries and all(key.public_key != ledger_key for key in chain.books.ledger_keys):
        raise _bad(Reason.FOREIGN_LEDGER, "The export is of a ledger with another key.")
    head = chain.head
    claimed = {"seq": head.seq, "hash": head.hash} if head is not None else None
    if head is None or header["head"] != claimed or header["ledger_id"] != chain.books.ledger_id:
        raise _bad(Reason.HEAD_MISMATCH, "The chain does not begin or end where the first line says.")
    return Exported(books=chain.books, entries=tuple(entries), head=head)


def _line(value: dict[str, JSON]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"


def _object(line: str | bytes, fields: set[str]) -> dict[str, Any]:
    value = parse(line, limit=MAX_LINE)
    if not isinstance(value, dict) or value.keys() != fields:
        raise _bad(Reason.MALFORMED, "A line has missing or unknown fields.")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _bad(reason: Reason, message: str) -> LedgerTampered:
    return LedgerTampered(reason, message, "Export the ledger again, and compare with the copy.")
