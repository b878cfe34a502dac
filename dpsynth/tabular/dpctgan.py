"""DP-CTGAN: SDV's CTGAN networks, the discriminator trained by DP-SGD (Xu et al. 2019; Fang et al. 2022).

In time order:

1. all 1-ways (`oneway`): from them follow the codes of each column, the condition vectors of generated rows, the
   generator's first bias (it starts as independent columns) and the last step;
2. noisy gradient steps of the discriminator (`gan.adversarial`), each a counted Poisson sample of units; the generator
   learns from the discriminator alone, which is post-processing;
3. the law of generated rows is raked onto the released 1-ways (`gan.latent_rows`). Free.

Known faults of earlier private CTGANs, each ruled out by a test named after it: modes fitted to the private column,
condition vectors from private frequencies, training by sampling (private rows picked by the frequency of a category),
discriminator steps that nobody counts, a gradient penalty outside the clip, groups of rows (pac) accounted as single
rows, batch norm in the discriminator, stopping on a private loss.

Not guaranteed: usefulness. `gibbs` and `mst` are better; figures are in docs/concepts/adversarial-generators.md. It
is here because people ask for it, and earlier implementations void their guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, final

import numpy as np

from accounting.event import Event, EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import SchemaError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import CountTable
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.torch_present import require_torch
from dpsynth.sgd.training import Units
from dpsynth.tabular.allocation import Shares
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.gan.adversarial import train_adversarially
from dpsynth.tabular.gan.critic import Critic
from dpsynth.tabular.gan.ctgan_networks import ctgan_networks, folded, require_ctgan, start_independent
from dpsynth.tabular.gan.encoding import Layout
from dpsynth.tabular.gan.latent_model import LatentModel
from dpsynth.tabular.gan.latent_rows import LatentRows
from dpsynth.tabular.head import MeasuredColumns, measure_columns
from dpsynth.tabular.networks.ordering import columns_of, without_gaps
from dpsynth.tabular.networks.protocol import Columns
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.training_plan import trained_plan

RAKED_FROM = 8_000
"""Noise vectors that the law is raked on."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DPCTGAN:
    """Trains CTGAN's networks.

    Steps and rates were tried on Adult and Fair at epsilon 1 and 10, ten runs in all: few. What mattered
    is the discriminator's rate (at 2e-3 nothing is learned in 1000 steps).

    Args:
        codes: about how many codes a wide numeric column is merged into.
        histogram: part of rho (zCDP) for the 1-ways; the steps take the rest.
        probability: with which every unit joins a step's sample.
        steps: of the discriminator.
        every: of them to one step of the generator.
        clip: largest norm of a unit's gradient.
        rates: learning rates of the discriminator and the generator at the first step.
        noise_width: of the generator's noise.
        generator_layers, critic_layers: widths of hidden layers.
    """

    name: ClassVar[str] = "dpctgan"
    codes: int = 24
    histogram: float = 0.2
    probability: Decimal = Decimal("0.05")
    steps: int = 1000
    every: int = 2
    clip: Decimal = Decimal(1)
    rates: tuple[float, float] = (2e-2, 2e-3)
    noise_width: int = 64
    generator_layers: tuple[int, ...] = (128, 128)
    critic_layers: tuple[int, ...] = (128,)

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone; see `protocol.Generator.plan`.

        Raises:
            ParameterError: a target outside its range or beyond reach, or PyTorch or `ctgan` is not there.
        """
        require_torch()
        require_ctgan()
        return trained_plan(
            self.name,
            schema,
            unit,
            epsilon=epsilon,
            delta=delta,
            shares=Shares(training=1.0 - self.histogram),
            probability=self.probability,
            steps=self.steps,
            clip=self.clip,
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
    ) -> LatentModel:
        """Measure 1-ways, train, rake."""
        unit, schedule = plan.tree.unit, plan.settings.training
        if schedule is not None and unit.column is not None and unit.column not in table.columns:
            raise SchemaError(
                f"The unit column {unit.column!r} is not in the table, so rows of one unit cannot be clipped together.",
                "Keep the column in the table; it is not modelled.",
            )
        head = measure_columns(
            table, schema, domains, plan, self.name, codes=self.codes, noise=noise, progress=progress, spent=spent
        )
        columns = columns_of(head.binnings, tuple(head.binnings), head.total)
        rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
        law, events = LatentRows.independent(columns.sizes, np.concatenate(columns.shares)), head.events
        if schedule is not None:
            codes, units = table.codes(head.binnings, unit.column)
            rows = Units.of(without_gaps(codes, columns), units)
            law, event = self._trained(columns, rows, schedule, head, noise, rng, progress)
            events = (*events, event)
        ran = {}
        if schedule is not None:
            ran = {"steps": schedule.steps, "generator_steps": schedule.steps // self.every}
        model = LatentModel(
            generator=self.name,
            domains=head.domains,
            binnings=head.binnings,
            law=law.raked(RAKED_FROM, rng),
            events=EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=events),
            rows=round(head.total),
            settings=ran,
        )
        return model.obeying(Enforced.learned_from(schema, head.binnings, model.all_codes, noise))

    def _trained(
        self,
        columns: Columns,
        rows: Units,
        schedule: Schedule,
        head: MeasuredColumns,
        noise: NoiseSource,
        rng: np.random.Generator,
        progress: Progress,
    ) -> tuple[LatentRows, Event]:
        """The law of the trained generator, and the event of its steps."""
        import torch

        layout, shares = Layout(columns.sizes), np.concatenate(columns.shares)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            generator, critic = ctgan_networks(
                self.noise_width, layout.width, self.generator_layers, self.critic_layers
            )
            start_independent(generator, columns.log_shares)
            event = train_adversarially(
                generator,
                Critic(critic, layout),
                layout,
                shares,
                rows,
                schedule,
                noise_width=self.noise_width,
                size=head.total,
                rates=self.rates,
                every=self.every,
                noise=noise,
                rng=rng,
                progress=progress,
            )
        law = LatentRows(
            sizes=columns.sizes,
            noise=self.noise_width,
            conditional=True,
            shares=shares,
            factors=np.ones(layout.width),
            arrays=folded(generator),
        )
        return law, event
