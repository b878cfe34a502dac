"""AIM (McKenna, Mullins, Sheldon and Miklau 2022) on a record table instead of a junction tree.

Round by round, for add/remove one unit of at most k rows:

1. choose the pair that the model gets most wrong, by the exponential mechanism on
   `w_r (|| T_r - E_r ||_1 - error_r)`: T_r the exact pair table of codes, E_r the integer table that the model expects
   (released), error_r the error that measuring it at the present noise would leave (public), w_r a public weight. One
   row changes one cell of T_r by one, so each score changes by at most w_r k, up or down: a range of 2 k max w;
2. measure it with discrete Gaussian noise, sensitivity k;
3. fit records (`record_fit`), a few sweeps from where they are;
4. if the model's table moved by less than the error that the noise leaves in it, go on with half the noise.

What is asked, how often, and with how much noise depends on what was released before. The plan therefore reserves one
`ZCDPFilter` for all of it, and `aim_budget` admits each step before its noise is drawn. 1-ways come first (`head`).

Against the paper: records instead of a graphical model, so no limit on cliques; a workload of all pairs; 1-ways with
spikes and merged cells, and with a larger share; `selection.measurement_error` instead of sqrt(2 / pi) sigma a cell,
which calls large tables too dear where most cells are empty; for many columns several pairs between two fits.

Not guaranteed: dependence that needs three columns at once; convergence, beyond what annealing gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event, ZCDPFilter
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import CountTable
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.mechanisms.exponential import exponential
from dpsynth.mechanisms.measured import once
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.aim_budget import AdaptiveBudget
from dpsynth.tabular.allocation import Shares
from dpsynth.tabular.asks import Asking, Asks
from dpsynth.tabular.forests.tree import Pair, Vector
from dpsynth.tabular.head import measure_columns
from dpsynth.tabular.planning import calibrated_plan
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.records.record_ends import OpenFit
from dpsynth.tabular.records.record_fit import LATER, RecordFit, Sweeps
from dpsynth.tabular.records.record_model import RecordModel
from dpsynth.tabular.selection import measurement_error

SHARES = Shares(adaptive=0.75)
STEPS_PER_COLUMN = 16
"""Steps that the bound would last for without annealing, for each column: the paper's. 4 and 8 were no
better on Adult."""
MOST_FITS = 160
"""Rounds of one step each up to this many steps; beyond, several pairs are chosen between two fits."""
SHORT = Sweeps(start=100.0, annealed=1, averaged=4)
"""A fit between two steps. Records are fitted to all but the newest table already, so nothing rises. Tables are
averaged, since those of a single draw of records have a sampling error of the size of the scores."""
TARGET_WORTH = 2
"""Weight of a pair that holds the target; other pairs have 1. Decided on Adult, NIST and Credit at epsilon 1: AUC of
models for the target 0.003 to 0.013 better than with 1, mean pair error up to 7 % worse."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AIM:
    """Pairs chosen and measured one after the other, and records that fit them.

    Args:
        shares: part of the budget for choosing and measuring; the 1-ways take the rest.
        codes: about how many codes a wide numeric column is merged into.
        strength: how much noisy tables count against the prior; see `gibbs`.
    """

    name: ClassVar[str] = "aim"
    shares: Shares = SHARES
    codes: int = 24
    strength: float = 100.0

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone; see `protocol.Generator.plan`.

        Raises:
            ParameterError: a target outside its range.
        """
        return calibrated_plan(self.name, schema, unit, epsilon=epsilon, delta=delta, shares=self.shares)

    def asks(self, schema: Schema, plan: Plan, *, rows: int) -> Asks:
        """All pairs at once, which stay here: every round scores them again. See `asks.Declares`."""
        asked = Asking(schema, plan, codes=self.codes, rows=rows)
        if plan.settings.adaptive is not None:
            asked.all_pairs("count all pairs", kept=True)
        asked.holds_records(STEPS_PER_COLUMN * len(schema.modelled))
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
        """Measure 1-ways; then choose, measure and fit until the filter is spent."""
        head = measure_columns(
            table, schema, domains, plan, self.name, codes=self.codes, noise=noise, progress=progress, spent=spent
        )
        rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
        opened = OpenFit.of(schema, head, self.strength, rng, progress)
        fit, settings = opened.fit, plan.settings
        if settings.adaptive is None:
            return opened.model(self.name, head, plan, head.events)
        event = ZCDPFilter(rho=settings.adaptive, noise=noise.kind)
        weights = {pair: TARGET_WORTH if schema.target in pair else 1 for pair in fit.pairs}

        def exact() -> dict[Pair, NDArray[np.int64]]:
            return {
                (left, right): counts[: fit.shapes[left], : fit.shapes[right]]
                for (left, right), counts in zip(fit.pairs, table.counts(head.binnings, fit.pairs), strict=True)
            }

        rounds = _Rounds(cache(exact), weights, fit, event, settings.max_records, noise)
        rounds.run(progress)
        fit.run(LATER, _distances(fit), "fit records")
        return opened.model(self.name, head, plan, (*head.events, event), admitted=rounds.admitted)


@final
class _Rounds:
    """Choose, measure, fit, anneal.

    Args:
        exact: gives pair -> exact table; asked by the two mechanisms and by nothing else, once something is new.
        weights: pair -> public positive integer.
        fit: released numbers, and what they predict.
        event: bound of the filter.
        max_records: k, the most rows of one unit.
        noise: uniform words.
    """

    def __init__(
        self,
        exact: Callable[[], Mapping[Pair, NDArray[np.int64]]],
        weights: Mapping[Pair, int],
        fit: RecordFit,
        event: ZCDPFilter,
        max_records: int,
        noise: NoiseSource,
    ) -> None:
        self._exact, self._weights, self._fit = exact, weights, fit
        self._max_records, self._noise = max_records, noise
        steps = STEPS_PER_COLUMN * len(fit.shapes)
        batch = min(math.ceil(steps / MOST_FITS), len(weights))
        self._budget = AdaptiveBudget(event, steps=max(steps, batch), batch=batch, max_records=max_records)

    @property
    def admitted(self) -> tuple[Event, ...]:
        """What ran under the filter, in time order."""
        return self._budget.steps

    def run(self, progress: Progress) -> None:
        """Rounds until the filter is spent."""
        while count := self._budget.next_round():
            expected, sigma = self._fit.expected(), self._budget.sigma
            chosen = self.choose(expected, count)
            tables = {pair: self.measure(pair, sigma) for pair in chosen}
            self._fit.learn(tables, dict.fromkeys(chosen, float(sigma)))
            self._fit.run(SHORT, _distances(self._fit), "")
            now = self._fit.expected()
            moved = sum(float(np.abs(now[pair] - expected[pair]).sum()) for pair in chosen)
            if moved <= sum(measurement_error(expected[pair], float(sigma)) for pair in chosen):
                self._budget.grow()
            progress("choose and measure pairs", round(100 * self._budget.part_spent), 100)

    def choose(self, expected: Mapping[Pair, NDArray[np.int64]], count: int) -> list[Pair]:
        """That many different pairs, each by an exponential mechanism of its own."""
        sigma = float(self._budget.sigma)
        spread = 2 * self._max_records * max(self._weights.values())
        coefficient = self._budget.coefficient(spread)

        @cache
        def scores() -> dict[Pair, int]:
            return {
                pair: self._weights[pair]
                * (int(np.abs(table - expected[pair]).sum()) - round(measurement_error(expected[pair], sigma)))
                for pair, table in self._exact().items()
            }

        def choice(left: list[Pair]) -> int:
            worth = [scores()[pair] for pair in left]
            return exponential(worth, coefficient=coefficient, score_range=spread, noise=self._noise)[0]

        chosen: list[Pair] = []
        for _ in range(count):
            left = [pair for pair in self._weights if pair not in chosen]
            self._budget.admit_choice(coefficient, spread)
            at = once(self._noise, f"choose at {coefficient}, without {chosen}", partial(choice, left))
            chosen.append(left[at])
        return chosen

    def measure(self, pair: Pair, sigma: Decimal) -> Vector:
        """The pair's table with noise."""
        self._budget.admit_table(sigma)

        def measure() -> NDArray[np.int64]:
            table = self._exact()[pair]
            return discrete_gaussian(table, sigma=sigma, noise=self._noise, l2_sensitivity=self._max_records)[0]

        return once(self._noise, f"measure {pair} at {sigma}", measure).astype(np.float64)


def _distances(fit: RecordFit) -> dict[Pair, float]:
    """Measured pair -> how far from independence the model expects it, in rows. Post-processing."""
    expected = fit.expected()
    distances = {}
    for pair in fit.tables:
        table = expected[pair]
        product = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1)
        distances[pair] = float(np.abs(table - product).sum())
    return distances
