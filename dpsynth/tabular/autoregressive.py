"""A network of one column after another, trained by DP-SGD, finished with released tables.

p(row) = product over columns of p(column | columns before), columns of few codes first, the target last. In time order:

1. all 1-ways (`oneway`), from which cells are merged into codes and the network's biases follow;
2. noisy gradient steps (`dpsynth.sgd`): Poisson samples of units, each unit's gradient clipped to `columns / 2` (about
   the norm of an untrained network's gradient, whose block i sees i inputs), Gaussian noise, Adam with a cosine;
3. a planned number of pair tables, of pairs that the model's own rows say are worth their noise (post-processing), each
   of sensitivity k. Tables are shrunk towards the model and made to agree with 1-ways; rows are raked onto them and
   moved (`finishing`).

Steps and their rate follow from epsilon and the number of columns alone, their noise from the price of all events
together. What a step spends does not depend on what its sample holds. Under a user-level unit all rows of a unit join a
sample together and are clipped together: k multiplies the noise of tables, not that of steps. Where the
schema has an order, whole people are made (`sequences`).

Cost: 25 to 50 times the rows through one masked linear map; memory the codes, one block of 1024 rows and the network.
The log-linear network is numpy; others need PyTorch, about 180 MiB more.

Not guaranteed: dependence beyond what the network can say; the log-linear one adds up pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event, EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.noise import NoiseSource, SystemNoise
from dpsynth.core.progress import Progress, silent
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.table import CountTable, Table
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.sgd.checkpoint import Checkpoints
from dpsynth.sgd.device import device
from dpsynth.sgd.training import Units, train
from dpsynth.tabular.allocation import Shares
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.finishing.raking import raked
from dpsynth.tabular.head import MeasuredColumns, measure_columns
from dpsynth.tabular.networks.column_model import ColumnModel
from dpsynth.tabular.networks.drawing import draw_rows
from dpsynth.tabular.networks.ordering import columns_of, ordered, without_gaps
from dpsynth.tabular.networks.pool_tables import Pair, measured_pairs, targets, worth_measuring
from dpsynth.tabular.networks.pretraining import FINE, pretrain
from dpsynth.tabular.networks.protocol import NUMPY, RATES, ColumnNetwork, Columns, network
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.records.public_prior import public_rows
from dpsynth.tabular.sequences.fitting import LENGTHS, STAYS, check_order, fit_people
from dpsynth.tabular.sequences.people_model import PeopleModel
from dpsynth.tabular.training_plan import trained_plan

POOL = 200_000
"""Most rows that a fit draws of its own model, four for each released row."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a level of epsilon is spent; by epsilon, between levels by the logarithm.

    Attributes:
        epsilon: the level, add/remove one unit.
        histogram, tables: parts of rho (zCDP) for 1-ways and for pair tables.
        epochs: steps times probability.
    """

    epsilon: float
    histogram: float
    tables: float
    epochs: float


RECIPES = (
    Recipe(epsilon=1.0, histogram=0.25, tables=0.15, epochs=25.0),
    Recipe(epsilon=3.0, histogram=0.15, tables=0.10, epochs=37.5),
    Recipe(epsilon=10.0, histogram=0.10, tables=0.05, epochs=50.0),
)
"""Shares and epochs are those of the prototype, decided on Adult, but for the 1-ways at epsilon 1 and 3. With 0.25 in
place of 0.15 at epsilon 1 mean pair error was 0.0355 (four runs) against 0.0356 (five) on Adult and
0.147 against 0.156 on Credit (one each); TSTR was 0.002 lower on Adult, 0.01 on Credit. With 0.35, 0.25
for tables and two tables a column pair error was 0.162 on Credit. Epsilon 3 lies in between and was not tried. All of
these are with 48 codes and before tables agreed with 1-ways and rows were moved."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Autoregressive:
    """Trains a network of columns.

    Args:
        network: its name in `networks.protocol.NETWORKS`.
        options: whole numbers that shape it.
        codes: about how many codes a wide numeric column is merged into.
        probability: with which every unit joins a step's sample.
        rate: learning rate at the first step; the network's own if left out (`RATES`), and `pretraining.FINE` of it
            after a public prior.
        clip: largest norm of a unit's gradient; half the number of columns if left out.
        steps: how many; by the recipe of epsilon if left out.
        pairs_per_column: pair tables measured after training for each column.
        device: where it is trained: auto, cpu, cuda, or a GPU by number such as cuda:1.
        checkpoints: where the state of training is kept; a workspace hands in a sealed one.
        every: steps between two states.
        prior: public rows with the modelled columns, or the file that holds them, to start from; see `pretraining`.
            Anything but public rows, or rows released under a guarantee of their own, voids the guarantee.
    """

    name: ClassVar[str] = "autoregressive"
    network: str = "log_linear"
    options: Mapping[str, int] = field(default_factory=dict)
    codes: int = 32
    probability: Decimal = Decimal("0.0625")
    rate: float | None = None
    clip: Decimal | None = None
    steps: int | None = None
    pairs_per_column: float = 1.0
    device: str = "auto"
    checkpoints: Checkpoints | None = field(default=None, repr=False, compare=False)
    every: int = 50
    prior: Table | Path | None = None

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone; see `protocol.Generator.plan`.

        Raises:
            ParameterError: a target outside its range or beyond reach, an unknown network or device, one that needs
                PyTorch where that is not installed, or a GPU that is not there.
            SchemaError, DataError: the public prior does not fit the schema, cannot be read or has no rows.
        """
        network(self.network)
        self._place()
        self._public(schema)
        recipe = recipe_at(epsilon)
        shares = Shares(
            training=1.0 - recipe.histogram - recipe.tables,
            trained=recipe.tables,
            trained_per_column=self.pairs_per_column,
        )
        if schema.order is not None:
            check_order(schema, unit)
            if self.network != "log_linear":
                raise ParameterError(
                    f"The {self.network} network makes single rows, not people.", "Use network log_linear."
                )
            if self.prior is not None:
                raise ParameterError("People's sequences take no public prior.", "Leave the prior out.")
            left = 1.0 - recipe.histogram - LENGTHS - STAYS
            shares = Shares(training=left, lengths=LENGTHS, stays=STAYS)
        return trained_plan(
            self.name,
            schema,
            unit,
            epsilon=epsilon,
            delta=delta,
            shares=shares,
            probability=self.probability,
            steps=self.steps or math.ceil(recipe.epochs / float(self.probability)),
            clip=self.clip or Decimal(len(schema.modelled)) / 2,
        )

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
    ) -> ColumnModel | PeopleModel:
        """Measure 1-ways, train, measure pairs of the model's choice, rake; of people as `sequences.fitting` says."""
        unit = plan.tree.unit
        if plan.settings.training is not None and unit.column is not None and unit.column not in table.columns:
            raise SchemaError(
                f"The unit column {unit.column!r} is not in the table, so rows of one unit cannot be clipped together.",
                "Keep the column in the table; it is not modelled.",
            )
        if schema.order is not None:
            return fit_people(
                table,
                schema,
                domains,
                plan,
                self.name,
                codes=self.codes,
                rate=self.rate or RATES[self.network],
                noise=noise,
                progress=progress,
                spent=spent,
                checkpoints=self.checkpoints,
                every=self.every,
            )
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
        order = ordered(head.binnings, schema.target)
        columns = columns_of(head.binnings, order, head.total)
        rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
        made = network(self.network).fresh(columns, rng, device=self._place(), **self.options)
        if isinstance(noise, ReplayedNoise):
            noise = SystemNoise()  # up to here a run that goes on repeats itself, from here on nothing is repeated
        events = head.events
        if plan.settings.training is not None:
            rate = RATES[self.network]
            if public is not None and pretrain(
                made, public, head.binnings, order, columns, rng, rate=rate, progress=progress
            ):
                rate *= FINE
            rate = self.rate or rate
            events = (*events, self._train(made, table, head, order, columns, plan, rate, noise, progress))
        state = made.state()
        sampler = network(self.network).sampler(state)
        rows = min(POOL, max(4 * round(head.total), 5_000))
        pool, _ = draw_rows(sampler, columns.sizes, rows, rng)
        tables: dict[Pair, NDArray[np.float64]] = {}
        sigmas: dict[Pair, float] = {}
        if (scales := plan.settings.trained) is not None:
            slots = worth_measuring(pool, columns.sizes, head.total, scales)
            tables, measured = measured_pairs(
                table, head.binnings, order, columns.sizes, slots, scales, plan.settings.max_records, noise
            )
            events = (*events, measured)
            sigmas = {pair: float(scales.sigma) / math.sqrt(taken) for pair, taken in slots.items()}
            progress("measure pairs", scales.count, scales.count)
        _, finished = raked(pool, targets(pool, columns.sizes, head.binnings, order, tables, sigmas, head.total))
        model = ColumnModel(
            generator=self.name,
            domains=head.domains,
            binnings=head.binnings,
            order=order,
            state=state,
            tables=finished,
            events=EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=events),
            rows=round(head.total),
            public_prior=public is not None,
        )
        return model.obeying(Enforced.learned_from(schema, head.binnings, model.all_codes, noise))

    def _public(self, schema: Schema) -> Table | None:
        """Rows of the prior, if there is one."""
        return None if self.prior is None else public_rows(self.prior, schema)

    def _place(self) -> str:
        """The device's full name; networks in numpy know the CPU alone."""
        if self.network not in NUMPY:
            return str(device(self.device))
        if self.device not in ("auto", "cpu"):
            raise ParameterError(
                f"The {self.network} network trains on the CPU, not on {self.device!r}.",
                "Use device auto, or network made or transformer.",
            )
        return "cpu"

    def _train(
        self,
        made: ColumnNetwork,
        table: CountTable,
        head: MeasuredColumns,
        order: tuple[str, ...],
        columns: Columns,
        plan: Plan,
        rate: float,
        noise: NoiseSource,
        progress: Progress,
    ) -> Event:
        """Train in place; the event of the steps that ran."""
        schedule = plan.settings.training
        if schedule is None:
            raise SchemaError("The plan has no steps to train in.")
        codes, units = table.codes({name: head.binnings[name] for name in order}, plan.tree.unit.column)
        return train(
            made,
            Units.of(without_gaps(codes, columns), units),
            schedule,
            size=head.total,
            rate=rate,
            noise=noise,
            progress=progress,
            checkpoints=self.checkpoints,
            every=self.every,
        )


def recipe_at(epsilon: Decimal | str | float) -> Recipe:
    """The recipe of a level, by interpolation on its logarithm; the nearest one outside the levels that were tried."""
    try:
        level = math.log(float(epsilon))
    except (ValueError, OverflowError):
        level = 0.0  # the plan refuses such an epsilon
    level = level if math.isfinite(level) else 0.0
    known = [math.log(recipe.epsilon) for recipe in RECIPES]
    parts = {
        name: float(np.interp(level, known, [getattr(recipe, name) for recipe in RECIPES]))
        for name in ("histogram", "tables", "epochs")
    }
    return Recipe(epsilon=math.exp(min(max(level, known[0]), known[-1])), **parts)
