"""Every attack that the policy demands has run."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class AttacksRequired:
    """Attacks in the report cover the policy's list; one that has not run has found nothing.

    An attack that is run once for each column is named `attack:column`; the part before the colon counts.
    """

    name: Final = "attacks_required"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        report = need(evidence.attack, "attack.json").report
        ran = {row.name.partition(":")[0] for row in report.attacks}
        excused = {item.name for item in report.not_applicable} & set(policy.attacks.may_be_not_applicable)
        lacking = [name for name in policy.attacks.required if name not in ran | excused]
        return finding(
            self, value=len(policy.attacks.required) - len(lacking), limit=len(policy.attacks.required),
            passed=not lacking,
            ok="Every required attack has run.",
            failed=f"Not run: {', '.join(lacking)}. Run `dpsynth attack` on this draft.",
        )  # fmt: skip


RULE = AttacksRequired()
