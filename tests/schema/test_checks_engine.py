"""prepare() on rows that stay in an engine: the refusals and warnings of the same rows in memory."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError, SchemaError

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.data.table import Table
from dpsynth.schema.checks import prepare

ROWS = 150
CELLS = {
    "who": [f"p{k}" for k in range(ROWS)],
    "age": [20 + k % 50 for k in range(ROWS)],
    "sex": ["fm"[k % 2] for k in range(ROWS)],
    "week": [k % 7 for k in range(ROWS)],
}


@pytest.fixture(scope="module")
def engine():
    engine = DuckDB(threads=1)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("change", "roles", "error", "message"),
    [
        ({}, {"target": "nobody"}, SchemaError, "not a column"),
        ({}, {"target": "sex", "unit": "sex"}, SchemaError, "both"),
        ({n: c[:99] for n, c in CELLS.items()}, {"unit": "who"}, DataError, "fewer than 100 rows"),
        ({n: [] for n in CELLS}, {"unit": "who"}, DataError, "fewer than 100 rows"),
        ({"who": [None, *CELLS["who"][1:]]}, {"unit": "who"}, DataError, "unit column 'who' has missing"),
        ({"week": [None, *CELLS["week"][1:]]}, {"unit": "who", "order": "week"}, DataError, "order column 'week'"),
    ],
)
def test_what_memory_refuses_an_engine_refuses_in_the_same_words(engine, change, roles, error, message):
    rows = pa.table(
        {n: pa.array(c, pa.string() if n in ("who", "sex") else pa.int64()) for n, c in (CELLS | change).items()}
    )
    said = []
    for table in (Table.from_arrow(rows), engine.table(f'"{engine.upload(rows)}"')):
        with pytest.raises(error, match=message) as caught:
            prepare(table, **roles)
        said.append((type(caught.value), str(caught.value)))
    assert said[0] == said[1]
