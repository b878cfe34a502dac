from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError
from dpsynth.data.read import read
from dpsynth.data.table import Table
from tests.conformance.engine_checks import ChecksConformance, outcome
from tests.data.engines.test_postgresql import write
from tests.postgresql import running

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.data.engines.postgresql import PostgreSQL

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[4] / "shared"))


@pytest.fixture(scope="module")
def load():
    with running() as server:
        engine = PostgreSQL(server.url)
        names = (f"source_{at}" for at in range(10**6))

        def table(rows: pa.Table):
            name = next(names)
            write(server, rows, name)
            return engine.table(name)

        yield table
        engine.close()


@pytest.mark.slow
def test_the_shared_collection_ends_as_in_memory(load, tmp_path):
    maker = SHARED / "bad_inputs" / "gen_bad_inputs.py"
    if not maker.exists():
        pytest.skip(f"no hostile collection at {maker.parent}; set DPSYNTH_SHARED")
    duckdb = DuckDB(threads=1)
    subprocess.run([sys.executable, str(maker), str(tmp_path), "--bomb-mib", "64"], check=True, capture_output=True)
    compared = 0
    for case in csv.DictReader((tmp_path / "manifest.csv").read_text("utf-8").splitlines()):
        try:
            rows = Table.from_arrow(read(tmp_path / case["file"]).to_arrow())
        except DataError:
            continue  # no table in any engine
        expected = outcome(rows)
        for table in (duckdb.table(f'"{duckdb.upload(rows.to_arrow())}"'), load(rows.to_arrow())):
            assert outcome(table) == expected, case["id"]
        compared += 1
    duckdb.close()
    assert compared > 40


class TestChecksOfPostgreSQL(ChecksConformance):
    pass
