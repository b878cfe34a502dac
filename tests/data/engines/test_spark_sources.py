"""What Spark may be given: views of chance, files that change or cannot be read, hostile types, no rows at all."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import time
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError
from dpsynth.data.engines.protocol import SourceChanged
from dpsynth.data.table import Table
from tests.conformance.engine import described
from tests.spark_cluster import LOCAL, why_not

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def engine():
    from dpsynth.data.engines.spark.engine import Spark

    engine = Spark("local[2]", LOCAL)
    yield engine
    engine.close()
    engine.session.stop()


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    folder, numbers = tmp_path_factory.mktemp("sources"), itertools.count()

    def one(rows: pa.Table, **options):
        path = folder / f"{next(numbers)} of %41.parquet"
        pq.write_table(rows, path, **options)
        return path

    return one


@pytest.fixture(scope="module")
def people(engine, write):
    engine.session.read.parquet(str(write(pa.table({"x": range(100), "y": ["a", "b"] * 50})))).createOrReplaceTempView(
        "people"
    )


@pytest.mark.parametrize(
    "view",
    [
        "SELECT *, rand() AS r FROM people",
        "SELECT *, uuid() AS r FROM people",
        "SELECT * FROM (SELECT * FROM people WHERE rand(7) < 0.5) WHERE x > 3",
        "SELECT * FROM people WHERE x IN (SELECT x FROM people WHERE randn() > 0)",
        "SELECT *, monotonically_increasing_id() AS r FROM people",
        "SELECT * FROM people LIMIT 5",
        "SELECT * FROM people WHERE x IN (SELECT x FROM people LIMIT 5)",
        "SELECT * FROM people TABLESAMPLE (10 PERCENT)",
    ],
)
def test_a_view_that_would_hold_other_rows_when_asked_again_is_refused(engine, people, view):
    engine.session.sql(view).createOrReplaceTempView("chance")
    with pytest.raises(DataError, match="asked again it would hold other rows"):
        engine.table("chance")


def test_a_view_that_is_a_function_of_the_rows_is_read(engine, people):
    engine.session.sql(
        "SELECT y, COUNT(*) AS n FROM people WHERE x > (SELECT AVG(x) FROM people) GROUP BY y"
    ).createOrReplaceTempView("steady")
    assert engine.table("steady").value_counts("n").values.to_pylist() == [25]


def test_files_that_change_while_they_are_copied_are_refused(engine, write, monkeypatch):
    from dpsynth.data.engines.spark import moment

    path, looked = write(pa.table({"x": range(100)})), []
    sizes = moment._files

    def then_written(*asked):
        found = sizes(*asked)
        if not looked:
            pq.write_table(pa.table({"x": range(100, 300)}), path)
        looked.append(found)
        return found

    monkeypatch.setattr(moment, "_files", then_written)
    with pytest.raises(SourceChanged, match="changed while it was read"):
        engine.parquet([path])
    assert len(looked) == 2
    assert looked[0] and looked[1]
    monkeypatch.undo()
    assert engine.parquet([path]).unsafe_num_rows == 200


def test_a_source_without_files_is_read_twice_and_must_agree(engine):
    numbers = engine.session.sparkContext.parallelize(range(10), 2)
    moving = engine.session.createDataFrame(numbers.map(lambda at: (at, time.time_ns())), "x bigint, t bigint")
    with pytest.raises(SourceChanged, match="changed while it was read"):
        engine.frame(moving)
    still = engine.session.createDataFrame(numbers.map(lambda at: (at, None)), "x bigint, t bigint")
    assert engine.frame(still).unsafe_num_rows == 10


def test_a_source_that_changed_is_not_asked_again_when_memory_is_short(engine, write):
    path = write(pa.table({"x": [1] * 100}))
    table = engine.parquet([path])
    pq.write_table(pa.table({"x": [2] * 300}), path)
    engine._kept[table.relation].unpersist()  # what eviction does, to all of it at once
    assert described(table.value_counts("x")) == ([1], [100], 0)


def test_no_rows_are_counted_as_none(engine, write):
    empty = pa.table({"x": pa.array([], pa.int64()), "y": pa.array([], pa.string()), "z": pa.array([], pa.float64())})
    table = engine.parquet([write(empty)])
    assert table.unsafe_num_rows == 0
    for name in table.columns:
        assert described(table.value_counts(name)) == ([], [], 0)
    assert list(engine.stream(f'SELECT * FROM "{table.relation}"', 10)) == []


def test_a_stream_comes_in_batches_of_at_most_so_many_rows_and_in_order(engine, write):
    rng = np.random.default_rng(1)
    rows = pa.table({"x": rng.permutation(5000), "w": [f"é{at}" for at in range(5000)]})
    table = engine.parquet([write(rows)])
    batches = list(engine.stream(f'SELECT c0, c1 FROM "{table.relation}" ORDER BY c0', 300))
    assert max(batch.num_rows for batch in batches) <= 300
    assert pa.Table.from_batches(batches).rename_columns(["x", "w"]).equals(rows.sort_by("x"))


def test_numbers_and_times_that_readers_differ_on_are_those_of_memory(engine, write):
    rng = np.random.default_rng(3)
    digits = [int(n) for n in rng.integers(-(10**17), 10**17, 400)]
    moments = [datetime(1500, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 1), datetime(2024, 3, 31, 2, 30)] * 100
    rows = pa.table(
        {
            "wide": pa.array([Decimal(n * 7919).scaleb(-9) for n in digits], pa.decimal128(38, 9)),
            "deep": pa.array([Decimal(n).scaleb(-18) for n in digits], pa.decimal128(18, 18)),
            "whole": pa.array([Decimal(n) for n in digits], pa.decimal128(25, 0)),
            "double": pa.array([0.0, -0.0, float("nan"), None] * 100, pa.float64()),
            "a.b `c`": pa.array([1, 2] * 200, pa.uint8()),
        }
    )
    old = pa.table({"t": pa.array(moments[:300], pa.timestamp("us"))})
    for source, options in ((rows, {}), (old, {"use_deprecated_int96_timestamps": True})):
        path = write(source, **options)
        memory, table = Table.from_arrow(pq.read_table(path, coerce_int96_timestamp_unit="us")), engine.parquet([path])
        assert dict(table.types) == dict(memory.types)
        for name in memory.columns:
            assert described(table.value_counts(name)) == described(memory.value_counts(name)), name


def test_a_session_of_another_zone_and_without_ansi_is_left_as_it_is_and_not_used(engine, write):
    other = engine.session.newSession()
    other.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    other.conf.set("spark.sql.ansi.enabled", "false")
    path = write(pa.table({"t": pa.array([datetime(2024, 1, 1, 12)], pa.timestamp("us", tz="America/New_York"))}))
    memory = Table.from_arrow(pq.read_table(path))
    assert described(engine.frame(other.read.parquet(str(path))).value_counts("t")) == described(
        memory.value_counts("t")
    )
    assert other.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
    assert engine.session.conf.get("spark.sql.session.timeZone") == "UTC"


def test_text_is_told_apart_by_bytes_whatever_its_collation(engine):
    blind = engine.session.sql("SELECT w COLLATE UTF8_LCASE AS w FROM VALUES ('a'), ('A'), ('a') t(w)")
    assert blind.groupBy("w").count().count() == 1
    assert described(engine.frame(blind).value_counts("w")) == (["A", "a"], [1, 2], 0)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("array(1)", "lists, structs"),
        ("named_struct('a', 1)", "lists, structs"),
        ("X'00'", "lists, structs"),
        ("INTERVAL '1' DAY", "lists, structs"),
        ("CAST(99999999999999999999 AS DECIMAL(20, 0))", "beyond 64 bits"),
        ("CAST('Infinity' AS DOUBLE)", "not finite"),
    ],
)
def test_what_no_table_has_is_refused_by_column(engine, expression, said):
    with pytest.raises(DataError, match=said) as caught:
        engine.frame(engine.session.sql(f"SELECT {expression} AS odd"))
    assert "'odd'" in str(caught.value)
    assert "9999" not in str(caught.value)


def test_a_view_that_fails_says_no_cell_anywhere(engine, capfd, caplog):
    engine.session.sql("SELECT CAST(w AS INT) AS n FROM VALUES ('cell-7Qx') t(w)").createOrReplaceTempView("failing")
    capfd.readouterr()
    with caplog.at_level(logging.DEBUG), pytest.raises(DataError, match="refused to read") as caught:
        engine.table("failing")
    said = str(caught.value) + caplog.text + "".join(capfd.readouterr())
    assert "7Qx" not in said


def test_files_that_are_none_are_refused_without_their_path(engine, tmp_path):
    (tmp_path / "secret-name.parquet").write_bytes(b"PAR1 but not really, cell-7Qx PAR1")
    for path in (tmp_path / "secret-name.parquet", tmp_path / "absent-secret.parquet"):
        with pytest.raises(DataError, match="Spark refused to read") as caught:
            engine.parquet([path])
        assert "secret" not in str(caught.value)
        assert "7Qx" not in str(caught.value)


_ALONE = """
import os, sys
import ibis, pyarrow.parquet
from pyspark.sql import SparkSession
from dpsynth.core.errors import DpsynthError
from dpsynth.data.engines.spark.engine import Spark
engine = Spark("local[1]", {"spark.driver.memory": "512m"})
"""


def alone(*lines: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ALONE + "\n".join(lines)], capture_output=True, text=True, check=False
    )
    return done.stdout


@pytest.mark.slow
def test_a_session_that_dies_is_lost_in_our_words(write):
    path = write(pa.table({"x": range(10)}))
    said = alone(
        f"table = engine.parquet([{str(path)!r}])",
        "os.kill(engine.session.sparkContext._gateway.proc.pid, 9)",
        "for ask in (lambda: table.value_counts('x'), lambda: engine.store('SELECT 1'), engine.close):",
        "    try: ask()",
        "    except DpsynthError as error: print(type(error).__name__, error.__cause__, error)",
    )
    assert said.count("EngineLost None Spark was lost or gave up") == 3, said


def test_files_without_permission_are_refused(engine, write):
    path = write(pa.table({"x": range(10)}))
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("this user reads everything (root)")
        with pytest.raises(DataError, match="Spark refused to read"):
            engine.parquet([path])
    finally:
        path.chmod(0o600)
