"""The head of every fit: check the domains, measure all 1-ways, merge cells into codes, estimate the number of rows.

One function, so that all generators read a table's columns in the same way and report the same events first. What they
do after it is what sets them apart. Everything here but the 1-ways is post-processing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from accounting.event import Event
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress
from dpsynth.data.table import CountTable, Table
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular.columns.binning import Binning, bin_cells
from dpsynth.tabular.columns.oneway import measure_oneways, row_total
from dpsynth.tabular.planning import checked_domains
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.records.public_prior import pulled_oneway


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredColumns:
    """Released facts about each column by itself.

    Attributes:
        domains: column -> domain, in the schema's order.
        binnings: column -> codes with their noisy counts.
        total: released number of rows, at least 1.
        events: derivation as handed in, then the 1-ways.
    """

    domains: Mapping[str, Domain]
    binnings: Mapping[str, Binning]
    total: float
    events: tuple[Event, ...]


def measure_columns(
    table: CountTable,
    schema: Schema,
    domains: Mapping[str, Domain],
    plan: Plan,
    generator: str,
    *,
    codes: int,
    noise: NoiseSource,
    progress: Progress,
    spent: tuple[Event, ...],
    public: Table | None = None,
) -> MeasuredColumns:
    """Measure every column once; sensitivity k each, as `oneway` says.

    Args:
        table: the private rows, at most k of each unit.
        schema: public facts.
        domains: column -> domain, public or derived.
        plan: made by `generator` for this schema; its 1-way events are spent.
        generator: name of the generator that fits.
        codes: about how many codes a wide numeric column is merged into.
        noise: uniform words.
        progress: called once a column.
        spent: events of the derivation.
        public: rows of a public prior towards which released counts are pulled; see `public_prior`.

    Raises:
        SchemaError: a modelled column has no domain.
        ParameterError: the plan was made by another generator or for other columns.
    """
    domains = checked_domains(schema, domains, plan, generator)
    oneways, events = measure_oneways(table, domains, plan.settings, noise=noise, progress=progress)
    total = row_total(oneways)
    if public is not None:
        oneways = {name: pulled_oneway(oneway, public.column(name), total) for name, oneway in oneways.items()}
    return MeasuredColumns(
        domains=domains,
        binnings={
            name: bin_cells(oneway, codes=codes, nullable=schema.columns[name].nullable)
            for name, oneway in oneways.items()
        },
        total=total,
        events=(*spent, *events),
    )
