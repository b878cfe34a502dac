"""A few rows that leave an engine: the targets of attacks, and tables that are small.

Attacks and quality read rows, so a sample of them comes out, once, and is sealed with the draft. Whether an identity is
in it is a keyed coin of that identity alone (`keyed`), so every engine and the table in memory give the same rows, a
retry too; and all rows of a person come or none. They stand in one order: by the coin's digest, then by their cells,
nulls last. So any first rows of it are a sample too.

    targets = sampled(part, "patient_id", about=20_000, key=key)      # a Table in memory

Not guaranteed: exactly `about` rows; one unit's rows come together, so their number varies the more, the more rows a
unit has. Nor privacy: these are rows, for attacks and quality only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.arrow_numpy import array_of, values_of
from dpsynth.data.arrow_types import ARROW_OF
from dpsynth.data.engines.keyed import DIGITS, cells_of, counted_identity, digest, digest_sql, keys_of, texts_of
from dpsynth.data.engines.protocol import ROW
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.table import Table

BATCH = 1 << 14
MOST = 3
"""Times `about` rows are held at most. With one row a unit and `FEWEST` expected, coins alone never do that."""
FEWEST = 100
SMALL = 1 << 20
"""Rows that `everything` loads if nobody says another number."""


def sampled(table: Table | EngineTable, identity: str, *, about: int, key: bytes) -> Table:
    """All rows of the identities whose coin falls, about so many; all rows if there are no more than that.

    Args:
        table: the private rows; nothing in memory added to them.
        identity: the unit's column, or a column that is another for each record; strings or integers, none missing.
            `ROW` of files whose rows are numbered.
        about: expected number of rows, at least 100.
        key: 32 secret bytes, one for each data set and part.

    Returns:
        Rows of the types of `Table.from_arrow`, in the order that the module describes.

    Raises:
        ParameterError: a number or key outside its range; rows were added in memory.
        DataError: the column cannot name anybody, or a few identities have so many rows that no sample is small.
    """
    if about < FEWEST:
        raise ParameterError(f"Expected about={about} >= {FEWEST} (rows sampled).")
    keys = keys_of(key, "targets")
    if isinstance(table, Table):
        distinct, row = texts_of(table, identity)
        limit = _limit(about, table.unsafe_num_rows)
        fallen = np.array([limit is None or digest(text, keys)[:DIGITS] < limit for text in distinct], dtype=bool)
        rows = np.flatnonzero(fallen[row])
        if len(rows) > MOST * about:
            raise _clumped(about)
        return _ordered(table.take(rows), identity, keys)
    if table.extra is not None:
        raise ParameterError("Rows in memory were added to the table.", "Sample targets before canaries are added.")
    who, held = counted_identity(table, identity)
    limit = _limit(about, held)
    query = f'SELECT {cells_of(table)} FROM "{table.relation}"'  # noqa: S608 - our own names
    if limit is not None:
        coin = f"SUBSTRING({digest_sql(table.engine, table.engine.text(who), keys)}, 1, {DIGITS})"
        query += f" WHERE {coin} < '{limit}'"
    rows_found = _streamed(table, query, MOST * about)
    if rows_found is None:
        raise _clumped(about)
    return _ordered(rows_found, identity, keys).select(table.columns)


def everything(table: EngineTable, columns: Sequence[str] | None = None, *, most: int = SMALL) -> Table:
    """All rows of a small table, ordered by their cells.

    Args:
        table: the private rows, with those in memory that were added.
        columns: which, in order; all if None.
        most: rows, at most; a larger table is refused, and how large it is stays unsaid.

    Raises:
        DataError: more rows than that.
    """
    chosen = table if columns is None else table.select(columns)
    rows = _streamed(chosen, f'SELECT {cells_of(chosen)} FROM "{chosen.relation}" LIMIT {most + 1}', most)  # noqa: S608
    if rows is None:
        raise DataError(
            f"The table has more than {most:,} rows, so it is not loaded into memory whole.",
            "Sample it, or work on it where it is.",
        )
    rows = rows.select(chosen.columns)
    return _sorted(rows if chosen.extra is None else rows.concat(chosen.extra), None)


def _limit(about: int, rows: int) -> str | None:
    """The digits below which a coin falls; None if all do."""
    return None if about >= rows else f"{about * 16**DIGITS // rows:0{DIGITS}x}"


def _streamed(table: EngineTable, query: str, most: int) -> Table | None:
    """The rows of a query, or None as soon as they are too many."""
    fields = dict(table.fields) | ({} if table.row is None else {ROW: table.row})
    kinds = {name: ARROW_OF[field.kind] for name, field in fields.items()}
    batches, held = [], 0
    for batch in table.engine.stream(query, BATCH):
        held += batch.num_rows
        if held > most:
            return None
        cells = [_canonical(batch.column(fields[name].cell), kind) for name, kind in kinds.items()]
        batches.append(pa.record_batch(cells, names=list(kinds)))
    return Table(pa.Table.from_batches(batches, pa.schema(list(kinds.items()))), decimals=table.decimals)


def _canonical(raw: pa.Array, kind: pa.DataType) -> pa.Array:
    """Raw cells as a table's: days and microseconds become dates and times."""
    return raw.cast(pa.int32()).cast(kind) if pa.types.is_date(kind) else raw.cast(kind)


def _clumped(about: int) -> DataError:
    return DataError(
        f"The sample of about {about:,} rows holds more than {MOST} times as many: a few units have a large part of"
        " all rows.",
        "Bound the rows of a unit first.",
    )


def _ordered(rows: Table, identity: str, keys: tuple[str, str]) -> Table:
    """By the digest of their identity, then by their cells."""
    distinct, row = texts_of(rows, identity)
    digests = np.array([digest(text, keys) for text in distinct], dtype="S64")
    rank = np.empty(len(digests), dtype=np.int64)
    rank[np.argsort(digests)] = np.arange(len(digests))
    return _sorted(rows, rank[row])


def _sorted(rows: Table, first: NDArray[np.int64] | None) -> Table:
    """Rows by a number of each, if given, then by their cells; nulls last, and equal rows are interchangeable."""
    keys = {} if first is None else {"first": pa.chunked_array([array_of(first, pa.int64())])}
    for at, name in enumerate(rows.columns):
        column = rows.column(name)
        keys[str(at)] = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    return rows.take(values_of(order).astype(np.int64))
