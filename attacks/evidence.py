"""Joining blind scores to membership: from one number a target to one effect an endpoint.

This is the only place where scores meet labels. A point of the ROC curve is read from all folds' scores with the error
of its cut (`roc_point`). Where a cut is asked for by itself (`tpr_excess`), it is placed on the *other* folds'
nonmembers, so that the rate seen on this fold's nonmembers is honest and its noise is part of the interval.

>>> cohort = Cohort(view=None, is_member=np.array([True, False]), strata={})
>>> [part.tolist() for part in cohort.split(np.array([0.9, 0.1]), "all")]
[[0.9], [0.1]]

Not guaranteed: the folds share reference rows, which leaves a small dependence between them;
`tests/attacks/test_coverage.py` measures what the intervals hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded
from attacks.errors import AttackParameterError
from attacks.protocol import Attack, AttackView, Endpoint, Queries, QueryAttack, Roles, WithFigures
from attacks.roc_point import RocPoint
from attacks.statistics import (
    Effect,
    FloatArray,
    PairedDifference,
    RateDifference,
    adjusted_mean_difference,
    auc_delong,
    conservative_cut,
)

MIN_GROUP = 20
"""Fewest members and nonmembers in a stratum for which any verdict but `inconclusive` is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """One fold as the harness knows it: what the attack sees, who is a member, and who is in which exposed tenth.

    `unseen` are real rows that were never trained on and are no targets, for the negative control.
    """

    view: AttackView
    is_member: NDArray[np.bool_]
    strata: Mapping[str, NDArray[np.bool_]]
    unseen: Encoded | None = None

    def split(self, scores: FloatArray, stratum: str) -> tuple[FloatArray, FloatArray]:
        """Scores of the stratum's members and of its nonmembers."""
        chosen = np.ones(len(scores), dtype=bool) if stratum == "all" else self.strata[stratum]
        return scores[chosen & self.is_member], scores[chosen & ~self.is_member]

    def counts(self, stratum: str) -> tuple[int, int]:
        """Numbers of members and nonmembers in the stratum."""
        members, nonmembers = self.split(np.zeros(len(self.is_member)), stratum)
        return len(members), len(nonmembers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A figure of members and of nonmembers, and how many of either it is a mean of; no verdict hangs on it."""

    attack: str
    name: str
    members: float
    nonmembers: float
    n_members: int
    n_nonmembers: int


def readings(
    attack: Attack | QueryAttack, roles: Roles, cohorts: Sequence[Cohort], scores: Sequence[dict[str, FloatArray]]
) -> list[Reading]:
    """The attack's figures over all folds; none of fewer than `MIN_GROUP` people or predicates."""
    found = []
    for figure in attack.figures(roles) if isinstance(attack, WithFigures) else ():
        if isinstance(attack, QueryAttack):
            members, nonmembers = np.concatenate([s[figure.score] for s in scores], axis=1)
        else:
            parts = [c.split(s[figure.score], "all") for c, s in zip(cohorts, scores, strict=True)]
            members, nonmembers = (np.concatenate(side) for side in zip(*parts, strict=True))
        if min(len(members), len(nonmembers)) < MIN_GROUP:
            continue
        told = [float((side if figure.above is None else side > figure.above).mean()) for side in (members, nonmembers)]
        found.append(
            Reading(
                attack=attack.name,
                name=figure.name,
                members=told[0],
                nonmembers=told[1],
                n_members=len(members),
                n_nonmembers=len(nonmembers),
            )
        )
    return found


def wanted(attack: Attack | QueryAttack, endpoints: Sequence[Endpoint], roles: Roles) -> list[str]:
    """The score keys that endpoints and figures read."""
    figures = attack.figures(roles) if isinstance(attack, WithFigures) else ()
    return list(dict.fromkeys([e.score for e in endpoints] + [f.score for f in figures]))


def look(
    attack: Attack | QueryAttack, cohort: Cohort, view: AttackView, keys: Collection[str], rng: np.random.Generator
) -> dict[str, FloatArray]:
    """What the attack finds in one fold: a score for each target, or for a query attack an answer to each predicate.

    Args:
        attack: scores are blind to membership, predicates to targets as well.
        cohort: the fold.
        view: the fold's view, or one with another release.
        keys: the score keys that are wanted; predicates are made for these alone.
        rng: of the attack's own draws.
    """
    if isinstance(attack, QueryAttack):
        made = attack.queries(view.without_targets(), keys, rng)
        return {key: answers(queries, cohort) for key, queries in made.items()}
    return checked_scores(attack.name, attack.score(view, rng), len(view.targets))


def answers(queries: Queries, cohort: Cohort) -> FloatArray:
    """Whether each predicate singles out a member (first row) and a nonmember (second row), shape (2, predicates).

    The two tables have the same number of rows, because the more rows the fewer predicates match one alone. A person
    counts for the first predicate that singles them out: several that find the same person are one finding.
    """
    sides = np.flatnonzero(cohort.is_member), np.flatnonzero(~cohort.is_member)
    size = min(len(side) for side in sides)
    found = []
    for side in sides:
        row = queries.singled(cohort.view.targets.take(side[:size]))
        first = np.zeros(len(row))
        first[np.unique(row, return_index=True)[1]] = 1.0
        found.append(np.where(row >= 0, first, 0.0))
    return np.stack(found)


def denominators(
    endpoint: Endpoint, cohorts: Sequence[Cohort], scores: Sequence[dict[str, FloatArray]]
) -> tuple[int, int]:
    """What a rate is measured against: members and nonmembers in the stratum, or predicates asked of either."""
    if endpoint.statistic == "singled_excess":
        made = sum(s[endpoint.score].shape[1] for s in scores)
        return made, made
    parts = _parts(endpoint, cohorts, scores, endpoint.score)
    return sum(len(p[0]) for p in parts), sum(len(p[1]) for p in parts)


def checked_scores(name: str, scores: dict[str, FloatArray], targets: int) -> dict[str, FloatArray]:
    """The scores if each is one finite number a target; an attack that returns less is broken, not harmless."""
    for key, values in scores.items():
        if np.shape(values) != (targets,) or not np.isfinite(values).all():
            raise AttackParameterError(
                f"Attack {name!r} returned no finite score for every target under {key!r}.", "Correct the attack."
            )
    return scores


def _parts(
    endpoint: Endpoint, cohorts: Sequence[Cohort], scores: Sequence[dict[str, FloatArray]], key: str
) -> list[tuple[FloatArray, FloatArray]]:
    """For each fold the values under `key` of the members, and of the nonmembers, that the endpoint asks about."""
    found = []
    for cohort, own in zip(cohorts, scores, strict=True):
        values = cohort.split(own[key], endpoint.stratum)
        if endpoint.among is not None:
            asked = cohort.split(own[endpoint.among], endpoint.stratum)
            values = values[0][asked[0] > 0.5], values[1][asked[1] > 0.5]
        found.append(values)
    return found


def measure(
    endpoint: Endpoint,
    cohorts: Sequence[Cohort],
    scores: Sequence[dict[str, FloatArray]],
) -> Effect | None:
    """The endpoint's effect over all folds, or None where a group is too small to say anything.

    Args:
        endpoint: what is asked.
        cohorts: the folds.
        scores: one dictionary a fold, as returned by `look`.
    """
    if endpoint.statistic == "singled_excess":
        return _singled(np.concatenate([s[endpoint.score] for s in scores], axis=1), cohorts)
    parts = _parts(endpoint, cohorts, scores, endpoint.score)
    members = np.concatenate([p[0] for p in parts])
    nonmembers = np.concatenate([p[1] for p in parts])
    if min(len(members), len(nonmembers)) < MIN_GROUP:
        return None
    if endpoint.statistic == "auc":
        return auc_delong(members, nonmembers)
    if endpoint.statistic == "roc_excess":
        return RocPoint.of(members, nonmembers, endpoint.fpr or 0.0)
    if endpoint.statistic == "mean_excess":
        easy_m, easy_n = np.zeros(len(members)), np.zeros(len(nonmembers))
        if endpoint.covariate is not None:
            easy = _parts(endpoint, cohorts, scores, endpoint.covariate)
            easy_m, easy_n = np.concatenate([p[0] for p in easy]), np.concatenate([p[1] for p in easy])
        return adjusted_mean_difference(members, easy_m, nonmembers, easy_n)
    if endpoint.statistic == "rate_excess":
        hits1, hits0 = int((members > 0.5).sum()), int((nonmembers > 0.5).sum())
    else:
        hits1 = hits0 = 0
        for f, (own_members, own_nonmembers) in enumerate(parts):
            others = np.concatenate([part[1] for g, part in enumerate(parts) if g != f])
            cut = conservative_cut(others, endpoint.fpr or 0.0)
            hits1 += int((own_members > cut).sum())
            hits0 += int((own_nonmembers > cut).sum())
    return RateDifference(hits1=hits1, n1=len(members), hits0=hits0, n0=len(nonmembers))


def _singled(answer: FloatArray, cohorts: Sequence[Cohort]) -> Effect | None:
    """Members singled out minus nonmembers singled out, per predicate made."""
    people = min(min(c.counts("all")) for c in cohorts)
    if min(people, answer.shape[1]) < MIN_GROUP:
        return None
    member, nonmember = answer > 0.5
    return PairedDifference(
        first=int((member & ~nonmember).sum()), second=int((nonmember & ~member).sum()), trials=answer.shape[1]
    )
