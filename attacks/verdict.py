"""Three verdicts, decided by one pure function.

    fail           the lower bound exceeds the limit: a leak beyond it is demonstrated
    pass           the upper bound is below the limit, and a planted leak was caught: its absence is demonstrated
    inconclusive   anything else, with the reason; it blocks a release like a failure

Failing is corrected for the number of endpoints by Holm's procedure, so a harmless release fails anywhere with
probability at most 5 %. Passing needs no correction: all endpoints must pass, each at 5 %, and an intersection-union
test of level 5 % is a test of level 5 % (Berger 1982). "No significant leak found" alone never passes.

What the negative control reads on the same targets is added to the limit before a failure is called, and so is the
drift between members and holdout, a significant amount of which rules a pass out.

>>> worst(["pass", "inconclusive", "pass"])
'inconclusive'

Not guaranteed: a pass speaks of these endpoints, these targets and these limits only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from attacks.controls import LADDER, PositiveControl
from attacks.evidence import MIN_GROUP
from attacks.limits import Limit
from attacks.power import POWER, nonmembers_needed
from attacks.protocol import Endpoint
from attacks.statistics import Effect, PairedDifference, RateDifference, holm
from attacks.targets import EXPOSED_SHARE

Verdict = Literal["pass", "fail", "inconclusive"]
FAMILY_ALPHA = 0.05
_ORDER = ("pass", "inconclusive", "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All that a verdict on one endpoint rests on.

    Attributes:
        endpoint: what was asked.
        limit: what is tolerated.
        members: members in the stratum.
        nonmembers: nonmembers in the stratum.
        effect: None where a group is too small.
        control: the negative control's reading.
        positive: the planted leak that was caught, or the last one tried.
        drift: 0, or how far members and holdout differ in how isolated they are among holdout rows (twice the
            distance of that AUC from one half), where the difference is significant.
        remedy: what would settle the question, where that is not more holdout rows.
    """

    endpoint: Endpoint
    limit: Limit
    members: int
    nonmembers: int
    effect: Effect | None
    control: Effect | None
    positive: PositiveControl | None
    drift: float = 0.0
    remedy: str | None = None

    @property
    def bar(self) -> float:
        """The limit, raised by what the negative control reads on the same targets, and by drift."""
        read = 0.0 if self.control is None else self.control.estimate - self.endpoint.chance
        return min(1.0, self.limit.value + max(0.0, read) + self.drift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Verdict and reason, and the level at which the lower bound was asked."""

    verdict: Verdict
    reason: str
    alpha: float
    confounded: bool


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst verdict; without a single one nothing was shown, so `inconclusive`."""
    return max(verdicts, key=_ORDER.index, default="inconclusive")


def decide(measurements: Sequence[Measurement]) -> list[Decision]:
    """Verdicts of a family of endpoints."""
    p_values = [1.0 if m.effect is None else m.effect.p_exceeds(m.bar) for m in measurements]
    adjusted = holm(p_values)
    ranks = sorted(range(len(p_values)), key=lambda i: p_values[i])
    family = len(measurements)
    decisions = {}
    for rank, i in enumerate(ranks):
        alpha = FAMILY_ALPHA / (family - rank)
        decisions[i] = _decide_one(measurements[i], adjusted[i] <= FAMILY_ALPHA, alpha, FAMILY_ALPHA / family)
    return [decisions[i] for i in range(family)]


def _decide_one(m: Measurement, demonstrated: bool, alpha: float, strict: float) -> Decision:
    limit, chance = m.limit.value, m.endpoint.chance
    confounded = m.control is not None and m.control.lower(strict) > limit
    verdict: Verdict = "inconclusive"
    if m.effect is None and m.remedy is not None:
        reason = f"Too few trials. {m.remedy}"
    elif m.effect is None:
        reason = (
            f"Too few people: a verdict needs {MIN_GROUP} members and {MIN_GROUP} nonmembers in the stratum at least, "
            f"and about {needed(m)} holdout rows to pass at this limit."
        )
    elif confounded:
        reason = (
            "The negative control, which knows no member, exceeds the limit too: training and holdout differ in "
            "themselves. Split them at random."
        )
    elif demonstrated:
        verdict, reason = "fail", "The lower bound exceeds the limit."
        if m.bar > limit:
            reason = "The lower bound exceeds the limit, even after adding what the negative control reads."
    elif m.drift > 0.0:
        reason = (
            "Members and holdout differ in themselves: one group is more isolated among holdout rows than the other. "
            "Split them at random."
        )
    elif m.effect.upper(strict) < chance - (limit - chance):
        reason = _backwards(m)
    elif m.positive is not None and m.positive.kind == "paraphrases" and not m.positive.caught:
        reason = _no_power(m, strict)
    elif m.effect.upper(FAMILY_ALPHA) >= limit:
        reason = _not_below(m)
    elif m.positive is None or not m.positive.caught or m.positive.fraction > m.limit.planted:
        reason = _no_power(m, strict)
    else:
        verdict = "pass"
        reason = f"The upper bound is below the limit, and {_plants(m)} of {m.positive.fraction:.1%} were caught."
    return Decision(verdict=verdict, reason=reason, alpha=alpha, confounded=confounded)


def _backwards(m: Measurement) -> str:
    if m.endpoint.statistic in ("auc", "roc_excess", "tpr_excess"):
        found = "The release is closer to the holdout than to the training rows"
    elif m.endpoint.statistic == "mean_excess":
        found = "Secrets of holdout rows are guessed better than those of training rows"
    else:
        found = "The release finds holdout rows more often than training rows"
    return (
        f"{found}, by more than the limit: the two tables may be swapped, the holdout may have been used for training, "
        "or the attack favours the smaller group. Check the split."
    )


def _plants(m: Measurement) -> str:
    kind = None if m.positive is None else m.positive.kind
    return {"paraphrases": "planted paraphrases", "rewritten": "planted values"}.get(str(kind), "planted copies")


def _not_below(m: Measurement) -> str:
    if m.remedy is not None:
        return f"The upper bound is not below the limit. {m.remedy}"
    have = m.nonmembers if m.endpoint.stratum == "all" else m.nonmembers / EXPOSED_SHARE
    if have >= needed(m):
        return (
            "The upper bound is not below the limit, with enough holdout rows for a release without leak to pass in "
            "four of five cases: take it for a leak near the limit, or for the fifth case."
        )
    return (
        f"The upper bound is not below the limit. About {needed(m)} holdout rows would let a release without "
        "leak pass with 80 % power."
    )


def _no_power(m: Measurement, strict: float) -> str:
    if m.positive is not None and m.positive.kind == "paraphrases" and not m.positive.caught:
        return "No power: Too few planted paraphrases were found, so what is reworded would be missed."
    if m.positive is not None and m.positive.caught:
        return (
            f"No power: {_plants(m)} of {m.limit.planted:.1%} of the people must be caught, the smallest share "
            f"caught was {m.positive.fraction:.1%}. {m.remedy or _more_rows(m, m.positive.fraction, strict)}"
        )
    if m.remedy is not None:
        return f"No power: not even copies of everybody fail. {m.remedy}"
    return (
        "No power: Not even copies of everybody would exceed the limit. Either there are too few people or columns, or "
        "people have twins on both sides (several rows of one person and no unit column), or the release has so many "
        "rows that everybody is near one of them, copied or not, or the value is known of nearly everybody without the "
        "release. More people, a unit column, fewer released rows, a lower limit, or (for a secret that is none) "
        "another role are needed."
    )


def _more_rows(m: Measurement, caught: float, strict: float) -> str:
    """What catches the share that must be caught, if the effect of copies is in proportion to their share.

    A share is caught about where its effect is the limit and the error of the bound. The latter falls as one over the
    root of the people; what the share itself must move does not.
    """
    if m.effect is None:
        return "More holdout rows or finer columns are needed."
    first = math.sqrt(caught * max((step for step in LADDER if step < caught), default=caught))  # it lies between
    error, margin = m.effect.estimate - m.effect.lower(strict), m.limit.value - m.endpoint.chance
    left = (error + margin) * m.limit.planted / first - margin
    if error <= 0.0 or left <= 0.0:
        return "More rows will hardly do: copies do not stand out among these columns. Finer columns are needed."
    rows = m.nonmembers * (error / left) ** 2 / (1.0 if m.endpoint.stratum == "all" else EXPOSED_SHARE)
    return f"About {max(math.ceil(rows), needed(m)):,} holdout rows, and as many members, or finer columns are needed."


def needed(m: Measurement) -> int:
    """About how many holdout rows let a release without leak pass with 80 % power."""
    return _rows_to_pass(m.endpoint, m.limit, m.effect, max(m.members, 1) / max(m.nonmembers, 1), POWER)


def conclusive(asked: Sequence[tuple[Endpoint, Limit]]) -> int:
    """About how many members, and as many others, let a release without leak pass all of this with 80 % power.

    Each question is given its part of the 20 % (Bonferroni), and hit rates of 1 % where an endpoint names none. A pass
    also asks that planted copies are caught: where these stand out, fewer people do; where they do not, no number does.
    """
    power = 1.0 - (1.0 - POWER) / max(len(asked), 1)
    return max((_rows_to_pass(endpoint, limit, None, 1.0, power) for endpoint, limit in asked), default=MIN_GROUP)


def _rows_to_pass(endpoint: Endpoint, limit: Limit, effect: Effect | None, ratio: float, power: float) -> int:
    if endpoint.statistic == "auc":
        spread = math.sqrt(1.0 / 12.0)
    elif endpoint.statistic == "mean_excess":
        spread = 0.5
    else:
        rate = endpoint.fpr or 0.01
        if isinstance(effect, RateDifference):
            rate = max(rate, effect.hits0 / effect.n0)
        elif isinstance(effect, PairedDifference):
            rate = max(rate, effect.second / effect.trials)
        spread = math.sqrt(rate * (1.0 - rate))
    margin = max(limit.value - endpoint.chance, 1e-3)
    count = nonmembers_needed(spread=spread, margin=margin, members_per_nonmember=ratio, power=power)
    scale = 1.0 if endpoint.stratum == "all" else 1.0 / EXPOSED_SHARE
    return max(math.ceil(count * scale), math.ceil(MIN_GROUP * scale))
