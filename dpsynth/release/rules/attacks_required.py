"""Every attack that the policy demands has run, and every limit that it names was asked for."""

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
        absent = {item.name for item in report.not_applicable}
        excused = {limit: name for limit, name in policy.attacks.may_be_not_applicable.items() if name in absent}
        asked = {row.limit_id for row in report.attacks}
        lacking = [name for name in policy.attacks.required if name not in ran.union(excused.values())]
        lacking += [limit for limit in policy.attacks.limits if limit not in asked.union(excused)]
        wanted = len(policy.attacks.required) + len(policy.attacks.limits)
        return finding(
            self, value=wanted - len(lacking), limit=wanted, passed=not lacking,
            ok="Every required attack has run.",
            failed=f"Not run: {', '.join(lacking)}. Run `dpsynth attack` on this draft.",
        )  # fmt: skip


RULE = AttacksRequired()
