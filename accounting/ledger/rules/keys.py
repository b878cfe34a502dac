"""Rules of identity: the entry that creates the ledger, and the keys that it vouches for."""

from __future__ import annotations

from dataclasses import replace

from accounting.ledger import signing
from accounting.ledger.books import Books
from accounting.ledger.entry import SCHEMA
from accounting.ledger.errors import Reason
from accounting.ledger.records import KeyRecord
from accounting.ledger.shape import Body, broken, key_bytes, text

KEY_ROLES = frozenset({"release", "review"})


def create_ledger(books: Books, seq: int, body: Body) -> None:
    """The first entry names the ledger and its key."""
    if body["schema"] != SCHEMA:
        raise broken(seq, Reason.UNKNOWN_SCHEMA, f"expected schema {SCHEMA!r}")
    books.ledger_id = text(seq, body, "ledger_id")
    books.public_key = key_bytes(seq, body)


def add_key(books: Books, seq: int, body: Body) -> None:
    """A key is added once, under its own id, for a known role."""
    public_key, name = key_bytes(seq, body), text(seq, body, "key_id")
    signing.load_public_bytes(public_key)
    role = text(seq, body, "role")
    if name != signing.key_id(public_key) or name in books.keys or role not in KEY_ROLES:
        raise broken(seq, Reason.RULE_BROKEN, "a key added twice, under a wrong id or for an unknown role")
    books.keys[name] = KeyRecord(key_id=name, public_key=public_key, role=role, added=seq)


def revoke_key(books: Books, seq: int, body: Body) -> None:
    """A key is revoked once, and stays known."""
    key = books.keys.get(text(seq, body, "key_id"))
    if key is None or key.revoked is not None:
        raise broken(seq, Reason.RULE_BROKEN, "a key revoked that was not in use")
    books.keys[key.key_id] = replace(key, revoked=seq)
