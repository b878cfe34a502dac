"""Near-copies: is a text of the release an edited training text?

Score: the largest MinHash similarity of a target to a release text, minus that to a reference text, so that forms and
standard phrases, which everybody's texts are near to, do not count. Asked at a cut that one holdout text in twenty
passes (two honest docstrings in a hundred are near-copies of another). The positive control plants *paraphrases* of
members (`attacks.text.paraphrase`), not copies: a verbatim copy is found by every attack of this suite and would show
no power for what this one is there for.

>>> NearDuplicate().endpoints(Roles())[0].plant
'paraphrases'

Not guaranteed: free rewording with other words throughout. That needs a model of meaning, which is not used here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.protocol import Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray
from attacks.text.minhash import similarity
from attacks.text.view import TEXT_THREAT, TextView


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicate:
    """Excess of near-copies of members over nonmembers."""

    name: str = "text_near_duplicate"
    version: str = "2"
    threat: ThreatModel = TEXT_THREAT
    max_targets: int | None = None

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """TPR at 5 % FPR of the calibrated similarity."""
        return (
            Endpoint(
                name="tpr_excess@fpr=0.05",
                score="similarity",
                statistic="tpr_excess",
                stratum="all",
                limit_id="text.near_duplicate",
                fpr=0.05,
                planted="paraphrases",
            ),
        )

    def score(self, view: TextView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """Similarity to the nearest release text minus similarity to the nearest reference text."""
        own = view.targets.signatures
        base: FloatArray = view.cached("similarity", lambda: similarity(own, view.release.signatures))
        usual: FloatArray = view.cached("usual", lambda: similarity(own, view.reference.signatures))
        if view.planted is not None:
            base = np.maximum(base, similarity(own, view.planted.signatures))
        return {"similarity": base - usual}
