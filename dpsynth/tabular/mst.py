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
import math
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
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.allocation import Allocation, Shares
from dpsynth.tabular.binning import Binning, bin_cells
from dpsynth.tabular.forest_model import ForestModel
from dpsynth.tabular.oneway import measure_oneways, row_total
from dpsynth.tabular.planning import calibrated_plan, checked_domains
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.tree import Pair, Vector, fit_forest, project, spanning_forest


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MST:
    """Maximum spanning tree of pair tables.

    Args:
        shares: parts of the budget for 1-ways, scores and pair tables.
        codes: about how many codes a wide numeric column is merged into.
    """

    name: ClassVar[str] = "mst"
    shares: Shares = Shares(oneway=0.20, scores=0.10, pairs=0.70)
    codes: int = 48

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone; see `protocol.Generator.plan`."""
        return calibrated_plan(self.name, schema, unit, epsilon=epsilon, delta=delta, shares=self.shares)

    def fit(
        self,
        table: Table,
        schema: Schema,
        domains: Mapping[str, Domain],
        plan: Plan,
        *,
        noise: NoiseSource,
        progress: Progress = silent,
        spent: tuple[Event, ...] = (),
    ) -> ForestModel:
        """Measure 1-ways, scores and the tree's pair tables; estimate in closed form."""
        domains = checked_domains(schema, domains, plan, self.name)
        settings = plan.settings
        oneways, events = measure_oneways(table, domains, settings, noise=noise, progress=progress)
        binnings = {name: bin_cells(oneway, codes=self.codes) for name, oneway in oneways.items()}
        total = row_total(oneways)
        tables: dict[Pair, Vector] = {}
        if settings.pair_sigma is not None:
            gains, scored = _gains(table, binnings, total, settings, noise, progress)
            tables, measured = _pair_tables(
                table, binnings, spanning_forest(tuple(domains), gains), settings, noise, progress
            )
            events = (*events, scored, measured)
        forest = fit_forest(
            {name: binning.counts for name, binning in binnings.items()},
            {name: binning.variance for name, binning in binnings.items()},
            tables,
            float(settings.pair_sigma or 1),
            total,
        )
        return ForestModel(
            generator=self.name,
            domains=domains,
            binnings=binnings,
            forest=forest,
            events=EventTree(
                relation=NeighboringRelation.ADD_REMOVE, unit=plan.tree.unit, events=(*spent, *events)
            ),
            rows=round(total),
        )


def predicted_table(left: Vector, right: Vector, total: float) -> NDArray[np.int64]:
    """Integer pair table that two released distributions predict without dependence, shape (left, right)."""
    return np.rint(total * np.outer(left, right)).astype(np.int64)


def measurement_error(expected: NDArray[np.int64], sigma: float) -> float:
    """Rows of L1 error left in a pair table that is measured with noise `sigma` and then denoised.

    A cell errs by the noise's mean deviation 0.8 sigma, but hardly by more than its own size twice, since estimates
    are not negative.
    """
    return float(np.minimum(math.sqrt(2 / math.pi) * sigma, 2.0 * expected + 0.1 * sigma).sum())


def _gains(
    table: Table,
    binnings: Mapping[str, Binning],
    total: float,
    settings: Allocation,
    noise: NoiseSource,
    progress: Progress,
) -> tuple[dict[Pair, float], Event]:
    """Released gain of each pair: noisy distance from independence, less the error of measuring it."""
    shares = {name: project(binning.counts, total) / total for name, binning in binnings.items()}
    pairs = list(itertools.combinations(binnings, 2))
    scores, errors = np.zeros(len(pairs), dtype=np.int64), np.zeros(len(pairs))
    sigma = settings.score_sigma
    if sigma is None or settings.pair_sigma is None:
        raise ValueError("the allocation has no scores")
    for at, ((left, right), exact) in enumerate(zip(pairs, table.counts(binnings, pairs), strict=True)):
        expected = predicted_table(shares[left], shares[right], total)
        scores[at] = np.abs(exact - expected).sum()
        errors[at] = measurement_error(expected, float(settings.pair_sigma))
        progress("score pairs", at + 1, len(pairs))
    noisy, event = discrete_gaussian(
        scores, sigma=sigma, noise=noise, l2_sensitivity=settings.max_records, count=len(pairs)
    )
    return dict(zip(pairs, (noisy - errors).tolist(), strict=True)), event


def _pair_tables(
    table: Table,
    binnings: Mapping[str, Binning],
    edges: tuple[Pair, ...],
    settings: Allocation,
    noise: NoiseSource,
    progress: Progress,
) -> tuple[dict[Pair, Vector], Event]:
    """Noisy tables of the edges, and the event of all of them."""
    exact = list(table.counts(binnings, edges))
    flat = np.concatenate([counts.ravel() for counts in exact])
    noisy, event = discrete_gaussian(
        flat,
        sigma=settings.pair_sigma or "1",
        noise=noise,
        l2_sensitivity=settings.max_records,
        count=len(edges),
    )
    parts = np.split(noisy.astype(np.float64), np.cumsum([counts.size for counts in exact])[:-1])
    progress("measure pairs", len(edges), len(edges))
    return {
        edge: part.reshape(counts.shape) for edge, part, counts in zip(edges, parts, exact, strict=True)
    }, event
