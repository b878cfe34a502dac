"""The guarantee that the draft claims is the one that the ledger priced from the events that ran."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class GuaranteeRecorded:
    """Draft and ledger agree on events, guarantee, budget, reservation, data set and source."""

    name: Final = "guarantee_recorded"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:  # noqa: ARG002 - the protocol's
        """See `Rule`."""
        draft = need(evidence.draft, "draft.json")
        ledger = need(evidence.ledger, "the ledger's commit")
        claimed = need(draft.claimed, "the draft's guarantee")
        claims = {
            "guarantee": (claimed, ledger.guarantee),
            "events": (draft.events_digest, ledger.events_digest),
            "budget": (draft.budget_id, ledger.budget_id),
            "reservation": (draft.reservation_id, ledger.reservation_id),
            "run": (draft.run_id, ledger.run_id),
            "data set": (draft.dataset, ledger.dataset),
            "source": (draft.source_commitment, ledger.source_commitment),
        }
        wrong = [name for name, (claimed, recorded) in claims.items() if claimed != recorded]
        return finding(
            self, value=claimed.epsilon, limit=ledger.guarantee.epsilon, passed=not wrong,
            ok="The draft claims what the ledger recorded.",
            failed=f"Draft and ledger contradict each other on: {', '.join(wrong)}. Synthesize a new draft.",
        )  # fmt: skip


RULE = GuaranteeRecorded()
