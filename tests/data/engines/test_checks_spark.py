from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conformance.engine_checks import ChecksConformance
from tests.spark_cluster import LOCAL, why_not

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.spark.engine import Spark

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    engine = Spark("local[2]", LOCAL)
    folder = tmp_path_factory.mktemp("parquet")
    names = (folder / f"{at}.parquet" for at in range(10**6))

    def parquet(rows: pa.Table):
        path = next(names)
        pq.write_table(rows, path)
        return engine.parquet([path])

    yield parquet
    engine.close()
    engine.session.stop()


class TestChecksOfSpark(ChecksConformance):
    pass
