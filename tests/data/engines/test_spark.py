from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.engines.sources.described import described
from dpsynth.data.engines.sources.urls import parse
from tests.conformance.engine import EngineConformance
from tests.spark_cluster import LOCAL, why_not

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.spark.engine import Spark

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def engine():
    engine = Spark("local[2]", LOCAL)
    yield engine
    engine.close()
    engine.session.stop()


@pytest.fixture(scope="module")
def load(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    names = (folder / f"{at}.parquet" for at in range(10**6))

    def parquet(rows: pa.Table):
        paths = [next(names), next(names)]
        half = rows.num_rows // 2
        for path, part in zip(paths, (rows.slice(0, half), rows.slice(half)), strict=True):
            pq.write_table(part, path)
        return engine.parquet(paths)

    return parquet


class TestSpark(EngineConformance):
    pass


def test_refusals_hold_no_cell(engine):
    frame = engine.session.sql("SELECT CAST(99999999999999999999 AS DECIMAL(20, 0)) AS secret")
    with pytest.raises(DataError) as caught:
        engine.frame(frame).value_counts("secret")
    assert "9999" not in str(caught.value)
    with pytest.raises(DataError, match="refused to read the table"):
        engine.table("nowhere.nothing")


def test_a_session_elsewhere_is_not_taken_for_the_cluster_that_a_budget_belongs_to(engine):
    engine.session.range(3).write.saveAsTable("own_rows")
    try:
        assert parse("local[2]", table="own_rows").open().unsafe_num_rows == 3
        elsewhere = parse("spark://elsewhere:7077", table="own_rows")
        for use in (elsewhere.open, lambda: described(elsewhere)):
            with pytest.raises(ParameterError, match="another cluster"):
                use()
    finally:
        engine.session.sql("DROP TABLE own_rows")


def test_a_folder_is_no_table_and_a_short_name_is_of_sparks_own_catalogue(engine, tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="refused to read the table"):
        engine.table(f"parquet.`{tmp_path}`")
    assert engine.session.catalog.currentCatalog() == "spark_catalog"
