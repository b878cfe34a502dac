"""Every attack that the policy demands has run, and every limit that it names was asked for."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.asked import NO_LIMITS, attacks_asked
from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class AttacksRequired:
    """Attacks in the report cover the policy's list; one that has not run has found nothing.

    An attack that is run once for each column is named `attack:column`; the part before the colon counts. Columns of
    a table are attacked as a table, a text as texts: what is asked follows from the draft's columns.
    """

    name: Final = "attacks_required"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        report, draft = need(evidence.attack, "attack.json").report, need(evidence.draft, "draft.json")
        if draft.text is not None and policy.text is None:
            return finding(self, value=None, limit=None, passed=False, ok="", failed=NO_LIMITS)
        ran = {row.name.partition(":")[0] for row in report.attacks}
        absent = {item.name for item in report.not_applicable}
        if draft.text is not None:  # identifiers are asked kind by kind, and a kind may not occur
            absent |= {name.partition(":")[0] for name in absent if name.startswith("identifiers:")}
        wants = attacks_asked(policy, columns=bool(draft.tabular), text=draft.text is not None)
        excused = {limit: name for limit, name in wants.excused.items() if name in absent}
        asked = {row.limit_id for row in report.attacks}
        lacking = [name for name in wants.required if name not in ran.union(excused.values())]
        lacking += [limit for limit in wants.limits if limit not in asked.union(excused)]
        wanted = len(wants.required) + len(wants.limits)
        return finding(
            self, value=wanted - len(lacking), limit=wanted, passed=not lacking,
            ok="Every required attack has run.",
            failed=f"Not run: {', '.join(lacking)}. Run `dpsynth attack` on this draft.",
        )  # fmt: skip


RULE = AttacksRequired()
