"""Planted canary rows are a small share of what was fitted: they cost utility and must not dominate the model."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class CanaryShare:
    """Canaries over released row total within the limit."""

    name: Final = "canary_share"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        share = need(evidence.draft, "draft.json").canaries.share
        limit = policy.attacks.max_canary_share
        return finding(
            self, value=share, limit=limit, passed=share <= limit,
            ok="The share of canaries is within the limit.",
            failed=f"Expected a canary share of at most {limit}. Synthesize with fewer canaries.",
        )  # fmt: skip


RULE = CanaryShare()
