"""Files that change under a run: noticed between two statements and within one, and by whoever goes on later."""

from __future__ import annotations

import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError, SourceError

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.data.engines.protocol import EngineLost, SourceChanged
from dpsynth.data.engines.sources.files import FileSource
from dpsynth.data.engines.version import version_of
from dpsynth.schema.domain import CategoryDomain

ROWS = pa.table({"x": ["a", "b", "a"] * 1000, "y": list(range(3000))})


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(ROWS, path)
    return path


@pytest.fixture
def engine():
    engine = DuckDB(threads=1)
    yield engine
    engine.close()


def replaced(path):
    other = path.with_suffix(".new")
    pq.write_table(ROWS.slice(0, 10), other)
    other.replace(path)


def rewritten(path):
    pq.write_table(ROWS.slice(0, 10), path)


def appended(path):
    with path.open("ab") as file:
        file.write(b"more")


def touched(path):
    os.utime(path, ns=(1, 1))


def removed(path):
    path.unlink()


@pytest.mark.parametrize("change", [replaced, rewritten, appended, touched, removed])
def test_a_file_that_changes_between_two_statements_is_noticed(engine, path, change):
    table = engine.parquet([path])
    assert table.value_counts("x").counts.tolist() == [2000, 1000]
    change(path)
    with pytest.raises(SourceChanged, match="changed under the run") as caught:
        table.value_counts("x")
    assert isinstance(caught.value, SourceError)  # which keeps the reservation
    assert str(path) not in str(caught.value)


@pytest.mark.parametrize("change", [replaced, removed])
def test_what_was_read_while_a_file_changed_is_thrown_away(engine, path, change, monkeypatch):
    table, sql = engine.parquet([path]), engine.connection.sql

    class Changing:
        def __getattr__(self, name):
            return getattr(connection, name)

        def sql(self, query):
            found = sql(query).to_arrow_table()
            change(path)
            return Found(found)

    class Found:
        def __init__(self, found):
            self._found = found

        def to_arrow_table(self):
            return self._found

    connection = engine.connection
    monkeypatch.setattr(engine, "connection", Changing())
    with pytest.raises(SourceChanged):
        table.value_counts("x")
    monkeypatch.undo()


def test_histograms_of_files_that_change_between_two_batches_are_thrown_away(engine, path):
    table = engine.parquet([path])
    codecs = {"x": CategoryDomain(values=("a", "b"), other=True)}
    assert [found.sum() for found in table.counts(codecs, [("x",)] * 2)] == [3000, 3000]
    replaced(path)
    with pytest.raises(SourceChanged):
        list(table.counts(codecs, [("x",)] * 2))


def test_a_version_is_of_the_files_as_they_are(tmp_path, path):
    def version(files):
        engine = DuckDB(threads=1)
        try:
            return version_of(engine.parquet(files))
        finally:
            engine.close()

    half = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for part, at in zip(half, (0, 1500), strict=True):
        pq.write_table(ROWS.slice(at, 1500), part)
    found = [version([path]), version(half), version(half[:1])]
    away = tmp_path / "away"
    shutil.copy2(path, away)
    rewritten(path)
    found.append(version([path]))
    assert len(set(found)) == 4 and all(len(one) == 64 for one in found)
    shutil.copy2(away, path)  # put back, times included
    assert version([path]) == found[0]


def test_a_file_that_changes_while_its_version_is_taken_is_noticed(engine, path, monkeypatch):
    table, version = engine.parquet([path]), FileSource.version

    def slow(self):
        found = version(self)
        replaced(path)
        return found

    monkeypatch.setattr(FileSource, "version", slow)
    with pytest.raises(SourceChanged):
        version_of(table)


def test_a_full_disk_and_too_little_memory_are_no_fault_of_the_rows(tmp_path):
    engine = DuckDB(threads=1, memory_limit="60MB", folder=tmp_path)
    engine.connection.execute("SET max_temp_directory_size = '1MB'")
    for query in (
        'SELECT i AS "x", i::VARCHAR || repeat(\'z\', 200) AS "y" FROM range(3000000) t(i)',
        'SELECT i % 2999999 AS "x", count(*) AS "y" FROM range(3000000) t(i) GROUP BY ALL',
    ):
        with pytest.raises(EngineLost, match="memory, or the disk") as caught:
            engine.store(query)
        assert str(tmp_path) not in str(caught.value)
    engine.connection.execute("SET max_temp_directory_size = '4GB'")
    engine.store('SELECT i AS "x", i::VARCHAR || repeat(\'z\', 100) AS "y" FROM range(1000000) t(i)')  # spills
    assert any(path.stat().st_size > 10**6 for path in tmp_path.rglob("*.tmp"))
    assert b"zzzzzzzz" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.tmp"))
    assert engine.fetch("SELECT 1 AS one").column(0).to_pylist() == [1]
    engine.close()


@pytest.mark.parametrize("made", ["soft", "hard", "loop"])
def test_a_file_that_a_link_shows_twice_is_refused_since_each_of_its_rows_would_count_twice(path, engine, made):
    if made == "loop":
        (path.parent / "again").symlink_to(path.parent)
    elif made == "soft":
        (path.parent / "b.parquet").symlink_to(path)
    else:
        os.link(path, path.parent / "b.parquet")
    with pytest.raises(DataError, match="by a link"):
        engine.files(FileSource.at(str(path.parent)))
