"""Relation and unit are among those that the policy accepts, and the same in draft, commit and budget."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need, unit_words


@final
class RelationAndUnit:
    """An epsilon of another relation or unit is another quantity."""

    name: Final = "relation_and_unit"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        ledger = need(evidence.ledger, "the ledger's commit")
        claimed = need(need(evidence.draft, "draft.json").claimed, "the draft's guarantee")
        relation, unit = claimed.relation.value, claimed.unit.to_json()
        same = (ledger.relation, ledger.unit) == (relation, unit)
        allowed = relation in policy.guarantee.relations and claimed.unit.kind in policy.guarantee.units
        limit = f"{' or '.join(policy.guarantee.relations)}, {' or '.join(policy.guarantee.units)}"
        return finding(
            self, value=f"{relation}, {unit_words(unit)}", limit=limit, passed=same and allowed,
            ok="Relation and unit are those that the policy asks for.",
            failed=(
                f"Expected {limit}. Synthesize again with an accepted relation and unit."
                if same
                else "The draft's relation or unit is not that of its budget. Synthesize a new draft."
            ),
        )  # fmt: skip


RULE = RelationAndUnit()
