"""Rotation: the ledger's key hands over to its successor, inside the chain that both vouch for.

    key.rotate at seq n:   signed by the key in force (or by a recovery key), countersigned by the new one
    entries from n + 1:    signed by the new key, and by no other

    countersignature = Ed25519(new key, "dpsynth.key-rotation/1" || canonical
                               {ledger_id, seq, prev_hash, signer, public_key, reason})

The countersignature names the ledger, the place and the hash before it. So it cannot be replayed in another ledger or
at another place; nobody is made the successor against their will; and whoever trusts the new key alone knows that its
holder accepted the whole chain up to there. What a reader gets who pinned

- the first key: every later key was authorised by it, from hand to hand. But a thief of a retired key can still sign a
  fork from before its end: compare heads, or pin a later key;
- a later key: the chain leads to it, and its holder vouches for everything before. A fork without it is foreign.

A key of role `recovery`, added while the ledger key was there, may sign a rotation when that is lost. It can do nothing
else, and can be revoked.

>>> keys = [LedgerKey(b"first", 0), LedgerKey(b"second", 8)]
>>> key_at(keys, 7), key_at(keys, 8)
(b'first', b'second')

Not guaranteed: that a stolen key is noticed. Rotate, keep the head elsewhere, destroy the old key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from accounting.ledger.entry import JSON, Head, canonical
from accounting.ledger.errors import EntryRefused, KeyRefused
from accounting.ledger.signing import Signer

CONTEXT = b"dpsynth.key-rotation/1"
RECOVERY = "recovery"


class LedgerKey(NamedTuple):
    """A key of the ledger, raw Ed25519, and the first entry that it signs."""

    public_key: bytes
    first: int


def key_at(keys: Sequence[LedgerKey], seq: int) -> bytes:
    """The key in force at a place; `keys` begins with the one from entry 0."""
    return next(key.public_key for key in reversed(keys) if key.first <= seq)


def message(*, ledger_id: str, seq: int, prev_hash: str, signer: bytes, public_key: bytes, reason: str) -> bytes:
    """What the new key signs.

    Args:
        ledger_id: of this ledger.
        seq: place of the rotation.
        prev_hash: of the entry before it.
        signer: key that signs the entry, raw: the one in force, or a recovery key.
        public_key: its successor, raw.
        reason: as it stands in the entry.
    """
    facts: dict[str, JSON] = {
        "ledger_id": ledger_id,
        "seq": seq,
        "prev_hash": prev_hash,
        "signer": signer.hex(),
        "public_key": public_key.hex(),
        "reason": reason,
    }
    return CONTEXT + canonical(facts)


def rotation_fields(
    *, ledger_id: str, head: Head, signer: Signer, new: Signer, reason: str, recovery: bool
) -> dict[str, JSON]:
    """The body of a rotation after `head`.

    Raises:
        EntryRefused: no reason was given.
        KeyRefused: the new key is the old one.
    """
    if not reason.strip():
        raise EntryRefused("A rotation needs a reason: it is kept for ever.", "Say why the key changes.")
    if new.public_bytes == signer.public_bytes:
        raise KeyRefused("The new key is the old one, so nothing would change.", "Generate another: Signer.generate().")
    signed = message(
        ledger_id=ledger_id,
        seq=head.seq + 1,
        prev_hash=head.hash,
        signer=signer.public_bytes,
        public_key=new.public_bytes,
        reason=reason,
    )
    return {
        "key_id": new.key_id,
        "public_key": new.public_bytes.hex(),
        "reason": reason,
        "recovery_key": signer.key_id if recovery else None,
        "countersignature": new.sign(signed).hex(),
    }
