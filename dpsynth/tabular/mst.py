"""A spanning tree of noisy pair tables, after MST (McKenna, Miklau and Sheldon 2021), in closed form.

Three measurements, all integer counts under the discrete Gaussian, for add/remove one unit of at most k rows:

1. all 1-ways (`oneway`), from which cells are merged into codes;
2. one score per pair of columns, `|| T - E ||_1` with T the exact pair table of codes and E the integer table that the
   1-ways alone predict. E is released already, and one row changes one cell of T by one: each score changes by at most
   k, all d (d - 1) / 2 of them together cost as many discrete Gaussians. The tree is the maximum spanning tree of noisy
   score minus the error that measuring the pair would add;
3. the d - 1 pair tables of the tree, each of sensitivity k.

Then `tree`: no iterative inference, no compiled model. Nothing branches on exact tables or on the number of rows.

Cost: time O(rows * columns^2) for the pair scores (one bincount each, about 0.3 ms per pair and 30,000 rows) and
O(columns * rows log rows) for sampling; memory one code of 1-2 bytes per cell of the table, and the d - 1 pair tables.

Not guaranteed: dependence that needs three columns at once, or pairs outside the tree beyond what the tree carries.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event, EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import CountTable
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.allocation import Round, RoundShares, Shares
from dpsynth.tabular.asks import Asking, Asks
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.forests.forest_model import ForestModel
from dpsynth.tabular.forests.tree import Pair, Vector, fit_forest, project, spanning_tree
from dpsynth.tabular.head import measure_columns
from dpsynth.tabular.histograms import noisy_histograms
from dpsynth.tabular.planning import calibrated_plan
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.selection import measurement_error, predicted_table

SHARES = Shares(rounds=(RoundShares(scores=0.05, pairs=0.45),))
"""Decided on six tables (3,900 to 60,000 rows, 15 to 86 columns): flat from 0.35 to 0.55 for the 1-ways on most, better
with more on the widest."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MST:
    """Maximum spanning tree of pair tables.

    Args:
        shares: parts of the budget for 1-ways, scores and pair tables.
        codes: about how many codes a wide numeric column is merged into.
    """

    name: ClassVar[str] = "mst"
    shares: Shares = SHARES
    codes: int = 32

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone; see `protocol.Generator.plan`."""
        return calibrated_plan(self.name, schema, unit, epsilon=epsilon, delta=delta, shares=self.shares)

    def asks(self, schema: Schema, plan: Plan, *, rows: int) -> Asks:
        """All pairs once, one after the other; then those of the tree. See `asks.Declares`."""
        asked = Asking(schema, plan, codes=self.codes, rows=rows)
        for scales in plan.settings.rounds:
            asked.all_pairs("score pairs")
            asked.some("measure pairs", asked.pairs, scales.pairs)
            asked.holds_tables(scales.pairs)
        return asked.done()

    def fit(
        self,
        table: CountTable,
        schema: Schema,
        domains: Mapping[str, Domain],
        plan: Plan,
        *,
        noise: NoiseSource,
        progress: Progress = silent,
        spent: tuple[Event, ...] = (),
    ) -> ForestModel:
        """Measure 1-ways, scores and the tree's pair tables; estimate in closed form."""
        head = measure_columns(
            table, schema, domains, plan, self.name, codes=self.codes, noise=noise, progress=progress, spent=spent
        )
        settings, binnings, total, events = plan.settings, head.binnings, head.total, head.events
        tables: dict[Pair, Vector] = {}
        sigma = 1.0
        for scales in settings.rounds:
            scores, scored = _scores(table, binnings, total, scales, settings.max_records, noise, progress)
            edges = spanning_tree(tuple(binnings), _gains(binnings, scores, total, scales))
            tables, measured = _pair_tables(table, binnings, edges, scales, settings.max_records, noise, progress)
            events, sigma = (*events, scored, measured), float(scales.pair_sigma)
        forest = fit_forest(
            {name: binning.counts for name, binning in binnings.items()},
            {name: binning.variance for name, binning in binnings.items()},
            tables,
            sigma,
            total,
            complete=[name for name, binning in binnings.items() if not binning.has_missing],
        )
        return ForestModel(
            generator=self.name,
            domains=head.domains,
            binnings=binnings,
            forest=forest,
            events=EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=plan.tree.unit, events=events),
            rows=round(total),
            enforced=Enforced.learned_from(schema, head.binnings, forest.sample, noise),
        )


def _scores(
    table: CountTable,
    binnings: Mapping[str, Binning],
    total: float,
    scales: Round,
    max_records: int,
    noise: NoiseSource,
    progress: Progress,
) -> tuple[dict[Pair, float], Event]:
    """Noisy distance of every pair from what the 1-ways predict, in rows."""
    shares = _proportions(binnings, total)
    pairs = list(itertools.combinations(binnings, 2))

    def distance(at: int, exact: NDArray[np.int64]) -> int:
        left, right = pairs[at]
        progress("score pairs", at + 1, len(pairs))
        return int(np.abs(exact - predicted_table(shares[left], shares[right], total)).sum())

    noisy, event = noisy_histograms(
        table,
        binnings,
        pairs,
        name="score pairs",
        sigma=scales.score_sigma,
        max_records=max_records,
        noise=noise,
        asked=distance,
    )
    return {pair: int(score) for pair, score in zip(pairs, noisy, strict=True)}, event


def _gains(
    binnings: Mapping[str, Binning], scores: Mapping[Pair, float], total: float, scales: Round
) -> dict[Pair, float]:
    """What measuring each pair is worth: its released score less the error that stays. Post-processing."""
    shares, sigma = _proportions(binnings, total), float(scales.pair_sigma)
    return {
        (left, right): score - measurement_error(predicted_table(shares[left], shares[right], total), sigma)
        for (left, right), score in scores.items()
    }


def _pair_tables(
    table: CountTable,
    binnings: Mapping[str, Binning],
    edges: tuple[Pair, ...],
    scales: Round,
    max_records: int,
    noise: NoiseSource,
    progress: Progress,
) -> tuple[dict[Pair, Vector], Event]:
    """Noisy tables of the edges, and the event of all of them."""
    noisy, event = noisy_histograms(
        table, binnings, edges, name="measure pairs", sigma=scales.pair_sigma, max_records=max_records, noise=noise
    )
    progress("measure pairs", len(edges), len(edges))
    return {pair: counts.astype(np.float64) for pair, counts in zip(edges, noisy, strict=True)}, event


def _proportions(binnings: Mapping[str, Binning], total: float) -> dict[str, Vector]:
    return {name: project(binning.counts, total, binning.variance) / total for name, binning in binnings.items()}
