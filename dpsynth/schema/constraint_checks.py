"""Whether declared constraints fit the columns and one another; decided from the schema alone.

Refused: a column that is unknown or not modelled, a kind of column that the constraint cannot speak of, a value
outside a declared domain, two mappings for one determinant, two dependencies for one column, a circle (of inequalities,
of sums, of columns that decide one another), and constraints that no row without missing cells can meet
(`satisfiable`).

Messages name columns and the number of the constraint, and no value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from graphlib import CycleError, TopologicalSorter

from dpsynth.data.warning import listed, shown
from dpsynth.schema.constraints import (
    Cell,
    Constraint,
    FixedCombinations,
    ForbiddenCombinations,
    FunctionalDependency,
    Inequality,
    NotApplicable,
    Range,
    Sum,
    When,
)
from dpsynth.schema.model import ColumnSpec, as_bound
from dpsynth.schema.satisfiable import Line, line_of, refuse_unsatisfiable

Typed = str | int | float | bool | date | datetime | None
MOST_DETERMINANTS = 100_000
"""Values of a determinant that is no category: each needs an entry of its own."""
NUMBERS = frozenset({"integer", "float"})


def check_constraints(columns: Mapping[str, ColumnSpec], constraints: Sequence[Constraint]) -> None:
    """Raise ValueError for the first constraint that cannot hold; see the module's list."""
    for number, constraint in enumerate(constraints, start=1):
        try:
            _check_names(columns, constraint.columns)
            _check_one(columns, constraint)
        except ValueError as error:
            raise ValueError(f"constraint {number} ({constraint.kind}): {error}") from None
    _check_together(constraints)
    refuse_unsatisfiable(columns, constraints)


def deciding(constraint: Constraint) -> tuple[tuple[str, str], ...]:
    """(column, column that it decides): the first is fixed before the second is drawn."""
    if isinstance(constraint, FunctionalDependency):
        return tuple((name, constraint.dependent) for name in constraint.determinant)
    if isinstance(constraint, Range | NotApplicable):
        return tuple((name, constraint.column) for name in constraint.when)
    return ()


def typed(spec: ColumnSpec, cell: Cell) -> Typed:
    """The cell in the column's own type; None is missing.

    Raises:
        ValueError: the cell is not of the column's kind, or outside its declared domain.
    """
    if cell is None:
        return None
    if spec.kind in ("categorical", "boolean"):
        fits = isinstance(cell, bool) if spec.kind == "boolean" else type(cell) in (str, int)
        if not fits or (spec.values is not None and cell not in spec.values):
            raise ValueError("a value is none of the column's")
        return cell
    value = as_bound(cell, spec.kind)
    where: Line | None = line_of(spec)
    if where is not None and not where.holds(value):
        raise ValueError("a value is outside the column's `min` and `max`")
    return value


def bound(spec: ColumnSpec, cell: Cell) -> Typed:
    """A limit of a range in the column's own type; it may lie outside the column's bounds."""
    return None if cell is None else as_bound(cell, spec.kind)


def _check_names(columns: Mapping[str, ColumnSpec], names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise ValueError(f"the schema has no column {listed(unknown)}")
    idle = [name for name in names if not columns[name].modelled]
    if idle:
        raise ValueError(f"column {listed(idle)} is not modelled, so nothing about it can be kept")
    if len(set(names)) != len(names):
        raise ValueError("a column is named twice")


def _check_one(columns: Mapping[str, ColumnSpec], constraint: Constraint) -> None:
    match constraint:
        case Inequality():
            kinds = {_family(columns[name]) for name in constraint.columns}
            if len(kinds) > 1 or not kinds <= {"number", "date", "datetime"}:
                raise ValueError("both columns are numbers, both dates or both datetimes")
        case FunctionalDependency():
            _check_dependency(columns, constraint)
        case FixedCombinations() | ForbiddenCombinations():
            _check_rows(columns, constraint.columns, constraint.rows)
            if any(all(cell is None for cell in row) for row in constraint.rows):
                raise ValueError("a forbidden row names missing cells only")
        case Range():
            _check_when(columns, constraint.when)
            _check_range(columns, constraint)
        case Sum():
            _check_sum(columns, constraint)
        case NotApplicable():
            _check_when(columns, constraint.when)
            _typed_in(columns, constraint.column, constraint.value)


def _family(spec: ColumnSpec) -> str:
    return "number" if spec.kind in NUMBERS else spec.kind


def _typed_in(columns: Mapping[str, ColumnSpec], name: str, cell: Cell) -> Typed:
    try:
        return typed(columns[name], cell)
    except ValueError as error:
        raise ValueError(f"column {shown(name)}: {error}") from None


def _check_rows(columns: Mapping[str, ColumnSpec], names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    floats = [name for name in names if columns[name].kind == "float"]
    if floats:
        raise ValueError(f"column {listed(floats)} is a float: combinations list exact values")
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"a row has not one value for each of the {len(names)} columns")
        for name, cell in zip(names, row, strict=True):
            _typed_in(columns, name, cell)


def _check_dependency(columns: Mapping[str, ColumnSpec], constraint: FunctionalDependency) -> None:
    for name in constraint.determinant:
        where = line_of(columns[name])
        countable = columns[name].kind in ("categorical", "boolean") or (
            columns[name].kind in ("integer", "date") and where is not None and where.size <= MOST_DETERMINANTS
        )
        if not countable:
            raise ValueError(
                f"determinant {shown(name)} is neither a category nor an integer or date with `min` and `max` "
                f"and at most {MOST_DETERMINANTS} values"
            )
    _check_mapping_rows(columns, constraint)
    seen: dict[tuple[Cell, ...], Cell] = {}
    for *determinant, dependent in constraint.mapping:
        if seen.setdefault(tuple(determinant), dependent) != dependent:
            raise ValueError("`mapping` gives one determinant two values")


def _check_mapping_rows(columns: Mapping[str, ColumnSpec], constraint: FunctionalDependency) -> None:
    for row in constraint.mapping:
        if len(row) != len(constraint.columns):
            raise ValueError("a row of `mapping` has not one value for each column, the dependent last")
        for name, cell in zip(constraint.columns, row, strict=True):
            _typed_in(columns, name, cell)


def _check_when(columns: Mapping[str, ColumnSpec], when: When) -> None:
    for name, cells in when.items():
        for cell in cells:
            _typed_in(columns, name, cell)


def _check_range(columns: Mapping[str, ColumnSpec], constraint: Range) -> None:
    spec = columns[constraint.column]
    if spec.kind in ("categorical", "boolean"):
        raise ValueError(f"column {shown(constraint.column)} has no order")
    if constraint.min is None and constraint.max is None:
        raise ValueError("give `min`, `max` or both")
    low, high = bound(spec, constraint.min), bound(spec, constraint.max)
    if low is not None and high is not None and low > high:  # type: ignore[operator]
        raise ValueError("`min` is above `max`")
    where = line_of(spec)
    if where is not None and where.within(low, high) is None:
        raise ValueError(f"the range and the bounds of {shown(constraint.column)} have no value in common")


def _check_sum(columns: Mapping[str, ColumnSpec], constraint: Sum) -> None:
    for name in constraint.columns:
        if columns[name].kind not in NUMBERS:
            raise ValueError(f"column {shown(name)} is no number")
        if columns[name].kind == "float" and columns[name].precision is None:
            raise ValueError(f"column {shown(name)} has no `precision`, so no sum of it is exact")


def _check_together(constraints: Sequence[Constraint]) -> None:
    dependents = [c.dependent for c in constraints if isinstance(c, FunctionalDependency)]
    twice = {name for name in dependents if dependents.count(name) > 1}
    if twice:
        raise ValueError(f"column {listed(sorted(twice))} depends by two functional dependencies")
    _refuse_circle("inequalities", (c.columns for c in constraints if isinstance(c, Inequality)))
    _refuse_circle("sums", ((part, c.total) for c in constraints if isinstance(c, Sum) for part in c.parts))
    _refuse_circle("columns that decide one another", (edge for c in constraints for edge in deciding(c)))


def _refuse_circle(what: str, edges: Iterable[tuple[str, ...]]) -> None:
    graph: dict[str, set[str]] = {}
    for before, after in edges:
        graph.setdefault(after, set()).add(before)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise ValueError(f"a circle of {what}: {listed(dict.fromkeys(error.args[1]))}") from None
