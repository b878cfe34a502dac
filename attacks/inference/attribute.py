"""Attribute inference: is a secret guessed better for training people than for people the release has never seen?

The intruder knows every column of a person but one and reads the missing value from the most similar synthetic rows.
That such guesses often succeed is no breach: it is what the data teach about everybody. So a success counts only
against the success on holdout people, who cannot have leaked (the criticism of CAP scores and of attacks without a
control). How often the 25 nearest *reference* rows would have been right tells easy targets from hard ones without
a look at the release; it is regressed out, which narrows the interval.

A category is guessed right if equal. A number is guessed right if its place in the real distribution is hit within
five percentage points: the rule is the same for a column, its negation and any affine image, unlike relative error.

>>> attribute_score("income").name
'attribute_inference:income'

Not guaranteed: another learner might read more. One nearest neighbour is the sharpest for repeated or memorised rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded, Layout
from attacks.neighbours import nearest
from attacks.protocol import AttackView, Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray

THREAT = ThreatModel(access="no_box", knowledge="all columns of a person but the sensitive one")
RANK_TOLERANCE = 0.05
EASE_NEIGHBOURS = 25


@dataclass(frozen=True, slots=True)
class _Key:
    """Distinct combinations of the known columns and the value that goes with each."""

    points: NDArray[np.float32]
    guesses: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeInference:
    """Guesses `column` from all the others."""

    column: str
    name: str
    version: str = "1"
    threat: ThreatModel = THREAT
    max_targets: int | None = 4_000

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """One question: the gap in success between members and nonmembers."""
        return (
            Endpoint(
                name="success_gap",
                score="success",
                statistic="mean_excess",
                stratum="all",
                limit_id="inference.attribute",
                covariate="ease",
            ),
        )

    def score(self, view: AttackView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """`success` is 1 where the guess is right, else 0; `ease` is the share of near reference rows that are."""
        layout = view.layout
        dims, at = layout.dims_without(self.column), layout.columns.index(self.column)
        known = view.targets.points[:, dims]
        if len(dims) == 0:
            return {"success": np.zeros(len(known)), "ease": np.zeros(len(known))}

        def look_up(rows: Encoded) -> tuple[FloatArray, NDArray[np.int32]]:
            key = _distinct(rows, dims, at, layout)
            distance, row = nearest(known, key.points)
            return distance[:, 0], key.guesses[row[:, 0]]

        distance, guess = view.cached(("attribute", self.column), lambda: look_up(view.release))
        if view.planted is not None:
            other, planted_guess = look_up(view.planted)
            guess = np.where(other < distance, planted_guess, guess)
        truth, ranks = view.targets.codes[:, at], layout.ranks[at]

        def ease() -> FloatArray:
            k = min(EASE_NEIGHBOURS, len(view.reference))
            near = nearest(known, view.reference.points[:, dims], k=k)[1]
            return np.asarray(_right(view.reference.codes[:, at][near], truth[:, None], ranks).mean(axis=1))

        easy = view.cached(("ease", self.column), ease)
        return {"success": _right(guess, truth, ranks), "ease": easy}


def attribute_score(column: str) -> AttributeInference:
    """The attack on one sensitive column."""
    return AttributeInference(column=column, name=f"attribute_inference:{column}")


def _distinct(rows: Encoded, dims: NDArray[np.intp], at: int, layout: Layout) -> _Key:
    """Groups rows by the known columns; the guess is the most frequent category or the median number."""
    known = np.delete(rows.codes, at, axis=1)
    _, first, group = np.unique(known, axis=0, return_index=True, return_inverse=True)
    group, secret, ranks = group.ravel(), rows.codes[:, at], layout.ranks[at]
    if ranks is not None:
        order = np.lexsort((np.where(secret < 0, 2.0, ranks[secret]), group))
        sizes = np.bincount(group)
        middle = np.concatenate([[0], np.cumsum(sizes)[:-1]]) + (sizes - 1) // 2
        return _Key(rows.points[first][:, dims], secret[order[middle]])
    pairs, counts = np.unique(np.stack([group, secret], axis=1), axis=0, return_counts=True)
    order = np.lexsort((counts, pairs[:, 0]))
    last = np.searchsorted(pairs[order, 0], np.arange(len(first)), side="right") - 1
    return _Key(rows.points[first][:, dims], pairs[order[last], 1].astype(np.int32))


def _right(guess: NDArray[np.int32], truth: NDArray[np.int32], ranks: FloatArray | None) -> FloatArray:
    if ranks is None:
        return np.asarray(guess == truth, dtype=np.float64)
    present = (guess >= 0) & (truth >= 0)
    near = np.abs(ranks[guess] - ranks[truth]) <= RANK_TOLERANCE
    return np.asarray(np.where(present, near, guess == truth), dtype=np.float64)
