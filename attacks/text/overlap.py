"""Calibrated n-gram overlap: how many of a text's 4-grams does the release hold that the population does not?

Score: mean over the text's 4-grams of [in the release] - [in the reference texts]. What everybody writes cancels, what
only the release and this text share counts; of texts that are wholly in the release the longer one scores a trifle
more. Without a language model, so it does not depend on smoothing, and unlike the 2-gram ratio it does not lose a
copied passage in a long text of common pairs.

>>> CalibratedOverlap().endpoints(Roles())[1].fpr
0.01

Not guaranteed: a release that shares no four words in a row with its training texts is not seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.protocol import Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray
from attacks.text.view import TEXT_THREAT, TextView

WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedOverlap:
    """Membership inference by 4-grams of the release that the population lacks."""

    name: str = "text_overlap"
    version: str = "2"
    threat: ThreatModel = TEXT_THREAT
    max_targets: int | None = None

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """AUC and TPR at 1 % FPR."""
        return (
            Endpoint(name="auc", score="overlap", statistic="auc", stratum="all", limit_id="text.overlap.auc"),
            Endpoint(
                name="tpr_excess@fpr=0.01",
                score="overlap",
                statistic="tpr_excess",
                stratum="all",
                limit_id="text.overlap.tpr",
                fpr=0.01,
            ),
        )

    def score(self, view: TextView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """Share of 4-grams in the release minus share in the reference, ties broken by length."""
        seen = (view.in_release(WORDS) > 0).astype(np.float64) - (view.in_reference(WORDS) > 0)
        share = view.per_target(seen, WORDS)
        return {"overlap": share + 1e-6 * np.sign(share) * np.minimum(view.targets.lengths, 1e5)}
