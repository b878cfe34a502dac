"""Membership from word pairs: would a language model of the release have written this text rather than one of the
population?

Score: mean over the words of log p_release(w | v) - log p_reference(w | v), each a 2-gram model with interpolation,

    p(w | v) = (c(v w) + k p(w)) / (c(v) + k),    p(w) = (c(w) + 1/2) / (N + V / 2)

This is the data-only attack of The Canary's Echo (Meeus et al. 2025, arXiv 2502.14921), which has no public code: the
generator is never asked, its output is the model. Texts whose pairs the release repeats beyond what the population
explains look like members. A text's own wording need not be repeated anywhere, so it sees generators that verbatim
overlap passes. Asked as AUC, at 1 % false positives, and at 5 % among the tenth of texts that the population finds
most surprising.

>>> NgramMembership().endpoints(Roles())[0].chance
0.5

Not guaranteed: a generator that rewords throughout leaves few pairs; a DP one leaves none that it was not paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.protocol import Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray
from attacks.text.tokens import Texts, grams
from attacks.text.view import TEXT_THREAT, TextView

Numbers = NDArray[np.int64]
STRENGTH = 1.0
"""k: how many observations of v the 1-gram model is worth."""


def log_probability(pair: Numbers, first: Numbers, second: Numbers, total: int, vocabulary: int) -> FloatArray:
    """Log p(w | v) from counts of the pair v w, of v and of w."""
    single = (second + 0.5) / (total + 0.5 * vocabulary)
    return np.asarray(np.log((pair + STRENGTH * single) / (first + STRENGTH)))


def pair_positions(texts: Texts) -> tuple[Numbers, Numbers]:
    """Positions, in all words, of the first and the second word of every pair (a one-word text pairs with itself)."""
    owner = grams(texts, 2)[1]
    lengths = texts.lengths
    before = np.concatenate([[0], np.cumsum(np.maximum(lengths - 1, (lengths > 0).astype(np.int64)))[:-1]])
    first = np.arange(len(owner)) - before[owner] + texts.starts[:-1][owner]
    return first, first + (lengths[owner] > 1)


def surprise(view: TextView) -> FloatArray:
    """Mean of -log p_reference(w | v) of each target: how unusual the population finds it."""
    found: FloatArray = view.cached("surprise", lambda: -view.per_target(_reference(view), 2))
    return found


def _reference(view: TextView) -> FloatArray:
    def build() -> FloatArray:
        first, second = view.cached("pairs", lambda: pair_positions(view.targets))
        single = view.in_reference(1)
        total, distinct = len(view.reference.words), len(np.unique(view.reference.words)) + 1
        return log_probability(view.in_reference(2), single[first], single[second], total, distinct)

    found: FloatArray = view.cached("log_reference", build)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramMembership:
    """Membership inference by the likelihood ratio of two 2-gram models."""

    name: str = "text_ngram"
    version: str = "2"
    threat: ThreatModel = TEXT_THREAT
    max_targets: int | None = None

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """AUC, TPR at 1 % FPR, TPR at 5 % FPR among the most surprising tenth."""
        return (
            Endpoint(name="auc", score="ratio", statistic="auc", stratum="all", limit_id="text.ngram.auc"),
            Endpoint(
                name="tpr_excess@fpr=0.01",
                score="ratio",
                statistic="tpr_excess",
                stratum="all",
                limit_id="text.ngram.tpr",
                fpr=0.01,
            ),
            Endpoint(
                name="tpr_excess@fpr=0.05",
                score="ratio",
                statistic="tpr_excess",
                stratum="tail",
                limit_id="text.ngram.tail",
                fpr=0.05,
            ),
        )

    def score(self, view: TextView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """Mean log-likelihood ratio of release against reference."""
        first, second = view.cached("pairs", lambda: pair_positions(view.targets))
        single = view.in_release(1)
        total = len(view.release.words) + (0 if view.planted is None else len(view.planted.words))
        distinct = len(np.unique(view.reference.words)) + 1
        release = log_probability(view.in_release(2), single[first], single[second], total, distinct)
        return {"ratio": view.per_target(release - _reference(view), 2)}
