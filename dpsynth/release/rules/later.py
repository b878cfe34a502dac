"""What looks right on the holdout holds later as well: on real rows of a later time that no generator saw.

Two questions, of every figure of utility that is given twice (`dpsynth.quality.drift`):

    loss later          of what the *real* past teaches about the later time, for certain: within `max_loss`
    fall                loss later beyond the loss on the holdout, for certain: within `max_fall`

Real drift is no fault of the draft: models trained on real rows stand beside, and what they lose is not counted. A fall
that the intervals demonstrate is a **reject**: the figure that everybody looks at is good, and what it stands for is
not, so another draft of the same kind would be chosen by the same figure. So is an ablation in which the rows beat
having none on the holdout, and the same mix certainly harms later. Anything else regenerates.

Texts are held by pairs of words and coverage, with the widest interval that so many texts may have, and by what
learners make of them, with the interval of a mean over labels. Drafts without a later time pass, unless the policy
requires one: set aside before the fit, for a holdout that is cut afterwards says nothing of a time that the generator
saw.

Not guaranteed: the next time after that one; that an ablation was made, for no policy can ask for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from dpsynth.release.evidence import DraftDocument, Evidence
from dpsynth.release.losses import Loss, headline_gap, of_distance, of_gap, of_recalls, of_share, only
from dpsynth.release.policy import LaterLimits, Policy
from dpsynth.release.remedies import DIVERGING, remedy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

if TYPE_CHECKING:
    from dpsynth.quality.report import QualityReport

TEXTS: Final = ("text_js2", "text_coverage", "text_tstr_linear", "text_tstr_bayes")
_LABELLED: Final = TEXTS[2:]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Twice:
    """A loss on the holdout and on later rows; `absolute` if real data says what there is to lose later."""

    of: str
    now: Loss
    later: Loss
    absolute: bool

    def excess(self, limits: LaterLimits) -> tuple[float, str]:
        """By how much it is beyond its limits, 1 being at them, and which one."""
        asked = [(self.later.beyond(self.now).low / float(limits.max_fall), "fall")]
        if self.absolute:
            asked.append((self.later.low / float(limits.max_loss), "loss"))
        return max(asked)


def _columns(report: QualityReport) -> Iterator[_Twice]:
    plain = need(only(report, "tvd2_mean"), "the metric tvd2_mean")
    later = need(only(report, "later_tvd2_mean"), "the metric later_tvd2_mean")
    real = need(plain.reference, "the reference of tvd2_mean")
    room = need(plain.shuffle, "the shuffled value of tvd2_mean") - real
    added = of_distance(plain, room=room)
    yield _Twice(of="two-way error", now=added, later=of_distance(later, room=room), absolute=False)
    gap, later_gap = headline_gap(report), headline_gap(report, "later_")
    if report.utility is None and gap is None and later_gap is None:
        return
    need(report.utility, "the section utility")
    of = "what models learn of the target"
    now = of_gap(need(gap, "the gap on the holdout"))
    yield _Twice(of=of, now=now, later=of_gap(need(later_gap, "the gap on later rows")), absolute=True)


def _texts(report: QualityReport) -> Iterator[_Twice]:
    texts = need(report.text, "the section text").texts
    for name in TEXTS:
        plain, later = only(report, name), only(report, f"{name}_later")
        if name in _LABELLED and plain is None and later is None and not (report.text and report.text.labelled):
            continue
        plain, later = need(plain, f"the metric {name}"), need(later, f"the metric {name}_later")
        if name in _LABELLED:
            now, then = of_recalls(plain), of_recalls(later)
        else:  # at most `texts` of each set were looked at
            now, then = (of_share(one, min(need(rows, f"the rows of {one.name}"), texts)) for one, rows in
                         ((plain, report.rows.holdout), (later, report.rows.later)))  # fmt: skip
        yield _Twice(of=f"the texts' {name}", now=now, later=then, absolute=False)


def _harm(report: QualityReport) -> bool:
    """Whether the mix that beats real rows alone on the holdout certainly harms later."""
    if report.ablation is None:
        return False
    best = report.ablation.answer()
    if not best.beats_real or best.learner is None or best.mode is None or best.share is None:
        return False
    for mix in report.ablation.mixes:
        asked = (mix.test, mix.learner, mix.mode, mix.share, mix.score)
        if asked == ("later", best.learner, best.mode, best.share, report.ablation.primary):
            return mix.gain_high is not None and mix.gain_high < 0
    return False


def _given(report: QualityReport, draft: DraftDocument) -> bool:
    """Whether there is a later time to judge by: the draft says so, or figures of it are there."""
    named = any(m.name.startswith("later_") or m.name.endswith("_later") for m in report.metrics)
    return draft.time is not None or named or report.rows.later is not None


@final
class Later:
    """Losses on a later time, and how far they fall behind those on the holdout."""

    name: Final = "later"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        limits, draft = policy.quality.later, need(evidence.draft, "draft.json")
        if limits is None or (evidence.quality is None and not policy.quality.required):
            return finding(self, value=None, limit=None, passed=True, ok="The policy asks of no later time.", failed="")
        report = need(evidence.quality, "quality.json").report
        if draft.time is None and (limits.required or not _given(report, draft)):
            return finding(
                self, value=None, limit=None, passed=not limits.required, ok="No later time was set aside.",
                failed="The policy asks for figures of a later time, and none was set aside. Synthesize with --time "
                "COLUMN --since DATE.",
            )  # fmt: skip
        judged: list[_Twice] = []
        if draft.text is not None:
            judged += _texts(report)
        if draft.text is None or len(draft.tabular) > 1:
            judged += _columns(report)
        harm = _harm(report)
        found = max(judged, key=lambda one: one.excess(limits)[0])
        times, kind = found.excess(limits)
        fallen = harm or any(one.later.beyond(one.now).low > float(limits.max_fall) for one in judged)
        if harm and times <= 1:
            said = "Mixed with real rows these improve the holdout's figures and harm those of the later time."
        else:
            said = (
                f"In {found.of}, {found.now.value:.0%} is lost on the holdout and {found.later.value:.0%} later "
                f"(at least {found.later.low:.0%}); the limit of the {kind} is {self._limit(limits, kind):.0%}."
            )
        then = DIVERGING if fallen else remedy(report, draft, times=times)
        return finding(
            self, value=round(times, 6), limit=1.0, passed=times <= 1 and not harm,
            ok="What holds on the holdout holds on later rows, within the limits.", failed=f"{said} {then}",
            on_fail="reject" if fallen else None, confidential=True,
        )  # fmt: skip

    @staticmethod
    def _limit(limits: LaterLimits, kind: str) -> float:
        return float(limits.max_fall if kind == "fall" else limits.max_loss)


RULE = Later()
