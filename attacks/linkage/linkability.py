"""Linkability: can two parts of one person's record, held by two parties, be joined by means of the release?

The second question of Article 29 Working Party opinion 05/2014. One intruder source knows the columns of part A, the
other those of part B; they belong to one person if one release row is nearest to both. With squared distances that add
up over columns no list of neighbours is needed: a row that is nearest by A and nearest by B exists exactly if

    d(A and B)^2 = d(A)^2 + d(B)^2,

each the distance to the nearest release row, ties included; the right side is never larger. The missing part

    gap = sqrt(d(A and B)^2 - d(A)^2 - d(B)^2)

says how far the two are from being linked. Score: log((g + c) / (s + c)) with s the gap in the release and g that among
reference rows, as in `nearest_neighbour`: records that link with anybody's help betray nothing.

Parts: the quasi-identifiers against the rest where some are declared and others are left, else categories against
numbers, or every other column by name (`subspace.parts`).

>>> linkability = Linkability()
>>> [round(float(x), 2) for x in gap(np.array([0.5]), np.array([0.3]), np.array([0.4]))]
[0.0]

Not guaranteed: other splits than these; a split whose one part is the same for everybody links nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded, Layout
from attacks.membership.nearest_neighbour import calibrated
from attacks.membership.subspace import dims_of, parts
from attacks.neighbours import nearest
from attacks.protocol import EXPOSED, AttackView, Endpoint, Figure, Roles, ThreatModel
from attacks.statistics import FloatArray

THREAT = ThreatModel(access="no_box", knowledge="two parts of records, not which belong together; reference rows")
ROUNDING = 1e-5


def gap(joint: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """How far the nearest row by both parts is from being nearest by each; 0 for linked records."""
    missing = np.square(joint) - np.square(first) - np.square(second)
    return np.sqrt(np.where(missing > ROUNDING, missing, 0.0))


def sides(layout: Layout, roles: Roles) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Dimensions of `points` of part A and of part B."""
    known = [at for at, column in enumerate(layout.columns) if column in roles.quasi_identifiers]
    rest = [at for at in range(len(layout.columns)) if at not in known]
    return (dims_of(layout, known), dims_of(layout, rest)) if known and rest else parts(layout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkability:
    """Whether the release links the two parts of a member's record better than those of a holdout row."""

    name: str = "linkability"
    version: str = "2"
    threat: ThreatModel = THREAT
    max_targets: int | None = 10_000

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """TPR at 1 % FPR over all targets, at 5 % FPR in each exposed tenth."""
        cuts = (("all", 0.01), *((exposed, 0.05) for exposed in EXPOSED))
        return tuple(
            Endpoint(
                name=f"link_excess@fpr={fpr}",
                score="linked",
                statistic="tpr_excess",
                stratum=stratum,
                limit_id=f"linkage.linkability.{stratum}",
                fpr=fpr,
            )
            for stratum, fpr in cuts
        )

    def figures(self, _roles: Roles, /) -> Sequence[Figure]:
        """The plain rate, comparable with other tools: one release row is nearest to both parts."""
        return (Figure(name="linked by the nearest row", score="plain", above=0.5),)

    def score(self, view: AttackView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """`linked`: how much nearer to a link the release brings the parts than the population; `plain`: 0 or 1."""
        first, second = sides(view.layout, view.roles)
        both = np.concatenate([first, second]) if set(first).isdisjoint(second) else first
        parts = (both, first, second)

        def alike(rows: Encoded) -> tuple[FloatArray, ...]:
            return tuple(nearest(view.targets.points[:, d], rows.points[:, d])[0][:, 0] for d in parts)

        population: FloatArray = view.cached("gap in reference", lambda: gap(*alike(view.reference)))
        found = [view.distance_in(d) for d in parts]
        apart = gap(*found)
        return {"linked": calibrated(population, apart), "plain": (apart == 0.0).astype(np.float64)}
