"""From a file to a table and a schema that may be synthesised, or an error that says why not.

`prepare` is the one entry: read, draft or validate, check. What it refuses, before any budget is touched:

    too few rows            no attack could show anything, so no release could pass
    copies of one row       the same
    direct identifiers      mail addresses, telephone and social security numbers that would be modelled
    free text               prose: no generator of tables can say anything about it (`dpsynth.data.free_text`)
    identifier-like text    an open set of categories in which every cell is another one (not numbers or dates
                            that were read as text: the reader has warned of those)
    a target of one class   no utility can be measured
    a unit with gaps        rows without a person, for whom no bound on contribution would hold
    an order with gaps      rows of which nobody knows when they were
    outside the domain      cells outside a closed public domain without `other`, missing ones where `nullable: false`

The refusals read exact private data, and so does the warning of broken constraints. They are for the operator: nothing
of them is released, and they are no part of the guarantee (see `dpsynth.data.facts`). No message holds a cell or the
number of rows.

>>> MIN_ROWS
100

Not guaranteed: that accepted data are suited; the attacks and the quality report show that.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from dpsynth.core.errors import DataError, SchemaError
from dpsynth.data.arrow_numpy import literals
from dpsynth.data.facts import Asked, ColumnFacts, Facts, facts_of
from dpsynth.data.inspect import inspect
from dpsynth.data.options import ColumnOptions, ColumnType, ReadOptions
from dpsynth.data.read import DEFAULTS, conformed, read
from dpsynth.data.table import CountTable, Table
from dpsynth.data.warning import DataWarning, listed, shown
from dpsynth.schema.domain import CategoryDomain, known_domain
from dpsynth.schema.draft import draft, with_roles
from dpsynth.schema.model import ColumnSpec, Schema
from dpsynth.schema.violations import Breach

if TYPE_CHECKING:
    from dpsynth.data.engines.declared import Doubt
    from dpsynth.data.engines.warehouse import EngineTable

AnyTable = TypeVar("AnyTable", bound=CountTable)
MIN_ROWS = 100
MOST_ONE_ROW = 0.95
MANY_BROKEN = 0.05
"""Share of rows that may break a declared constraint without a warning."""
MISREAD = frozenset({"mixed_numbers", "decimal_comma", "mixed_dates"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Generic[AnyTable]):
    """What a run starts from.

    Attributes:
        table: the columns that the schema does not drop, in their declared types.
        schema: given or drafted.
        warnings: of the reader and of the checks, for the operator only.
    """

    table: AnyTable
    schema: Schema
    warnings: tuple[DataWarning, ...]


@overload
def prepare(
    source: str | os.PathLike[str] | Table,
    schema: Schema | None = ...,
    *,
    target: str | None = ...,
    unit: str | None = ...,
    order: str | None = ...,
    options: ReadOptions = ...,
    to_edit: bool = ...,
) -> Prepared[Table]: ...


@overload
def prepare(
    source: EngineTable,
    schema: Schema | None = ...,
    *,
    target: str | None = ...,
    unit: str | None = ...,
    order: str | None = ...,
    options: ReadOptions = ...,
    to_edit: bool = ...,
) -> Prepared[EngineTable]: ...


def prepare(
    source: str | os.PathLike[str] | Table | EngineTable,
    schema: Schema | None = None,
    *,
    target: str | None = None,
    unit: str | None = None,
    order: str | None = None,
    options: ReadOptions = DEFAULTS,
    to_edit: bool = False,
) -> Prepared[Table] | Prepared[EngineTable]:
    """Read, draft or validate the schema, and check.

    Args:
        source: a path, a table in memory, or one whose rows stay in an engine.
        schema: what is public; None drafts one from names and types.
        target: the column to be predicted; replaces the schema's.
        unit: the column of the privacy unit; replaces the schema's.
        order: the column that orders a unit's rows; replaces the schema's.
        options: of the reader; a schema's kinds, formats and words for missing are added.
        to_edit: the schema is for a person to edit, so columns that a run would refuse are warnings.

    Raises:
        DataError: the data cannot be read or are not fit.
        SchemaError: the schema does not fit the data.
    """
    if schema is not None:
        options = replace(options, columns={**options.columns, **column_options(schema)})
    table: Table | EngineTable
    doubts: Sequence[Doubt] = ()
    if isinstance(source, (str, os.PathLike)):
        table = read(source, options=options)
    elif isinstance(source, Table):
        table = conformed(source, options)
    else:
        from dpsynth.data.engines.declared import conformed as conformed_there

        table, doubts = conformed_there(source, options)
    if schema is None:
        schema = draft(table, target=target, unit=unit, order=order)
    else:
        check_columns(table, schema)
        schema = with_roles(schema, target=target, unit=unit, order=order)
    fields = () if isinstance(table, Table) else table.fields.values()
    heard = table.warnings if isinstance(table, Table) else tuple(f.warning for f in fields if f.warning is not None)
    table = table.select([n for n in table.columns if not schema.columns[n].drop])
    facts = facts_of(table, asked(table, schema, doubts))
    for doubt, cells in zip(doubts, facts.met[len(schema.constraints) :], strict=True):
        if cells:
            raise doubt.refusal(cells)
    check_domains(facts, schema)
    unfit = unfit_columns(facts, schema, misread=[str(w.column) for w in heard if w.code in MISREAD])
    if unfit and not to_edit:
        raise unfit[0][1]
    check_fit_for_synthesis(facts, schema)
    return Prepared(  # type: ignore[return-value]  # the table that came, in memory or in an engine
        table=table,
        schema=schema,
        warnings=(
            *(w for w in heard if w.column is None or w.column in facts.columns),
            *as_warnings(unfit),
            *inspect(
                facts,
                table.types,
                target=schema.target,
                unit=schema.unit,
                identifiers=[name for name, spec in schema.columns.items() if spec.role == "identifier"],
            ),
            *broken_constraints(facts, schema),
        ),
    )


def asked(table: CountTable, schema: Schema, doubts: Sequence[Doubt] = ()) -> Asked:
    """What the checks want to know of a table whose columns the schema speaks of.

    Args:
        table: columns and types are used.
        schema: what is public.
        doubts: of an engine's conversions, whose rows are counted after those that break constraints.
    """
    closed = {}
    for name in table.columns:
        spec = schema.columns[name]
        domain = known_domain(spec) if spec.modelled and spec.kind == "categorical" and not spec.other else None
        if isinstance(domain, CategoryDomain):
            closed[name] = literals(domain.values, domain.arrow_type)
    return Asked(
        open=frozenset(n for n in table.columns if _is_open(schema.columns[n])),
        closed=closed,
        target=schema.target,
        conditions=(*(Breach(rule, schema.columns) for rule in schema.constraints), *doubts),
    )


def _is_open(spec: ColumnSpec) -> bool:
    """Open sets of categories only: a declared domain is public, and numbers pass a mechanism."""
    return spec.modelled and spec.kind == "categorical" and spec.values is None


def broken_constraints(facts: Facts, schema: Schema) -> tuple[DataWarning, ...]:
    """A warning for each constraint that more than `MANY_BROKEN` of the rows break: it, or the data, may be wrong.

    For the operator only, and no part of the guarantee: it is an exact answer about private rows, free and recorded
    nowhere, and whoever writes the schema chooses the question. Hence the coarse threshold: whether one person's row is
    there does not show unless the share stands at the threshold itself.
    """
    return tuple(
        DataWarning(
            code="constraint_broken",
            column=constraint.columns[-1],
            message=f"Many rows break constraint {number} ({constraint.kind}) on {listed(constraint.columns)}; "
            "a sample obeys all the same. Correct the rows, or the constraint if it does not hold.",
        )
        for number, (constraint, broken) in enumerate(zip(schema.constraints, facts.met, strict=False), start=1)
        if broken > MANY_BROKEN * facts.rows
    )


def column_options(schema: Schema) -> dict[str, ColumnOptions]:
    """What a schema tells the reader about each column that is not dropped."""
    return {
        name: ColumnOptions(type=_type_of(spec), format=spec.format, missing=spec.missing)
        for name, spec in schema.columns.items()
        if not spec.drop
    }


def _type_of(spec: ColumnSpec) -> ColumnType:
    if spec.kind == "text":
        return "string"
    if spec.kind != "categorical":
        return spec.kind
    if spec.values is None:
        return "string" if spec.hierarchy else "category"
    return "string" if isinstance(spec.values[0], str) else "integer"


def check_columns(table: CountTable, schema: Schema) -> None:
    """The schema speaks of every column of the table and of no other."""
    extra = [n for n in table.columns if n not in schema.columns]
    if extra:
        raise SchemaError(
            f"The schema does not speak of column {listed(extra)}.",
            "Describe it there, or add it with `drop: true`.",
        )
    absent = [n for n, spec in schema.columns.items() if n not in table.types and not spec.drop]
    if absent:
        raise SchemaError(f"The table has no column {listed(absent)}.", "Correct the name in the schema.")


def check_domains(facts: Facts, schema: Schema) -> None:
    """No cell outside a closed domain; `other: true` lets them in. The message has no count and no value.

    Nor a missing cell in a column that is not nullable.
    """
    gaps = [n for n in facts.holed if not schema.columns[n].nullable]
    if gaps:
        raise SchemaError(
            f"Column {listed(gaps)} has missing cells, and its schema says `nullable: false`.",
            "Leave that line out, or fill the cells.",
        )
    outside = [name for name, column in facts.columns.items() if column.outside]
    if outside:
        raise SchemaError(
            f"Column {listed(outside)} holds values outside its declared domain.",
            "Complete `values` from public knowledge, or set `other: true`.",
        )


def check_fit_for_synthesis(facts: Facts, schema: Schema) -> None:
    """Refuse what no release could be made from; see the module's list."""
    if facts.rows < MIN_ROWS:
        raise DataError(
            f"The table has fewer than {MIN_ROWS} rows (records): no attack could show anything on a release.",
            "Collect more data; there is no setting for this.",
        )
    if schema.unit is not None and schema.unit in facts.holed:
        raise DataError(
            f"The unit column {shown(schema.unit)} has missing cells, so their rows belong to nobody.",
            "Remove those rows or give each a unit of its own.",
        )
    if schema.order is not None and schema.order in facts.holed:
        raise DataError(
            f"The order column {shown(schema.order)} has missing cells, so their rows have no place among a person's.",
            "Remove those rows, or order by another column.",
        )
    if facts.copies >= MOST_ONE_ROW * facts.rows:
        raise DataError(
            "Nearly all rows are identical copies of one row, so attacks on a release would mean nothing.",
            "Check the export; if copies belong to persons, give the table a column that names them.",
        )
    if schema.target is not None and not facts.columns[schema.target].several:
        raise SchemaError(
            f"The target {shown(schema.target)} has one class, so no utility can be measured.",
            "Choose another target, or give the column another role.",
        )


def unfit_columns(facts: Facts, schema: Schema, *, misread: Collection[str] = ()) -> list[tuple[str, SchemaError]]:
    """The columns that must not be modelled (identifiers, contacts, free text), each with the refusal.

    Args:
        facts: about the table.
        schema: what is public.
        misread: columns of text that the reader took for numbers or dates gone wrong, and has warned of.
    """
    found = []
    for name, column in facts.columns.items():
        if _is_open(schema.columns[name]):
            try:
                _refuse_identifier(name, column, misread=name in misread)
            except SchemaError as refusal:
                found.append((name, refusal))
    return found


def as_warnings(unfit: list[tuple[str, SchemaError]]) -> tuple[DataWarning, ...]:
    """The same, for somebody who is about to edit the schema."""
    return tuple(
        DataWarning(code="unfit_column", column=name, message=f"{refusal.message} {refusal.remedy}")
        for name, refusal in unfit
    )


def _refuse_identifier(name: str, column: ColumnFacts, *, misread: bool) -> None:
    remedy = "Set `drop: true` or `role: identifier` for it in the schema."
    for what in column.contacts:
        raise SchemaError(f"Column {shown(name)} holds {what}, which identify persons directly.", remedy)
    if misread:
        return
    if column.free_text:
        raise SchemaError(
            f"Column {shown(name)} holds free text: long cells of many words that hardly ever repeat. Generators of "
            "tables model text as categories, so nothing of it would be left.",
            "Set `drop: true` for it in the schema, or `kind: text` and use `dpsynth text synthesize`.",
        )
    if column.present >= MIN_ROWS and column.unique:
        raise SchemaError(
            f"Column {shown(name)} holds another value in every row: it looks like an identifier.", remedy
        )
