"""Models learn from the rows what they learn from real ones, within the margin of the policy.

The same model is trained on the synthetic rows and on the real training rows, and tested on the real holdout (TSTR
against TRTR). A loss beyond `max_loss` for certain (lower end of its interval, `dpsynth.release.losses`) fails. Where
the policy names a `max_possible_loss`, the upper end must be within it: a holdout too small to show so has not shown
it. One score is judged: AUC of classes, R2 of numbers. Without a declared target there is nothing to predict, and
`quality` judges alone; texts are judged there too.

Not guaranteed: anything for another target or another learner.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.losses import headline_gap, of_gap
from dpsynth.release.policy import Policy
from dpsynth.release.remedies import remedy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class Utility:
    """Loss of what real data teaches about the target."""

    name: Final = "utility"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        limits = policy.quality.utility
        if limits is None or (evidence.quality is None and not policy.quality.required):
            need(evidence.draft, "draft.json")
            return finding(self, value=None, limit=None, passed=True, ok="The policy asks no utility.", failed="")
        report, draft = need(evidence.quality, "quality.json").report, need(evidence.draft, "draft.json")
        gap = headline_gap(report)
        if report.utility is None and gap is None:
            return finding(
                self,
                value=None,
                limit=None,
                passed=True,
                ok="There is no target; `quality` judges.",
                failed="",
                confidential=True,  # a condition may leave real rows of one class, and then there is none
            )
        need(report.utility, "the section utility")
        loss = of_gap(need(gap, "the gap between synthetic and real training rows"))
        judged, limit, end = loss.low, float(limits.max_loss), "lower"
        if limits.max_possible_loss is not None and loss.high - float(limits.max_possible_loss) > judged - limit:
            judged, limit, end = loss.high, float(limits.max_possible_loss), "upper"
        said = (
            f"A model trained on these rows loses {loss.value:.0%} ({loss.low:.0%} to {loss.high:.0%}) of what real "
            f"rows teach it; of the {end} end at most {limit:.0%} is accepted."
        )
        return finding(
            self, value=round(judged, 6), limit=limit, passed=judged <= limit,
            ok="Models learn from the rows what they learn from real ones, within the margin.",
            failed=f"{said} {remedy(report, draft, times=max(loss.value, judged) / limit)}", confidential=True,
        )  # fmt: skip


RULE = Utility()
