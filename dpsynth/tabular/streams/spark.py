"""A stream on Spark: each partition is a task, drawn from the broadcast model.

    frame = on_spark(session, saved, RowStream.of(saved.model, 10**9))
    frame.write.parquet("s3a://…/claims")

Partition p of the frame holds the rows of partition p of the stream, in their order, whichever executor draws it and
however often: a task that is lost and run again gives the same rows. So a folder written here and one written by
`parts.write_parts` with the same seed hold the same rows. An executor holds the model (0.1 to 2 MB on Adult) and one
block; rows pass from Python to Spark as Arrow batches.

Executors need this package, with the same versions of it, numpy and Arrow as the driver for equal rows. The model is
sent as a model file and checked on arrival like any other. Whoever may read the frame, or the broadcast on the cluster,
has the model: this is for data that is public, or for a cluster trusted with the draft.

Not guaranteed: names and sizes of the files that Spark writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

import pyarrow as pa

from dpsynth.tabular.saved.saving import SavedModel, from_bytes, to_bytes
from dpsynth.tabular.streams.row_stream import RowStream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dpsynth.tabular.protocol import Model


def on_spark(session: SparkSession, saved: SavedModel, stream: RowStream) -> DataFrame:
    """The rows of a stream as a frame that is drawn where it is used.

    Args:
        session: a classic session (a broadcast needs its context), local or of a cluster.
        saved: the stream's model with its price.
        stream: what to draw; its partitions are the frame's.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    schema = schema_of(stream)
    sent = session.sparkContext.broadcast(to_bytes(saved))
    task = Task(model=lambda: sent.value, stream=without_model(stream))
    parts = session.range(0, stream.partitions, 1, stream.partitions)
    return parts.mapInArrow(task, from_arrow_schema(schema, prefer_timestamp_ntz=True))


def without_model(stream: RowStream) -> Callable[[Model], RowStream]:
    """What makes the stream from its model again: small enough to travel with each task."""
    rows, partitions, seed, given, block = stream.rows, stream.partitions, stream.seed, stream.given, stream.block
    return lambda model: RowStream(model=model, rows=rows, partitions=partitions, seed=seed, given=given, block=block)


def schema_of(stream: RowStream) -> pa.Schema:
    """Columns and types of a stream's rows."""
    return next(iter(RowStream.of(stream.model, 1, given=stream.given).batches(0))).schema


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What an executor runs: numbers of partitions in, rows out.

    Attributes:
        model: gives the bytes of the model file.
        stream: what to draw, from its model.
    """

    model: Callable[[], bytes]
    stream: Callable[[Model], RowStream]

    def __call__(self, numbers: Iterable[Any]) -> Iterator[pa.RecordBatch]:
        """The batches of the partitions whose numbers arrive, in that order."""
        stream = self.stream(_loaded(self.model()))
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                for block in stream.batches(number):
                    yield from block.to_batches()


@lru_cache(maxsize=4)
def _loaded(raw: bytes) -> Model:
    """The model of a file, checked once a process."""
    return from_bytes(raw).model
