"""Epsilon of this release, as the ledger priced it, within the policy's limit: rows and figures together."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.figures import together
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class EpsilonPerRelease:
    """Epsilon in the relation and unit of the budget."""

    name: Final = "epsilon_per_release"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        ledger = need(evidence.ledger, "the ledger's commit")
        epsilon = together(ledger.guarantee.epsilon, ledger.figures)
        limit = policy.guarantee.max_epsilon_per_release
        return finding(
            self, value=epsilon, limit=limit, passed=epsilon <= limit,
            ok="The release's epsilon is within the limit.",
            failed=f"Expected epsilon at most {limit}. Synthesize with a smaller one; this stays charged.",
        )  # fmt: skip


RULE = EpsilonPerRelease()
