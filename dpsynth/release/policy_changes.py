"""What changed in a policy since a draft's budget was reserved, setting by setting.

The ledger keeps each policy that a draft was made under, whole, once: an entry of kind `policy`. The gate refuses a
draft under another policy than the reserved one (`policy_reserved`); this says to a person in what they differ.

>>> from dpsynth.release.policy import default_policy
>>> changes([], "00" * 32, default_policy())
()

Not guaranteed: anything for policies that the ledger does not hold, as of drafts from before they were kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from accounting.ledger.entry import Entry, Kind
from dpsynth.release.documents import JSON, digest
from dpsynth.release.policy import Policy

SCHEMA: Final = "dpsynth.policy/1"
ABSENT: Final = "not there"


def policy_entry(policy: Policy) -> dict[str, Any]:
    """The fields of the ledger's entry that keeps a policy."""
    return {"schema": SCHEMA, "digest": policy.digest(), "policy": policy.model_dump(mode="json")}


def kept(entries: Sequence[Entry], wanted: str) -> Mapping[str, Any] | None:
    """The policy of this digest, from the ledger; None if it holds none whose values have it."""
    for entry in entries:
        body = entry.body.get("policy")
        ours = entry.kind is Kind.POLICY and entry.body.get("schema") == SCHEMA
        if ours and isinstance(body, Mapping) and entry.body.get("digest") == wanted == digest(body):
            return body
    return None


def changes(entries: Sequence[Entry], reserved: str, policy: Policy) -> tuple[dict[str, JSON], ...]:
    """Settings that differ: path, before, after; empty if none do, or if the ledger does not hold the reserved one.

    Args:
        entries: of the chain.
        reserved: digest of the policy in force at the reservation.
        policy: in force now.
    """
    before = kept(entries, reserved)
    if before is None or reserved == policy.digest():
        return ()
    old, new = dict(_settings(before)), dict(_settings(policy.model_dump(mode="json")))
    return tuple(
        {"path": path, "before": old.get(path, ABSENT), "after": new.get(path, ABSENT)}
        for path in sorted({*old, *new})
        if old.get(path, ABSENT) != new.get(path, ABSENT)
    )


def _settings(body: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from _settings(value, f"{path}: ")
        else:
            yield path, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
