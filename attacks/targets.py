"""Who is attacked: random people and the most isolated ones, chosen without looking at membership.

Leaks sit in the tail: the people whose row resembles nobody's. `tail` takes the tenth of the targets that are farthest
from the *reference* rows. Members and nonmembers are ranked together by a number that knows neither the release nor
who was in training, so under a random split both have the same chance to be chosen.

>>> tail(np.array([0.1, 0.9, 0.2, 0.3]), np.random.default_rng(0), share=0.25).tolist()
[False, True, False, False]

Not guaranteed: if members and holdout were not split at random, isolation itself may differ between them; the
negative control is there to show that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded
from attacks.neighbours import nearest
from attacks.protocol import NEIGHBOURS
from attacks.statistics import FloatArray

FOLDS = 5
TAIL_SHARE = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold: row numbers into members and nonmembers, and the reference (the other folds' nonmembers)."""

    members: NDArray[np.intp]
    nonmembers: NDArray[np.intp]
    reference: NDArray[np.intp]


def split_folds(members: int, nonmembers: int, rng: np.random.Generator) -> tuple[Fold, ...]:
    """Five random parts of members and of nonmembers; each part's reference are the other parts' nonmembers."""
    m = np.array_split(rng.permutation(members), FOLDS)
    h = np.array_split(rng.permutation(nonmembers), FOLDS)
    return tuple(
        Fold(members=m[f], nonmembers=h[f], reference=np.concatenate(h[:f] + h[f + 1 :])) for f in range(FOLDS)
    )


def isolation(targets: Encoded, reference: Encoded) -> FloatArray:
    """Mean distance of each target to its five nearest reference rows; fewer where there are fewer, 0 with none."""
    k = min(NEIGHBOURS, len(reference))
    if k == 0:
        return np.zeros(len(targets))
    return np.asarray(nearest(targets.points, reference.points, k=k)[0].mean(axis=1))


def tail(values: FloatArray, rng: np.random.Generator, *, share: float = TAIL_SHARE) -> NDArray[np.bool_]:
    """Mask of the most isolated `share` of all targets, ties broken at random."""
    count = math.ceil(share * len(values))
    order = np.lexsort((rng.random(len(values)), -values))
    mask = np.zeros(len(values), dtype=bool)
    mask[order[:count]] = True
    return mask


def one_row_a_unit(units: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.intp]:
    """Row numbers of one random row for each unit, so that targets are independent people."""
    order = rng.permutation(len(units))
    _, first = np.unique(units[order], return_index=True)
    return np.sort(order[first])
