"""Two copies of one ledger: equal, one older than the other, or a fork.

Each slice on its own can be flawless and the pair a proof of fraud: whoever restores a backup and spends again signs
two chains that part at some entry. Slices in two bundles are enough to show it, since every slice carries the hash of
every entry, disclosed or withheld.

>>> [outcome.value for outcome in Relationship]
['same', 'first_older', 'second_older', 'fork']

Not guaranteed: that there is no third chain. The more bundles are compared, the harder that is to hide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from accounting.ledger.errors import Reason, SliceRefused
from accounting.ledger.slice import SliceFacts, verify_slice


class Relationship(StrEnum):
    """How two chains stand to each other."""

    SAME = "same"
    FIRST_OLDER = "first_older"
    SECOND_OLDER = "second_older"
    FORK = "fork"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The verdict.

    Attributes:
        relationship: see there.
        shared: entries that both chains have in common, from the first.
    """

    relationship: Relationship
    shared: int

    def sentence(self) -> str:
        """The verdict in words."""
        return {
            Relationship.SAME: f"Both show the same {self.shared} entries.",
            Relationship.FIRST_OLDER: f"The first ends after {self.shared} entries; the second goes on from there.",
            Relationship.SECOND_OLDER: f"The second ends after {self.shared} entries; the first goes on from there.",
            Relationship.FORK: (
                f"FORK: after {self.shared} shared entries the two go on differently, both signed by the ledger's key. "
                "Somebody restored an old copy and wrote on; what was spent on one side is missing on the other."
            ),
        }[self.relationship]


def compare_slices(first: Mapping[str, object], second: Mapping[str, object], *, ledger_key: bytes) -> Comparison:
    """Check both slices, then compare their chains entry by entry.

    Args:
        first: parsed JSON, untrusted.
        second: the same, of another time or of another budget.
        ledger_key: raw Ed25519 public key of the ledger, 32 bytes: its first, or one that it was rotated to. The copy
            that is older than that key is held to the first key that the other one shows.

    Raises:
        SliceRefused: one of them does not verify, or they are of two ledgers.
    """
    one, other = _both(first, second, ledger_key)
    if one.ledger_id != other.ledger_id:
        raise SliceRefused(Reason.FOREIGN_LEDGER, "The slices are of two ledgers of one key.", "Compare copies of one.")
    left, right = _hashes(first), _hashes(second)
    shared = next(
        (at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    if shared < min(len(left), len(right)):
        return Comparison(relationship=Relationship.FORK, shared=shared)
    if len(left) == len(right):
        return Comparison(relationship=Relationship.SAME, shared=shared)
    older = Relationship.FIRST_OLDER if len(left) < len(right) else Relationship.SECOND_OLDER
    return Comparison(relationship=older, shared=shared)


def _both(
    first: Mapping[str, object], second: Mapping[str, object], ledger_key: bytes
) -> tuple[SliceFacts, SliceFacts]:
    """Both checked; a copy that does not reach the key is held to the first key of the one that does."""
    one = _unless_foreign(first, ledger_key)
    if one is None:
        other = verify_slice(second, ledger_key=ledger_key)
        return verify_slice(first, ledger_key=other.ledger_keys[0].public_key), other
    found = _unless_foreign(second, ledger_key)
    return one, found if found is not None else verify_slice(second, ledger_key=one.ledger_keys[0].public_key)


def _unless_foreign(slice_: Mapping[str, object], ledger_key: bytes) -> SliceFacts | None:
    try:
        return verify_slice(slice_, ledger_key=ledger_key)
    except SliceRefused as refused:
        if refused.reason is Reason.FOREIGN_LEDGER:
            return None
        raise


def _hashes(slice_: Mapping[str, object]) -> list[str]:
    return [cast("str", item["hash"]) for item in cast("list[dict[str, object]]", slice_["entries"])]
