"""Replay of identifiers: does the release contain somebody's card number, account, address or phone from training?

For each kind the values that stand in training and *not* in the holdout are asked one by one whether the release holds
them. What many people write (the hotline of a bank) stands on both sides and is left out. The rate has a Clopper-
Pearson interval over those values; the same rate of values of the holdout alone is the negative control: they can be in
the release only by chance or because the generator knew the holdout, and it is added to the limit.

Positive control: a share of the values is typed anew, in another grouping or case, and added to the release.

With fewer than 20 values of a kind and none of them replayed there is too little to show either way: the kind is then
listed as not applicable. A single replay is always asked.

>>> Proportion(hits=0, trials=60).upper(0.05) < 0.05
True

Not guaranteed: only identifiers of a known form. Names and addresses take a recogniser that is not in this package.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from attacks.controls import LADDER, PositiveControl
from attacks.evidence import MIN_GROUP
from attacks.limits import Limit
from attacks.protocol import Endpoint, ThreatModel
from attacks.report import NotApplicable
from attacks.rows import Asked
from attacks.statistics import clopper_pearson_lower, clopper_pearson_upper
from attacks.text.identifiers import KINDS, identifiers, rewritten
from attacks.verdict import Measurement

LIMIT_ID = "text.identifiers"
THREAT = ThreatModel(access="no_box", knowledge="the release alone")
ENDPOINT = Endpoint(
    name="replayed_share", score="replayed", statistic="rate_excess", stratum="all", limit_id=LIMIT_ID,
    planted="rewritten",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """Hits among trials with the exact interval of Clopper and Pearson (1934)."""

    hits: int
    trials: int
    method: str = "clopper_pearson"

    @property
    def estimate(self) -> float:
        """Observed rate."""
        return self.hits / self.trials

    def lower(self, alpha: float) -> float:
        """Exact lower bound at level `alpha`."""
        return clopper_pearson_lower(self.hits, self.trials, alpha=alpha)

    def upper(self, alpha: float) -> float:
        """Exact upper bound at level `alpha`."""
        return clopper_pearson_upper(self.hits, self.trials, alpha=alpha)

    def p_exceeds(self, limit: float) -> float:
        """Chance of as many hits if the rate were the limit."""
        if self.hits == 0:
            return 1.0
        return float(bdtrc(self.hits - 1, self.trials, limit)) if limit < 1.0 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Replay of one kind of identifier."""

    kind: str
    version: str = "1"
    threat: ThreatModel = THREAT

    @property
    def name(self) -> str:
        """As printed."""
        return f"identifiers:{self.kind}"


def attack_identifiers(
    release: Sequence[str],
    members: Sequence[str],
    nonmembers: Sequence[str],
    *,
    limit: Limit,
    family: int,
    trials: int,
    rng: np.random.Generator,
) -> tuple[list[Asked], list[NotApplicable]]:
    """One row for each kind that occurs, and the kinds for which nothing can be shown.

    Args:
        release: synthetic texts.
        members: training texts.
        nonmembers: holdout texts.
        limit: largest tolerated share of replayed values.
        family: number of endpoints that share the family-wise level.
        trials: plantings a share in the positive control.
        rng: draws the plants.
    """
    start = time.perf_counter()
    ours, theirs, made = (identifiers(texts) for texts in (members, nonmembers, release))
    rows, absent = [], []
    for kind in KINDS:
        own, others = sorted(ours[kind] - theirs[kind]), theirs[kind] - ours[kind]
        hits = len(made[kind].intersection(own))
        if hits == 0 and len(own) < MIN_GROUP:
            reason = f"Fewer than {MIN_GROUP} values of this kind stand in training alone, and none was replayed."
            absent.append(NotApplicable(name=f"identifiers:{kind}", reason=reason))
            continue
        measurement = Measurement(
            endpoint=ENDPOINT,
            limit=limit,
            members=len(own),
            nonmembers=len(others),
            effect=Proportion(hits=hits, trials=len(own)),
            control=Proportion(hits=len(made[kind] & others), trials=len(others)) if others else None,
            positive=_planted(kind, own, made[kind], limit, 0.05 / family, trials, rng),
        )
        rows.append(Asked(attack=Replay(kind=kind), measurement=measurement, seconds=time.perf_counter() - start))
        start = time.perf_counter()
    return rows, absent


def _planted(
    kind: str, own: list[str], made: set[str], limit: Limit, strict: float, trials: int, rng: np.random.Generator
) -> PositiveControl:
    """Types a share of the values anew until the lower bound exceeds the limit in eight of ten plantings."""
    result = PositiveControl(kind="rewritten", fraction=LADDER[0], detected=0, trials=trials)
    for fraction in (f for f in LADDER if f > limit.value):
        count = math.floor(fraction * len(own) + 1e-9)
        if count == 0:
            continue
        detected = 0
        for _ in range(trials):
            chosen = [own[i] for i in rng.permutation(len(own))[:count]]
            seen = identifiers(f"call {rewritten(kind, value, rng)}, please" for value in chosen)[kind] | made
            effect = Proportion(hits=len(seen.intersection(own)), trials=len(own))
            detected += effect.lower(strict) > limit.value
        result = PositiveControl(kind="rewritten", fraction=fraction, detected=detected, trials=trials)
        if result.caught:
            break
    return result
