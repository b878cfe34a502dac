"""PATE-GAN: teachers on disjoint units vote on generated rows; only noisy counts of votes leave (Jordon et al. 2019).

In time order:

1. all 1-ways (`oneway`): codes of each column, the generator's start as independent columns and the last step follow;
2. rounds of votes (`gan.voting`). Each unit is given to one of T teachers by a word of its own; teachers learn without
   noise and are never released; the count of "real" votes for a generated row is a query of sensitivity 1 under
   add/remove one unit, whatever its number of rows, and gets discrete Gaussian noise. All rows asked in all rounds are
   one event of the plan. A student learns the noisy shares on generated rows, the generator learns from the student;
3. the law of generated rows is raked onto the released 1-ways (`gan.latent_rows`). Free.

Public or released: T (the released total over `rows_a_teacher`), all first weights, the pace. Private and never
released: which teacher has which unit, the teachers' weights, single votes, exact counts of them.

Known faults of earlier implementations, each ruled out by a test named after it: scaling read from the private table, a
student that sees private rows, votes that nobody counts, a replace-one sensitivity in an add/remove proof, a moments
bound that depends on the votes and is released unpaid, teachers cut from the table by row order.

Not guaranteed: usefulness. It is not better than independent columns at epsilon 1 or 10; figures are in
docs/concepts/adversarial-generators.md.
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
from dpsynth.sgd.torch_present import require_torch
from dpsynth.tabular.allocation import Shares, Votes
from dpsynth.tabular.constraints.enforced import Enforced
from dpsynth.tabular.gan.encoding import Layout
from dpsynth.tabular.gan.latent_model import LatentModel
from dpsynth.tabular.gan.latent_rows import LatentRows
from dpsynth.tabular.gan.residual_generator import ResidualGenerator
from dpsynth.tabular.gan.teachers import Teachers, assigned
from dpsynth.tabular.gan.voting import Pace, taught_by_votes
from dpsynth.tabular.head import MeasuredColumns, measure_columns
from dpsynth.tabular.networks.ordering import columns_of, without_gaps
from dpsynth.tabular.networks.protocol import Columns
from dpsynth.tabular.planning import calibrated_plan
from dpsynth.tabular.protocol import Plan

RAKED_FROM = 8_000
"""Noise vectors that the law is raked on."""
FEWEST, MOST, WEIGHTS = 10, 1_000, 6_000_000
"""Teachers, and most weights of all together: both bounds look at released numbers alone."""
PACE = Pace(
    rounds=3,
    own=8,
    teacher_steps=100,
    student_steps=200,
    generator_steps=200,
    student_hidden=64,
    rates=(3e-3, 3e-3),
    strength=1.0,
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PATEGAN:
    """Trains a generator by the votes of teachers.

    Settings were tried in some forty runs on Fair and six on Adult, most without noise: nothing here is untuned. The
    tables of the figures are the same two. What mattered were few rounds, and weighing rows by a student only as far
    as it is believed: before that the generator was worse than independent columns by up to half.

    Args:
        codes: about how many codes a wide numeric column is merged into.
        histogram: part of rho (zCDP) for the 1-ways; votes take the rest.
        asked: generated rows that teachers vote on, in all rounds together.
        rows_a_teacher: about how many; T is the released total over it, between `FEWEST` and `MOST`.
        teacher_hidden: width of a teacher's layer.
        teacher_rate: its learning rate at the first step.
        pace: of the rounds.
        noise_width: of the generator's noise.
        generator_layers: widths of hidden layers.
    """

    name: ClassVar[str] = "pategan"
    codes: int = 24
    histogram: float = 0.3
    asked: int = 4000
    rows_a_teacher: int = 30
    teacher_hidden: int = 16
    teacher_rate: float = 0.02
    pace: Pace = PACE
    noise_width: int = 16
    generator_layers: tuple[int, ...] = (64,)

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone; see `protocol.Generator.plan`.

        Raises:
            ParameterError: a target outside its range, or PyTorch is not there.
        """
        require_torch()
        shares = Shares(votes=1.0 - self.histogram, asked=self.asked)
        return calibrated_plan(self.name, schema, unit, epsilon=epsilon, delta=delta, shares=shares)

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
        """Measure 1-ways, let teachers vote, rake."""
        unit, votes = plan.tree.unit, plan.settings.votes
        if votes is not None and unit.column is not None and unit.column not in table.columns:
            raise SchemaError(
                f"The unit column {unit.column!r} is not in the table, so rows of one unit could not be given to one "
                "teacher.",
                "Keep the column in the table; it is not modelled.",
            )
        head = measure_columns(
            table, schema, domains, plan, self.name, codes=self.codes, noise=noise, progress=progress, spent=spent
        )
        columns = columns_of(head.binnings, tuple(head.binnings), head.total)
        rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
        law, events = LatentRows.independent(columns.sizes, np.concatenate(columns.shares)), head.events
        ran = {}
        if votes is not None:
            teachers = self._teachers(table, head, columns, unit.column, noise)
            ran = {"teachers": teachers.count, "rounds": self.pace.rounds, "asked": votes.count}
            law, event = self._taught(columns, teachers, votes, noise, rng, progress)
            events = (*events, event)
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

    def _teachers(
        self, table: CountTable, head: MeasuredColumns, columns: Columns, unit: str | None, noise: NoiseSource
    ) -> Teachers:
        """Untaught teachers of all units; how many follows from the released total."""
        rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
        codes, units = table.codes(head.binnings, unit)
        if units is None:
            units = np.arange(len(codes))
        most = min(MOST, WEIGHTS // (sum(columns.sizes) * self.teacher_hidden))
        count = max(min(round(head.total / self.rows_a_teacher), most), FEWEST)
        of_unit = assigned(int(units.max(initial=-1)) + 1, count, noise)
        return Teachers(
            without_gaps(codes, columns),
            of_unit[units],
            count=count,
            layout=Layout(columns.sizes),
            hidden=self.teacher_hidden,
            rate=self.teacher_rate,
            steps=self.pace.rounds * self.pace.teacher_steps,
            rng=rng,
        )

    def _taught(
        self,
        columns: Columns,
        teachers: Teachers,
        votes: Votes,
        noise: NoiseSource,
        rng: np.random.Generator,
        progress: Progress,
    ) -> tuple[LatentRows, Event]:
        """The law of the trained generator, and the event of the votes."""
        import torch

        layout = Layout(columns.sizes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            generator = ResidualGenerator(self.noise_width, self.generator_layers, columns.log_shares, rng)
            event = taught_by_votes(
                generator, teachers, layout, columns.log_shares, votes, self.pace,
                noise=noise, rng=rng, progress=progress,
            )  # fmt: skip
        law = LatentRows(
            sizes=columns.sizes,
            noise=self.noise_width,
            conditional=False,
            shares=np.concatenate(columns.shares),
            factors=np.ones(layout.width),
            arrays=generator.arrays,
        )
        return law, event
