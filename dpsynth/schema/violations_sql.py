"""How many rows of an engine break a declared constraint: `violations` in SQL, counted beside the other facts.

A rule about one row is a condition of a count. A functional dependency is about rows of one determinant, so it is a
statement of its own inside the statement: one more scan for each.

Not guaranteed: that ties are broken as in memory. Where two values of a dependent column are equally frequent and a
`mapping` names one of them, the two counts may differ by that tie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from dpsynth.data.arrow_types import ARROW_OF
from dpsynth.data.engines.protocol import counted
from dpsynth.data.engines.warehouse import EngineTable
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
from dpsynth.schema.model import ColumnSpec
from dpsynth.schema.violations import number_of, storable

WHOLE = 2.0**53
"""From here on doubles are whole, and an engine's FLOOR may be too narrow."""


def broken_sql(constraint: Constraint, table: EngineTable, specs: Mapping[str, ColumnSpec]) -> str:
    """SQL of the number of rows that break a constraint; stands beside aggregates of the table's relation."""
    if isinstance(constraint, FunctionalDependency):
        return _dependency(constraint, table, specs)
    return counted(_condition(constraint, table, specs))


def _condition(constraint: Constraint, table: EngineTable, specs: Mapping[str, ColumnSpec]) -> str:
    match constraint:
        case Inequality(low=low, high=high, strict=strict):
            return f"{_cell(table, low)} {'>=' if strict else '>'} {_cell(table, high)}"
        case FixedCombinations(columns=names, rows=rows):
            return f"{_present(table, names)} AND NOT {_among(table, specs, names, rows)}"
        case ForbiddenCombinations(columns=names, rows=rows):
            return _among(table, specs, names, rows)
        case Range(column=name):
            low, high = (number_of(specs[name], end) for end in (constraint.min, constraint.max))
            sides = [
                f"{_cell(table, name)} {sign} {_literal(table, end)}"
                for sign, end in (("<", low), (">", high))
                if end is not None
            ]
            return f"({' OR '.join(sides)}) AND {' AND '.join(_meets(constraint.when, table, specs))}"
        case Sum(total=total, parts=parts):
            places = max(specs[name].precision or 0 for name in constraint.columns)
            ticks = {name: _ticks(table, name, places) for name in constraint.columns}
            return f"{ticks[total]} <> {' + '.join(ticks[part] for part in parts)}"
        case NotApplicable(column=name, value=value):
            applies, known = _meets(constraint.when, table, specs)
            same = _among(table, specs, (name,), ((value,),))
            wrong = f"({applies} AND NOT {same})" + (f" OR (NOT ({applies}) AND {same})" if constraint.iff else "")
            also = "" if value is None else f" AND {_present(table, (name,))}"
            return f"{known}{also} AND ({wrong})"
    raise TypeError(f"{type(constraint).__name__} is about several rows.")


def _meets(when: When, table: EngineTable, specs: Mapping[str, ColumnSpec]) -> tuple[str, str]:
    """(rows that meet a condition, rows in which it is known), neither of them NULL."""
    among = [_among(table, specs, (name,), [(cell,) for cell in cells]) for name, cells in when.items()]
    known = _present(table, [name for name, cells in when.items() if None not in cells])
    return " AND ".join(among), known


def _among(
    table: EngineTable, specs: Mapping[str, ColumnSpec], names: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> str:
    """Rows that hold one of the listed combinations, never NULL; null stands for the missing cell.

    Rows are grouped by the columns in which they name null, so that each group is one membership.
    """
    groups: dict[tuple[bool, ...], set[tuple[str, ...]]] = {}
    kept: dict[str, dict[Cell, Any]] = {}
    for at, name in enumerate(names):
        empty = pa.chunked_array([], ARROW_OF[table.types[name]])
        kept[name] = dict(storable(empty, specs[name], [row[at] for row in rows if row[at] is not None]))
    for row in rows:
        pairs = [(name, cell) for name, cell in zip(names, row, strict=True) if cell is not None]
        if all(cell in kept[name] for name, cell in pairs):
            words = tuple(_literal(table, kept[name][cell]) for name, cell in pairs)
            if "NULL" not in words:
                groups.setdefault(tuple(cell is None for cell in row), set()).add(words)
    said = []
    for missing, listed in sorted(groups.items()):
        parts = [f"{_cell(table, name)} IS NULL" for name, absent in zip(names, missing, strict=True) if absent]
        named = [_cell(table, name) for name, absent in zip(names, missing, strict=True) if not absent]
        if named:
            parts += [f"{cell} IS NOT NULL" for cell in named]
            several = (", ".join(words) if len(words) == 1 else f"({', '.join(words)})" for words in sorted(listed))
            left = named[0] if len(named) == 1 else f"({', '.join(named)})"
            parts.append(f"{left} IN ({', '.join(several)})")
        said.append(f"({' AND '.join(parts)})")
    return f"COALESCE({' OR '.join(said)}, false)" if said else "(1 = 0)"


def _dependency(constraint: FunctionalDependency, table: EngineTable, specs: Mapping[str, ColumnSpec]) -> str:
    """Rows outside the commonest value of their determinant, or against what `mapping` says."""
    cells = [_cell(table, name) for name in constraint.columns]
    against = "1 = 0"
    if constraint.mapping:
        mapped = _among(table, specs, constraint.determinant, [row[:-1] for row in constraint.mapping])
        against = f"{mapped} AND NOT {_among(table, specs, constraint.columns, constraint.mapping)}"
    keys = ", ".join(cells)
    pairs = (
        f'SELECT {keys}, COUNT(*) AS "n" FROM "{table.relation}"'  # noqa: S608 - our own names
        f" WHERE {_present(table, constraint.columns)} GROUP BY {keys}"
    )
    rank = f'ROW_NUMBER() OVER (PARTITION BY {", ".join(cells[:-1])} ORDER BY "n" DESC, {cells[-1]})'
    ranked = f'SELECT "n", {rank} AS "place", ({against}) AS "against" FROM ({pairs}) AS "p"'  # noqa: S608
    return f'(SELECT CAST(COALESCE(SUM("n"), 0) AS BIGINT) FROM ({ranked}) AS "r" WHERE "place" > 1 OR "against")'  # noqa: S608


def _present(table: EngineTable, names: Iterable[str]) -> str:
    return " AND ".join(f"{_cell(table, name)} IS NOT NULL" for name in names) or "(1 = 1)"


def _cell(table: EngineTable, name: str) -> str:
    return f'"{table.fields[name].cell}"'


def _ticks(table: EngineTable, name: str, places: int) -> str:
    """A number in whole ticks, half to even as in memory."""
    scaled = f"{_cell(table, name)} * {_literal(table, 10.0**places)}"
    if table.types[name] == "integer":
        return f"({scaled})"
    below = f"FLOOR({scaled})"
    odd = f"{below} / 2 <> FLOOR({below} / 2)"
    up = f"{scaled} - {below} > 0.5 OR ({scaled} - {below} = 0.5 AND {odd})"
    return f"CASE WHEN ABS({scaled}) < {WHOLE:.0f} THEN {below} + CASE WHEN {up} THEN 1 ELSE 0 END ELSE {scaled} END"


def _literal(table: EngineTable, value: Any) -> str:
    """SQL of a cell as the column stores it; NULL if the engine cannot hold it."""
    if isinstance(value, str):
        return table.engine.literal(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f"({value:.17e})" if isinstance(value, float) else f"CAST({value} AS BIGINT)"
