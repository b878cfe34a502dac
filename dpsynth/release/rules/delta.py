"""Delta within the policy: absolutely, and against the released row total.

Delta is the chance that the guarantee does not hold; above 1/n it would allow to publish one whole record.
The row total is the released (noisy) one: the true one is private.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class Delta:
    """delta <= max_delta and delta * released rows <= max_delta_times_rows."""

    name: Final = "delta"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        delta = need(evidence.ledger, "the ledger's commit").guarantee.delta
        rows = need(evidence.draft, "draft.json").row_total
        limit = min(policy.guarantee.max_delta, policy.guarantee.max_delta_times_rows / rows)
        return finding(
            self, value=delta, limit=limit, passed=delta <= limit,
            ok="Delta is within the limit.",
            failed=f"Expected delta at most {limit:.3g}. Synthesize again with a smaller delta.",
        )  # fmt: skip


RULE = Delta()
