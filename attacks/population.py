"""The people of one run: encoded tables, folds, isolation and exposed tenths, prepared once for all attacks.

>>> round(drift_between(np.arange(100.0), np.arange(50.0)), 2)      # holdout rows are the nearer ones
0.5

Not guaranteed: that the holdout was drawn at random; the overlap check and the negative control look for the two
commonest ways in which it was not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.beside import code
from attacks.encoding import Encoded, Layout, joined
from attacks.evidence import MIN_GROUP, Cohort
from attacks.inputs import align, check_overlap, check_roles, check_units
from attacks.passes import Passes, distinct
from attacks.protocol import EXPOSED, AttackView, Endpoint, PlantKind, Roles
from attacks.released import Released, Rows
from attacks.statistics import FloatArray, auc_delong
from attacks.targets import EXPOSURES, Fold, exposed, isolation, one_row_a_unit, split_folds

DRIFT_ALPHA = 1e-3
DRIFT_TOLERATED = 0.025
DRIFT_TARGETS = 5_000
COUNTED = 20_000
"""Smallest hashes from which distinct release rows are counted, within 0.7 % where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Population:
    """Encoded tables with their folds; isolation and strata cover each fold's members, then its nonmembers."""

    members: Encoded
    nonmembers: Encoded
    release: Encoded
    passes: Passes | None
    layout: Layout
    roles: Roles
    folds: tuple[Fold, ...]
    isolations: tuple[FloatArray, ...]
    drifted: float
    strata: tuple[Mapping[str, NDArray[np.bool_]], ...]

    def candidates(self, kind: PlantKind) -> Encoded:
        """Members that a positive control may plant: all of them, or those in an exposed tenth."""
        if kind == "random":
            return self.members
        rows = [f.members[s[kind][: len(f.members)]] for f, s in zip(self.folds, self.strata, strict=True)]
        return self.members.take(np.concatenate(rows))

    def cohorts(self, max_targets: int | None, rng: np.random.Generator) -> tuple[Cohort, ...]:
        """The folds with at most `max_targets` members and as many nonmembers over all, in random order."""
        shared: dict[Any, Any] = {}
        cohorts = [self._cohort(f, max_targets, rng, shared) for f in range(len(self.folds))]
        everyone = reduce(joined, [cohort.view.targets for cohort in cohorts])
        ends = np.cumsum([len(cohort.view.targets) for cohort in cohorts])
        for f, (cohort, end) in enumerate(zip(cohorts, ends, strict=True)):
            place = np.arange(end - len(cohort.view.targets), end)
            cohorts[f] = replace(cohort, view=replace(cohort.view, everyone=everyone, place=place))
        return tuple(cohorts)

    def share_to_reach(self, endpoint: Endpoint, limit: float) -> float:
        """Share of copied members below which copies alone are not expected to move a clean release beyond the limit.

        Predicates are made from distinct release rows, and a copied member is in the table that is asked with the
        probability that a member is: copies of a share f make a rate of f n0 / (r + f n1) at most.
        """
        if endpoint.statistic != "singled_excess":
            return endpoint.share_to_reach(limit)
        rows = distinct((self.release,) if self.passes is None else self.passes, COUNTED).total
        n1, n0 = len(self.members), len(self.nonmembers)
        return limit * rows / max(min(n0, n1) - limit * n1, 1e-9)

    def together(self, max_targets: int | None, rng: np.random.Generator) -> Cohort:
        """All people as one fold without reference rows, for attacks that look at the release alone."""
        m = rng.permutation(len(self.members))[:max_targets]
        h = rng.permutation(len(self.nonmembers))[:max_targets]
        rows = rng.permutation(np.concatenate([m, h + len(self.members)]))
        view = AttackView(
            release=self.release,
            targets=joined(self.members, self.nonmembers).take(rows),
            reference=self.nonmembers.take(np.zeros(0, dtype=np.intp)),
            isolation=np.zeros(len(rows)),
            layout=self.layout,
            roles=self.roles,
            passes=self.passes,
        )
        return Cohort(view=view, is_member=rows < len(self.members), strata={})

    def _cohort(self, f: int, max_targets: int | None, rng: np.random.Generator, shared: dict[Any, Any]) -> Cohort:
        fold, most = self.folds[f], None if max_targets is None else max_targets // len(self.folds)
        m = rng.permutation(len(fold.members))[:most]
        h = rng.permutation(len(fold.nonmembers))[:most] + len(fold.members)
        rows = rng.permutation(np.concatenate([m, h]))
        everyone = joined(self.members.take(fold.members), self.nonmembers.take(fold.nonmembers))
        view = AttackView(
            release=self.release,
            targets=everyone.take(rows),
            reference=_reference(self.members, self.nonmembers, fold),
            isolation=self.isolations[f][rows],
            layout=self.layout,
            roles=self.roles,
            plantable=self.members,
            passes=self.passes,
            shared=shared,
        )
        return Cohort(
            view=view,
            is_member=rows < len(fold.members),
            strata={name: mask[rows] for name, mask in self.strata[f].items()},
            unseen=self.nonmembers.take(fold.unseen),
        )


def _reference(members: Encoded, nonmembers: Encoded, fold: Fold) -> Encoded:
    ours = fold.reference < len(members)
    theirs = nonmembers.take(fold.reference[~ours] - len(members))
    return joined(members.take(fold.reference[ours]), theirs)


def _drift(members: Encoded, nonmembers: Encoded, folds: tuple[Fold, ...], layout: Layout, roles: Roles) -> float:
    """How far members and holdout differ in isolation among holdout rows: 2 |AUC - 1/2|, or 0 where that may be chance.

    Under a random split that isolation knows nothing of membership. A difference that is significant at 1e-3 and
    whose bound is at least 0.025 from one half tells of another time, place or filter.
    """
    found: tuple[list[FloatArray], list[FloatArray]] = [], []
    for fold in folds:
        unseen = nonmembers.take(fold.unseen)
        for side, (table, rows) in enumerate(((members, fold.members), (nonmembers, fold.nonmembers))):
            targets = table.take(rows[: DRIFT_TARGETS // len(folds)])
            found[side].append(isolation(targets, unseen, layout, roles))
    return drift_between(*(np.concatenate(side) for side in found))


def drift_between(members: FloatArray, nonmembers: FloatArray) -> float:
    """2 |AUC - 1/2| of a number that knows neither membership nor release, or 0 where that may be chance."""
    if min(len(members), len(nonmembers)) < MIN_GROUP:
        return 0.0
    effect = auc_delong(members, nonmembers)
    certain = max(effect.lower(DRIFT_ALPHA) - 0.5, 0.5 - effect.upper(DRIFT_ALPHA))
    return 2.0 * abs(effect.estimate - 0.5) if certain > DRIFT_TOLERATED else 0.0


def prepare(
    *,
    release: Rows,
    members: pd.DataFrame,
    nonmembers: pd.DataFrame,
    roles: Roles,
    rng: np.random.Generator,
    strata: Collection[str] = EXPOSED,
) -> Population:
    """Aligns, checks and encodes the tables, and draws folds and exposed tenths.

    A unit column is not attacked as an attribute: it only says whose row it is, and one random row of each unit
    becomes a target, so that targets are independent. Only the exposed tenths in `strata` are drawn.

    Raises:
        AttackInputError: see `attacks.inputs`.
    """
    real = align({"members": members, "nonmembers": nonmembers}, columns_of="members")
    check_roles(roles, [str(c) for c in members.columns])
    if roles.unit is not None:
        check_units(real["members"][roles.unit], real["nonmembers"][roles.unit])
        kept = {n: one_row_a_unit(pd.factorize(f[roles.unit])[0], rng) for n, f in real.items()}
        real = {n: f.iloc[kept[n]].drop(columns=roles.unit) for n, f in real.items()}
    source = Released.of(release)
    head = source.head([column for column in source.columns if column != roles.unit])
    frames = align({**real, "release": head}, columns_of="members")
    coded = code({n: frames[n] for n in real}, source, scale_on="nonmembers", rng=rng)
    encoded, layout = coded.frames, coded.coding.layout
    check_overlap(encoded["members"], encoded["nonmembers"])
    folds = split_folds(len(encoded["members"]), len(encoded["nonmembers"]), rng)
    isolations, masks = [], []
    for fold in folds:
        targets = joined(encoded["members"].take(fold.members), encoded["nonmembers"].take(fold.nonmembers))
        reference = _reference(encoded["members"], encoded["nonmembers"], fold)
        isolations.append(isolation(targets, reference, layout, roles))
        values = {"tail": isolations[-1]}
        values |= {name: EXPOSURES[name](targets, reference, layout, roles) for name in strata if name not in values}
        masks.append({name: exposed(value, rng) for name, value in values.items()})
    return Population(
        members=encoded["members"],
        nonmembers=encoded["nonmembers"],
        release=coded.release,
        passes=coded.passes,
        layout=layout,
        roles=roles,
        folds=folds,
        isolations=tuple(isolations),
        drifted=_drift(encoded["members"], encoded["nonmembers"], folds, layout, roles),
        strata=tuple(masks),
    )
