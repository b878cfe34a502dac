"""The default: a generator chosen by public facts, before any data is read.

    one column to model     `independent`: there is no dependence, so nothing is worth a share of its budget
    more                    `gibbs`

The rule reads the schema alone, so it costs nothing, and two tables of one schema get the same generator. What it was
decided on is in docs/concepts/marginal-generators.md, "Which generator?". The number of rows would matter more, but is
private.

The plan, the model and everything that is written of them carry the name of the generator that was chosen.

>>> from dpsynth.schema.model import ColumnSpec, Schema
>>> chosen(Schema(columns={"age": ColumnSpec(kind="integer", min=0, max=99)})).name
'independent'

Not guaranteed: the best choice for a table. Where a figure matters, compare on public data that resembles it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, final

from accounting.event import Event
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import Table
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.gibbs import Gibbs
from dpsynth.tabular.independent import Independent
from dpsynth.tabular.protocol import Generator, Model, Plan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """Plans and fits by the generator that the schema calls for."""

    name: ClassVar[str] = "auto"

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """The plan of the chosen generator, under its name; see `protocol.Generator.plan`."""
        return chosen(schema).plan(schema, unit, epsilon=epsilon, delta=delta)

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
    ) -> Model:
        """The model of the chosen generator, which refuses the plan of any other."""
        return chosen(schema).fit(table, schema, domains, plan, noise=noise, progress=progress, spent=spent)


def chosen(schema: Schema) -> Generator:
    """What the rule chooses, with default settings."""
    return Independent() if len(schema.modelled) == 1 else Gibbs()
