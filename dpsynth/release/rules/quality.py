"""Two-way error between real data (0) and data without any dependence (1), within the policy.

    shortfall = (matched - reference) / (shuffle - reference)

`matched` is the error with as many rows as the reference, a real holdout, has; `shuffle` that of the real
table with its columns permuted independently. Where real data is as far off as shuffled data, nothing can
be judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

if TYPE_CHECKING:
    from dpsynth.quality.report import QualityReport

METRIC: Final = "tvd2_mean"


def shortfall(report: QualityReport, name: str) -> float | None:
    """The named metric between real (0) and useless (1); None if it or an anchor is absent or given twice."""
    found = [metric for metric in report.metrics if metric.name == name]
    return found[0].shortfall if len(found) == 1 else None


@final
class Quality:
    """Shortfall of the mean two-way total variation within the limit."""

    name: Final = "quality"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        limit = float(policy.quality.max_tvd2_shortfall)
        if evidence.quality is None and not policy.quality.required:
            return finding(self, value=None, limit=limit, passed=True, ok="The policy requires no quality.", failed="")
        report = need(evidence.quality, "quality.json").report
        value = need(shortfall(report, METRIC), f"the metric {METRIC}")
        return finding(
            self, value=value, limit=limit, passed=value <= limit,
            ok="Two-way error is within the limit.",
            failed=f"Two-way error is {value:.0%} of the way from real data to data without dependence; "
            f"at most {limit:.0%} is accepted. Use more epsilon, fewer columns, or another generator.",
            confidential=True,
        )  # fmt: skip


RULE = Quality()
