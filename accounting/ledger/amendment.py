"""What the second person signs when a grant changes.

    signature = Ed25519("dpsynth.amendment/1" || canonical {ledger, budget, before, after, reason, last_hash})

`last_hash` is the hash of the entry before, so a signature is good for one place in one chain: it cannot be used again
after a later change back, nor in another ledger.

Not guaranteed: that two keys are two people. A receiver who cares pins the budget key, and looks at when it was added.
"""

from __future__ import annotations

from accounting.ledger.amounts import Grant
from accounting.ledger.entry import GENESIS_PREV, JSON, Head, canonical

CONTEXT = b"dpsynth.amendment/1"


def approval_message(
    *, ledger_id: str, budget_id: str, before: Grant, after: Grant, reason: str, last_hash: str
) -> bytes:
    """The bytes that a key of role `budget` signs.

    Args:
        ledger_id: of the ledger.
        budget_id: whose grant changes.
        before: the grant until then.
        after: the grant from then on.
        reason: in words.
        last_hash: hex hash of the ledger's last entry before the amendment.
    """
    facts: dict[str, JSON] = {
        "ledger_id": ledger_id,
        "budget_id": budget_id,
        "before": dict(before.to_json()),
        "after": dict(after.to_json()),
        "reason": reason,
        "last_hash": last_hash,
    }
    return CONTEXT + canonical(facts)


def last_hash(head: Head | None) -> str:
    """The hash that a signature covers, from the entry before."""
    return GENESIS_PREV if head is None else head.hash
