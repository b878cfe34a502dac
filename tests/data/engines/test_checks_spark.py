from __future__ import annotations

import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conformance.engine_checks import ChecksConformance

pytest.importorskip("pyspark", reason="no Spark: pip install 'dpsynth-release[spark]'")
pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.spark import Spark

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="no Java, which Spark runs on"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    engine = Spark("local[2]", {"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g"})
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
