"""PostgreSQL: a table or view of a server, read once, in one statement.

One statement copies the raw cells into a temporary table on the server, dropped with the connection. It runs in a
REPEATABLE READ, READ ONLY transaction: it sees one moment, functions in views included, and none of them may write.
Later counts cannot see a change. A view that is not deterministic (random(), clock_timestamp()) is evaluated once for a
run; a run that goes on would see other rows, and is refused by their version (`version`). Text is compared by its bytes
(COLLATE "C"), whatever the column's collation.

    engine = PostgreSQL("postgresql://analyst@host/warehouse")
    table = engine.table("claims")

The account needs SELECT on the table and TEMPORARY on the database, nothing else. Credentials are best left to
~/.pgpass or the PG* variables; a password in the URL is handed to libpq and kept nowhere.

Not guaranteed: trailing blanks of char(n), which mean nothing to PostgreSQL and are cut; NUL, which it cannot hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, final

import pyarrow as pa

from dpsynth.core.errors import DataError
from dpsynth.data.engines.builtin import builtin
from dpsynth.data.engines.postgresql_refusal import CONNECT, not_permitted, refused
from dpsynth.data.engines.protocol import Field, quoted
from dpsynth.data.engines.types import dtype_of, kind_of, warning_of
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.recipe import Kind
from dpsynth.data.warning import listed, shown


@final
class PostgreSQL:
    """A connection to a server.

    Args:
        url: postgresql://…, as libpq reads it.
    """

    name: ClassVar[str] = "postgresql"
    dialect: ClassVar[str] = "postgres"
    batch: ClassVar[int] = 32
    singles: ClassVar[int] = 32

    def __init__(self, url: str) -> None:
        import psycopg

        self._numbers = itertools.count()
        with refused(CONNECT):
            self.connection: Any = psycopg.connect(url, autocommit=True, fallback_application_name="dpsynth")
        self._execute("SET TIME ZONE 'UTC'")
        self._execute("SET extra_float_digits = 1")
        self._execute("SET standard_conforming_strings = on")  # a backslash in a category is a backslash

    def table(self, name: str, schema: str | None = None) -> EngineTable:
        """A copy of a table's raw cells, made by one statement.

        Raises:
            DataError: no such table, no permission, a column of a type that no table has, a number beyond 64 bits or
                not finite.
        """
        source = _named(name, schema)
        fields, cells = {}, []
        for at, (column, words) in enumerate(self.described(name, schema)):
            dtype = dtype_of(self.dialect, column, words)
            kind, decimals = kind_of(column, dtype)
            fields[column] = Field(cell=f"c{at}", kind=kind, decimals=decimals, warning=warning_of(column, dtype))
            cells.append(f'{_raw(quoted(column), kind)} AS "c{at}"')
        try:
            raw = self._copied(f"SELECT {', '.join(cells)} FROM {source}", partial(self._grants, name, schema))  # noqa: S608 - quoted
        except DataError:
            self._require_within(source, fields)
            raise
        self._require_finite(raw, fields)
        return EngineTable(self, raw, fields)

    def described(self, name: str, schema: str | None = None) -> list[tuple[str, str]]:
        """Names and types of a table's columns, which this account may read and copy; no row is read.

        Raises:
            DataError: no such table, or no permission.
        """
        source, grants = _named(name, schema), partial(self._grants, name, schema)
        with refused("read the table's columns", grants):
            found: list[tuple[str, str]] = self.connection.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                (source,),
            ).fetchall()
        if not found:
            raise DataError(
                f"There is no table {shown(name)}{'' if schema is None else f' in schema {shown(schema)}'} that this "
                "account may see.",
                "Check --table schema.table; capitals count.",
            )
        with refused("read the table's columns", grants):
            may = self.connection.execute(
                "SELECT (has_table_privilege(to_regclass(%s), 'SELECT') OR has_any_column_privilege("
                "to_regclass(%s), 'SELECT')) AND has_database_privilege(current_database(), 'TEMPORARY')",
                (source, source),
            ).fetchone()[0]
        if not may:
            raise not_permitted(grants())
        return found

    def store(self, query: str) -> str:
        """Run a query once and keep its rows inside the engine; the name they are kept under."""
        name = self._name()
        self._execute(f'CREATE TEMP TABLE "{name}" AS {query}')
        self._execute(f'ANALYZE "{name}"')
        return name

    def view(self, query: str) -> str:
        """A name for a query that is run each time it is asked."""
        name = self._name()
        self._execute(f'CREATE TEMP VIEW "{name}" AS {query}')
        return name

    def upload(self, rows: pa.Table) -> str:
        """A small public table inside the engine; its name."""
        name = self._name()
        words = {pa.string(): 'text COLLATE "C"', pa.int64(): "bigint", pa.bool_(): "boolean"}
        columns = ", ".join(f'"{field.name}" {words[field.type]}' for field in rows.schema)
        self._execute(f'CREATE TEMP TABLE "{name}" ({columns})')
        storable = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        with (
            refused("upload a public table"),
            self.connection.cursor() as cursor,
            cursor.copy(f'COPY "{name}" FROM STDIN') as copy,
        ):
            for row in storable:
                if not any(isinstance(cell, str) and "\0" in cell for cell in row):  # no cell there can be equal to it
                    copy.write_row(row)
        self._execute(f'ANALYZE "{name}"')
        return name

    def drop(self, relation: str) -> None:
        """Forget what `store` or `upload` kept."""
        self._execute(f'DROP TABLE "{relation}"')

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query."""
        batches = list(self.stream(query, 1 << 16))
        return pa.Table.from_batches(batches)

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query, about so many at a time."""
        with (
            refused("run a query"),
            self.connection.transaction(),
            self.connection.cursor(name=self._name()) as cursor,
        ):
            cursor.execute(query)
            found = cursor.fetchmany(rows)
            yield _batch(cursor.description, found)  # so that an empty answer has its columns
            while found := cursor.fetchmany(rows):
                yield _batch(cursor.description, found)

    def exploded(self, source: str, numbers: Sequence[str]) -> None:
        """Grouping sets are counted as fast."""
        del source, numbers

    def nearest(self, number: Any) -> Any:
        """Ibis: a double rounded to the nearest whole double, half to even."""
        return builtin("round", ("float64",), "float64")(number)

    def quotient(self, dividend: Any, divisor: int) -> Any:
        """Ibis: whole part of a non-negative 64-bit integer divided by a positive one, exactly."""
        return builtin("div", ("int64", "int64"), "decimal(38, 0)")(dividend, divisor).cast("int64")

    def sha256(self, text: str) -> str:
        """SQL: SHA-256 of an expression of text's UTF-8 bytes, as 64 lower-case hexadecimal digits in byte order."""
        return f"(encode(sha256(convert_to({text}, 'UTF8')), 'hex') COLLATE \"C\")"

    def text(self, cell: str) -> str:
        """SQL: an expression of an integer (or text) as text."""
        return f"CAST({cell} AS text)"

    def whole(self, digits: str) -> str:
        """SQL: fifteen hexadecimal digits, an expression of text, as a whole number whose sums do not overflow."""
        return f"CAST(CAST('x' || {digits} AS bit(60)) AS bigint)"

    def parsed(self, cell: str, kind: Kind) -> str:
        """SQL: a raw cell of an expression of text (or number) that is one in ISO."""
        words = {"integer": "bigint", "float": "double precision", "date": "date", "datetime": "timestamp"}
        typed = f"CAST({cell} AS {words[kind]})"
        return _raw(typed, kind) if kind in ("date", "datetime") else typed

    def literal(self, text: str) -> str:
        """SQL: a constant text; NULL if it holds NUL, which no cell there can."""
        return "NULL" if "\0" in text else "'" + text.replace("'", "''") + "'"

    def matches(self, cell: str, pattern: str) -> str:
        """SQL: whether an expression of text matches a pattern somewhere."""
        return f'({cell} COLLATE "C" ~ {self.literal(pattern)})'

    def not_ascii(self, cell: str) -> str:
        """SQL: whether an expression of text has a character beyond ASCII: more bytes than characters."""
        return f"(OCTET_LENGTH({cell}) > LENGTH({cell}))"

    def composed(self, cell: str) -> str:
        """SQL: an expression of text in Unicode's form NFC."""
        return f"normalize({cell}, NFC)"

    def bucketed(self, relation: str, cells: Sequence[str], buckets: int) -> str:
        """SQL after FROM: a relation, and in `bucket` a number that equal rows share; OFFSET: it is made once."""
        bucket = f"hash_record_extended(ROW({', '.join(cells)}), 0) & {buckets - 1}"
        return f'(SELECT *, {bucket} AS "bucket" FROM "{relation}" OFFSET 0) AS "t"'  # noqa: S608 - our own names

    def content(self) -> str | None:
        """Digest of the files that rows are read from each time; None, since the rows are a copy."""
        return None

    def close(self) -> None:
        """Close the connection; the server drops its temporary tables."""
        self.connection.close()

    def _name(self) -> str:
        return f"dpsynth_{next(self._numbers)}"

    def _grants(self, name: str, schema: str | None) -> str:
        """What this account lacks, as the owner types it; all that is needed where the catalogue finds no gap.

        There is none where a view's owner may not read what the view reads, or one column is not granted.
        """
        with refused("read the catalogue"):
            use, select, temporary = self.connection.execute(
                "SELECT (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %(schema)s),"
                " (SELECT has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT')"
                " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relname = %(name)s"
                " AND nspname = COALESCE(%(schema)s, current_schema())),"
                " has_database_privilege(current_database(), 'TEMPORARY')",
                {"name": name, "schema": schema},
            ).fetchone()
        needed = [
            (use, None if schema is None else f"GRANT USAGE ON SCHEMA {quoted(schema)} TO account"),
            (select, f"GRANT SELECT ON {_named(name, schema)} TO account"),
            (temporary, f"GRANT TEMPORARY ON DATABASE {quoted(self.connection.info.dbname)} TO account"),
        ]
        lacking = [words for held, words in needed if words and held is False]
        return "; ".join(lacking or [words for _, words in needed if words])

    def _copied(self, query: str, grants: Callable[[], str]) -> str:
        """The source's rows at one moment: functions in a view see the same snapshot, and none of them may write."""
        name = self._name()
        self._execute(f'CREATE TEMP TABLE "{name}" AS {query} WITH NO DATA', grants)
        with refused("read the table", grants), self.connection.transaction():
            self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self.connection.execute(f'INSERT INTO "{name}" {query}')
        self._execute(f'ANALYZE "{name}"')
        return name

    def _execute(self, statement: str, grants: Callable[[], str] | None = None) -> None:
        with refused("run a statement", grants):
            self.connection.execute(statement)

    def _require_within(self, source: str, fields: dict[str, Field]) -> None:
        """Name the columns with cells that no table has, where a copy was refused."""
        tests = {
            column: _within(quoted(column), field.kind) for column, field in fields.items() if field.kind in BEYOND
        }
        if not tests:
            return
        asked = ", ".join(f'COALESCE(BOOL_OR(NOT {test}), false) AS "t{at}"' for at, test in enumerate(tests.values()))
        with refused("read the table"), self.connection.transaction():
            self.connection.execute("SET TRANSACTION READ ONLY")
            answer = self.fetch(f"SELECT {asked} FROM {source}")  # noqa: S608 - quoted
        odd = [name for name, column in zip(tests, answer.columns, strict=True) if column[0].as_py()]
        if odd:
            raise DataError(
                f"Column {listed(odd)} holds numbers or times that are not finite, or beyond 64 bits.",
                "Replace them by missing cells or by a public bound, in a view.",
            ) from None

    def _require_finite(self, relation: str, fields: dict[str, Field]) -> None:
        floats = {name: field.cell for name, field in fields.items() if field.kind == "float"}
        if not floats:
            return
        asked = ", ".join(
            f"COALESCE(BOOL_OR(\"{cell}\" IN ('Infinity', '-Infinity')), false) AS \"{cell}\""
            for cell in floats.values()
        )
        answer = self.fetch(f'SELECT {asked} FROM "{relation}"')  # noqa: S608 - our own names
        odd = [name for name, column in zip(floats, answer.columns, strict=True) if column[0].as_py()]
        if odd:
            raise DataError(
                f"Column {listed(odd)} holds numbers that are not finite; no bound can hold them.",
                "Replace them by missing cells or by a public bound.",
            )


def _raw(cell: str, kind: str) -> str:
    """SQL of a raw cell: text, integer, double or truth value; days and microseconds since 1970."""
    if kind == "string":
        return f'CAST({cell} AS text) COLLATE "C"'
    if kind == "float":
        return f"NULLIF(CAST({cell} AS double precision), 'NaN')"
    if kind == "date":
        return f"CAST({cell} - DATE '1970-01-01' AS bigint)"
    if kind == "datetime":
        return f"CAST(EXTRACT(EPOCH FROM {cell}) * 1000000 AS bigint)"
    return f"CAST({cell} AS {'boolean' if kind == 'boolean' else 'bigint'})"


def _within(cell: str, kind: str) -> str:
    """SQL: whether a cell fits its raw type: 64 bits of whole numbers, and of microseconds since 1970."""
    if kind == "date":
        return f"isfinite({cell})"
    if kind == "datetime":
        return f"(isfinite({cell}) AND EXTRACT(EPOCH FROM {cell}) < {2**63 // 10**6})"
    return f"({cell} BETWEEN {-(2**63)} AND {2**63 - 1})"


BEYOND = ("date", "datetime", "integer")


def _batch(description: Any, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows as Arrow: integers, doubles, truth values and text."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(description)
    arrays = [
        pa.array(list(cells), _ARROW.get(column.type_code, pa.string()))
        for column, cells in zip(description, columns, strict=True)
    ]
    return pa.record_batch(arrays, names=[column.name for column in description])


_ARROW = {16: pa.bool_(), 20: pa.int64(), 21: pa.int64(), 23: pa.int64(), 701: pa.float64()}
"""PostgreSQL's numbers of its types bool, int8, int2, int4 and float8."""


def _named(name: str, schema: str | None) -> str:
    return quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"
