"""Calibrated nearest neighbour: is the release closer to this person than the population is?

Score: log((r + c) / (s + c)), with s the distance of the target to the nearest synthetic row, r its mean distance to
the five nearest reference rows, and c = 0.05 of a column's range so that two zeros do not decide. Dividing by r
(calibration) keeps people in dense regions, who are near everything, from looking like members.

Three questions are asked. The AUC over all targets says whether the average row leaks. The true positive rate at a
false positive rate of 1 % (Carlini et al. 2022: membership must be judged at low FPR) sees a small share of copies
that leaves the AUC at one half. The same at 5 % among the exposed tenths sees leaks of outliers and of small groups.

>>> round(float(calibrated(np.array([0.45]), np.array([0.05]))[0]), 4)
1.6094

Not guaranteed: a distance sees copies and near-copies. A release that encodes people differently (every row shifted
by a secret offset) can pass it; the canary audit does not depend on distance to people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.protocol import EXPOSED, AttackView, Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray

THREAT = ThreatModel(access="no_box", knowledge="one full record, reference rows of the population")
SMOOTHING = 0.05


def calibrated(reference_distance: FloatArray, release_distance: FloatArray) -> FloatArray:
    """log((r + c) / (s + c)): positive where the release is closer than the population."""
    return np.log((reference_distance + SMOOTHING) / (release_distance + SMOOTHING))


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestNeighbour:
    """Membership inference from calibrated distances."""

    name: str = "nearest_neighbour"
    version: str = "2"
    threat: ThreatModel = THREAT
    max_targets: int | None = 10_000

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """AUC and TPR at 1 % FPR over all targets, TPR at 5 % FPR in each exposed tenth."""
        base = "membership.nearest"
        return (
            Endpoint(name="auc", score="closeness", statistic="auc", stratum="all", limit_id=f"{base}.auc"),
            Endpoint(
                name="tpr_excess@fpr=0.01",
                score="closeness",
                statistic="tpr_excess",
                stratum="all",
                limit_id=f"{base}.tpr",
                fpr=0.01,
            ),
            *(
                Endpoint(
                    name="tpr_excess@fpr=0.05",
                    score="closeness",
                    statistic="roc_excess",
                    stratum=stratum,
                    limit_id=f"{base}.{stratum}",
                    fpr=0.05,
                )
                for stratum in EXPOSED
            ),
        )

    def score(self, view: AttackView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """How much closer the release is than the population."""
        return {"closeness": calibrated(view.isolation, view.release_distance())}
