"""A draft goes to nobody for whom the budget that paid for it was not meant.

A budget's share says for whom it is: internal, restricted or public; `any` binds nothing. The policy says to whom
drafts that pass it may go; one that says nothing is read as public, since anybody may receive what passes it.

Not guaranteed: that a bundle stays with its recipients. The card names the class.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

WIDTH: Final = {"internal": 0, "restricted": 1, "public": 2, "any": 2}


@final
class Recipient:
    """The policy's recipients are no more than those of the share."""

    name: Final = "recipient"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        share = need(evidence.ledger, "the ledger's commit").recipient
        asked = policy.recipient or "public"
        return finding(
            self, value=asked, limit=share, passed=share in WIDTH and WIDTH[asked] <= WIDTH[share],
            ok="The budget that paid is meant for these recipients.",
            failed=f"The budget that paid is for recipients {share if share in WIDTH else 'unknown'}; this policy lets "
            f"drafts go to {asked}. Judge by a policy for those recipients, set before the reservation, or pay from "
            "another share.",
        )  # fmt: skip


RULE = Recipient()
