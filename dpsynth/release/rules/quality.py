"""Two-way error between real data (0) and data without any dependence (1), within the policy.

    shortfall = (matched - reference) / (shuffle - reference)

`matched` is the error with as many rows as the reference, a real holdout, has; `shuffle` that of the real
table with its columns permuted independently. Where real data is as far off as shuffled data, there is no
dependence to keep, and the error is held against the reference itself: (matched - reference) / reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

if TYPE_CHECKING:
    from dpsynth.quality.report import Metric, QualityReport

METRIC: Final = "tvd2_mean"


def only(report: QualityReport, name: str) -> Metric | None:
    """The metric of that name; None if it is absent or given twice."""
    found = [metric for metric in report.metrics if metric.name == name]
    return found[0] if len(found) == 1 else None


def _beyond_reference(metric: Metric) -> float:
    """(matched - reference) / reference, for a table whose real rows are as far off as shuffled ones."""
    reference = need(metric.reference or None, f"the reference of {METRIC}")
    need(metric.shuffle, f"the shuffled value of {METRIC}")
    return (need(metric.matched, f"the matched value of {METRIC}") - reference) / reference


def _furthest(report: QualityReport) -> str:
    """Where to begin: the pair of columns that lost most against a real holdout."""
    worst = max(report.pairs, key=lambda pair: pair.tvd - pair.reference, default=None)
    return "" if worst is None else f"The pair that lost most is {worst.left!r} and {worst.right!r}. "


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
        metric = need(only(report, METRIC), f"the metric {METRIC}")
        value, said = metric.shortfall, "of the way from real data to data without dependence"
        if value is None:
            value, said = _beyond_reference(metric), "beyond a real holdout, whose columns show no dependence to keep"
        return finding(
            self, value=value, limit=limit, passed=value <= limit,
            ok="Two-way error is within the limit.",
            failed=f"Two-way error is {value:.0%} {said}; at most {limit:.0%} is accepted. {_furthest(report)}"
            "Declare in the schema what is public, use more epsilon or fewer columns, or another generator.",
            confidential=True,
        )  # fmt: skip


RULE = Quality()
