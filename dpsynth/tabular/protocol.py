"""What a generator is: a plan before any data, a fit that spends at most the plan, a model that needs no data.

    plan  = generator.plan(schema, unit, epsilon="1", delta="1e-9")      # public facts in, worst case out
    ledger.reserve(plan.tree)
    domains, spent = derive(table, schema, plan.settings.derive, noise=noise)
    model = generator.fit(table, schema, domains, plan, noise=noise, spent=spent)
    ledger.commit(model.events)                                          # every event is one of the plan's
    rows  = model.sample(model.rows, np.random.default_rng())

Derivation stands apart from the fit so that canary rows, drawn from the derived domains, can be added in between.
Sampling is post-processing: any generator of random numbers will do, and rows can be drawn again at no cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.event import Event, EventTree
from accounting.guarantee import Guarantee
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress
from dpsynth.data.table import CountTable
from dpsynth.schema.categories import DeriveNoise
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.allocation import Allocation
from dpsynth.tabular.conditions.given import Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will spend at most; equal for all tables of one schema.

    Attributes:
        generator: name of the generator that made it.
        tree: worst-case events, derivation first, in time order.
        guarantee: the tree's price at the delta asked for.
        settings: scales of noise and thresholds, from which `tree` follows.
    """

    generator: str
    tree: EventTree
    guarantee: Guarantee
    settings: Allocation

    @property
    def derive(self) -> DeriveNoise | None:
        """Noise of questions about unknown domains; None if there are none."""
        return self.settings.derive

    @property
    def reads_rows(self) -> bool:
        """Whether rows are read as codes, by unit, and not only counted."""
        return self.settings.reads_rows

    def pair_sigma(self, described: dict[str, Any]) -> str | None:
        """Finest noise of a pair table: planned, or for adaptive steps as the model's `describe()` says."""
        if self.settings.adaptive is not None:
            return min((str(pair["sigma"]) for pair in described.get("pairs", ())), key=float, default=None)
        return min((str(part.pair_sigma) for part in self.settings.rounds), key=float, default=None)


class Model(Protocol):
    """A fitted model: released facts only."""

    @property
    def generator(self) -> str:
        """Name of the generator that fitted it."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        """Column -> domain, public or derived with DP."""

    @property
    def events(self) -> EventTree:
        """What was really spent, derivation included if its events were handed to `fit`."""

    @property
    def rows(self) -> int:
        """Released estimate of the number of rows; noisy, at least 0."""

    def sample(
        self, rows: int, rng: np.random.Generator, *, given: Given | None = None, balance: str | None = None
    ) -> pa.Table:
        """`rows` synthetic rows with the columns and types of the domains, all of a kind if asked (`conditional`)."""

    def batches(self, rows: int, rng: np.random.Generator, *, given: Given | None = None) -> Iterator[pa.Table]:
        """The rows that `sample` gives, block by block; the first block is empty and shows columns and types."""

    def complete(self, table: pa.Table, rng: np.random.Generator) -> pa.Table:
        """The table with its gaps drawn given its known cells."""

    def probability(self, evidence: Mapping[str, NDArray[np.float64]]) -> float:
        """Share of all rows that agree with evidence, as `conditional.share` asks."""

    def describe(self) -> dict[str, Any]:
        """Public facts about the fit, ready for JSON."""


class Generator(Protocol):
    """Makes models."""

    name: ClassVar[str]

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """Divide the budget by public facts alone. `epsilon`, `delta`: add/remove one `unit`."""

    def fit(
        self,
        table: CountTable,
        schema: Schema,
        domains: Mapping[str, Domain],
        plan: Plan,
        *,
        noise: NoiseSource,
        progress: Progress,
        spent: tuple[Event, ...] = (),
    ) -> Model:
        """Measure and estimate. `spent`: events of the derivation, which `Model.events` then starts with."""
