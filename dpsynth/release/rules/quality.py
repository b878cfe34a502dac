"""Two-way error between real data (0) and data without any dependence (1), within the policy.

    shortfall = (matched - reference) / (shuffle - reference)

`matched` is the error with as many rows as the reference, a real holdout, has; `shuffle` that of the real
table with its columns permuted independently. Where real data is as far off as shuffled data, there is no
dependence to keep, and the error is held against the reference itself: (matched - reference) / reference.

Texts are judged by the worst of three metrics, each 0 for real held-out texts: the divergence of pairs of words, which
sees order (1: words drawn at random), coverage, which sees lost topics (1: none is left), and self-BLEU, which sees a
set that repeats itself (1: one text over and over). A draft with a text and other columns is judged as both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from dpsynth.quality.text.names import HEADLINES
from dpsynth.release.asked import NO_LIMITS
from dpsynth.release.evidence import DraftDocument, Evidence
from dpsynth.release.losses import only
from dpsynth.release.policy import Policy
from dpsynth.release.remedies import TEXT_REMEDY, remedy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

if TYPE_CHECKING:
    from dpsynth.quality.report import Metric, QualityReport

METRIC: Final = "tvd2_mean"
_TINY: Final = 1e-9
WORDS: Final = {
    "text_js2": "from real texts to words drawn at random, by pairs of words",
    "text_coverage": "from real texts to none, by the real texts that have a synthetic one near",
    "text_self_bleu4": "from real texts to one text over and over, by self-BLEU",
}


def _shortfall(metric: Metric) -> tuple[float, bool]:
    """The shortfall; where real data is as bad as what learned nothing, the error relative to the reference."""
    if metric.shortfall is not None:
        return metric.shortfall, True
    reference = need(metric.reference or None, f"the reference of {metric.name}")
    need(metric.shuffle, f"the shuffled value of {metric.name}")
    value = need(metric.value if metric.matched is None else metric.matched, f"the value of {metric.name}")
    better, worse = (reference, value) if metric.better == "low" else (value, reference)
    return worse / max(better, _TINY) - 1, False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One figure, its limit, and what to say if it is beyond."""

    value: float
    limit: float
    failed: str


def _pairs(report: QualityReport, draft: DraftDocument, limit: float) -> _Judged:
    value, anchored = _shortfall(need(only(report, METRIC), f"the metric {METRIC}"))
    said = (
        "of the way from real data to data without dependence"
        if anchored
        else "beyond a real holdout, whose columns show no dependence to keep"
    )
    return _Judged(
        value=value,
        limit=limit,
        failed=f"Two-way error is {value:.0%} {said}; at most {limit:.0%} is accepted. "
        f"{remedy(report, draft, times=value / limit)}",
    )


def _text(report: QualityReport, name: str, limit: float) -> _Judged:
    value, anchored = _shortfall(need(only(report, name), f"the metric {name}"))
    said = f"of the way {WORDS[name]}" if anchored else f"beyond real held-out texts by {name}"
    return _Judged(
        value=value,
        limit=limit,
        failed=f"The texts are {value:.0%} {said}; at most {limit:.0%} is accepted. {TEXT_REMEDY[name]}",
    )


@final
class Quality:
    """Shortfalls of two-way total variation, and of the texts' headline metrics, within their limits."""

    name: Final = "quality"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        if evidence.quality is None and not policy.quality.required:
            limit = float(policy.quality.max_tvd2_shortfall)
            return finding(self, value=None, limit=limit, passed=True, ok="The policy requires no quality.", failed="")
        report, draft = need(evidence.quality, "quality.json").report, need(evidence.draft, "draft.json")
        judged = []
        if draft.text is not None:
            if policy.text is None:
                return finding(self, value=None, limit=None, passed=False, ok="", failed=NO_LIMITS)
            judged += [_text(report, name, float(policy.text.max_text_shortfall)) for name in HEADLINES]
        if draft.text is None or len(draft.tabular) > 1:  # one column beside a text has no pair
            judged.append(_pairs(report, draft, float(policy.quality.max_tvd2_shortfall)))
        worst = max(judged, key=lambda one: one.value - one.limit)
        return finding(
            self, value=worst.value, limit=worst.limit, passed=worst.value <= worst.limit,
            ok="Every error is within its limit.", failed=worst.failed, confidential=True,
        )  # fmt: skip


RULE = Quality()
