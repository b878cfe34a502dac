"""The default: a generator chosen by public facts, before any data is read.

    one column to model     `independent`: there is no dependence, so nothing is worth a share of its budget
    more                    what `auto_choice.json` says for the nearest number of columns and epsilon

The table ships with the package. It was measured on simulated populations and embedded public tables, never on a
private one (benchmarks/auto_choice.py; its provenance stands in the file): `gibbs`, unless another generator was
clearly better, and as measured none was. The rule reads schema and epsilon alone, so it costs nothing, and two tables
of one schema get the same generator. The number of rows would matter more, but is private. See
docs/concepts/marginal-generators.md, "Which generator?".

The plan, the model and everything that is written of them carry the name of the generator that was chosen.

>>> from dpsynth.schema.model import ColumnSpec, Schema
>>> chosen(Schema(columns={"age": ColumnSpec(kind="integer", min=0, max=99)}), "1").name
'independent'

Not guaranteed: the best choice for a table. Where a figure matters, compare on public data that resembles it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import ClassVar, final

from accounting.event import Event
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import CountTable
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.asks import Asks, Declares
from dpsynth.tabular.protocol import Generator, Model, Plan

ALONE = "independent"
DEFAULT = "gibbs"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """Plans and fits by the generator that schema and epsilon call for."""

    name: ClassVar[str] = "auto"

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> Plan:
        """The plan of the chosen generator, under its name; see `protocol.Generator.plan`."""
        return chosen(schema, epsilon).plan(schema, unit, epsilon=epsilon, delta=delta)

    def asks(self, schema: Schema, plan: Plan, *, rows: int) -> Asks:
        """What the generator that the plan names asks. See `asks.Declares`.

        Raises:
            ParameterError: it does not say.
        """
        made = _made(plan.generator)
        if not isinstance(made, Declares):
            raise ParameterError(f"{plan.generator!r} does not say what it asks.", "Plan with another generator.")
        return made.asks(schema, plan, rows=rows)

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
    ) -> Model:
        """The model of the generator that the plan names, if `auto` could have chosen it for this schema.

        Raises:
            ParameterError: the plan was made by a generator that is chosen for no epsilon.
        """
        if plan.generator not in choices(schema):
            raise ParameterError(
                f"The plan was made by {plan.generator!r}, which `auto` never chooses for this schema.",
                "Fit it by that generator, or plan again with `auto`.",
            )
        return _made(plan.generator).fit(table, schema, domains, plan, noise=noise, progress=progress, spent=spent)


def chosen(schema: Schema, epsilon: Decimal | str | float) -> Generator:
    """What the rule chooses, with default settings.

    Args:
        schema: what is public; the number of its modelled columns is used.
        epsilon: of the run; its own range is for the chosen generator to check.
    """
    columns = len(schema.modelled)
    if columns == 1:
        return _made(ALONE)
    try:
        wanted = float(epsilon)
    except ValueError:
        wanted = math.nan
    if not (math.isfinite(wanted) and wanted > 0):
        return _made(DEFAULT)  # which refuses it
    nearest = min(_table(), key=lambda row: (_apart(row[0], columns), _apart(row[1], wanted)))
    return _made(nearest[2])


def choices(schema: Schema) -> frozenset[str]:
    """Names of what may be chosen for a schema at any epsilon."""
    columns = len(schema.modelled)
    if columns == 1:
        return frozenset({ALONE})
    least = min(_apart(row[0], columns) for row in _table())
    return frozenset({DEFAULT, *(row[2] for row in _table() if _apart(row[0], columns) == least)})


def _apart(left: float, right: float) -> float:
    return abs(math.log(left / right))


def _made(name: str) -> Generator:
    from dpsynth.tabular import generator

    return generator(name)


@cache
def _table() -> tuple[tuple[float, float, str], ...]:
    """(columns, epsilon, choice) of the measured table."""
    document = json.loads(resources.files("dpsynth.tabular").joinpath("auto_choice.json").read_text("utf-8"))
    return tuple((float(row["columns"]), float(row["epsilon"]), str(row["choice"])) for row in document["table"])
