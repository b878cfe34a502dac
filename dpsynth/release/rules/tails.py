"""Rare combinations: how far the tails are from real ones. A warning on the decision, never a refusal.

Below the noise floor no generator can keep a cell, so a limit here would only teach people to drop columns.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class Tails:
    """Worst shortfall of the tail metrics; a failure warns."""

    name: Final = "tails"
    on_fail: OnFail = "warn"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        limit = float(policy.quality.warn_tail_shortfall)
        if evidence.quality is None and not policy.quality.required:
            return finding(self, value=None, limit=limit, passed=True, ok="The policy requires no quality.", failed="")
        metrics = need(evidence.quality, "quality.json").report.metrics
        found = [metric.shortfall for metric in metrics if metric.group == "tails"]
        worst = max((value for value in found if value is not None), default=0.0)
        return finding(
            self, value=worst, limit=limit, passed=worst <= limit,
            ok="Tails are within the limit.",
            failed=f"Rare combinations are {worst:.0%} of the way from real to useless (warned above {limit:.0%}). "
            "Do not draw conclusions about small groups from these rows.",
            confidential=True,
        )  # fmt: skip


RULE = Tails()
