from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.facts import Asked, facts_of
from dpsynth.data.table import Table
from dpsynth.schema.checks import prepare
from tests.conformance.engine_checks import ROWS, ChecksConformance, bad_tables, outcome

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.duckdb import DuckDB


@pytest.fixture(scope="module")
def engine():
    engine = DuckDB(threads=1)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def load(engine):
    return lambda rows: engine.table(f'"{engine.upload(rows)}"')


class TestChecksOfDuckDB(ChecksConformance):
    pass


def numbers(kind=None):
    return pa.array([at % 50 for at in range(ROWS)], kind or pa.int64())


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (["a", "a"], [numbers(), numbers()], "Two columns are called 'a'"),
        (["City", "city"], [numbers(), numbers()], "Two columns are called 'City'"),
        (["u"], [pa.array([2**64 - 1] * ROWS, pa.uint64())], "'u' holds integers beyond 64 bits"),
        (["d"], [pa.array([Decimal(10**25)] * ROWS, pa.decimal128(38, 0))], "'d' holds integers beyond 64 bits"),
        (["tags"], [pa.array([["a"]] * ROWS)], "'tags' holds lists"),
        (["inner"], [pa.array([{"a": 1}] * ROWS)], "'inner' holds lists"),
        (["bin"], [pa.array([b"\xff"] * ROWS)], "'bin' holds lists"),
        (["t"], [pa.array([time(1)] * ROWS)], "'t' holds lists, structs, maps, bytes, times of day"),
        (["x"], [pa.array([float("inf")] * ROWS)], "'x' holds numbers that are not finite"),
    ],
)
def test_files_that_no_table_holds_are_refused_by_column(engine, tmp_path, names, columns, message):
    pq.write_table(pa.Table.from_arrays(columns, names=names), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        engine.parquet([tmp_path / "a.parquet"])


def test_what_the_reader_says_of_a_type_is_said(load, engine, tmp_path):
    rows = pa.table(
        {
            "at": pa.array([datetime(2024, 1, 1, at % 24, tzinfo=UTC) for at in range(ROWS)]),
            "price": pa.array([Decimal(at) for at in range(ROWS)], pa.decimal128(38, 2)),
            "gone": pa.nulls(ROWS),
            "n": numbers(pa.uint64()),
        }
    )
    pq.write_table(rows, tmp_path / "a.parquet")
    said = outcome(engine.parquet([tmp_path / "a.parquet"]))
    assert said == outcome(Table.from_arrow(rows))
    assert {code for code, _, _ in said[1]} >= {"read_as_utc", "decimal_digits", "no_values"}


@pytest.mark.parametrize(
    ("name", "message"),
    [("\0included", "holds the character NUL"), (" ", "has no name"), ("n" * 257, "more than 256")],
)
def test_names_that_no_file_may_have_are_refused_of_an_engine_too(engine, tmp_path, name, message):
    pq.write_table(pa.table({"x": numbers(), name: numbers()}), tmp_path / "a.parquet")
    path = tmp_path / "a.parquet"
    for refused in (lambda: prepare(engine.parquet([path])), lambda: prepare(path)):
        with pytest.raises(DataError, match=message):
            refused()


class Counting:
    """An engine that says what it was asked."""

    def __init__(self, engine):
        self._engine, self.asked = engine, []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def fetch(self, query):
        self.asked.append(query)
        answer = self._engine.fetch(query)
        assert answer.num_rows == 1
        return answer


@pytest.mark.parametrize(("name", "scans"), [("plain", 1), ("accents", 2), ("free_text", 2), ("heavy_copy", 2)])
def test_facts_take_a_look_and_one_to_three_scans_of_which_one_row_comes_back(engine, load, name, scans):
    rows, _ = bad_tables()[name]
    table = load(rows)
    counting = Counting(engine)
    facts_of(type(table)(counting, table.relation, table.fields), Asked(open=frozenset(rows.column_names)))
    assert len(counting.asked) == 1 + scans


def test_two_hundred_columns_take_as_many_scans_as_three(engine, load):
    rows, _ = bad_tables()["accents"]
    wide = pa.table(
        {
            f"{name}{at}": column
            for at in range(50)
            for name, column in zip(rows.column_names, rows.columns, strict=True)
        }
    )
    table = load(wide)
    counting = Counting(engine)
    found = facts_of(type(table)(counting, table.relation, table.fields), Asked(open=frozenset(wide.column_names)))
    assert len(counting.asked) == 3
    assert found.columns == facts_of(Table.from_arrow(wide), Asked(open=frozenset(wide.column_names))).columns


def test_rows_in_memory_are_added_after_the_checks(load):
    rows, _ = bad_tables()["plain"]
    table = load(rows).concat(Table.from_arrow(rows))
    with pytest.raises(ParameterError, match="added to the engine's before these were checked"):
        prepare(table)
