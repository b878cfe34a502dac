"""What a reviewer signs, what a sealed vote is, and what a recall notice says.

    vote       Ed25519("dpsynth.review/1" || canonical {ledger_id, last_hash, statement})
    sealed     SHA-256("dpsynth.sealed-vote/1" || canonical {ledger_id, evidence, key_id, vote, reason, salt})
    recall     Ed25519("dpsynth.recall/1" || canonical {ledger_id, release, root, reason, issued})

A statement names the draft, its rows, every document that the ledger recorded last for it, the policy of the decision
and the appeals that were made; `last_hash` is the entry before. So a vote is good for one draft, one state of its
evidence, one policy and one place in one chain. A sealed vote is opened later: 32 random bytes of salt keep it hidden,
and nobody finds another vote with the same digest. A recall stands alone, since receivers without the ledger read it.

>>> len(sealed(ledger_id="l", evidence={}, key_id="k", vote="approve", reason="fine", salt="00" * 32))
64

Not guaranteed: that two keys are two people, or that a reviewer looked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from accounting.ledger.entry import JSON, canonical
from accounting.ledger.signing import Signer, verify

SCHEMA = "dpsynth.review/1"
APPEAL_SCHEMA = "dpsynth.appeal/1"
APPROVAL_SCHEMA = "dpsynth.approval/1"
WITHDRAWAL_SCHEMA = "dpsynth.withdrawal/1"
RECALL_SCHEMA = "dpsynth.recall/1"
ATTEMPT_CONTEXT = b"dpsynth.generated/1"
MAX_REASON = 2000
"""Characters of a reason: it is read on one page, and published."""

_UNSIGNED = frozenset({"kind", "nonce", "time", "signature"})
_NOTICE = ("ledger_id", "release", "root", "reason", "issued")


class Vote(StrEnum):
    """What a reviewer says of a draft."""

    APPROVE = "approve"
    RETURN = "return"  # make another draft, or show other evidence
    REJECT = "reject"


class Step(StrEnum):
    """How a vote enters the chain."""

    VOTE = "vote"  # open at once
    SEAL = "seal"  # its digest only
    OPEN = "open"  # the vote behind an earlier digest


def statement(body: Mapping[str, JSON]) -> dict[str, JSON]:
    """The part of a review's body that is signed."""
    return {name: value for name, value in body.items() if name not in _UNSIGNED}


def message(*, ledger_id: str, last_hash: str, body: Mapping[str, JSON], context: bytes = SCHEMA.encode()) -> bytes:
    """What a reviewer's key signs, or, under another context, the generator's.

    Args:
        ledger_id: of the ledger.
        last_hash: hex hash of the entry before.
        body: of the entry; its stamp and signature are left out.
        context: of the kind of statement.
    """
    said: JSON = statement(body)
    return context + canonical({"ledger_id": ledger_id, "last_hash": last_hash, "statement": said})


def sealed(*, ledger_id: str, evidence: JSON, key_id: str, vote: str, reason: str, salt: str) -> str:
    """The digest, hex, that stands for a vote until it is opened.

    Args:
        ledger_id: of the ledger.
        evidence: `OnDesk.evidence()` of what was reviewed.
        key_id: of the reviewer.
        vote: a `Vote`.
        reason: in words.
        salt: 32 random bytes, hex, of the reviewer's.
    """
    said: dict[str, JSON] = {
        "ledger_id": ledger_id,
        "evidence": evidence,
        "key_id": key_id,
        "vote": vote,
        "reason": reason,
        "salt": salt,
    }
    return hashlib.sha256(b"dpsynth.sealed-vote/1" + canonical(said)).hexdigest()


def recall_message(notice: Mapping[str, JSON]) -> bytes:
    """What the key of a recall signs."""
    return RECALL_SCHEMA.encode() + canonical({name: notice[name] for name in _NOTICE})


def recall_notice(
    *, ledger_id: str, release: str, root: str, reason: str, issued: str, signer: Signer
) -> dict[str, JSON]:
    """A notice that stands alone: published under the release's own id.

    Args:
        ledger_id: of the ledger.
        release: id of the release.
        root: digest of its files, as the ledger recorded it.
        reason: in words; published.
        issued: when, as the signer claims.
        signer: a release key.
    """
    said: dict[str, JSON] = {
        "ledger_id": ledger_id,
        "release": release,
        "root": root,
        "reason": reason,
        "issued": issued,
    }
    signature = signer.sign(recall_message(said)).hex()
    return {"schema": RECALL_SCHEMA, **said, "key_id": signer.key_id, "signature": signature}


def recall_holds(notice: Mapping[str, JSON], public_key: bytes) -> bool:
    """Whether the notice was signed with this key."""
    signature = notice.get("signature")
    if not isinstance(signature, str) or any(not isinstance(notice.get(name), str) for name in _NOTICE):
        return False
    try:
        raw = bytes.fromhex(signature)
    except ValueError:
        return False
    return verify(public_key, raw, recall_message(notice))
