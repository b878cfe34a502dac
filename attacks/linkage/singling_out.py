"""Singling out: do predicates made from the release pick out single training people?

The first of the three questions of Article 29 Working Party opinion 05/2014. The intruder has the release and nothing
else, makes predicates that match one release row alone (`attacks.predicates`), and succeeds where one matches exactly
one person. Rare people are singled out by chance in any table, so every predicate is asked of two tables of the same
number of rows: members and holdout. The effect is the excess of the first over the second, per predicate *made*.

Made from random release rows (`all`), and from the tenth of them that is farthest from the rest (`tail`): copies of
unusual people stay unusual in a release.

The idea is that of Giomi et al. 2023 (anonymeter, arXiv 2211.10459), whose code compares tables of different sizes by a
fitted curve and then flags real rows that nobody trained on, divides by predicates that it could not make, and joins
the two errors by a linearised formula. Here sizes are equal, the denominator is what was made, the test is paired.

Three spare columns and a window of one hundredth were chosen on Adult and Fair among 2, 3, 4, 6 and 0, 0.01, 0.02: on
both tables more columns separate copies no better, fewer match more people by chance.

>>> [endpoint.stratum for endpoint in SinglingOut().endpoints(Roles())]
['all', 'tail']

Not guaranteed: a member outside the table that is asked is not found, so with a holdout of 3 in 10 even a full copy
singles out fewer than half.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded, Layout, joined
from attacks.passes import Distinct
from attacks.predicates import Predicates, Sorted, comparable, conjunctions, single_columns
from attacks.protocol import AttackView, Endpoint, Figure, Queries, Roles, ThreatModel
from attacks.statistics import FloatArray
from attacks.targets import EXPOSED_SHARE

THREAT = ThreatModel(access="no_box", knowledge="nothing but the release")
MAX_PREDICATES = 3_000
MAX_POOL = 20_000
"""Most distinct release rows that predicates are made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Predicates that can be asked of a table."""

    predicates: Predicates
    layout: Layout

    def singled(self, table: Encoded, /) -> NDArray[np.intp]:
        """For each predicate the row that it matches alone in the table; -1 where it matches none or several."""
        return self.predicates.alone(Sorted.of(comparable(table, self.layout)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglingOut:
    """Excess of members over holdout rows singled out, per predicate made from the release."""

    name: str = "singling_out"
    version: str = "2"
    threat: ThreatModel = THREAT
    max_targets: int | None = None
    most: int = MAX_PREDICATES

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """Predicates from random release rows, and from the most isolated tenth of them."""
        return tuple(
            Endpoint(
                name="singled_excess",
                score=stratum,
                statistic="singled_excess",
                stratum=stratum,
                limit_id=f"linkage.singling_out.{stratum}",
            )
            for stratum in ("all", "tail")
        )

    def figures(self, _roles: Roles, /) -> Sequence[Figure]:
        """Predicates on one column alone; on coarse tables hardly one can be made, so no verdict hangs on them."""
        return (Figure(name="singled by one column", score="one_column"),)

    def queries(self, view: AttackView, keys: Collection[str], rng: np.random.Generator, /) -> dict[str, Queries]:
        """At most `most` predicates of each kind, no two of a kind from equal release rows."""
        rows, isolation = _pool(view)
        table = Sorted.of(comparable(rows, view.layout))
        remote = np.argsort(-isolation, kind="stable")[: max(round(EXPOSED_SHARE * len(rows)), 1)]
        made = {}
        for key in keys:
            chosen = rng.permutation(remote if key == "tail" else len(rows))[: self.most]
            made[key] = Asked(
                predicates=single_columns(table, chosen, rng)
                if key == "one_column"
                else conjunctions(table, chosen, view.layout, rng),
                layout=view.layout,
            )
        return dict(made)


def _pool(view: AttackView) -> tuple[Encoded, FloatArray]:
    """Distinct rows of the release, at most `MAX_POOL` of its own, with their isolation in it."""

    def base() -> tuple[Distinct, FloatArray]:
        found = view.distinct(MAX_POOL)
        return found, view.isolation_among_release(found.rows.points)

    pool, isolation = view.cached("pool of predicates", base)
    if view.planted is None:
        return pool.rows, isolation
    first = np.unique(view.planted.ids, return_index=True)[1]
    new = first[~np.isin(view.planted.ids[first], pool.rows.ids)]
    planted = view.planted.take(new[: round(pool.share * len(new))])
    return joined(pool.rows, planted), np.concatenate([isolation, view.isolation_among_release(planted.points)])
