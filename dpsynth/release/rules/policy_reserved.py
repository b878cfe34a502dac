"""The policy applied now is the one that was in force when the budget was reserved: no lowering after a look."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class PolicyReserved:
    """Digest of the policy equals the one in the reservation and in the draft."""

    name: Final = "policy_reserved"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        reserved = need(need(evidence.ledger, "the ledger's commit").reserved_policy, "a policy in the reservation")
        drafted = need(evidence.draft, "draft.json").policy_digest
        current = policy.digest()
        return finding(
            self, value=current[:16], limit=reserved[:16], passed=current == reserved == drafted,
            ok="The policy is the one that was in force when the budget was reserved.",
            failed="The policy was changed after the budget was reserved. Restore it, or synthesize a new draft "
            "under the new one.",
        )  # fmt: skip


RULE = PolicyReserved()
