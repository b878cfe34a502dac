r"""Which rows are trained on and which are held out, by keyed hashes that every engine computes alike.

    digest(purpose, text) = SHA-256(hex(K_outer) || SHA-256(hex(K_inner) || text))     in lower-case hexadecimal

with two keys derived from the secret one for each purpose (HMAC-SHA-256). SHA-256 of text is the one hash that DuckDB,
PostgreSQL, Spark and Python all have; nesting makes it a keyed hash that is not extended (NMAC: Bellare, Canetti and
Krawczyk 1996). The text is the identity's: a string as it is, an integer in decimal.

**Split.** The coin of a unit (of a record, by its key column) is a function of the key and that identity alone. So
give each unit of the larger of two neighbours its coin and the same coin to it in the smaller: for any such coins the
training parts are neighbours or equal, and under add/remove the guarantee of the training part is one for the whole
table; mixtures over coins are no worse (`workspace.private.split`). No other row moves, as positions would.

**Bound.** Each unit keeps its at most k rows of smallest digest over the row's own cells (or its key column). Which
rows stay depends on that unit's rows and the key: adding or removing a unit changes at most k rows. Doubles have no
common text, so they break ties of the digest by their own order; equal rows are interchangeable.

>>> people = Table.from_arrow(pa.table({"who": [1, 1, 1, 2], "x": [5, 6, 7, 8]}))
>>> bounded(people, "who", 2, bytes(32)).unsafe_num_rows
3

Not guaranteed: secrecy of these rows from whoever runs the engine: statements hold the derived keys, and its owner has
the rows anyway. The secret key itself and the keys of other purposes stay here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.arrow_numpy import missing_of, values_of
from dpsynth.data.engines.protocol import ROW, Engine, Field
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.table import Table
from dpsynth.data.warning import shown

DIGITS = 13
"""Hexadecimal digits of a digest that decide a coin: 52 bits."""
AnyTable = TypeVar("AnyTable", Table, EngineTable)


def split(table: AnyTable, identity: str, *, holdout_share: float, key: bytes) -> tuple[AnyTable, AnyTable]:
    """(train, holdout) by one coin for each value of the column `identity`.

    Args:
        table: the private rows.
        identity: the unit's column, or a column that is another for each record; strings or integers, none missing.
        holdout_share: probability of the holdout, strictly between 0 and 1.
        key: 32 secret bytes, one for each data set.

    Raises:
        ParameterError: a share or key outside its range.
        DataError: the column cannot name anybody.
    """
    if not 0.0 < holdout_share < 1.0:
        raise ParameterError(f"Expected holdout_share={holdout_share} strictly between 0 and 1.")
    keys = keys_of(key, "split")
    limit = f"{round(holdout_share * 16**DIGITS):0{DIGITS}x}"
    if isinstance(table, Table):
        distinct, row = texts_of(table, identity)
        coins = np.array([digest(text, keys)[:DIGITS] < limit for text in distinct], dtype=bool)
        held = coins[row]
        return table.take(np.flatnonzero(~held)), table.take(np.flatnonzero(held))
    engine, who = table.engine, identity_sql(table, identity)
    coin = f"SUBSTRING({digest_sql(engine, engine.text(who), keys)}, 1, {DIGITS})"
    train, holdout = (_where(table, f"{coin} {sign} '{limit}'") for sign in (">=", "<"))
    return train, holdout


def cut(table: EngineTable, column: str, since: float) -> tuple[EngineTable, EngineTable]:
    """(earlier, later) rows: those whose cell is at `since` or beyond are later, missing ones earlier.

    Args:
        table: the private rows.
        column: of numbers, dates or times.
        since: a public number; days or microseconds since 1970 for dates and times.
    """
    cell = f'"{table.fields[column].cell}"'
    number = repr(float(since)) if table.types[column] in ("integer", "float") else str(int(since))
    late = f"COALESCE({cell} >= {number}, FALSE)"
    return _where(table, f"NOT {late}"), _where(table, late)


def bounded(table: AnyTable, unit: str, max_records: int, key: bytes, *, row_key: str | None = None) -> AnyTable:
    """At most `max_records` rows of each unit, the same on every engine and in memory.

    Args:
        table: the private rows.
        unit: the unit's column; strings or integers, none missing.
        max_records: k >= 1.
        key: 32 secret bytes, one for each reservation: a retry gives the same rows and cannot be averaged.
        row_key: a column that tells a unit's rows apart; all cells do if None.
    """
    if max_records < 1:
        raise ParameterError(f"Expected max_records={max_records} >= 1 (rows kept a unit).")
    keys = keys_of(key, "bound")
    content = sorted(table.columns) if row_key is None else [row_key]
    exact = [name for name in content if table.types[name] != "float"]
    rough: list[str] = [name for name in content if table.types[name] == "float"]
    if isinstance(table, Table):
        memory: Table = table
        _, units = texts_of(table, unit)
        digests = np.array([digest(text, keys) for text in _contents(table, exact)], dtype="S64")
        order = np.lexsort([*_order_of(memory, rough), digests, units])
        ordered = units[order]
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
        rank = np.arange(len(ordered)) - np.repeat(first, np.diff(np.r_[first, len(ordered)]))
        return table.take(np.sort(order[rank < max_records]))
    engine, fields = table.engine, table.fields
    text = " || ".join(content_sql(engine, fields[name]) for name in exact) or "''"
    ties = "".join(f', ("{fields[n].cell}" IS NOT NULL), "{fields[n].cell}"' for n in rough)
    rank_sql = (
        f"ROW_NUMBER() OVER (PARTITION BY {identity_sql(table, unit)} ORDER BY {digest_sql(engine, text, keys)}{ties})"
    )
    ranked = f'SELECT {cells_of(table)}, {rank_sql} AS "rank" FROM "{table.relation}"'  # noqa: S608 - our own names
    kept = engine.store(f'SELECT {cells_of(table)} FROM ({ranked}) AS "t" WHERE "rank" <= {max_records}')  # noqa: S608
    return EngineTable(engine, kept, fields, row=table.row)


def require_key(table: EngineTable, column: str) -> None:
    """Refuse a column that does not tell all records apart.

    Raises:
        DataError: cells are missing, or two records share one.
    """
    cell = identity_sql(table, column)
    answer = table.engine.fetch(f'SELECT COUNT(*) = COUNT(DISTINCT {cell}) AS "ok" FROM "{table.relation}"')  # noqa: S608
    if not answer.column(0)[0].as_py():
        raise DataError(
            f"The row key {shown(column)} is the same for two records, so it names neither.",
            "Name a column that is another for each record: --row-key COLUMN.",
        )


def digest(text: str, keys: tuple[str, str]) -> str:
    """The keyed digest of a text, 64 hexadecimal digits; `keys` are hexadecimal, inner and outer."""
    inner = hashlib.sha256((keys[0] + text).encode()).hexdigest()
    return hashlib.sha256((keys[1] + inner).encode()).hexdigest()


def digest_sql(engine: Engine, text: str, keys: tuple[str, str]) -> str:
    """The same in the engine's SQL, of an expression of text."""
    inner = engine.sha256(f"'{keys[0]}' || {text}")
    return engine.sha256(f"'{keys[1]}' || {inner}")


def content_sql(engine: Engine, field: Field) -> str:
    """SQL of a cell's text among others: `n` if missing, else its length, a colon and the text."""
    cell = f'"{field.cell}"'
    if field.kind == "boolean":
        text = f"CASE WHEN {cell} THEN '1' ELSE '0' END"
    else:
        text = cell if field.kind == "string" else engine.text(cell)
    return f"CASE WHEN {cell} IS NULL THEN 'n' ELSE {engine.text(f'LENGTH({text})')} || ':' || {text} END"


def _contents(table: Table, columns: Sequence[str]) -> list[str]:
    """The text of each row's cells, as `content_sql` writes it."""
    parts = []
    for name in columns:
        texts = _cell_texts(table.column(name))
        parts.append(["n" if text is None else f"{len(text)}:{text}" for text in texts])
    return ["".join(row) for row in zip(*parts, strict=True)] if parts else [""] * table.unsafe_num_rows


def _cell_texts(column: pa.ChunkedArray) -> list[str | None]:
    if pa.types.is_string(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    values, missing = values_of(column).astype(np.int64).tolist(), missing_of(column).tolist()
    return [None if absent else str(value) for value, absent in zip(values, missing, strict=True)]


def _order_of(table: Table, columns: Sequence[str]) -> list[NDArray[Any]]:
    """Keys for `lexsort`, least important first: missing before any number."""
    keys: list[NDArray[Any]] = []
    for name in reversed(columns):
        missing = missing_of(table.column(name))
        keys += [np.where(missing, 0.0, values_of(table.column(name))), ~missing]
    return keys


def texts_of(table: Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct identities as text, and which is each row's."""
    if table.types[column] not in ("string", "integer"):
        raise _nobody(column)
    if table.column(column).null_count:
        raise _missing(column)
    found = table.column(column).combine_chunks().dictionary_encode()
    return [str(value) for value in found.dictionary.to_pylist()], values_of(found.indices).astype(np.int64)


def identity_sql(table: EngineTable, column: str) -> str:
    """SQL of an identity, after the checks."""
    return counted_identity(table, column)[0]


def counted_identity(table: EngineTable, column: str) -> tuple[str, int]:
    """SQL of an identity, after the checks, and the exact number of rows (private); one scan."""
    if column == ROW and table.row is not None:
        return f'"{table.row.cell}"', table.unsafe_num_rows
    table.select([column])
    if table.types[column] not in ("string", "integer"):
        raise _nobody(column)
    cell = f'"{table.fields[column].cell}"'
    answer = table.engine.fetch(f'SELECT COUNT(*) AS "n", COUNT({cell}) AS "named" FROM "{table.relation}"')  # noqa: S608
    rows, named = (int(values_of(number)[0]) for number in answer.columns)
    if rows != named:
        raise _missing(column)
    return cell, rows


def cells_of(table: EngineTable) -> str:
    """SQL of all columns, and of the rows' identity, under the names that they have in the relation."""
    fields = [*table.fields.values(), *([] if table.row is None else [table.row])]
    return ", ".join(f'"{field.cell}"' for field in fields)


def keys_of(key: bytes, purpose: str) -> tuple[str, str]:
    """Inner and outer key of a purpose, hexadecimal, from 32 secret bytes."""
    if len(key) != 32:
        raise ParameterError("The key is not 32 bytes.", "Derive it from the vault.")
    inner, outer = (
        hmac.new(key, f"dpsynth.engines/{purpose}/{place}".encode(), hashlib.sha256).hexdigest()
        for place in ("inner", "outer")
    )
    return inner, outer


def _where(table: EngineTable, condition: str) -> EngineTable:
    """The rows that meet a condition, found anew each time: to copy them all would cost more than their digests."""
    query = f'SELECT {cells_of(table)} FROM "{table.relation}" WHERE {condition}'  # noqa: S608 - our own names
    return EngineTable(table.engine, table.engine.view(query), table.fields, row=table.row)


def _nobody(column: str) -> DataError:
    return DataError(
        f"The column {shown(column)} is neither text nor integer, so engines write its cells differently.",
        "Name a column of text or integers.",
    )


def _missing(column: str) -> DataError:
    return DataError(
        f"The column {shown(column)} has missing cells, so their rows belong to nobody.",
        "Remove those rows or give each a name of its own.",
    )
