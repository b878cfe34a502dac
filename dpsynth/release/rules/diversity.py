"""The rows fill the room that real rows fill, and do not repeat themselves.

    share = value / what a real holdout scores

for precision, recall, density and coverage of tables (`dpsynth.quality.diversity`), for coverage of texts and for their
variety, which is 1 less self-BLEU. The smallest share decides: precision alone is perfect for one good row repeated,
recall alone for noise.

Not guaranteed: variety where it matters. Near is near in all columns alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.losses import only
from dpsynth.release.policy import Policy
from dpsynth.release.remedies import TEXT_REMEDY, remedy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

if TYPE_CHECKING:
    from dpsynth.quality.report import QualityReport

COLUMNS: Final = ("precision", "recall", "density", "coverage")
TEXTS: Final = ("text_coverage", "text_self_bleu4")
_TINY: Final = 1e-9


def share(report: QualityReport, name: str) -> float:
    """What the draft scores, as a share of what real rows score.

    Raises:
        EvidenceMissing: the metric, its value or its reference is not there.
    """
    metric = need(only(report, name), f"the metric {name}")
    value, real = need(metric.value, f"the value of {name}"), need(metric.reference, f"the reference of {name}")
    if metric.better == "low":  # of repetition: how much is not repeated
        value, real = 1.0 - value, 1.0 - real
    return value / max(real, _TINY)


@final
class Diversity:
    """Least share of the diversity of real rows."""

    name: Final = "diversity"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        limits, draft = policy.quality.diversity, need(evidence.draft, "draft.json")
        if limits is None or (evidence.quality is None and not policy.quality.required):
            return finding(self, value=None, limit=None, passed=True, ok="The policy asks no diversity.", failed="")
        report = need(evidence.quality, "quality.json").report
        least: dict[str, float] = {}
        if draft.text is not None and limits.min_text_share is not None:
            least |= dict.fromkeys(TEXTS, float(limits.min_text_share))
        if draft.text is None or len(draft.tabular) > 1:
            least |= dict.fromkeys(COLUMNS, float(limits.min_share))
        if not least:
            return finding(self, value=None, limit=None, passed=True, ok="`quality` judges the texts.", failed="")
        shares = {name: share(report, name) for name in least}
        worst = min(shares, key=lambda name: shares[name] - least[name])
        value, limit = shares[worst], least[worst]
        return finding(
            self, value=round(value, 6), limit=limit, passed=value >= limit,
            ok="The rows are as diverse as the policy asks.",
            failed=f"By {worst} the rows have {value:.0%} of real rows' diversity; at least {limit:.0%} is asked. "
            f"{TEXT_REMEDY[worst] if worst in TEXTS else remedy(report, draft, times=limit / max(value, 0.05))}",
            confidential=True,
        )  # fmt: skip


RULE = Diversity()
