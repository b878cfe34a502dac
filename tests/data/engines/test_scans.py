"""How often a fit reads the rows of its files: by what DuckDB reports about each statement, not by what we sent."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator
from tests.data.engines.scans import ProfiledDuckDB

ROWS = 3000


def written(path, columns: int, nan: bool = False):
    """A wide table of text and codes, with some whole numbers and decimals; its schema, declared and left open."""
    kinds = [at % 4 if at < 8 else at % 2 for at in range(columns)]
    rng = np.random.default_rng(1)
    words = pa.array([f"v{at}" for at in range(12)])
    of_kind = (
        lambda: words.take(pa.array(rng.integers(0, 12, ROWS))),
        lambda: pa.array(rng.integers(0, 5, ROWS)),
        lambda: pa.array(rng.integers(0, 4000, ROWS)),
        lambda: pa.array(np.where(rng.random(ROWS) < 0.1 * nan, np.nan, np.round(rng.normal(size=ROWS), 2))),
    )
    declared = (
        {"kind": "categorical", "values": words.to_pylist()},
        {"kind": "categorical", "values": [0, 1, 2, 3, 4]},
        {"kind": "integer", "min": 0, "max": 4000},
        {"kind": "float", "min": -9, "max": 9, "precision": 2},
    )
    left_open = ({"kind": "categorical"}, {"kind": "categorical"}, {"kind": "integer"}, {"kind": "float"})
    pq.write_table(pa.table({f"x{at}": of_kind[kind]() for at, kind in enumerate(kinds)}), path, row_group_size=1000)
    schemas = {}
    for name, own in {"declared": declared, "open": left_open, "target": declared}.items():
        specs = {f"x{at}": dict(own[kind]) for at, kind in enumerate(kinds)}
        if name == "target":
            specs["x1"]["role"] = "target"
        schemas[name] = Schema.from_dict({"version": 1, "columns": specs})
    return schemas


@pytest.mark.parametrize(
    ("name", "columns", "of", "most"),
    [
        ("independent", 200, "declared", 1),
        pytest.param("independent", 200, "open", 2, marks=pytest.mark.slow),
        ("mst", 24, "declared", 2),
        ("mst", 24, "open", 3),
        ("aim", 8, "open", 3),
        ("gibbs", 8, "declared", 2),
        ("gibbs", 8, "target", 2),
        pytest.param("mst", 200, "open", 3, marks=pytest.mark.slow),
    ],
)
def test_a_fit_reads_its_files_at_most_three_times_however_many_columns(tmp_path, name, columns, of, most):
    schema = written(tmp_path / "wide.parquet", columns)[of]
    engine = ProfiledDuckDB(threads=1)
    table = engine.parquet([tmp_path / "wide.parquet"])
    assert engine.rows_read == 0  # footers say that the decimals are finite
    made = generator(name)
    plan = made.plan(schema, PrivacyUnit(), epsilon="300", delta="1e-6")
    assert (of == "target") == (plan.settings.triples is not None)
    fit_model(table, schema, made, plan, noise=ReplayedNoise(bytes(32)), canaries=20)
    assert engine.rows_read == most * ROWS
    engine.close()


def test_the_profile_sees_every_reading(tmp_path):
    written(tmp_path / "wide.parquet", 4)
    engine = ProfiledDuckDB(threads=1)
    table = engine.parquet([tmp_path / "wide.parquet"])
    for at in range(1, 4):
        table.value_counts(f"x{at}")
        assert engine.rows_read == at * ROWS
    engine.close()


def test_numbers_that_are_not_finite_are_found_with_and_without_footers_that_say_so(tmp_path):
    path = tmp_path / "odd.parquet"
    good = [1.0, float("nan"), None, -2.0]
    for cells, refused in ((good, False), ([*good, float("inf")], True), ([*good, float("-inf")], True)):
        for footers in (True, False):
            pq.write_table(pa.table({"x": pa.array(cells, pa.float64())}), path, write_statistics=footers)
            engine = DuckDB(threads=1)
            if refused:
                with pytest.raises(DataError, match="'x' holds numbers that are not finite"):
                    engine.parquet([path])
            else:
                assert engine.parquet([path]).value_counts("x").missing == 2
            engine.close()
