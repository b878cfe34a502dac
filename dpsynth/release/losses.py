"""What a draft loses of what real data has, as a share with an interval: 0 nothing, 1 all of it.

    loss = (real - synthetic) / (real - nothing learned)

A score of a model is held against the same model trained on real rows, a distance against that of a real holdout.
Where real data teaches hardly anything itself (less than `LEAST`, a tenth of the score's range), the loss is held
against `LEAST`: of next to nothing, all may be lost by chance.

The rules judge ends of the interval, never the middle: a loss is beyond a limit for certain if its lower end is, and
shown to be within it if its upper end is. Missing ends are missing evidence.

>>> from dpsynth.quality.report import Metric
>>> gap = Metric(name="g", group="utility", value=0.06, reference=0.0, floor=0.0, shuffle=0.3, ci_low=0.03,
...              ci_high=0.09, better="low")
>>> of_gap(gap).high
0.3

Not guaranteed: intervals cover the draw of test rows, not of training rows or of the release.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from dpsynth.release.rules.protocol import need

if TYPE_CHECKING:
    from dpsynth.quality.report import Metric, QualityReport

LEAST: Final = 0.1
"""Of a score between 0 and 1."""
LEAST_DISTANCE: Final = 0.01
"""Of a mean two-way distance: tables with less dependence have none to speak of."""
_UNPAIRED: Final = 1.4
"""Times 1/sqrt(n): at least the 95 % half-width of a difference of two shares of n rows each."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A share that was lost, and its interval."""

    low: float
    value: float
    high: float

    def beyond(self, other: Loss) -> Loss:
        """How much more was lost here than there; there, being better than real data counts as losing nothing."""
        low, value, high = (max(one, 0.0) for one in (other.low, other.value, other.high))
        return Loss(low=self.low - high, value=self.value - value, high=self.high - low)


def only(report: QualityReport, name: str) -> Metric | None:
    """The metric of that name; None if it is absent or given twice."""
    found = [metric for metric in report.metrics if metric.name == name]
    return found[0] if len(found) == 1 else None


def of_gap(metric: Metric) -> Loss:
    """From the paired gap of two models' scores, whose `shuffle` is what real data teaches."""
    room = max(need(metric.shuffle, f"what real data teaches, in {metric.name}"), LEAST)
    low, value, high = (
        need(one, f"the interval of {metric.name}") for one in (metric.ci_low, metric.value, metric.ci_high)
    )
    return Loss(low=low / room, value=value / room, high=high / room)


def of_share(metric: Metric, rows: int | None) -> Loss:
    """From two shares of `rows` real texts each, without an interval of their own: the widest one is taken."""
    reference = need(metric.reference, f"the reference of {metric.name}")
    value = need(metric.value, f"the value of {metric.name}")
    worst = need(0.0 if metric.shuffle is None and metric.better == "high" else metric.shuffle,
                 f"the worst value of {metric.name}")  # fmt: skip
    room = max(abs(reference - worst), LEAST)
    lost = ((reference - value) if metric.better == "high" else (value - reference)) / room
    half = _UNPAIRED / math.sqrt(max(need(rows or None, f"the rows of {metric.name}"), 1)) / room
    return Loss(low=lost - half, value=lost, high=lost + half)


def of_recalls(metric: Metric) -> Loss:
    """From two means of recall over labels, of synthetic and of real training texts, by the intervals of both.

    Not by the number of texts: a label of five texts moves the mean as much as one of five thousand. Tested on the same
    texts, the two go together, so that the interval of their difference is no wider than that of strangers.
    """
    value, reference = need(metric.value, f"the value of {metric.name}"), need(metric.reference, metric.name)
    ends = (metric.ci_low, metric.ci_high, metric.reference_low, metric.reference_high)
    low, high, real_low, real_high = (need(one, f"the intervals of {metric.name}") for one in ends)
    room = max(reference - need(metric.shuffle, f"the worst value of {metric.name}"), LEAST)
    lost, down, up = (
        reference - value,
        math.hypot(high - value, reference - real_low),
        math.hypot(value - low, real_high - reference),
    )
    return Loss(low=(lost - down) / room, value=lost / room, high=(lost + up) / room)


def of_distance(metric: Metric, *, room: float) -> Loss:
    """What synthetic rows add to the distance of real ones, by the intervals of both.

    `matched`, if there, is the distance at as many rows as the reference has; the interval moves with it.
    """
    value, reference = need(metric.value, f"the value of {metric.name}"), need(metric.reference, metric.name)
    ends = (metric.ci_low, metric.ci_high, metric.reference_low, metric.reference_high)
    low, high, real_low, real_high = (need(one, f"the intervals of {metric.name}") for one in ends)
    by, more = max(room, LEAST_DISTANCE), 0.0 if metric.matched is None else metric.matched - value
    return Loss(
        low=(low + more - real_high) / by, value=(value + more - reference) / by, high=(high + more - real_low) / by
    )


def headline_gap(report: QualityReport, prefix: str = "") -> Metric | None:
    """The gap of the one score that is judged: AUC of classes, R2 of numbers."""
    return only(report, f"{prefix}tstr_auc_gap") or only(report, f"{prefix}tstr_r2_gap")
