"""What the canaries prove about epsilon must not exceed what is claimed: otherwise the DP claim is false.

The lower bound holds for any mechanism with the claimed epsilon (one-run audit; Steinke, Nasr and Jagielski
2023), so a violation means an error in mechanism or accounting, not bad luck beyond the audit's level.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class EmpiricalEpsilon:
    """Empirical lower bound <= the ledger's epsilon."""

    name: Final = "empirical_epsilon"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:  # noqa: ARG002 - the protocol's
        """See `Rule`."""
        report = need(evidence.attack, "attack.json").report
        bound = need(report.epsilon_lower_bound, "the canaries' lower bound on epsilon").value
        claimed = need(evidence.ledger, "the ledger's commit").guarantee.epsilon
        return finding(
            self, value=bound, limit=float(claimed), passed=bound <= float(claimed),
            ok="The canaries do not contradict the claimed epsilon.",
            failed=f"The DP claim is false: the canaries prove epsilon > {bound:.3g}, claimed is {claimed}. "
            "Report this generator as defective; release nothing that it made.",
        )  # fmt: skip


RULE = EmpiricalEpsilon()
