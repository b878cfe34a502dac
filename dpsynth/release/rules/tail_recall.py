"""Values and pairs of values with 100 to 999 real rows occur, as often as a real holdout has them.

    recall = share of such cells that the draft has / share that a real holdout of as many rows has

Below a hundred rows noise at a small epsilon hides a cell from every generator, so a limit there would teach people to
drop columns: there `tails` warns. Cells of the band that the noise of the run cannot show (the report's resolution
limit) count as kept, each once: those that are there anyway make up for no other. Single values and pairs are judged
apart, the worse decides; bands without a cell ask nothing.

Not guaranteed: that a cell that occurs has its right share; `quality` and `tails` look at that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.remedies import remedy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

if TYPE_CHECKING:
    from dpsynth.quality.report import Band, QualityReport

LOW: Final = 100


def band_of(bands: tuple[Band, ...], what: str) -> Band:
    """The band from a hundred rows on.

    Raises:
        EvidenceMissing: there is not exactly one.
    """
    found = [band for band in bands if band.low == LOW]
    return need(found[0] if len(found) == 1 else None, f"the band of {what} with a hundred rows")


def recall(band: Band) -> float | None:
    """Cells kept, of those that a real holdout keeps; None for a band without cells."""
    if not band.cells:
        return None
    kept = need(band.excused_matched if band.unresolved else band.kept_matched, "the kept cells")
    real = need(band.kept_reference, "the holdout's kept cells")
    return kept / real if real > 0 else None


def _judged(report: QualityReport) -> dict[str, float]:
    bands = {"single values": band_of(report.tails1, "values"), "pairs of values": band_of(report.tails, "pairs")}
    found = {name: recall(band) for name, band in bands.items()}
    return {name: value for name, value in found.items() if value is not None}


@final
class TailRecall:
    """Share of rarer values and pairs that survive."""

    name: Final = "tail_recall"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        limits, draft = policy.quality.tails, need(evidence.draft, "draft.json")
        limit = None if limits is None else float(limits.min_recall)
        if limit is None or (evidence.quality is None and not policy.quality.required):
            return finding(self, value=None, limit=limit, passed=True, ok="The policy asks no recall.", failed="")
        report = need(evidence.quality, "quality.json").report
        if draft.text is not None and len(draft.tabular) < 2:
            return finding(self, value=None, limit=limit, passed=True, ok="Texts are judged by coverage.", failed="")
        judged = _judged(report)
        name, worst = min(judged.items(), key=lambda one: one[1], default=("", None))
        return finding(
            self, value=None if worst is None else round(worst, 6), limit=limit,
            passed=worst is None or worst >= limit,
            ok="Values and pairs of a hundred rows and more are there.",
            failed=f"Of {name} with 100 to 999 real rows, {worst or 0.0:.0%} of those are left that real rows keep; at "
            f"least {limit:.0%} is asked. {remedy(report, draft, times=limit / max(worst or 0.0, 0.05))}",
            confidential=True,
        )  # fmt: skip


RULE = TailRecall()
