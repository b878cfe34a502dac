from __future__ import annotations

import pyarrow as pa
import pytest

from tests.conformance.engine_checks import ChecksConformance
from tests.data.engines.test_postgresql import write
from tests.postgresql import running

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.postgresql import PostgreSQL


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


class TestChecksOfPostgreSQL(ChecksConformance):
    pass
