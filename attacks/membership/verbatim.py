"""Exact copies: does the release repeat training rows more often than rows it has never seen?

Every release repeats some real rows by chance, and on coarse tables many: a released half of the Fair survey matches a
tenth of the other half. The evidence is therefore the *excess* of matches among members over matches among holdout
rows, asked three ways: over all rows; among the exposed tenths; and over all rows, counting only matches so
far from any other row that at most one holdout row in a thousand shows the like. The last one sees a 1 % leak on
Adult; how small a leak it sees on the table at hand is what the positive control measures.

Shipped tools look at distances or at match shares without holdout and pass such releases (Ganev and De Cristofaro
2023, arXiv 2312.05114; Yao et al. 2025, arXiv 2505.01524).

>>> Verbatim().endpoints(Roles())[1].fpr
0.001

Not guaranteed: a copy changed in one cell is no match; `nearest_neighbour` looks for those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.protocol import EXPOSED, AttackView, Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray

THREAT = ThreatModel(access="no_box", knowledge="one full record, reference rows of the population")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """Exact-match excess of members over nonmembers."""

    name: str = "verbatim"
    version: str = "3"
    threat: ThreatModel = THREAT
    max_targets: int | None = None

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """Match excess over all rows, at a rarity cut, and in each exposed tenth."""
        base = "membership.verbatim"
        return (
            Endpoint(
                name="match_excess", score="match", statistic="rate_excess", stratum="all", limit_id=f"{base}.all"
            ),
            Endpoint(
                name="match_excess@fpr=0.001",
                score="isolated_match",
                statistic="tpr_excess",
                stratum="all",
                limit_id=f"{base}.isolated",
                fpr=0.001,
            ),
            *(
                Endpoint(
                    name="match_excess",
                    score="match",
                    statistic="rate_excess",
                    stratum=stratum,
                    limit_id=f"{base}.{stratum}",
                )
                for stratum in EXPOSED
            ),
        )

    def score(self, view: AttackView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """`match` is 1 for a row that the release repeats; `isolated_match` weighs it by its isolation.

        How likely a match is by chance depends on how dense the population is there, and on how dense the release is
        apart from the match itself; the weight is the sum of both isolations.
        """
        match = view.matches()
        weight = np.full(len(match), -1.0)
        weight[match] = view.isolation[match] + view.isolation_in_release()[match]
        return {"match": match.astype(np.float64), "isolated_match": weight}
