from __future__ import annotations

import pytest

from tests.conformance.engine_checks import ChecksConformance

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.duckdb import DuckDB


@pytest.fixture(scope="module")
def load():
    engine = DuckDB(threads=1)
    yield lambda rows: engine.table(f'"{engine.upload(rows)}"')
    engine.close()


class TestChecksOfDuckDB(ChecksConformance):
    pass
