"""Which rows an engine held when a run began: one digest, so that nobody goes on with others.

Of files that are read each time: names, sizes, times and footers of all that the engine has opened (`files`). Of a copy
inside an engine: each row's cells become one text (`keyed.content_sql`), the text a SHA-256, the digest two whole
numbers of 60 bits, and the numbers of all rows are added up in the engine: one scan, no order, and two rows that are
the same count twice. Sums, number of rows and the columns' names are hashed once more, so that the answer shows none.

Doubles are told apart by the engine's own text of them, which says each exactly but in words of its own. So the name
of the engine is hashed too: a version is compared with versions of the same engine.

>>> from dpsynth.data.engines.duckdb import DuckDB
>>> engine = DuckDB(threads=1)
>>> rows, turned = (engine.table(f"(VALUES {cells}) who(name)") for cells in ("('a'), ('b')", "('b'), ('a')"))
>>> version_of(rows) == version_of(turned)
True

Not guaranteed: privacy; who can guess a table can check the guess, so only a keyed commitment of a version is kept.
Nor anything against somebody who builds rows so that their sums agree: sums of digests keep out accidents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from dpsynth.data.engines.keyed import content_sql
from dpsynth.data.engines.warehouse import EngineTable

DIGITS = 15
"""Hexadecimal digits of a piece; sixteen would be more than a signed 64-bit integer holds."""


def version_of(table: EngineTable) -> str:
    """Digest of all that is read, whatever the order of rows or files (private).

    Args:
        table: all rows in an engine, not some; rows in memory that were added to it are not looked at.

    Returns:
        64 hexadecimal digits.

    Raises:
        DataError: the engine refuses.
        EngineLost, SourceChanged: the engine went away; its files are others.
    """
    engine = table.engine
    columns = [[name, field.kind] for name, field in table.fields.items()]
    found: Sequence[str | None] = [engine.content()]
    if found == [None]:
        found = _sums(table)
    return hashlib.sha256(json.dumps(["dpsynth.version/1", engine.name, columns, found]).encode()).hexdigest()


def _sums(table: EngineTable) -> list[str]:
    """Number of rows and sums of their digests, as text (private)."""
    engine = table.engine
    row = " || ".join(content_sql(engine, field) for field in table.fields.values()) or "''"
    pieces = (engine.whole(f'SUBSTRING("d", {start}, {DIGITS})') for start in (1, 1 + DIGITS))
    sums = ", ".join(f'{engine.text(f"SUM({piece})")} AS "s{at}"' for at, piece in enumerate(pieces))
    # OFFSET 0 keeps PostgreSQL from computing each digest once for each piece
    digests = f'SELECT {engine.sha256(row)} AS "d" FROM "{table.relation}" OFFSET 0'  # noqa: S608 - our own names
    answer = engine.fetch(f'SELECT {engine.text("COUNT(*)")} AS "n", {sums} FROM ({digests}) AS "t"')  # noqa: S608
    return [column[0].as_py() for column in answer.columns]
