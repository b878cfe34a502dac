"""Of how many units does a public table hold a row, exactly or but for one column? Counted where the units' rows are.

The public rows go in as codes, each once; the engine joins its own codes to them, on all columns and then without each
of them, takes the best class of each unit's rows and counts units. Three whole numbers come back:

    2  a row of the unit is there      1  one is there but for a single column      0  neither

They are the integers of `dpsynth.workspace.figures.copies`, which compares 64-bit hashes of the same codes in memory,
unless two hashes agree by chance.

>>> best_of(["whole", "but0", "but1"])
'CASE WHEN "whole"."hit" = 1 THEN 2 WHEN "but0"."hit" = 1 OR "but1"."hit" = 1 THEN 1 ELSE 0 END'

Each column is a join, and engines plan many joins slowly: beyond `JOINS` of them rows and their classes so far are kept
inside the engine, and the next statement goes on from those.

Not guaranteed: privacy, the counts are exact; nor speed with hundreds of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.data.arrow_numpy import array_of, values_of
from dpsynth.data.engines.encoding import encoded, relation_of
from dpsynth.data.engines.keyed import identity_sql
from dpsynth.data.engines.protocol import Field
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.table import Codec

Join: TypeAlias = tuple[str, list[str]]
"""A name, and the columns in which rows have to be equal."""
CLASSES = 3
WHOSE = "unit"
JOINS = 17
"""Of one statement. With 2,000 rows DuckDB took 0.2 CPU s for 16; 201 took it 94 at once and 13 in twelve parts."""


def units_by_class(
    table: EngineTable, codecs: Mapping[str, Codec], public: NDArray[np.int64], unit: str | None
) -> NDArray[np.int64]:
    """Units whose best row is in class 0, 1 and 2; int64, shape (3,), private.

    Args:
        table: the private rows, as many of a unit as there are.
        codecs: of the columns that are compared, in the order of the public codes.
        public: codes, missing -1, shape (rows, columns).
        unit: the column that names each row's unit; None if every row is one.

    Sensitivity: L1, L2 and L-infinity 1 under add/remove one unit.

    Raises:
        UnsupportedByEngine: a codec that the engine cannot run.
        DataError: a row belongs to nobody.
    """
    engine, names = table.engine, [f"e{at}" for at in range(len(codecs))]
    asked: list[tuple[str, str, Field, Codec | None]] = [
        (alias, name, table.fields[name], codec) for alias, (name, codec) in zip(names, codecs.items(), strict=True)
    ]
    if unit is not None:
        identity_sql(table, unit)
        asked.append((WHOSE, unit, table.fields[unit], None))
    last = np.array([codec.size for codec in codecs.values()], dtype=np.int64)
    once = np.unique(np.where(public < 0, last, public), axis=0)
    shown = engine.upload(pa.table({name: array_of(once[:, at], pa.int64()) for at, name in enumerate(names)}))
    query, uploads = encoded(engine, relation_of(table.relation, table.fields.values()), asked)
    stored = [shown, *uploads]
    try:
        joins: list[Join] = [("whole", names), *_without_one(names)]
        own = f"({query})"
        for at in range(0, len(joins), JOINS):
            rows = statement(own, shown, joins[at : at + JOINS], names, by_unit=unit is not None)
            if at + JOINS < len(joins):
                stored.append(engine.store(rows))
                own = f'"{stored[-1]}"'
        answer = engine.fetch(counted(rows, by_unit=unit is not None))
    finally:
        for relation in stored:
            engine.drop(relation)
    counts = np.zeros(CLASSES, dtype=np.int64)
    counts[values_of(answer.column(0)).astype(np.int64)] = values_of(answer.column(1))
    return counts


def statement(source: str, shown: str, joins: Sequence[Join], names: Sequence[str], *, by_unit: bool) -> str:
    """Rows with their class by these joins and those before: one scan.

    Args:
        source: what stands after FROM: the rows' codes, none of them NULL, and whose each row is.
        shown: relation of the public codes, each row once.
        joins: some of them, in order; the first is on all columns.
        names: of the columns of codes in both.
        by_unit: whether a unit may have several rows.
    """
    columns = ", ".join(f'"own"."{name}" AS "{name}"' for name in (*names, *([WHOSE] if by_unit else [])))
    joined = " ".join(_join(alias, shown, rest) for alias, rest in joins)
    best = best_of([alias for alias, _ in joins])
    return f'SELECT {columns}, {best} AS "best" FROM {source} AS "own" {joined}'  # noqa: S608 - our own names


def counted(rows: str, *, by_unit: bool) -> str:
    """SQL of how many units are in each class, that of the best of their rows."""
    units = f'SELECT MAX("best") AS "best" FROM ({rows}) AS "r" GROUP BY "{WHOSE}"' if by_unit else rows  # noqa: S608
    return f'SELECT "best", COUNT(*) AS "n" FROM ({units}) AS "u" GROUP BY "best"'  # noqa: S608 - our own names


def best_of(aliases: Sequence[str]) -> str:
    """SQL of a row's class, by joins of these names; the first statement has the join on all columns."""
    near = " OR ".join(f'"{alias}"."hit" = 1' for alias in aliases if alias != "whole")
    known = 'WHEN "whole"."hit" = 1 THEN 2' if "whole" in aliases else 'WHEN "own"."best" > 0 THEN "own"."best"'
    return f"CASE {known}{f' WHEN {near} THEN 1' if near else ''} ELSE 0 END"


def _without_one(names: Sequence[str]) -> list[Join]:
    """All columns but one, for each; nothing is near where there is one column alone."""
    if len(names) < 2:
        return []
    return [(f"but{at}", [*names[:at], *names[at + 1 :]]) for at in range(len(names))]


def _join(alias: str, shown: str, names: Sequence[str]) -> str:
    """A join that never repeats a row: what it joins is distinct in these columns."""
    columns = ", ".join(f'"{name}"' for name in names)
    equal = " AND ".join(f'"own"."{name}" = "{alias}"."{name}"' for name in names)
    return f'LEFT JOIN (SELECT DISTINCT {columns}, 1 AS "hit" FROM "{shown}") AS "{alias}" ON {equal}'  # noqa: S608
