from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conformance.engine import EngineConformance

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.engines.counting import histograms
from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.data.engines.keyed import bounded
from dpsynth.data.engines.protocol import UnsupportedByEngine
from dpsynth.data.table import Table
from dpsynth.schema.domain import CategoryDomain, GridDomain


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    engine = DuckDB(threads=1)
    folder = tmp_path_factory.mktemp("parquet")

    def parquet(rows: pa.Table):
        paths = [folder / f"{id(rows)}-{part}.parquet" for part in range(2)]
        half = rows.num_rows // 2
        for path, part in zip(paths, (rows.slice(0, half), rows.slice(half)), strict=True):
            pq.write_table(part, path)
        return engine.parquet(paths)

    yield parquet
    engine.close()


class TestDuckDB(EngineConformance):
    pass


class Exploding(DuckDB):
    """DuckDB that is asked as Spark is."""

    def exploded(self, source, numbers):
        rows = f'SELECT UNNEST([{", ".join(numbers)}]) AS "k" FROM {source}'
        return f'SELECT "k", COUNT(*) AS "n" FROM ({rows}) AS "t" GROUP BY "k"'


def test_histograms_from_one_number_a_row_are_those_of_grouping_sets():
    rng = np.random.default_rng(4)
    sizes = {"a": 3, "b": 1, "c": 40, "d": 2**33}
    codes = pa.table({name: pa.array(rng.integers(0, min(size, 99) + 1, 500)) for name, size in sizes.items()})
    cliques = [("b", "a"), ("a", "b"), (), ("c",), ("c", "a", "b"), ("b", "c"), ("a", "c")]
    found = []
    for kind in (DuckDB, Exploding):
        engine = kind(threads=1)
        source = engine.upload(codes)
        for rows in (f'"{source}"', f'(SELECT * FROM "{source}" WHERE false) AS "t"'):
            found.append(list(histograms(engine, rows, sizes, cliques)))
        with pytest.raises(ParameterError, match="cells; the limit"):
            list(histograms(engine, f'"{source}"', sizes, [("a",), ("d", "a")]))
        engine.close()
    counted, none, exploded, none_exploded = found
    assert [each.sum() for each in counted] == [500] * len(cliques)
    for ours, expected in ((exploded, counted), (none_exploded, none)):
        for own, other in zip(ours, expected, strict=True):
            assert own.dtype == np.int64 and own.shape == other.shape and np.array_equal(own, other)


def test_text_is_told_apart_by_bytes_whatever_the_collation():
    """Else two people would be one, and a look-up would join their rows twice."""
    engine = DuckDB(threads=1)
    engine.connection.execute("CREATE TABLE collated (who VARCHAR COLLATE NOCASE, word VARCHAR COLLATE NOACCENT)")
    engine.connection.execute("INSERT INTO collated VALUES ('a', 'e'), ('A', 'é'), ('a', 'e')")
    table = engine.table("collated")
    found = table.value_counts("who")
    assert (found.values.to_pylist(), found.counts.tolist()) == (["A", "a"], [1, 2])
    words = CategoryDomain(values=tuple("eéabcdfgh"), other=True)  # of more than eight values: a join
    (counted,) = table.counts({"word": words}, [("word",)])
    assert counted.tolist()[:2] == [2, 1] and counted.sum() == 3
    assert bounded(table, "who", 1, bytes(32)).unsafe_num_rows == 2
    engine.close()


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("rest", [[1.0, 2.0], [2.0, 2.0], [1.0, None], []])
def test_what_is_no_number_is_missing_whatever_the_footers_say(load, kind, rest):
    """Ends in footers pass over NaN, and by them DuckDB takes `isnan` for false where no cell is null."""
    rows = pa.table({"x": pa.array([float("nan"), *rest, float("nan")], kind)})
    table, absent = load(rows), 2 + rest.count(None)
    assert table.value_counts("x").missing == absent
    ruler = GridDomain(kind="float", low=0, high=30, scale=Fraction(1, 10))
    (there,), (here,) = (each.counts({"x": ruler}, [("x",)]) for each in (table, Table.from_arrow(rows)))
    assert there.tolist() == here.tolist() and there[-1] == absent


def test_numbers_that_no_bound_holds_are_refused_by_column():
    engine = DuckDB(threads=1)
    with pytest.raises(DataError, match="'x' holds numbers that are not finite"):
        engine.table("(VALUES (1.0::DOUBLE), ('inf'::DOUBLE)) v(x)")
    engine.close()


def test_the_engines_own_words_which_may_hold_cells_are_left_out():
    engine = DuckDB(threads=1)
    with pytest.raises(DataError, match="'secret'") as caught:
        engine.table("(VALUES (170141183460469231731687303715884105727::HUGEINT)) v(secret)").value_counts("secret")
    assert "17014" not in str(caught.value)
    assert caught.value.__cause__ is None
    engine.close()


def test_nothing_is_left_on_disk_after_close(tmp_path):
    engine = DuckDB(threads=1, folder=tmp_path, memory_limit="100MiB")
    assert any(tmp_path.iterdir())
    engine.store('SELECT i AS "x" FROM range(1000) t(i)')
    engine.close()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("cell", ["[1]", "{'a': 1}", "'x'::BLOB", "TIME '10:00:00'", "INTERVAL 1 DAY", "uuid()"])
def test_columns_and_rows_that_no_table_has_are_refused(cell):
    engine = DuckDB(threads=1)
    with pytest.raises(UnsupportedByEngine, match="'odd' holds"):
        engine.table(f"(SELECT {cell} AS odd)")
    engine.close()


def test_a_table_without_rows_counts_nothing():
    engine = DuckDB(threads=1)
    table = engine.table("(SELECT 1 AS x WHERE false)")
    assert table.value_counts("x").counts.tolist() == []
    (found,) = table.counts({"x": GridDomain(kind="integer", low=0, high=2)}, [("x",)])
    assert found.tolist() == [0, 0, 0, 0]
    engine.close()


def test_memory_is_a_share_of_the_container_and_codes_beyond_it_go_to_the_private_folder(tmp_path, monkeypatch):
    small = tmp_path / "memory.max"
    small.write_text(f"{4 << 30}\n", "ascii")
    monkeypatch.setattr("dpsynth.data.engines.duckdb.CONTAINER", (small,))
    engine = DuckDB(threads=1)
    limit = engine.fetch("SELECT current_setting('memory_limit') AS x").column(0)[0].as_py()
    assert limit == "1.5 GiB"  # 0.4 of 4 GiB, as DuckDB rounds it
    engine.close()
    small.write_text("max\n", "ascii")
    tight = DuckDB(threads=1, folder=tmp_path, memory_limit="60MiB")
    kept = tight.store("SELECT hash(i) AS x, hash(i + 1) AS y FROM range(6000000) t(i)")
    spilled = sum(file.stat().st_size for file in tmp_path.rglob("*.tmp"))
    assert spilled > 20 << 20
    assert tight.fetch(f'SELECT COUNT(*) AS n FROM "{kept}" WHERE x = hash(77)').column(0)[0].as_py() == 1
    tight.close()
    assert not list(tmp_path.rglob("*.tmp"))
