"""Which rows of a table break a declared constraint, by the values that stand in it.

One function for every table: it proves samples (`tabular.constraints`), is a figure of the quality report, and warns an
operator whose private rows break what was declared. It knows nothing of how samples come to obey.

>>> import pyarrow as pa
>>> from dpsynth.schema.model import Schema
>>> days = {"kind": "integer", "min": 0, "max": 9}
>>> rule = {"kind": "inequality", "low": "ill", "high": "admitted"}
>>> schema = Schema.from_dict({"columns": {"ill": days, "admitted": days}, "constraints": [rule]})
>>> broken(schema, pa.table({"ill": [1, 5, None], "admitted": [2, 4, 0]})).tolist()
[False, True, False]

Not guaranteed: exactness beyond 2^53 where an integer is compared with or added to a float.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import literals, missing_of, values_of
from dpsynth.data.table import Table
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
from dpsynth.schema.model import ColumnSpec, Schema, as_bound

if TYPE_CHECKING:
    from dpsynth.data.engines.warehouse import EngineTable

Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True, slots=True)
class Breach:
    """That a row breaks a constraint: a `dpsynth.data.facts.Condition`."""

    constraint: Constraint
    specs: Mapping[str, ColumnSpec]

    def met(self, table: Table) -> int:
        """How many rows of a table in memory break it."""
        return int(violations(self.constraint, table.to_arrow(), self.specs).sum())

    def met_sql(self, table: EngineTable) -> str:
        """SQL of that number."""
        from dpsynth.schema.violations_sql import broken_sql

        return broken_sql(self.constraint, table, self.specs)


def broken(schema: Schema, table: pa.Table) -> Mask:
    """Rows that break any constraint of the schema, shape (rows,). A table without a constrained column breaks none."""
    masks = (violations(constraint, table, schema.columns) for constraint in schema.constraints)
    return reduce(np.logical_or, masks, np.zeros(table.num_rows, dtype=bool))


def kept_constraints(schema: Schema, table: pa.Table) -> tuple[str, ...]:
    """Constraints that no row breaks, as `kind(columns)`: of a sample a public fact, as its rows are."""
    return tuple(
        f"{constraint.kind}({', '.join(constraint.columns)})"
        for constraint in schema.constraints
        if not violations(constraint, table, schema.columns).any()
    )


def violations(constraint: Constraint, table: pa.Table, specs: Mapping[str, ColumnSpec]) -> Mask:
    """Rows that break one constraint, shape (rows,); of a functional dependency, those outside the commonest value.

    Args:
        constraint: what rows must obey; missing cells satisfy it unless it names null.
        table: columns of the six types of `dpsynth.data`.
        specs: column -> what is public about it.
    """
    match constraint:
        case Inequality(low=low, high=high, strict=strict):
            left, right = _numbers(table[low]), _numbers(table[high])
            wrong = left >= right if strict else left > right
            return np.asarray(_present(table, (low, high)) & wrong)
        case FunctionalDependency():
            return _breaks_dependency(constraint, table, specs)
        case FixedCombinations(columns=names, rows=rows):
            return _present(table, names) & ~_among(table, specs, names, rows)
        case ForbiddenCombinations(columns=names, rows=rows):
            return _among(table, specs, names, rows)
        case Range(column=name):
            numbers = _numbers(table[name])
            low, high = (number_of(specs[name], end) for end in (constraint.min, constraint.max))
            outside = np.zeros(table.num_rows, dtype=bool) if low is None else numbers < low
            if high is not None:
                outside |= numbers > high
            return outside & _present(table, (name,)) & meets(constraint.when, table, specs)[0]
        case Sum(total=total, parts=parts):
            places = max(specs[name].precision or 0 for name in constraint.columns)
            scaled = {name: np.rint(_numbers(table[name]) * 10.0**places) for name in constraint.columns}
            unequal = scaled[total] != reduce(np.add, (scaled[part] for part in parts))
            return np.asarray(_present(table, constraint.columns) & unequal)
        case NotApplicable(column=name, value=value):
            applies, known = meets(constraint.when, table, specs)
            same = _among(table, specs, (name,), ((value,),))
            if value is not None:
                known = known & _present(table, (name,))
            wrong = applies & ~same
            if constraint.iff:
                wrong |= ~applies & same
            return known & wrong


def meets(when: When, table: pa.Table, specs: Mapping[str, ColumnSpec]) -> tuple[Mask, Mask]:
    """(rows that meet a condition, rows in which it is known: no cell is missing that it does not name as missing)."""
    applies, known = np.ones(table.num_rows, dtype=bool), np.ones(table.num_rows, dtype=bool)
    for name, cells in when.items():
        applies &= _among(table, specs, (name,), [(cell,) for cell in cells])
        if None not in cells:
            known &= ~_missing(table[name])
    return applies & known, known


def _among(
    table: pa.Table, specs: Mapping[str, ColumnSpec], names: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> Mask:
    """Rows that hold one of the listed combinations; null stands for the missing cell."""
    held, listed = np.zeros(table.num_rows, dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    possible, usable = np.ones(table.num_rows, dtype=bool), np.ones(len(rows), dtype=bool)
    for at, name in enumerate(names):
        cells = list(dict.fromkeys(row[at] for row in rows if row[at] is not None))
        column, known = table[name], storable(table[name], specs[name], cells)
        numbers = {cell: number for number, (cell, _) in enumerate(known)}
        found = pc.index_in(column, value_set=literals([value for _, value in known], column.type))
        missing = _missing(column)
        here = np.where(missing, len(known), values_of(found).astype(np.int64))
        possible &= missing | ~missing_of(found)
        wanted = np.array([len(known) if row[at] is None else numbers.get(row[at], -1) for row in rows])
        usable &= wanted >= 0
        joined = np.concatenate([held * (len(known) + 1) + here, listed * (len(known) + 1) + np.maximum(wanted, 0)])
        _, dense = np.unique(joined, return_inverse=True)  # stays small however many columns are joined
        held, listed = dense[: table.num_rows], dense[table.num_rows :]
    return possible & np.isin(held, listed[usable])


def _breaks_dependency(
    constraint: FunctionalDependency, table: pa.Table, specs: Mapping[str, ColumnSpec]
) -> NDArray[np.bool_]:
    present = np.flatnonzero(_present(table, constraint.columns))
    keys = np.zeros(len(present), dtype=np.int64)
    for name in constraint.determinant:
        keys = _joined(keys, table[name], present)
    pairs = _joined(keys, table[constraint.dependent], present)
    _, first, number, counts = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
    commonest = np.zeros(int(keys.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(commonest, keys[first], counts)
    kept = counts == commonest[keys[first]]
    _, one = np.unique(keys[first][kept], return_index=True)  # of several commonest values, one
    allowed = np.zeros(len(counts), dtype=bool)
    allowed[np.flatnonzero(kept)[one]] = True
    out = np.zeros(table.num_rows, dtype=bool)
    out[present] = ~allowed[number]
    if constraint.mapping:
        mapped = _among(table, specs, constraint.determinant, [row[:-1] for row in constraint.mapping])
        out |= (
            mapped & _present(table, constraint.columns) & ~_among(table, specs, constraint.columns, constraint.mapping)
        )
    return out


def _joined(keys: NDArray[np.int64], column: pa.ChunkedArray, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of the distinct pairs of a key and a cell of a column."""
    codes = values_of(pc.dictionary_encode(column.combine_chunks()).indices).astype(np.int64)[rows]
    _, dense = np.unique(keys * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    return np.asarray(dense, dtype=np.int64)


def _missing(column: pa.ChunkedArray) -> Mask:
    missing = missing_of(column)
    return missing | np.isnan(values_of(column)) if pa.types.is_floating(column.type) else missing


def _present(table: pa.Table, names: Sequence[str]) -> Mask:
    return ~reduce(np.logical_or, (_missing(table[name]) for name in names))


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    """Numbers, days or microseconds."""
    return values_of(column)


def storable(column: pa.ChunkedArray, spec: ColumnSpec, cells: Sequence[Cell]) -> list[tuple[Cell, Any]]:
    """(cell, value as the column stores it) of those that it can hold."""
    if spec.kind == "categorical":
        kind: type = str if pa.types.is_string(column.type) else int
        return [(cell, cell) for cell in cells if type(cell) is kind]
    if spec.kind == "boolean":
        return [(cell, cell) for cell in cells]
    return [(cell, number_of(spec, cell)) for cell in cells]


def number_of(spec: ColumnSpec, cell: Cell) -> Any:
    """A declared number, date (days) or datetime (microseconds), rounded to the column's decimals; None stays None."""
    if cell is None:
        return None
    value = as_bound(cell, spec.kind)
    if isinstance(value, datetime):
        since = value - datetime(1970, 1, 1)
        return (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    if isinstance(value, float) and spec.precision is not None:
        return round(value, spec.precision)
    return value
