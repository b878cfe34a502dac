"""Attribute inference: is a secret guessed better for training people than for people the release has never seen?

The intruder knows every column of a person but one and reads the missing value from the most similar synthetic rows.
That such guesses often succeed is no breach: it is what the data teach about everybody. So a success counts only
against the success on holdout people, who cannot have leaked (the criticism of CAP scores and of attacks without a
control). How often the 25 nearest *reference* rows would have been right tells easy targets from hard ones without
a look at the release; it is regressed out, which narrows the interval.

A leak may concern few: the exposed tenths are asked about by themselves, and so are people whose secret is scarce (the
scarcest value that 5 % of the reference rows hold, or a number in the outer tenth on either side).

A category is guessed right if equal. A number is guessed right if its place in the real distribution is hit within
five percentage points: the rule is the same for a column, its negation and any affine image, unlike relative error.

>>> attribute_score("income").name
'attribute_inference:income'

Not guaranteed: another learner might read more. One nearest neighbour is the sharpest for repeated or memorised rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.blocks import Block
from attacks.encoding import Encoded, Layout
from attacks.neighbours import nearest
from attacks.passes import nearest_of, votes
from attacks.planting import Near
from attacks.protocol import EXPOSED, AttackView, Endpoint, Roles, Stratum, ThreatModel
from attacks.statistics import FloatArray

THREAT = ThreatModel(access="no_box", knowledge="all columns of a person but the sensitive one")
RANK_TOLERANCE = 0.05
EASE_NEIGHBOURS = 25
COMMON_SHARE = 0.05
EXTREME_SHARE = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeInference:
    """Guesses `column` from all the others."""

    column: str
    name: str
    version: str = "3"
    threat: ThreatModel = THREAT
    max_targets: int | None = 4_000

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """The gap in success between members and nonmembers: of all, of the exposed, of those with a scarce value."""
        base = "inference.attribute"
        asked: list[tuple[str, Stratum, str, str | None]] = [
            ("success_gap", "all", base, None),
            *(("success_gap", stratum, f"{base}.{stratum}", None) for stratum in EXPOSED),
            ("success_gap@scarce", "all", f"{base}.scarce", "scarce"),
        ]
        return tuple(
            Endpoint(
                name=name,
                score="success",
                statistic="mean_excess",
                stratum=stratum,
                limit_id=limit,
                covariate="ease",
                among=among,
            )
            for name, stratum, limit, among in asked
        )

    def score(self, view: AttackView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """`success` is 1 where the guess is right, else 0; `ease` and `scarce` are blind to the release."""
        layout = view.layout
        dims, at = layout.dims_without(self.column), layout.columns.index(self.column)
        known = view.targets.points[:, dims]
        if len(dims) == 0:
            nothing = np.zeros(len(known))
            return {"success": nothing, "ease": nothing, "scarce": nothing}

        key = ("attribute", self.column)
        distance, guess = view.told(key, lambda people: read_off(people, view.blocks(), dims, at, layout))
        if view.planted is not None:
            near = view.nearer_planted(key, dims, distance)
            guess = _from_planted(view, near, dims, at, distance, guess)
        truth, ranks = view.targets.codes[:, at], layout.ranks[at]
        return {"success": _right(guess, truth, ranks), "ease": self.ease(view), "scarce": scarce(view, self.column)}

    def ease(self, view: AttackView) -> FloatArray:
        """Share of the 25 nearest reference rows that hold the target's secret."""
        layout = view.layout
        dims, at = layout.dims_without(self.column), layout.columns.index(self.column)

        def look_up() -> FloatArray:
            k, truth = min(EASE_NEIGHBOURS, len(view.reference)), view.targets.codes[:, at]
            near = nearest(view.targets.points[:, dims], view.reference.points[:, dims], k=k)[1]
            return np.asarray(_right(view.reference.codes[:, at][near], truth[:, None], layout.ranks[at]).mean(axis=1))

        easy: FloatArray = view.cached(("ease", self.column), look_up)
        return easy


def attribute_score(column: str) -> AttributeInference:
    """The attack on one sensitive column."""
    return AttributeInference(column=column, name=f"attribute_inference:{column}")


def _from_planted(
    view: AttackView,
    near: Near | None,
    dims: NDArray[np.intp],
    at: int,
    distance: FloatArray,
    guess: NDArray[np.int32],
) -> NDArray[np.int32]:
    """The guesses, read from planted rows where these are nearer than the release."""
    planted, who = view.planted, np.arange(len(guess))
    if planted is None or (near is not None and not len(near.query)):
        return guess
    if near is not None and view.plantable is not None:
        who = np.unique(near.query)
        planted = planted.take(np.flatnonzero(np.isin(planted.ids, view.plantable.ids[near.row])))
    other, read = read_off(view.targets.take(who), (planted,), dims, at, view.layout)
    changed = guess.copy()
    changed[who] = np.where(other < distance[who], read, guess[who])
    return changed


def scarce(view: AttackView, column: str) -> FloatArray:
    """1 for targets whose secret is the scarcest common value, or a number in the outer tenth on either side.

    Common is what at least 5 % of the reference rows hold; the release is not looked at.
    """
    at = view.layout.columns.index(column)
    codes, ranks = view.targets.codes[:, at], view.layout.ranks[at]
    if ranks is not None and len(ranks):
        place = ranks[np.maximum(codes, 0)]
        outer = (place < EXTREME_SHARE) | (place > 1.0 - EXTREME_SHARE)
        return np.asarray((codes >= 0) & outer, dtype=np.float64)
    values, counts = np.unique(view.reference.codes[:, at], return_counts=True)
    common = counts >= COMMON_SHARE * len(view.reference)
    if not common.any():
        return np.zeros(len(codes))
    return np.asarray(codes == values[common][counts[common].argmin()], dtype=np.float64)


def read_off(
    targets: Encoded, blocks: Iterable[Encoded | Block], dims: NDArray[np.intp], at: int, layout: Layout
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Distance of each target to the nearest row, and the secret that is read there.

    Rows that equal the nearest one in all known columns vote: the most frequent category, or the median number. Of two
    numbers in the middle it is the one nearer to the middle of the column, which negation does not change.
    """
    distance, ids = nearest_of(targets, blocks, layout, dims, without=at)
    wanted, mine = np.unique(ids, return_inverse=True)
    key, secret, count = votes(wanted, blocks, at)
    ranks = layout.ranks[at]
    if ranks is None:
        order = np.lexsort((count, key))
        last = np.searchsorted(key[order], np.arange(len(wanted)), side="right") - 1
        return distance, secret[order[last]][mine]
    order = np.lexsort((np.where(secret < 0, 2.0, ranks[secret]), key))
    ends, sizes = np.cumsum(count[order]), np.bincount(key, weights=count).astype(np.int64)
    start = np.cumsum(sizes) - sizes
    low, high = (
        secret[order[np.searchsorted(ends, start + place, side="right")]] for place in ((sizes - 1) // 2, sizes // 2)
    )
    off = [np.where(side < 0, 1.0, np.abs(ranks[side] - 0.5)) for side in (low, high)]
    return distance, np.where(off[1] < off[0] - 1e-12, high, low)[mine]


def _right(guess: NDArray[np.int32], truth: NDArray[np.int32], ranks: FloatArray | None) -> FloatArray:
    if ranks is None:
        return np.asarray(guess == truth, dtype=np.float64)
    present = (guess >= 0) & (truth >= 0)
    near = np.abs(ranks[guess] - ranks[truth]) <= RANK_TOLERANCE + 1e-9
    return np.asarray(np.where(present, near, guess == truth), dtype=np.float64)
