"""Who is attacked: random people, and the exposed, chosen without looking at membership.

Leaks sit where somebody resembles nobody. Three numbers say how exposed a target is *among the reference rows*:

    tail    mean distance to its five nearest reference rows
    rare    rarity of the rarest combination of two of its values
    group   rarity of the rarest value of a column that names a group

and each stratum is the tenth of the targets for which its number is largest. Members and nonmembers are ranked
together by a number that knows neither the release nor who was in training, so under a random split both have the same
chance to be chosen. Choosing the record decides how vulnerable it looks (Meeus et al. 2023, arXiv 2306.10308).

>>> exposed(np.array([0.1, 0.9, 0.2, 0.3]), np.random.default_rng(0), share=0.25).tolist()
[False, True, False, False]

Not guaranteed: if members and holdout were not split at random, exposure itself may differ between them; the negative
control is there to show that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded, Layout
from attacks.neighbours import nearest
from attacks.protocol import NEIGHBOURS, Roles
from attacks.statistics import FloatArray

FOLDS = 5
EXPOSED_SHARE = 0.10
NUMERIC_BINS = 10
MAX_PAIRS = 300
GROUP_VALUES = 50
"""A category with more values than this names people rather than groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold: row numbers.

    Attributes:
        members: targets, rows of the members' table.
        nonmembers: targets, rows of the nonmembers' table.
        unseen: the other folds' nonmembers.
        reference: a random sample of the other folds, as large as `unseen`: rows of the members' table, followed by
            those of the nonmembers', which are counted on from the number of members.
    """

    members: NDArray[np.intp]
    nonmembers: NDArray[np.intp]
    unseen: NDArray[np.intp]
    reference: NDArray[np.intp]


def split_folds(members: int, nonmembers: int, rng: np.random.Generator) -> tuple[Fold, ...]:
    """Five random parts of members and of nonmembers, with a reference from the other parts that knows no label.

    Were the reference nonmembers alone, a nonmember would be near to it more often than chance has it: rows that lie
    side by side would be reference to each other, and all on one side. The error of an AUC is then 5 to 9 % larger
    than its targets show. A reference that is drawn from both sides gives neither anything.
    """
    m = np.array_split(rng.permutation(members), FOLDS)
    h = np.array_split(rng.permutation(nonmembers), FOLDS)
    folds = []
    for f in range(FOLDS):
        unseen = np.concatenate(h[:f] + h[f + 1 :])
        others = np.concatenate([*m[:f], *m[f + 1 :], unseen + members])
        reference = rng.permutation(others)[: len(unseen)]
        folds.append(Fold(members=m[f], nonmembers=h[f], unseen=unseen, reference=np.sort(reference)))
    return tuple(folds)


def isolation(targets: Encoded, reference: Encoded, _layout: Layout, _roles: Roles) -> FloatArray:
    """Mean distance of each target to its five nearest reference rows; fewer where there are fewer, 0 with none."""
    k = min(NEIGHBOURS, len(reference))
    if k == 0:
        return np.zeros(len(targets))
    return np.asarray(nearest(targets.points, reference.points, k=k)[0].mean(axis=1))


def rare_combination(targets: Encoded, reference: Encoded, layout: Layout, _roles: Roles) -> FloatArray:
    """Minus the log share of reference rows that hold the target's rarest pair of values; ties by the next rarest.

    Numbers are first cut into tenths of the reference. Of more than `MAX_PAIRS` pairs of columns an even sample counts.
    """
    ours, theirs = (_binned(part, layout) for part in (targets, reference))
    pairs = list(combinations(range(ours.shape[1]), 2))
    pairs = pairs[:: -(-len(pairs) // MAX_PAIRS)] if pairs else []
    rarest, total = np.zeros(len(targets)), np.zeros(len(targets))
    for a, b in pairs:
        width = int(max(ours[:, b].max(initial=0), theirs[:, b].max(initial=0))) + 1
        surprise = _surprise(ours[:, a] * width + ours[:, b], theirs[:, a] * width + theirs[:, b])
        rarest, total = np.maximum(rarest, surprise), total + surprise
    return rarest + 1e-6 * total / max(len(pairs), 1)


def small_group(targets: Encoded, reference: Encoded, layout: Layout, roles: Roles) -> FloatArray:
    """Minus the log share of reference rows in the target's smallest group.

    Groups are the values of the quasi-identifiers if some are declared, else of every category of few values.
    """
    result = np.zeros(len(targets))
    for at, column in enumerate(layout.columns):
        if layout.numeric[at] or (roles.quasi_identifiers and column not in roles.quasi_identifiers):
            continue
        theirs = reference.codes[:, at]
        if len(np.unique(theirs)) <= GROUP_VALUES:
            result = np.maximum(result, _surprise(targets.codes[:, at] + 1, theirs + 1))
    return result


Exposure = Callable[[Encoded, Encoded, Layout, Roles], FloatArray]
EXPOSURES: Mapping[str, Exposure] = MappingProxyType(
    {"tail": isolation, "rare": rare_combination, "group": small_group}
)


def exposed(values: FloatArray, rng: np.random.Generator, *, share: float = EXPOSED_SHARE) -> NDArray[np.bool_]:
    """Mask of the `share` of all targets with the largest values, ties broken at random."""
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


def _binned(rows: Encoded, layout: Layout) -> NDArray[np.int64]:
    """Codes from 0, missing included; numbers in tenths of the reference."""
    columns = []
    for at, ranks in enumerate(layout.ranks):
        codes = rows.codes[:, at].astype(np.int64)
        if ranks is not None and len(ranks):
            codes = np.where(codes >= 0, _tenths(ranks)[np.maximum(codes, 0)], -1)
        columns.append(codes + 1)
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=np.int64)


def _tenths(ranks: FloatArray) -> NDArray[np.int64]:
    """Tenth of each rank, counted from the nearer end, so that a column and its negation are cut at the same values."""
    side = (np.minimum(ranks, 1.0 - ranks) * NUMERIC_BINS + 1e-9).astype(np.int64)
    middle = np.abs(ranks - 0.5) < 1e-12
    return np.where(middle, NUMERIC_BINS, np.where(ranks < 0.5, side, NUMERIC_BINS - 1 - side))


def _surprise(cells: NDArray[np.integer], reference: NDArray[np.integer]) -> FloatArray:
    """-log of the share of reference rows in each cell, one row added so that an unseen cell is finite."""
    known, counts = np.unique(reference, return_counts=True)
    if not len(known):
        return np.zeros(len(cells))
    at = np.minimum(np.searchsorted(known, cells), len(known) - 1)
    found = np.where(known[at] == cells, counts[at], 0)
    return np.asarray(-np.log((found + 1.0) / (len(reference) + 1.0)))
