"""One entry of the chain: canonical bytes, hash, tag and signature.

    digest    = SHA256(RFC 8785 form of body)
    hash      = SHA256("dpsynth.entry/1" || prev_hash || digest)
    tag       = HMAC-SHA256(id of the budget's root or "global", "dpsynth.tag/1" || prev_hash)
    signature = Ed25519("dpsynth.ledger-signature/1" || tag || hash)

The hash covers the body only through its digest, so a body can be withheld and the chain still checks; each
body holds a 128-bit nonce, so its digest tells nothing about it. The tag, bound by the signature, tells a
reader who knows a budget's family which withheld entries belong to it, and tells everybody else nothing:
without it the holder of a genuine chain could hide the family's own spends among other people's.

Haber and Stornetta, "How to time-stamp a digital document" (1991), for the chain.

>>> entry_hash("00" * 32, body_digest(canonical({"kind": "example"})))[:16]
'd6ac48439db103e4'

Not guaranteed: truth of `time` (order is by seq), and that the chain is the only one its key signed: compare
heads.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import rfc8785

from accounting.ledger.errors import EntryRefused
from accounting.ledger.signing import Signer

JSON: TypeAlias = "bool | int | str | list[JSON] | dict[str, JSON] | None"

SCHEMA = "dpsynth.ledger/1"
GENESIS_PREV = "00" * 32
MAX_BODY_BYTES = 262_144
MAX_DEPTH = 24
HEX32 = re.compile(r"[0-9a-f]{64}")
HEX64 = re.compile(r"[0-9a-f]{128}")

_STAMPED = frozenset({"kind", "nonce", "time"})


class Kind(StrEnum):
    """What an entry records. Closed: an unknown kind is refused, never skipped."""

    LEDGER_CREATE = "ledger.create"
    KEY_ADD = "key.add"
    KEY_REVOKE = "key.revoke"
    KEY_ROTATE = "key.rotate"
    POLICY = "policy"
    CHECKPOINT = "checkpoint"
    BUDGET_CREATE = "budget.create"
    BUDGET_CHILD = "budget.child"
    BUDGET_AMEND = "budget.amend"
    RESERVE = "reserve"
    ACCESS = "access"
    COMMIT = "commit"
    ABORT = "abort"
    EXPIRE = "expire"
    UNPROTECTED = "unprotected"
    ATTEMPT = "attempt"
    ATTACK = "attack"
    QUALITY = "quality"
    DECISION = "decision"
    APPEAL = "appeal"
    REVIEW = "review"
    APPROVAL = "approval"
    WITHDRAWAL = "withdrawal"
    RELEASE = "release"
    RECALL = "recall"


GLOBAL_KINDS = frozenset(
    {Kind.LEDGER_CREATE, Kind.KEY_ADD, Kind.KEY_REVOKE, Kind.KEY_ROTATE, Kind.POLICY, Kind.CHECKPOINT}
)  # published whole in every slice
RECORD_KINDS = frozenset(
    {
        Kind.UNPROTECTED,
        Kind.ATTEMPT,
        Kind.ATTACK,
        Kind.QUALITY,
        Kind.DECISION,
        Kind.APPEAL,
        Kind.REVIEW,
        Kind.APPROVAL,
        Kind.WITHDRAWAL,
        Kind.RELEASE,
        Kind.RECALL,
    }
)  # about one budget, no effect on its balance
APPENDABLE = RECORD_KINDS | GLOBAL_KINDS - {Kind.LEDGER_CREATE, Kind.KEY_ROTATE}


class Head(NamedTuple):
    """The last entry: everything before it follows from this pair."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class Row(NamedTuple):
    """An entry as stored: `body` is the canonical text itself, hashes and signature are lower-case hex."""

    seq: int
    prev_hash: str
    body: str
    hash: str
    signature: str
    key_id: str


class Withheld(NamedTuple):
    """An entry of another budget in a slice: its place, and the digest and tag that stand for its body."""

    seq: int
    prev_hash: str
    body_digest: str
    tag: str
    hash: str
    signature: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry as read: position, parsed body, and the proof that it stands where it stands."""

    seq: int
    prev_hash: str
    body: Mapping[str, JSON]
    hash: str
    signature: str
    key_id: str

    @classmethod
    def from_row(cls, row: Row, body: Mapping[str, JSON]) -> Entry:
        """A stored row with its parsed body."""
        return cls(
            seq=row.seq,
            prev_hash=row.prev_hash,
            body=body,
            hash=row.hash,
            signature=row.signature,
            key_id=row.key_id,
        )

    @property
    def kind(self) -> Kind:
        """What the entry records."""
        return Kind(str(self.body["kind"]))

    @property
    def budget_id(self) -> str | None:
        """The budget it belongs to; None for global kinds."""
        value = self.body.get("budget_id")
        return value if isinstance(value, str) else None

    def to_json(self) -> dict[str, JSON]:
        """The disclosed form in slices and exports."""
        return {
            "seq": self.seq,
            "prev_hash": self.prev_hash,
            "body": dict(self.body),
            "hash": self.hash,
            "signature": self.signature,
            "key_id": self.key_id,
        }

    def withheld(self, family: str | None = None) -> Withheld:
        """The form that outsiders to the family get; `family` is its root's id, default the entry's own budget."""
        return Withheld(
            seq=self.seq,
            prev_hash=self.prev_hash,
            body_digest=body_digest(canonical(self.body)).hex(),
            tag=budget_tag(family or self.budget_id, self.prev_hash),
            hash=self.hash,
            signature=self.signature,
            key_id=self.key_id,
        )

    def __str__(self) -> str:
        parts = [f"#{self.seq}", self.hash[:12], str(self.body.get("time", "")), self.kind.value]
        charge = self.body.get("charge")
        if isinstance(charge, dict):
            parts.append("(" + ", ".join(f"{name} {charge[name]}" for name in sorted(charge, key="delta".__eq__)) + ")")
        note = self.body.get("purpose") or self.body.get("reason") or self.body.get("dataset")
        if isinstance(note, str):
            parts.append(note if len(note) <= 60 else note[:59] + "…")
        return " ".join(parts)


def stamp(kind: Kind, fields: Mapping[str, JSON]) -> dict[str, JSON]:
    """A body: the caller's fields plus kind, a fresh 128-bit nonce, and the time as this machine claims it.

    Raises:
        EntryRefused: the fields use one of those three names.
    """
    clash = sorted(_STAMPED & set(fields))
    if clash:
        raise EntryRefused(f"Field {clash[0]!r} is set by the ledger itself.", "Choose another name.")
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    return {"kind": kind.value, "nonce": secrets.token_hex(16), "time": now, **fields}


def canonical(body: Mapping[str, JSON]) -> bytes:
    """RFC 8785 bytes of a body.

    Raises:
        EntryRefused: floats, integers beyond 2^53, unpaired surrogates, other types, too deep or large.
    """
    _check_json(body, MAX_DEPTH)
    try:
        data = rfc8785.dumps(dict(body))
    except rfc8785.CanonicalizationError as error:
        raise EntryRefused(
            "The body holds a number or text that canonical JSON cannot carry.",
            "Write numbers as decimal strings.",
        ) from error
    if len(data) > MAX_BODY_BYTES:
        raise EntryRefused(
            f"Expected a body of at most {MAX_BODY_BYTES} bytes.", "Store the document and record its digest."
        )
    return data


def body_digest(canonical_body: bytes) -> bytes:
    """SHA-256 of canonical bytes."""
    return hashlib.sha256(canonical_body).digest()


def entry_hash(prev_hash: str, digest: bytes) -> str:
    """The entry's hash, hex, from the previous hash and the body's digest."""
    return hashlib.sha256(b"dpsynth.entry/1" + bytes.fromhex(prev_hash) + digest).hexdigest()


def budget_tag(family: str | None, prev_hash: str) -> str:
    """The tag, hex, that links an entry to its root budget for those who know the id; None for global entries."""
    key = (family if family is not None else "global").encode()
    return hmac.new(key, b"dpsynth.tag/1" + bytes.fromhex(prev_hash), hashlib.sha256).hexdigest()


def signed_message(tag: str, hash_: str) -> bytes:
    """What the ledger key signs for one entry."""
    return b"dpsynth.ledger-signature/1" + bytes.fromhex(tag) + bytes.fromhex(hash_)


def seal(body: Mapping[str, JSON], head: Head | None, signer: Signer, *, family: str | None = None) -> Row:
    """Chain and sign `body` after `head` (None: the genesis entry).

    Args:
        body: with kind, nonce and time.
        head: the entry before.
        signer: the ledger's key.
        family: root of the body's budget; default the budget that the body names.

    Raises:
        EntryRefused: the body has no canonical form.
    """
    data = canonical(body)
    prev_hash = GENESIS_PREV if head is None else head.hash
    hash_ = entry_hash(prev_hash, body_digest(data))
    budget_id = body.get("budget_id")
    tag = budget_tag(family or (budget_id if isinstance(budget_id, str) else None), prev_hash)
    return Row(
        seq=0 if head is None else head.seq + 1,
        prev_hash=prev_hash,
        body=data.decode(),
        hash=hash_,
        signature=signer.sign(signed_message(tag, hash_)).hex(),
        key_id=signer.key_id,
    )


def _check_json(value: object, depth: int) -> None:
    if depth == 0:
        raise EntryRefused(f"Expected a body nested at most {MAX_DEPTH} deep.", "Record a digest of the document.")
    if value is None or isinstance(value, (bool, int, str)):
        return
    if isinstance(value, float):
        raise EntryRefused("Expected numbers as decimal strings: a float has no exact written form.", 'Write "0.1".')
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_json(item, depth - 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise EntryRefused("Expected text as field names.", "Convert the keys.")
            _check_json(item, depth - 1)
    else:
        raise EntryRefused(f"A {type(value).__name__} is not JSON.", "Pass text, integers, lists and mappings.")
