"""Membership by meaning: is a text nearer to the release than a text of the population would be?

Score: the largest cosine of a target to a text of the release, minus its largest cosine to a reference text, in the
space of an embedding (`attacks.text.embedding`). This is the similarity attack of The Canary's Echo (Meeus et al. 2025,
arXiv 2502.14921), calibrated for each target by what the population writes anyway (as distances between rows are in
`attacks.membership.nearest_neighbour`). It does not need a single shared word pair, so it sees what was reworded. Asked
as AUC and at 1 % false positives, where the positive control plants paraphrases, and at 5 % among the tenth of texts
that the population finds most surprising, where it plants copies of those.

>>> [e.plant for e in EmbeddingMembership().endpoints(Roles())]
['random', 'paraphrases', 'tail']

Not guaranteed: that the embedding was never trained on members. The fallback is fitted on the release alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from attacks.protocol import Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray
from attacks.text.embedding import Embedding, LatentSemantic, Remembered, nearest
from attacks.text.view import TEXT_THREAT, TextView

SPACE = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingMembership:
    """Membership inference by calibrated similarity of points."""

    embedding: Embedding | None = None
    name: str = "text_embedding"
    version: str = "2"
    threat: ThreatModel = TEXT_THREAT
    max_targets: int | None = None
    _encoders: list[Remembered] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.embedding is not None:
            self._encoders.append(Remembered(embedding=self.embedding))

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """AUC, TPR at 1 % FPR, TPR at 5 % FPR among the most surprising tenth."""
        return (
            Endpoint(name="auc", score="nearness", statistic="auc", stratum="all", limit_id="text.embedding.auc"),
            Endpoint(
                name="tpr_excess@fpr=0.01",
                score="nearness",
                statistic="tpr_excess",
                stratum="all",
                limit_id="text.embedding.tpr",
                fpr=0.01,
                planted="paraphrases",
            ),
            Endpoint(
                name="tpr_excess@fpr=0.05",
                score="nearness",
                statistic="tpr_excess",
                stratum="tail",
                limit_id="text.embedding.tail",
                fpr=0.05,
            ),
        )

    def score(self, view: TextView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """Cosine to the nearest release text minus cosine to the nearest reference text."""
        space = self._space(view)
        own = view.cached((SPACE, "targets"), lambda: space.points(view.targets))
        base: FloatArray = view.cached((SPACE, "release"), lambda: nearest(own, self._release(view, space)))
        usual: FloatArray = view.cached((SPACE, "usual"), lambda: nearest(own, space.points(view.reference)))
        if view.planted is not None:
            base = np.maximum(base, nearest(own, space.points(view.planted)))
        return {"nearness": base - usual}

    def _space(self, view: TextView) -> LatentSemantic | Remembered:
        if self._encoders:
            return self._encoders[0]
        if SPACE not in view.shared:
            view.shared[SPACE] = LatentSemantic.fitted(view.release)
        space: LatentSemantic = view.shared[SPACE]
        return space

    def _release(self, view: TextView, space: LatentSemantic | Remembered) -> np.ndarray:
        if (SPACE, "points") not in view.shared:
            view.shared[SPACE, "points"] = space.points(view.release)
        points: np.ndarray = view.shared[SPACE, "points"]
        return points
