"""Rare combinations: how far the tails are from real ones. A warning on the decision, never a refusal.

Below the noise floor no generator can keep a cell, so a limit here would only teach people to drop columns.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.quality.text.names import TAIL
from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class Tails:
    """Worst shortfall of the tail metrics, of rows and of texts; a failure warns."""

    name: Final = "tails"
    on_fail: OnFail = "warn"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        limit = float(policy.quality.warn_tail_shortfall)
        if evidence.quality is None and not policy.quality.required:
            return finding(self, value=None, limit=limit, passed=True, ok="The policy requires no quality.", failed="")
        metrics = need(evidence.quality, "quality.json").report.metrics
        texts = limit if policy.text is None else float(policy.text.warn_tail_shortfall)
        found = [(metric.shortfall, limit) for metric in metrics if metric.group == "tails"]
        found += [(metric.shortfall, texts) for metric in metrics if metric.name.startswith(TAIL)]
        judged = [(value, most) for value, most in found if value is not None]
        worst, limit = max(judged, key=lambda one: one[0] - one[1], default=(0.0, limit))
        return finding(
            self, value=worst, limit=limit, passed=worst <= limit,
            ok="Tails are within the limit.",
            failed=f"Rare combinations or words are {worst:.0%} of the way from real to useless (warned above "
            f"{limit:.0%}). "
            "Do not draw conclusions about small groups from these rows.",
            confidential=True,
        )  # fmt: skip


RULE = Tails()
