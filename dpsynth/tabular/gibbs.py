"""Many overlapping pair tables, fitted by Gibbs moves on a table of records: the most accurate generator.

Measurements are integer counts under the discrete Gaussian, for add/remove one unit of at most k rows:

1. all 1-ways (`oneway`), from which cells are merged into codes;
2. twice: one score per pair of columns, `|| T - E ||_1`, with T the exact pair table of codes and E the integer table
   that the model predicts so far (the 1-ways first, then the fit of round one). E is released already and one row
   changes one cell of T by one, so each score changes by at most k; then a planned number of pair tables, each of
   sensitivity k. `selection` decides by the scores which pairs take them; a pair may take several, and where no pair
   is worth one, columns are counted again;
3. where noise is very small and there is a target: a planned number of its tables with two other columns (`triples`).

How many tables, and the noise of each, follow from the number of columns and the budget alone, so what is spent is what
was planned. Scores and tables are then believed as far as their own noise allows (`shrinkage`). Between measurements
and after them `record_table` fits records; their tables, averaged over further sweeps, are the posterior means that
round two scores and that samples are steered to. Nothing branches on exact tables or on the number of rows. Pairs of
almost equal columns (score above 0.7 of the rows) also move together.

Cost: time O(records * measured pairs * codes) a sweep, about 25 sweeps; two chains of at most 20,000 records (12,500
beyond 25 columns) run side by side, so only scoring and sampling grow with the rows.

Not guaranteed: dependence that needs three columns at once, but for those triples; convergence, beyond what annealing
gives.
"""

from __future__ import annotations

import itertools
import math
from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, cast, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import CountTable, Table
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.allocation import Round, RoundShares, Shares
from dpsynth.tabular.asks import Asking, Asks
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.merging import CODES
from dpsynth.tabular.forests.tree import Pair, Vector, spanning_tree
from dpsynth.tabular.halves import measured_halves
from dpsynth.tabular.head import measure_columns
from dpsynth.tabular.histograms import noisy_histograms
from dpsynth.tabular.planning import calibrated_plan
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.records.public_prior import public_rows
from dpsynth.tabular.records.record_ends import OpenFit
from dpsynth.tabular.records.record_fit import FIRST, LAST, LATER, RecordFit
from dpsynth.tabular.records.record_model import RecordModel
from dpsynth.tabular.records.shrinkage import posterior_means
from dpsynth.tabular.selection import OPTIMISM, Clique, assign_slots, measurement_error
from dpsynth.tabular.triples import chosen_triples, measured_triples

SHARES = Shares(
    rounds=(
        RoundShares(scores=0.05, pairs=0.37, per_column=4.0),
        RoundShares(scores=0.05, pairs=0.28, per_column=2.5),
    ),
    noisy=(
        RoundShares(scores=0.05, pairs=0.25, per_column=1.5),
        RoundShares(scores=0.05, pairs=0.15, per_column=1.0),
    ),
    halved=(
        RoundShares(scores=0.03, pairs=0.25, per_column=1.0),
        RoundShares(scores=0.03, pairs=0.10, per_column=0.5),
    ),
    triples=0.1,
    halves=0.1,
)
"""`rounds` were decided on Adult, where 30/35 and 37/28 % were alike and finer slots (10, 8 a column) no better.
`noisy` were decided on CoIL at epsilon 1 and on Fair, NIST and Diabetes at 0.3: half for the 1-ways, and few slots.
1-way shares of 0.4 to 0.6, and one round instead of two, were alike there and worse on NIST at epsilon 1.
`halved` and `halves`: CoIL at epsilon 1, 10 to 14 runs each. On NIST at 0.3, with 22 columns, `halved` without halves
cost TSTR (0.79 against 0.81), and halves cost TVD2 (0.129 against 0.125); so both need many columns.
`triples`, and their number and codes, were decided on NIST and Credit at epsilon 10: shares of 0.15 and 0.2 gain more
TSTR there and cost pairs, 0.1 costs them nothing; half as many tables, of 8 codes, were worse on Credit."""

COLUMN_WORTH = 0.25
"""How much an error in a column's own counts counts in each of its pairs when slots are assigned. Against no slots for
columns, mean pair error fell 6 % on CoIL at epsilon 1 and 3 % on Diabetes at 0.3 and did not change on NIST and Fair;
with 0.5 that of Fair rose 7 %."""

TARGET_WORTH = 3.0
"""How much an error in a pair of the target counts when slots are assigned."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gibbs:
    """Two rounds of pair tables, and records that fit them.

    Args:
        shares: parts of the budget for the two rounds; the 1-ways take the rest.
        codes: about how many codes a wide numeric column is merged into.
        strength: how firmly the fit holds to the noisy 1-ways at the end of annealing; 1 is the posterior. How firmly
            to pair tables is estimated from them (`shrinkage`).
        prior: public rows with the modelled columns, or the file that holds them; see `public_prior`. Anything but
            public rows, or rows released under a guarantee of their own, voids the guarantee.
    """

    name: ClassVar[str] = "gibbs"
    shares: Shares = SHARES
    codes: int = 24
    strength: float = 100.0
    prior: Table | Path | None = None

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone; see `protocol.Generator.plan`.

        Raises:
            ParameterError: a target outside its range.
            SchemaError, DataError: the public prior does not fit the schema, cannot be read or has no rows.
        """
        self._public(schema)
        return calibrated_plan(self.name, schema, unit, epsilon=epsilon, delta=delta, shares=self.shares)

    def asks(self, schema: Schema, plan: Plan, *, rows: int) -> Asks:
        """All pairs in each round, one after the other; then those that scores choose. See `asks.Declares`."""
        asked, settings, names = Asking(schema, plan, codes=self.codes, rows=rows), plan.settings, schema.modelled
        coarse = {name: min(size, CODES) for name, size in asked.codes.items()}
        others = tuple(name for name in names if name != schema.target)
        if settings.halves is not None and schema.target is not None:
            halves = {name: min(size, 2) for name, size in coarse.items()} | {schema.target: coarse[schema.target]}
            asked.coarse("measure halves", [(name, schema.target) for name in others], settings.halves.count, halves)
        for number, scales in enumerate(settings.rounds, start=1):
            asked.all_pairs(f"score pairs, round {number}")
            asked.some(f"measure tables, round {number}", asked.pairs, scales.pairs)
        if settings.triples is not None and schema.target is not None:
            triples = [(schema.target, *couple) for couple in itertools.combinations(others, 2)]
            asked.coarse("measure triples", triples, settings.triples.count, coarse)
        asked.holds_records(sum(scales.pairs for scales in settings.rounds))
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
    ) -> RecordModel:
        """Measure 1-ways, then score, measure and fit pairs in each round."""
        public = self._public(schema)
        head = measure_columns(
            table,
            schema,
            domains,
            plan,
            self.name,
            codes=self.codes,
            noise=noise,
            progress=progress,
            spent=spent,
            public=public,
        )
        settings, binnings, events = plan.settings, head.binnings, head.events
        rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
        opened = OpenFit.of(schema, head, self.strength, rng, progress, public=public)
        fit = opened.fit
        if settings.halves is not None and schema.target is not None:
            fit.halves, measured = measured_halves(
                table, binnings, fit.shapes, schema.target, settings.halves, settings.max_records, noise
            )
            events = (*events, measured)
            progress("measure halves", settings.halves.count, settings.halves.count)
        distances: dict[Pair, float] = {}
        for number, scales in enumerate(settings.rounds):
            expected = fit.expected()
            scores, scored = _scores(table, binnings, expected, scales, settings.max_records, noise, progress)
            distances = distances or fit.trust(scores, float(scales.score_sigma))
            slots = assign_slots(
                *_candidates(scores, expected, fit),
                sigma=float(scales.pair_sigma),
                slots=scales.pairs,
                earlier=_earlier(fit),
                worth=_worth(scores, schema.target, len(binnings)),
                first=() if number else _first(scores, expected, scales, schema),
            )
            tables, measured = _tables(
                table, binnings, fit.shapes, slots, scales, settings.max_records, noise, progress
            )
            events = (*events, scored, measured)
            for clique, counted in tables.items():
                sigma = float(scales.pair_sigma) / math.sqrt(slots[clique])
                if len(clique) == 1:
                    fit.refine(clique[0], counted, sigma)
                else:
                    pair = clique[0], clique[1]
                    fit.learn({pair: counted}, {pair: sigma})
            fit.run(LATER if number else FIRST, distances, f"fit records, round {number + 1}")
        if settings.triples is not None and schema.target is not None:
            triples = chosen_triples(distances, tuple(binnings), schema.target, settings.triples.count)
            fit.triples, measured = measured_triples(
                table, binnings, fit.shapes, triples, settings.triples, settings.max_records, noise
            )
            events = (*events, measured)
            progress("measure triples", len(triples), len(triples))
            fit.run(LAST, distances, "fit records, triples")
        return opened.model(self.name, head, plan, events)

    def _public(self, schema: Schema) -> Table | None:
        return None if self.prior is None else public_rows(self.prior, schema)


def _candidates(
    scores: Mapping[Pair, float], expected: Mapping[Pair, NDArray[np.int64]], fit: RecordFit
) -> tuple[dict[Clique, float], Mapping[Clique, NDArray[Any]]]:
    """What may take slots, with its error now and its expected table: all pairs, and all columns by themselves."""
    known = fit.known()
    errors: dict[Clique, float] = {(name,): measurement_error(*of_column) for name, of_column in known.items()}
    errors.update(cast("Mapping[Clique, float]", scores))
    columns: dict[Clique, NDArray[Any]] = {(name,): counts for name, (counts, _) in known.items()}
    return errors, ChainMap(columns, cast("MutableMapping[Clique, NDArray[Any]]", expected))


def _earlier(fit: RecordFit) -> dict[Clique, float]:
    """Noise of what is known of each column and of each measured pair."""
    noise: dict[Clique, float] = {(name,): deviation for name, (_, deviation) in fit.known().items()}
    noise.update(cast("Mapping[Clique, float]", fit.sigmas))
    return noise


def _worth(pairs: Iterable[Pair], target: str | None, columns: int) -> dict[Clique, float]:
    """How much an error counts where it is not 1."""
    worth: dict[Clique, float] = {}
    for pair in pairs:
        worth.update(dict.fromkeys(((pair[0],), (pair[1],)), COLUMN_WORTH * (columns - 1)))
        if target in pair:
            worth[pair] = TARGET_WORTH
    return worth


def _first(
    scores: Mapping[Pair, float], expected: Mapping[Pair, NDArray[np.int64]], scales: Round, schema: Schema
) -> tuple[Pair, ...]:
    """Pairs that have a slot in any case: a spanning tree, and the target's that are worth one. Post-processing."""
    sigma = float(scales.pair_sigma) * math.sqrt((len(schema.modelled) - 1) / scales.pairs)
    gains = {pair: score - measurement_error(expected[pair], sigma) / OPTIMISM for pair, score in scores.items()}
    tree = spanning_tree(schema.modelled, gains)
    return (*tree, *(pair for pair, gain in gains.items() if schema.target in pair and gain > 0 and pair not in tree))


def _scores(
    table: CountTable,
    binnings: Mapping[str, Binning],
    expected: Mapping[Pair, NDArray[np.int64]],
    scales: Round,
    max_records: int,
    noise: NoiseSource,
    progress: Progress,
) -> tuple[dict[Pair, float], Event]:
    """Distance of every pair from what the model expects, in rows: noisy, then as far as it is to be believed."""
    pairs = tuple(expected)

    def distance(at: int, exact: NDArray[np.int64]) -> int:
        predicted = expected[pairs[at]]
        rows, columns = predicted.shape
        progress("score pairs", at + 1, len(pairs))
        return int(np.abs(exact[:rows, :columns] - predicted).sum())

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
    believed = posterior_means(np.array(noisy, dtype=np.float64), float(scales.score_sigma))
    return dict(zip(pairs, believed.tolist(), strict=True)), event


def _tables(
    table: CountTable,
    binnings: Mapping[str, Binning],
    shapes: Mapping[str, int],
    slots: Mapping[Clique, int],
    scales: Round,
    max_records: int,
    noise: NoiseSource,
    progress: Progress,
) -> tuple[dict[Clique, Vector], Event]:
    """Noisy tables of the chosen cliques, each the mean of as many as it has slots, and the event of all of them."""
    cliques = tuple(slots)
    noisy, event = noisy_histograms(
        table,
        binnings,
        cliques,
        name="measure tables",
        sigma=scales.pair_sigma,
        max_records=max_records,
        noise=noise,
        times=tuple(slots.values()),
        asked=lambda at, exact: exact[tuple(slice(shapes[name]) for name in cliques[at])],
    )
    tables = {clique: counts.astype(np.float64).mean(axis=0) for clique, counts in zip(cliques, noisy, strict=True)}
    progress("measure tables", scales.pairs, scales.pairs)
    return tables, event
