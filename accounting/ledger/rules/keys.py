"""Rules of identity: the entry that creates the ledger, and the keys that it vouches for."""

from __future__ import annotations

from dataclasses import replace

from accounting.ledger import signing
from accounting.ledger.books import Books
from accounting.ledger.entry import HEX64, SCHEMA
from accounting.ledger.errors import Reason
from accounting.ledger.records import KeyRecord
from accounting.ledger.rotation import RECOVERY, LedgerKey, key_at, message
from accounting.ledger.shape import Body, broken, key_bytes, text

KEY_ROLES = frozenset({"release", "review", "generate", "budget", RECOVERY})
APART = frozenset({"generate", "budget", RECOVERY})
"""Roles that check or replace the ledger's key, and so cannot be held by it."""


def create_ledger(books: Books, seq: int, body: Body) -> None:
    """The first entry names the ledger and its key."""
    if body["schema"] != SCHEMA:
        raise broken(seq, Reason.UNKNOWN_SCHEMA, f"expected schema {SCHEMA!r}")
    books.ledger_id = text(seq, body, "ledger_id")
    books.public_key = key_bytes(seq, body)
    books.ledger_keys = [LedgerKey(books.public_key, 0)]


def add_key(books: Books, seq: int, body: Body) -> None:
    """A key is added once, under its own id, for a known role."""
    public_key, name = key_bytes(seq, body), text(seq, body, "key_id")
    signing.load_public_bytes(public_key)
    role = text(seq, body, "role")
    if name != signing.key_id(public_key) or name in books.keys or role not in KEY_ROLES:
        raise broken(seq, Reason.RULE_BROKEN, "a key added twice, under a wrong id or for an unknown role")
    if role in APART and _is_ledger_key(books, public_key):
        raise broken(seq, Reason.RULE_BROKEN, f"a {role} key that is a key of the ledger itself")
    books.keys[name] = KeyRecord(key_id=name, public_key=public_key, role=role, added=seq)


def revoke_key(books: Books, seq: int, body: Body) -> None:
    """A key is revoked once, and stays known."""
    key = books.keys.get(text(seq, body, "key_id"))
    if key is None or key.revoked is not None:
        raise broken(seq, Reason.RULE_BROKEN, "a key revoked that was not in use")
    books.keys[key.key_id] = replace(key, revoked=seq)


def rotate_key(books: Books, seq: int, body: Body) -> None:
    """A new key takes over from the next entry on: signed by the old one, or a recovery key, and by itself."""
    new, name, reason = key_bytes(seq, body), text(seq, body, "key_id"), text(seq, body, "reason")
    signing.load_public_bytes(new)
    if name != signing.key_id(new) or name in books.keys or _is_ledger_key(books, new):
        raise broken(seq, Reason.ROTATION_INVALID, "a rotation to a key under a wrong id, or one that served already")
    signer, recovery = key_at(books.ledger_keys, seq), body["recovery_key"]
    if recovery is not None:
        helper = books.keys.get(str(recovery))
        if helper is None or helper.role != RECOVERY or helper.revoked is not None:
            raise broken(seq, Reason.ROTATION_INVALID, "a rotation by a key that may not recover this ledger")
        signer = books.recovered[seq] = helper.public_key
    countersignature = text(seq, body, "countersignature")
    asked = message(
        ledger_id=books.ledger_id,
        seq=seq,
        prev_hash=books.head.hash if books.head is not None else "",
        signer=signer,
        public_key=new,
        reason=reason,
    )
    if not HEX64.fullmatch(countersignature) or not signing.verify(new, bytes.fromhex(countersignature), asked):
        raise broken(seq, Reason.ROTATION_INVALID, "a rotation that the new key did not countersign for this place")
    books.ledger_keys.append(LedgerKey(new, seq + 1))


def _is_ledger_key(books: Books, public_key: bytes) -> bool:
    return any(key.public_key == public_key for key in books.ledger_keys)
