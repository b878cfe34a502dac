"""All that the data's budget grants is within the policy, and no more was charged than granted.

The budget is the whole: for a share its root, as amended, and all that any share of it spent or reserved, in the
(epsilon, delta) that its filter proves. Whoever raises the whole later raises what this rule sees.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class EpsilonTotal:
    """Granted epsilon within the limit; spent and reserved within the grant."""

    name: Final = "epsilon_total"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        ledger = need(evidence.ledger, "the ledger's commit")
        limit = policy.guarantee.max_epsilon_total
        within = ledger.charged_epsilon <= ledger.granted_epsilon and ledger.charged_delta <= ledger.granted_delta
        return finding(
            self, value=ledger.granted_epsilon, limit=limit, passed=within and ledger.granted_epsilon <= limit,
            ok="The budget of this data is within the policy and not overspent.",
            failed=(
                f"Expected a budget of at most epsilon {limit} for this data. Create budgets within the policy."
                if within
                else "More was charged than this data's budget grants. Nothing more may leave from it."
            ),
        )  # fmt: skip


RULE = EpsilonTotal()
