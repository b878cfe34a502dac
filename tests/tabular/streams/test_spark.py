"""On Spark each partition of the frame is the partition of the stream, whoever draws it and however often."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from dpsynth.tabular.saved.saving import to_bytes
from dpsynth.tabular.streams.row_stream import RowStream
from dpsynth.tabular.streams.spark import Task, on_spark, without_model
from tests.spark_cluster import why_not
from tests.tabular.streams import worlds

ROOT = Path(__file__).resolve().parents[3]


def test_a_task_gives_the_rows_of_the_partitions_that_it_is_told():
    stream = RowStream.of(worlds.mixed().model, 2_000, partitions=4)
    task = Task(model=lambda: to_bytes(worlds.mixed()), stream=without_model(stream))
    told = pa.RecordBatch.from_arrays([pa.array([3, 1])], names=["id"])
    made = pa.Table.from_batches(task([told]))
    assert made.equals(pa.concat_tables([*stream.batches(3), *stream.batches(1)]))


@pytest.mark.spark
@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_spark_draws_the_rows_of_every_partition_and_the_same_ones_again(monkeypatch):
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import spark_partition_id

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    try:
        stream = RowStream.of(worlds.mixed().model, 3_001, partitions=3)
        frame = on_spark(session, worlds.mixed(), stream)
        assert frame.rdd.getNumPartitions() == 3
        numbered = frame.withColumn("part", spark_partition_id())
        first, second = numbered.toArrow(), numbered.toArrow()
        for part in range(3):
            here = pa.concat_tables(stream.batches(part))
            for table in (first, second):
                own = table.filter(pa.compute.equal(table.column("part"), part)).drop_columns("part")
                assert own.cast(here.schema).equals(here)
    finally:
        session.stop()
