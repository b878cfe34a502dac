"""Verbatim overlap: does the release repeat wordings of training texts more often than of texts it has never seen?

Language repeats itself. On docstrings a tenth of honest holdout texts share eight words in a row with training, so
overlap by itself is no leak and its absence no proof (a two-gram generator whose members are inferred at AUC 0.9 has
*less* overlap than natural text). The evidence is the excess among members over holdout texts:

    gram8, gram13   texts that share 8 (13, the convention of decontamination) words in a row with the release
    run             the longest stretch of words of which every 8 in a row stand in the release, at a cut that one
                    holdout text in a hundred passes

A text shorter than n counts when the release holds it as a whole.

>>> from attacks.text.tokens import encode
>>> texts = encode(["a b c d e f g h i", "a b c d"])
>>> stretch(np.array([True, True, False]), np.array([0, 0, 1]), texts.lengths).tolist()
[9.0, 0.0]

Not guaranteed: `run` may join pieces of two release texts that overlap by seven words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.protocol import Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray
from attacks.text.view import TEXT_THREAT, TextView

SEED_WORDS = 8


def stretch(matched: NDArray[np.bool_], owner: NDArray[np.int64], lengths: NDArray[np.int64]) -> FloatArray:
    """Words in each text's longest stretch of matched 8-grams (all its words for a shorter text); 0 without any."""
    result = np.zeros(len(lengths))
    if not len(matched):
        return result
    position = np.arange(len(matched))
    starts = np.concatenate([[True], owner[1:] != owner[:-1]])
    broken = np.where(starts, position - 1, -1)
    broken = np.maximum.accumulate(np.where(matched, broken, position))
    run = position - broken
    np.maximum.at(result, owner, run)
    return np.where(result > 0, np.minimum(result + SEED_WORDS - 1, lengths), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVerbatim:
    """Excess of shared wordings of members over nonmembers."""

    name: str = "text_verbatim"
    version: str = "1"
    threat: ThreatModel = TEXT_THREAT
    max_targets: int | None = None

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """Rates of shared 8-grams and 13-grams, and the longest run at 1 % false positives."""
        return (
            Endpoint(
                name="gram8_excess",
                score="gram8",
                statistic="rate_excess",
                stratum="all",
                limit_id="text.verbatim.gram8",
            ),
            Endpoint(
                name="gram13_excess",
                score="gram13",
                statistic="rate_excess",
                stratum="all",
                limit_id="text.verbatim.gram13",
            ),
            Endpoint(
                name="run_excess@fpr=0.01",
                score="run",
                statistic="tpr_excess",
                stratum="all",
                limit_id="text.verbatim.run",
                fpr=0.01,
            ),
        )

    def score(self, view: TextView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """1 for a text that shares an n-gram with the release, and the longest run in words."""
        seen = {n: view.in_release(n) > 0 for n in (8, 13)}
        owner = view.target_grams(SEED_WORDS)[1]
        return {
            "gram8": (view.per_target(seen[8], 8) > 0).astype(np.float64),
            "gram13": (view.per_target(seen[13], 13) > 0).astype(np.float64),
            "run": stretch(seen[SEED_WORDS], owner, view.targets.lengths),
        }
