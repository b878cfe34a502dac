"""Spark: a table of a catalogue, or Parquet files, on any cluster that PySpark reaches (`spark://…`, `local[2]`).

The raw cells are read once and copied (`moment`); a cache in memory stands above the copy, and codes are cached
likewise, so what an executor takes with it is computed again from the same rows. A session of ours is ANSI (a number
that does not fit is an error, never a NULL), speaks UTC, tells names apart by case, encrypts what it writes to local
disks, and logs nothing, since logs hold cells.

    engine = Spark("local[2]")
    table = engine.table("warehouse.claims")

Not guaranteed: a run without a folder when all executors that hold a part are lost at once; it ends with `EngineLost`.
Where this process runs Spark already, its context is used as it is, with a session of our own. Nanoseconds in Parquet
are refused by Spark.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, final

import pyarrow as pa

from dpsynth.core.errors import DataError
from dpsynth.data.engines.builtin import builtin
from dpsynth.data.engines.protocol import Field
from dpsynth.data.engines.spark import moment
from dpsynth.data.engines.spark.refusal import Watch, refused, silence
from dpsynth.data.engines.types import dtype_of, kind_of, warning_of
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.recipe import Kind
from dpsynth.data.warning import listed

STARTED: Mapping[str, str] = MappingProxyType(
    {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "false",
        "spark.log.level": "OFF",
        "spark.io.encryption.enabled": "true",
        "spark.storage.replication.proactive": "true",
        "spark.storage.cachedPeersTtl": "500",  # ms; with Spark's minute, second copies go to executors that are dead
    }
)
"""Settings of a session that is started here."""
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "spark.sql.ansi.enabled": "true",
        "spark.sql.ansi.doubleQuotedIdentifiers": "true",
        "spark.sql.caseSensitive": "true",
        "spark.sql.codegen.hugeMethodLimit": "8000",  # bytes; trees of comparisons beyond it the JVM never compiles
        "spark.sql.defaultCatalog": "spark_catalog",  # a short name means one table, whatever the cluster prefers
        "spark.sql.runSQLOnFiles": "false",  # a folder is no table: its place would be another
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
        "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    }
)
"""Settings of our session."""


@final
class Spark:
    """A session.

    Args:
        master: where the cluster is.
        options: more of Spark's settings, for a context that is started now.
        folder: a private folder that all executors reach (`hdfs://…`, `s3a://…`), for a copy of the rows that survives
            any executor. It is not encrypted here, and emptied by `close`. None: copies on the executors' own disks.
        patience: seconds that a statement waits on a cluster that has lost all its executors.
    """

    name: ClassVar[str] = "spark"
    dialect: ClassVar[str] = "pyspark"
    batch: ClassVar[int] = 32
    singles: ClassVar[int] = 1

    def __init__(
        self,
        master: str,
        options: Mapping[str, str] = MappingProxyType({}),
        *,
        folder: str | None = None,
        patience: float = 300.0,
    ) -> None:
        import ibis
        from pyspark.sql import SparkSession

        _ = ibis.pyspark  # loads what ibis' compiler for Spark needs
        silence()
        self._numbers = itertools.count()
        self._kept: dict[str, Any] = {}
        self._copies: dict[str, Any] = {}
        self._folder: str | None = None
        with refused("start a session", None, None):
            builder = SparkSession.builder.master(master).appName("dpsynth")
            for setting, value in {**STARTED, **options}.items():
                builder = builder.config(setting, value)
            started = builder.getOrCreate()
            if started.sparkContext._jsc.sc().isStopped():  # by the cluster, while this process was kept
                started.stop()
                started = builder.getOrCreate()
            self.session: Any = started.newSession()
            self._watch = Watch(self.session, patience)
            self.session.sparkContext.setLogLevel("OFF")
            for setting, value in SETTINGS.items():
                self.session.conf.set(setting, value)
            if folder is not None:
                self.session.sparkContext.setCheckpointDir(folder)
                self._folder = self.session.sparkContext._jsc.sc().getCheckpointDir().get()

    def parquet(self, files: Sequence[Path]) -> EngineTable:
        """The rows of Parquet files."""
        with self._refused("read the files"):
            return self.frame(self.session.read.parquet(*(str(path) for path in files)))

    def table(self, name: str) -> EngineTable:
        """The rows of a table of the catalogue, `database.table`."""
        with self._refused("read the table"):
            return self.frame(self.session.table(name))

    def frame(self, frame: Any) -> EngineTable:
        """The rows of a Spark DataFrame.

        Raises:
            DataError: a column of a type that no table has, a number beyond 64 bits or not finite.
        """
        source = self._name()
        with self._refused("read the table"):
            frame.createGlobalTempView(source)  # the frame may be of another session
            described = frame.schema.fields
        try:
            fields, cells = {}, []
            for at, column in enumerate(described):
                words = column.dataType.simpleString().partition(" collate ")[0]  # text is compared by its bytes here
                dtype = dtype_of("spark", column.name, words)
                kind, decimals = kind_of(column.name, dtype)
                fields[column.name] = Field(
                    cell=f"c{at}", kind=kind, decimals=decimals, warning=warning_of(column.name, dtype)
                )
                cell = _raw(_quoted(column.name), kind)
                cells.append(f'{cell} AS "c{at}"')
                if dtype.is_decimal() and kind == "integer":
                    cells.append(f'({_quoted(column.name)} IS NOT NULL AND {cell} IS NULL) AS "o{at}"')
            query = f'SELECT {", ".join(cells)} FROM global_temp."{source}"'  # noqa: S608 - quoted names
            with self._refused("read the table"):
                copy = moment.copied(self.session, query, reliably=self._folder is not None)
        finally:
            with self._refused("read the table"):
                self.session.catalog.dropGlobalTempView(source)
        raw = self._keep(copy)
        self._copies[raw] = copy
        self._require_within(raw, fields, set(copy.columns))
        return EngineTable(self, raw, fields)

    def store(self, query: str) -> str:
        """Run a query once and keep its rows inside the engine; the name they are kept under."""
        with self._refused("run a query"):
            frame = self.session.sql(query)
        return self._keep(frame)

    def view(self, query: str) -> str:
        """A name for a query that is run each time it is asked."""
        name = self._name()
        with self._refused("run a query"):
            self.session.sql(query).createOrReplaceTempView(name)
        return name

    def upload(self, rows: pa.Table) -> str:
        """A small public table inside the engine; its name."""
        name = self._name()
        with self._refused("upload a public table"):
            self.session.createDataFrame(rows).createOrReplaceTempView(name)
        return name

    def drop(self, relation: str) -> None:
        """Forget what `store` or `upload` kept."""
        kept, copy = self._kept.pop(relation, None), self._copies.pop(relation, None)
        with self._refused("forget a table"):
            if kept is not None:
                kept.unpersist()
            if copy is not None:
                moment.forget(copy)
            self.session.catalog.dropTempView(relation)

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query."""
        with self._refused("run a query"):
            return self.session.sql(query).toArrow()

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query, so many at a time at most; one part of the answer is in this process' Java at once."""
        from pyspark.core.rdd import RDD
        from pyspark.serializers import NoOpSerializer
        from pyspark.sql.pandas.types import to_arrow_schema

        with self._refused("run a query"):
            self.session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows))
            frame = self.session.sql(query)
            schema = to_arrow_schema(frame.schema, timezone="UTC")
            parts: Any = RDD(frame._jdf.toArrowBatchRdd().toJavaRDD(), self.session.sparkContext, NoOpSerializer())
            for message in parts.toLocalIterator():
                batch = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
                if batch.num_rows:
                    yield batch

    def exploded(self, source: str, numbers: Sequence[str]) -> str:
        """SQL: each of these whole numbers that occurs in any row, as "k", and how often, as "n".

        Grouping sets make a row of all columns for each set; one number instead took a fifth of their CPU time.
        """
        rows = f'SELECT EXPLODE(ARRAY({", ".join(numbers)})) AS "k" FROM {source}'  # noqa: S608 - our own names
        return f'SELECT "k", COUNT(*) AS "n" FROM ({rows}) AS "t" GROUP BY "k"'  # noqa: S608

    def nearest(self, number: Any) -> Any:
        """Ibis: a double rounded to the nearest whole double, half to even."""
        return builtin("rint", ("float64",), "float64")(number)

    def quotient(self, dividend: Any, divisor: int) -> Any:
        """Ibis: whole part of a non-negative 64-bit integer divided by a positive one, exactly."""
        return builtin("div", ("int64", "int64"), "int64")(dividend, divisor)

    def sha256(self, text: str) -> str:
        """SQL: SHA-256 of an expression of text's UTF-8 bytes, as 64 lower-case hexadecimal digits in byte order."""
        return f"sha2({text}, 256)"

    def text(self, cell: str) -> str:
        """SQL: an expression of an integer (or text) as text."""
        return f"CAST({cell} AS STRING)"

    def whole(self, digits: str) -> str:
        """SQL: fifteen hexadecimal digits, an expression of text, as a whole number whose sums do not overflow."""
        return f"CAST(conv({digits}, 16, 10) AS DECIMAL(19, 0))"

    def parsed(self, cell: str, kind: Kind) -> str:
        """SQL: a raw cell of an expression of text (or number) that is one in ISO."""
        words = {"integer": "BIGINT", "float": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMP"}
        typed = f"CAST({cell} AS {words[kind]})"
        return _raw(typed, kind) if kind in ("date", "datetime") else typed

    def literal(self, text: str) -> str:
        """SQL: a constant text."""
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def matches(self, cell: str, pattern: str) -> str:
        r"""SQL: whether an expression of text matches a pattern somewhere; Java's end of the text is `\z`."""
        return f"({cell} RLIKE {self.literal(pattern.replace('$', chr(92) + 'z'))})"

    def not_ascii(self, cell: str) -> str:
        """SQL: whether an expression of text has a character beyond ASCII: more bytes than characters."""
        return f"(OCTET_LENGTH({cell}) > LENGTH({cell}))"

    def composed(self, cell: str) -> None:
        """Spark has no such function."""
        del cell

    def bucketed(self, relation: str, cells: Sequence[str], buckets: int) -> str:
        """SQL after FROM: a relation, and in `bucket` a number that equal rows share."""
        bucket = f"xxhash64({', '.join(cells)}) & {buckets - 1}"
        return f'(SELECT *, {bucket} AS "bucket" FROM "{relation}") AS "t"'  # noqa: S608 - our own names

    def content(self) -> str | None:
        """Digest of the files that rows are read from each time; None, since the rows are a copy."""
        return None

    def close(self) -> None:
        """Forget all that was kept; the session stays, since others of this process may use it."""
        for relation in tuple(self._kept):
            self.drop(relation)
        if self._folder is not None:
            with self._refused("empty the folder"):
                place = self.session._jvm.org.apache.hadoop.fs.Path(self._folder)
                place.getFileSystem(self.session._jsc.hadoopConfiguration()).delete(place, True)

    def _keep(self, frame: Any) -> str:
        """Cache a frame whose rows do not change; its name."""
        from pyspark import StorageLevel

        name = self._name()
        with self._refused("run a query"):
            frame = frame.persist(StorageLevel.MEMORY_AND_DISK)
            frame.count()
            frame.createOrReplaceTempView(name)
        self._kept[name] = frame
        return name

    def _refused(self, what: str) -> Any:
        return refused(what, self.session, self._watch)

    def _name(self) -> str:
        return f"dpsynth_{id(self)}_{next(self._numbers)}"

    def _require_within(self, relation: str, fields: dict[str, Field], columns: set[str]) -> None:
        ends = "CAST('Infinity' AS DOUBLE), CAST('-Infinity' AS DOUBLE)"
        tests = {name: f'"{field.cell}" IN ({ends})' for name, field in fields.items() if field.kind == "float"}
        tests |= {name: f'"o{at}"' for at, name in enumerate(fields) if f"o{at}" in columns}
        if not tests:
            return
        asked = ", ".join(f'COALESCE(BOOL_OR({test}), false) AS "t{at}"' for at, test in enumerate(tests.values()))
        answer = self.fetch(f'SELECT {asked} FROM "{relation}"')  # noqa: S608 - our own names
        odd = [name for name, column in zip(tests, answer.columns, strict=True) if column[0].as_py()]
        if odd:
            self.drop(relation)
            raise DataError(
                f"Column {listed(odd)} holds numbers that are not finite, or beyond 64 bits; no bound can hold them.",
                "Replace them by missing cells or by a public bound.",
            )


def _raw(cell: str, kind: str) -> str:
    """SQL of a raw cell: text, integer, double or truth value; days and microseconds since 1970."""
    if kind == "float":
        return f"NULLIF(CAST({cell} AS DOUBLE), CAST('NaN' AS DOUBLE))"
    if kind == "date":
        return f"CAST(unix_date({cell}) AS BIGINT)"
    if kind == "datetime":
        return f"unix_micros(CAST({cell} AS TIMESTAMP))"
    if kind == "integer":
        return f"try_cast({cell} AS BIGINT)"  # an error would tell the executors' logs which cell it was
    words = {"string": "STRING", "boolean": "BOOLEAN"}
    return f"CAST({cell} AS {words[kind]})"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
