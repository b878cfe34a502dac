from __future__ import annotations

import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError
from tests.conformance.engine import EngineConformance, hostile_table
from tests.postgresql import running

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.postgresql import PostgreSQL
from dpsynth.data.engines.protocol import EngineLost

WORDS = {
    pa.string(): "text",
    pa.int64(): "bigint",
    pa.int16(): "smallint",
    pa.float64(): "double precision",
    pa.float32(): "real",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp",
}


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


def write(server, rows: pa.Table, name: str) -> None:
    words = [
        f"numeric({t.precision}, {t.scale})"
        if pa.types.is_decimal(t)
        else "timestamptz"
        if pa.types.is_timestamp(t) and t.tz
        else WORDS[t]
        for t in rows.schema.types
    ]
    quoted = ['"' + column.replace('"', '""') + '"' for column in rows.column_names]
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} ({', '.join(f'{q} {w}' for q, w in zip(quoted, words, strict=True))})")
        with cursor.copy(f"COPY {name} FROM STDIN") as copy:
            for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                copy.write_row(row)


@pytest.fixture(scope="module")
def load(server):
    engine = PostgreSQL(server.url)
    names = (f"source_{at}" for at in range(10**6))

    def table(rows: pa.Table):
        name = next(names)
        write(server, rows, name)
        return engine.table(name)

    yield table
    engine.close()


class TestPostgreSQL(EngineConformance):
    @classmethod
    def hostile(cls):
        return hostile_table()


def test_text_is_told_apart_by_bytes_whatever_the_collation(server):
    server.sql(
        "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
        "CREATE TABLE collated (word text COLLATE blind)",
        "INSERT INTO collated VALUES ('a'), ('A'), ('á'), ('a')",
    )
    engine = PostgreSQL(server.url)
    found = engine.table("collated").value_counts("word")
    assert (found.values.to_pylist(), found.counts.tolist()) == (["A", "a", "á"], [1, 2, 1])
    engine.close()


def test_a_change_under_the_run_is_not_seen(server):
    server.sql("CREATE TABLE moving (x bigint)", "INSERT INTO moving VALUES (1), (2)")
    engine = PostgreSQL(server.url)
    table = engine.table("moving")
    server.sql("INSERT INTO moving VALUES (3)", "DROP TABLE moving")
    assert table.value_counts("x").values.to_pylist() == [1, 2]
    engine.close()


def test_no_permission_no_table_and_no_server_are_refused_without_credentials(server):
    server.sql("CREATE TABLE hidden (x bigint)", database="team", admin=True)
    engine = PostgreSQL(server.url)
    with pytest.raises(DataError, match='GRANT SELECT ON "hidden" TO account'):
        engine.table("hidden")
    with pytest.raises(DataError, match="no table 'absent'"):
        engine.table("absent")
    engine.close()
    with pytest.raises(EngineLost) as caught:
        PostgreSQL("postgresql://who:hunter2@127.0.0.1:1/db?connect_timeout=1")
    assert "hunter2" not in str(caught.value)
    assert "who" not in str(caught.value).replace("whose", "")


@pytest.mark.parametrize(
    ("words", "cell"),
    [
        ("numeric(38, 0)", "12345678901234567890"),
        ("numeric(20, 0)", "'NaN'"),
        ("date", "'infinity'"),
        ("timestamp", "'-infinity'"),
        ("timestamp", "'294276-12-31'"),
        ("timestamptz", "'294276-12-31'"),
        ("money", "'12345678.90'"),
    ],
)
def test_a_column_with_a_cell_that_no_table_has_is_refused_by_name(server, words, cell):
    server.sql(f"CREATE TABLE beyond (fine bigint, odd {words})", f"INSERT INTO beyond VALUES (1, {cell}), (2, NULL)")
    engine = PostgreSQL(server.url)
    try:
        with pytest.raises(DataError, match="Column 'odd' holds") as caught:
            engine.table("beyond")
        assert "1234" not in str(caught.value)
        assert caught.value.__cause__ is None
    finally:
        engine.close()
        server.sql("DROP TABLE beyond")


def test_a_server_that_reads_backslashes_in_literals_is_asked_not_to(server):
    sign = "&" if "?" in server.url else "?"
    engine = PostgreSQL(f"{server.url}{sign}options=-c%20standard_conforming_strings%3Doff")
    try:
        hostile = "\\' OR TRUE --"
        answer = engine.fetch(f"SELECT CAST({engine.literal(hostile)} AS text) AS x")
        assert answer.column(0).to_pylist() == [hostile]
    finally:
        engine.close()
