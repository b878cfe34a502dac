"""Controls: a planted leak that must be caught, and a release without members that must not be.

Positive control. Exact copies of known members are added to the release, of a random share of all members (`random`)
or of those in an exposed tenth (`tail`, `rare`, `group`), and the identical attack runs on the identical targets. An
endpoint has caught a share if it fails the planted release in at least eight of ten plantings; the smallest share
caught is the endpoint's power in plain words: "would have seen copies of 1 % of the people".

Negative control. Holdout rows of the other folds play the release: real rows that were never trained on. Whatever the
endpoint reads there is the split's doing and not a leak, so it is added to the limit before a failure is called, and
an endpoint that fails its negative control says nothing about the release.

>>> PositiveControl(kind="random", fraction=0.01, detected=9, trials=10).caught
True

Not guaranteed: planted copies are added, not exchanged for rows, and carry no noise. Leaks of another kind can be
larger and unseen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded
from attacks.evidence import Cohort, look, measure
from attacks.protocol import Attack, Endpoint, PlantKind, QueryAttack
from attacks.statistics import Effect, FloatArray

LADDER = (0.005, 0.01, 0.02, 0.05, 0.10, 0.20, 0.35, 0.50, 0.75, 1.00)
CAUGHT_SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class PositiveControl:
    """Planted share of the members (or of the stratum's), and in how many plantings the endpoint failed the release."""

    kind: PlantKind
    fraction: float
    detected: int
    trials: int

    @property
    def caught(self) -> bool:
        """Whether the endpoint failed the planted release in at least eight of ten plantings."""
        return self.trials > 0 and self.detected >= CAUGHT_SHARE * self.trials


def negative_scores(
    attack: Attack | QueryAttack, endpoints: Sequence[Endpoint], cohorts: Sequence[Cohort], rng: np.random.Generator
) -> list[dict[str, FloatArray]]:
    """The attack's scores when the other folds' holdout rows are the release."""
    scores, keys = [], [e.score for e in endpoints]
    for cohort in cohorts:
        view = cohort.view.with_release(cohort.view.reference if cohort.unseen is None else cohort.unseen)
        scores.append(look(attack, cohort, view, keys, rng))
    return scores


def positive_controls(
    attack: Attack | QueryAttack,
    endpoints: Sequence[Endpoint],
    cohorts: Sequence[Cohort],
    plants: Callable[[PlantKind], Encoded],
    *,
    fails: Callable[[Endpoint, Effect], bool],
    smallest: Mapping[Endpoint, float],
    trials: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> dict[Endpoint, PositiveControl]:
    """Climbs the ladder of planted shares until every endpoint has caught one.

    Args:
        attack: the attack under test.
        endpoints: those with enough targets to be measured.
        cohorts: the folds with the release as it is.
        plants: candidates by kind: rows of all members, or of those in the stratum.
        fails: whether an effect would have been called a failure.
        smallest: share below which copies alone cannot reach the endpoint's limit; not tried.
        trials: plantings a share.
        rng: draws the members to plant.
        progress: receives (steps done, steps in all).

    Returns:
        For each endpoint the first share caught, or the last one tried.
    """
    results: dict[Endpoint, PositiveControl] = {}
    kinds = list(dict.fromkeys(e.plant for e in endpoints))
    for at, kind in enumerate(kinds):
        pending, candidates = [e for e in endpoints if e.plant == kind], plants(kind)
        orders = [rng.permutation(len(candidates)) for _ in range(trials)]
        for step, fraction in enumerate(LADDER):
            progress(at * len(LADDER) + step, len(kinds) * len(LADDER))
            count = round(fraction * len(candidates))
            able = [e for e in pending if fraction >= smallest[e]]
            if count == 0 or not able:
                continue
            found = _plantings(attack, able, cohorts, candidates, orders, count, fails, rng)
            for endpoint, detected in found.items():
                results[endpoint] = PositiveControl(kind=kind, fraction=fraction, detected=detected, trials=trials)
            pending = [e for e in pending if e not in found or not results[e].caught]
    progress(len(kinds) * len(LADDER), len(kinds) * len(LADDER))
    return results


def _plantings(
    attack: Attack | QueryAttack,
    pending: Sequence[Endpoint],
    cohorts: Sequence[Cohort],
    candidates: Encoded,
    orders: Sequence[NDArray[np.intp]],
    count: int,
    fails: Callable[[Endpoint, Effect], bool],
    rng: np.random.Generator,
) -> dict[Endpoint, int]:
    """Detections of each endpoint when `count` candidates are planted; stops when none can reach the share."""
    detected = dict.fromkeys(pending, 0)
    keys = list(dict.fromkeys(e.score for e in pending))
    allowed = math.floor((1.0 - CAUGHT_SHARE) * len(orders) + 1e-9)
    for trial, order in enumerate(orders):
        if all(trial - hits > allowed for hits in detected.values()):
            break
        planted = candidates.take(order[:count])
        scores = []
        for cohort in cohorts:
            view = cohort.view.with_planted(planted)
            scores.append(look(attack, cohort, view, keys, rng))
        for endpoint in pending:
            effect = measure(endpoint, cohorts, scores)
            detected[endpoint] += effect is not None and fails(endpoint, effect)
    return detected
