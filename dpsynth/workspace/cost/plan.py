"""`dpsynth plan`: what a run asks of its data, before the first query: statements, scans, histograms, memory, epsilon.

    found = dp.plan_cost("postgresql://analyst@host/claims", "mst", table="health.visits",
                         epsilon=1, delta="1e-9", rows=1_000_000_000)

Everything follows from the schema, the generator's own plan and declaration (`tabular.asks`), what each engine does
with a question (`manners`), and a number of rows that a person gives. The number of rows of a private table is private,
so it is never read here, not even where an engine has it in its catalogue: without `rows`, figures that depend on them
are for a million. Names and types of columns are read if there is no schema, and nothing at all if there is one.

Figures are bounds for any table of the schema, labelled where the schema leaves domains open; a fit on a real engine is
counted by a test and stays within them. Time is an estimate from one machine's measurement, and says so.

Not guaranteed: what a generator of others asks, unless it declares it; or how an engine shares out its work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from accounting.decimals import decimal_text
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.tabular.asks import Ask, Asks, Declares
from dpsynth.workspace.cost.around import (
    IDENTITY_BYTES,
    fitted_from,
    quality_marginals,
    steps_after,
    steps_before,
    steps_of_quality,
)
from dpsynth.workspace.cost.estimate import Estimate, estimated
from dpsynth.workspace.cost.limits import Limit, limits, memory_of_this_machine
from dpsynth.workspace.cost.manners import MANNERS, EngineName
from dpsynth.workspace.cost.steps import Setting, Step, step_of
from dpsynth.workspace.private.room import HOLDOUT_SHARE
from dpsynth.workspace.registry.datasets import DatasetRecord
from dpsynth.workspace.registry.places import located, stays
from dpsynth.workspace.registry.public_schema import public_schema
from dpsynth.workspace.registry.registering import session_of
from dpsynth.workspace.runs.sealed_size import check_rows

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.schema.model import Schema
    from dpsynth.tabular.protocol import Generator, Plan
    from dpsynth.workspace.workspace import Workspace

MILLION = 1_000_000
MOST_ROWS = 10**13
UNKNOWN = "this generator does not say what it asks"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPrice:
    """Of noisy counts of quality that are bought with the release.

    Attributes:
        epsilon: charged beside the run, in its relation and unit.
        marginals: columns and pairs that are counted.
        scale: of the discrete Laplace noise on each count, in rows.
    """

    epsilon: Decimal
    marginals: int
    scale: Decimal

    def to_json(self) -> dict[str, Any]:
        """The `publish_quality` of `plan --json`."""
        return {"epsilon": decimal_text(self.epsilon), "marginals": self.marginals, "scale": decimal_text(self.scale)}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CostPlan:
    """What `dpsynth plan` answers.

    Attributes:
        source: what may be shown of it: no credentials.
        engine: where the rows are, or `memory`.
        plan: of the run: events, price, scales of noise.
        columns: how many are modelled.
        rows: the public estimate that was given; None if figures are for a million.
        steps: in time order.
        worst: columns whose sizes are bounds of any domain, since the schema leaves theirs open.
        limits: costs beside what they may be, worst first.
        time: CPU time of counting in an engine; None in memory.
        read: what was read of the data.
        quality: what bought quality would cost beside the run; None if none is asked for.
    """

    source: str
    engine: EngineName
    plan: Plan
    columns: int
    rows: int | None
    steps: tuple[Step, ...]
    worst: tuple[str, ...]
    limits: tuple[Limit, ...]
    time: Estimate | None
    read: str
    quality: QualityPrice | None = None

    @property
    def known(self) -> bool:
        """Whether the generator says what it asks."""
        return all(step.statements is not None for step in self.steps)

    def total(self, name: str) -> int:
        """Sum of an attribute of the steps, such as `statements`; what nobody said counts as nothing (see `known`)."""
        return sum(getattr(step, name) or 0 for step in self.steps)

    @property
    def memory(self) -> int:
        """Bytes here at the step that needs most; beside a table in memory."""
        return max(step.here for step in self.steps)

    def noise(self) -> dict[str, str | None]:
        """Scales of the noise, in rows: largest of a column, of a score, of a table; None where there is none."""
        settings = self.plan.settings
        first = settings.rounds[0] if settings.rounds else None
        return {
            "columns": decimal_text(max(settings.histogram.values())),
            "scores": None if first is None else decimal_text(first.score_sigma),
            "tables": None if first is None else decimal_text(max(part.pair_sigma for part in settings.rounds)),
        }

    def table(self) -> pd.DataFrame:
        """A row for each step."""
        import pandas as pd

        rows = [
            {
                "step": step.name,
                "statements": step.statements,
                "scans of source": step.source,
                "of copy": step.copy,
                "of codes": step.codes,
                "histograms": step.histograms,
                "cells": step.cells,
                "bytes here": step.here,
                "bytes read there": step.read,
                "shuffles": step.shuffles,
                "rho": None if step.rho is None else float(step.rho),
            }
            for step in self.steps
        ]
        return pd.DataFrame(rows).set_index("step")

    def _repr_html_(self) -> str:
        """The plan as a cell of a notebook."""
        from dpsynth.report.cells import cell

        return cell(self)

    def to_json(self) -> dict[str, Any]:
        """The object of `plan --json`; amounts of privacy as decimal strings."""
        names = ("statements", "uploads", "histograms", "cells", "shuffles")
        return {
            "schema": "dpsynth.plan/1",
            "source": self.source,
            "engine": self.engine,
            "generator": self.plan.generator,
            "guarantee": self.plan.guarantee.to_json(),
            "columns": self.columns,
            "rows": self.rows,
            "figures_for_rows": self.rows or MILLION,
            "known": self.known,
            "open_columns": list(self.worst),
            "steps": [step.to_json() for step in self.steps],
            "totals": {
                **{name: self.total(name) for name in names},
                "scans": {name: self.total(name) for name in ("source", "copy", "codes")},
                "bytes": {"read": self.total("read"), "written": self.total("written"), "here": self.memory},
            },
            "noise": self.noise(),
            "limits": [limit.to_json() for limit in self.limits],
            "time": None if self.time is None else self.time.to_json(),
            "read": self.read,
            "publish_quality": None if self.quality is None else self.quality.to_json(),
        }


def plan_cost(
    source: str | Path | DatasetRecord,
    generator: Generator | str = "auto",
    *,
    epsilon: Any,
    delta: Any,
    table: str | None = None,
    row_key: str | None = None,
    schema: Schema | str | Path | None = None,
    target: str | None = None,
    unit: PrivacyUnit | None = None,
    rows: int | None = None,
    draw: int | None = None,
    publish_quality: Any = None,
    workspace: Workspace | None = None,
) -> CostPlan:
    """What a run would ask of its data; no row is read, and with a schema nothing is.

    Args:
        source: a file, a folder or pattern of Parquet files, a URL; or, with a workspace, a registered data set.
        generator: of the run, or its name.
        epsilon: what it may cost, add/remove one `unit`.
        delta: likewise.
        table: of a server or catalogue.
        row_key: of rows in an engine: a column that is another for each record; it is not modelled.
        schema: what is public, or the file that says it; default the registered one, else names and types.
        target: the column that models will predict.
        unit: whose data one step of the relation adds or removes; a registered data set has its own.
        rows: about how many there are, from public knowledge.
        draw: synthetic rows; default as many as there are.
        publish_quality: epsilon of noisy counts of quality that would be bought for the release; None for none.
        workspace: where `source` may be registered.

    Raises:
        ParameterError: a number outside its range, or a source that cannot be understood.
        SchemaError, DataError: the schema does not suit, or the columns cannot be read.
    """
    from dpsynth.tabular import generator as generator_named

    for name, value in (("rows", rows), ("draw", draw)):
        if value is not None and not 1 <= value <= MOST_ROWS:
            raise ParameterError(f"Expected {name}={value} between 1 and {MOST_ROWS:,}.", "Give a public estimate.")
    found = _source(source, table, row_key, schema, target, unit, workspace)
    check_rows(draw, len(found.schema.modelled))
    made = generator_named(generator) if isinstance(generator, str) else generator
    plan = made.plan(found.schema, found.unit, epsilon=epsilon, delta=delta)
    costed = _costed(found, made, plan, rows, draw)
    return costed if publish_quality is None else _with_quality(costed, found, publish_quality)


def _with_quality(costed: CostPlan, found: _Source, epsilon: Any) -> CostPlan:
    """The steps and the price of a figure beside the run's."""
    from dpsynth.workspace.figures.figure import amount, noise_scale

    price, unit, whole = amount(epsilon), found.unit, costed.rows or MILLION
    marginals = len(quality_marginals(found.schema, unit.column))
    scale = noise_scale(price, costed.plan.tree.relation, unit.max_records * marginals)
    fitted = max(round(whole * (1 - HOLDOUT_SHARE)), 1)
    more = steps_of_quality(MANNERS[found.engine], found.schema, whole, fitted, unit=unit.column)
    said = QualityPrice(epsilon=price, marginals=marginals, scale=scale)
    return replace(costed, steps=(*costed.steps, *more), quality=said)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What is known of the data: where, what is public, whose rows, and what was read to know it."""

    shown: str
    engine: EngineName
    schema: Schema
    unit: PrivacyUnit
    read: str


def _source(
    data: str | Path | DatasetRecord,
    table: str | None,
    row_key: str | None,
    schema: Schema | str | Path | None,
    target: str | None,
    unit: PrivacyUnit | None,
    workspace: Workspace | None,
) -> _Source:
    record = None if workspace is None else workspace.registered(data, table=table)
    own = record.unit if record is not None else unit or PrivacyUnit()
    session = None
    if record is not None and workspace is not None:
        session = None if record.place is None else session_of(workspace, record)
        row_key = row_key if record.place is None else record.place.row_key
    elif not isinstance(data, DatasetRecord) and (stays(data, table) or str(data).endswith("/")):
        session = located(data, table)
    if row_key is not None and session is None:
        raise ParameterError("A row key tells rows apart that stay in an engine.", "Leave it out.")
    source = record or session or Path(str(data))
    known, read = public_schema(source, schema, workspace=workspace, unit=own, row_key=row_key, target=target)
    name = data.name if isinstance(data, DatasetRecord) else str(data)
    return _Source(
        shown=name if session is None else session.place,
        engine="memory" if session is None else session.kind,
        schema=known,
        unit=own,
        read=read,
    )


def _costed(found: _Source, generator: Generator, plan: Plan, rows: int | None, draw: int | None) -> CostPlan:
    manner, schema, whole = MANNERS[found.engine], found.schema, rows or MILLION
    fitted = max(round(whole * (1 - HOLDOUT_SHARE)), 1)
    asks: Asks | None = generator.asks(schema, plan, rows=fitted) if isinstance(generator, Declares) else None
    by_unit = found.unit.column is not None
    of = fitted_from(manner, by_unit=by_unit)
    setting = Setting(
        manner=manner,
        schema=schema,
        tree=plan.tree,
        rows=fitted,
        of=of,
        beside=0 if by_unit else IDENTITY_BYTES,
        goes=_goes(asks),
    )
    steps = [
        *steps_before(manner, schema, whole, by_unit=by_unit),
        *_asked(asks, setting),
        *steps_after(manner, schema, asks, whole, draw, by_unit=by_unit),
    ]
    time = None
    if asks is not None and manner.name != "memory":
        counted = [ask for ask in asks.asks if ask.reads == "histograms"]
        joint = sum(ask.histograms for ask in counted if not ask.apart)
        singles = sum(ask.histograms for ask in asks.asks) - joint
        time = estimated(found.engine, fitted, singles, joint)
    return CostPlan(
        source=found.shown,
        engine=found.engine,
        plan=plan,
        columns=len(schema.modelled),
        rows=rows,
        steps=tuple(steps),
        worst=() if asks is None else asks.worst,
        limits=limits(
            manner,
            schema,
            plan,
            asks,
            steps,
            rows=whole,
            fitted=fitted,
            time=time,
            memory=memory_of_this_machine(),
        ),
        time=time,
        read=found.read,
    )


def _goes(asks: Asks | None) -> dict[str, list[Ask]]:
    """Questions by the word that says which are asked in one go."""
    found: dict[str, list[Ask]] = {}
    for ask in () if asks is None else asks.asks:
        if ask.together is not None:
            found.setdefault(ask.together, []).append(ask)
    return found


def _asked(asks: Asks | None, setting: Setting) -> Sequence[Step]:
    if asks is not None:
        return [step_of(ask, setting) for ask in asks.asks]
    spent: dict[str, Any] = setting.price(setting.tree.events)
    return [Step(name="fit", statements=None, histograms=None, cells=None, note=UNKNOWN, **spent)]
