"""Frames of other libraries, in memory: held to the same as every engine."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.table import Table
from dpsynth.workspace.registry.datasets import as_table
from tests.conformance.engine import EngineConformance, hostile_table

SECRET = "hunter2-Zq"


class InMemory(EngineConformance):
    """All that engines are held to, but for what only an engine refuses, keeps or says."""

    test_a_codec_that_cannot_be_pushed_down_is_refused_by_name = None
    test_a_codec_for_another_kind_is_refused_by_column = None
    test_codes_of_what_is_not_there_or_names_nobody_are_refused = None
    test_small_integers_leave_the_engine_and_no_cell_or_identity = None
    test_rows_come_out_as_codes_in_one_order = None
    test_a_model_trained_on_rows_is_the_same_for_the_same_noise = None
    test_targets_are_drawn_before_rows_in_memory_are_added = None
    test_a_small_table_comes_out_whole_with_the_types_of_a_table_in_memory = None
    test_a_row_key_that_repeats_is_refused = None
    test_a_version_is_of_the_rows_and_not_of_their_order = None
    test_a_table_without_rows_has_a_version = None


class TestPandas(InMemory):
    @pytest.fixture(scope="class")
    @classmethod
    def load(cls):
        return lambda rows: as_table(rows.to_pandas(types_mapper=pd.ArrowDtype))


class TestPolars(InMemory):
    @pytest.fixture(scope="class")
    @classmethod
    def load(cls):
        polars = pytest.importorskip("polars")
        return lambda rows: as_table(polars.from_arrow(rows))


@pytest.mark.parametrize("library", ["polars", "lazy polars", "duckdb", "ibis"])
def test_every_library_s_table_is_the_table(library):
    rows = hostile_table().drop_columns(["aware"])
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    ibis = pytest.importorskip("ibis")
    connection = duckdb.connect()
    made = {
        "polars": lambda: polars.from_arrow(rows),
        "lazy polars": lambda: polars.from_arrow(rows).lazy(),
        "duckdb": lambda: connection.from_arrow(rows),
        "ibis": lambda: ibis.memtable(rows),
    }
    found, expected = as_table(made[library]()), Table.from_arrow(rows)
    assert found.to_arrow().equals(expected.to_arrow())
    assert dict(found.decimals) == dict(expected.decimals)
    connection.close()


def test_categories_of_polars_are_text_and_rare_types_are_refused_by_column():
    polars = pytest.importorskip("polars")
    words = ["b", "a", None]
    frame = polars.DataFrame(
        {
            "kind": polars.Series(words, dtype=polars.Categorical),
            "fixed": polars.Series(words, dtype=polars.Enum(["a", "b", "never"])),
        }
    )
    table = as_table(frame)
    assert dict(table.types) == {"kind": "string", "fixed": "string"}
    assert table.value_counts("fixed").values.to_pylist() == ["a", "b"]
    for odd in ([[1]], [b"x"], [{"a": 1}]):
        with pytest.raises(DataError, match="'odd' holds"):
            as_table(polars.DataFrame({"odd": odd}))
    with pytest.raises(DataError, match="cannot be read"):
        as_table(polars.DataFrame({"odd": polars.Series([1], dtype=polars.Int128)}))


@pytest.mark.parametrize("library", ["lazy polars", "duckdb", "ibis"])
def test_a_query_that_fails_is_told_without_its_cells(library):
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    ibis = pytest.importorskip("ibis")
    connection = duckdb.connect()
    made = {
        "lazy polars": lambda: polars.LazyFrame({"x": [SECRET]}).select(polars.col("x").cast(polars.Int64)),
        "duckdb": lambda: connection.sql(f"SELECT CAST(x AS INT) AS x FROM (VALUES ('{SECRET}')) t(x)"),
        "ibis": lambda: ibis.memtable(pa.table({"x": [SECRET]})).mutate(x=ibis._.x.cast("int64")),
    }
    with pytest.raises(DataError, match="its own words are left out") as caught:
        as_table(made[library]())
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    connection.close()


def test_what_is_no_table_is_refused():
    with pytest.raises(ParameterError, match="A list is not a table"):
        as_table([1, 2])


def test_no_library_is_imported_for_another_s_table():
    import subprocess
    import sys

    program = (
        "import sys, pyarrow as pa; from dpsynth.data.frames import arrow_of; from dpsynth.data.table import Table\n"
        "Table.from_frame(pa.table({'x': [1]}))\n"
        "print([name for name in ('polars', 'duckdb', 'ibis') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
