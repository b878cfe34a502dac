"""Names and types of the columns of a source, as its engine's catalogue or the files' footers say; no row is read.

    columns = described(parse("postgresql://analyst@host/claims", table="health.visits"))      # a Table without rows

For a plan before any run. What opening refuses, a type that no table has, is refused here too.

Not guaranteed: that the rows can be read; opening also copies or looks at them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_types import ARROW_OF
from dpsynth.data.engines.sources import packages
from dpsynth.data.engines.sources.urls import SourceURL, cluster, server
from dpsynth.data.engines.types import dtype_of, kind_of
from dpsynth.data.table import Table


def described(source: SourceURL) -> Table:
    """A table of no rows, with the columns of the source.

    Raises:
        DataError: the source cannot be reached, or there is no such table.
        UnsupportedByEngine: a column of a type that no table has.
    """
    packages.require(source.kind)
    if source.kind == "duckdb":
        return _of("duckdb", _of_files(source))
    if source.kind == "postgresql":
        return _of("postgres", _of_server(source))
    return _of("spark", _of_catalogue(source))


def _of(dialect: str, columns: Iterable[tuple[str, str]]) -> Table:
    found = {name: kind_of(name, dtype_of(dialect, name, words)) for name, words in columns}
    schema = pa.schema([(name, ARROW_OF[kind]) for name, (kind, _) in found.items()])
    return Table(schema.empty_table(), decimals={name: places for name, (_, places) in found.items() if places})


def _of_files(source: SourceURL) -> list[tuple[str, str]]:
    from dpsynth.data.engines.duckdb import DuckDB

    engine = DuckDB(threads=1)
    try:
        query = engine.query_of(source.files())
        rows = engine.fetch(f"SELECT column_name, column_type FROM (DESCRIBE {query})").to_pylist()  # noqa: S608 - its own
    finally:
        engine.close()
    return [(row["column_name"], row["column_type"]) for row in rows]


def _of_server(source: SourceURL) -> list[tuple[str, str]]:
    schema, _, name = (source.table or "").rpartition(".")
    engine = server(source)
    try:
        return engine.described(name, schema or None)
    finally:
        engine.close()


def _of_catalogue(source: SourceURL) -> list[tuple[str, str]]:
    from pyspark.errors import PySparkException

    engine = cluster(source)
    try:
        fields = engine.session.table(source.table or "").schema.fields
    except PySparkException as error:
        raise DataError(
            f"Spark refused to read the table's columns ({type(error).__name__}); its own words are left out.",
            "Check the cluster, the table's name and permissions.",
        ) from None
    finally:
        engine.close()
    return [(field.name, field.dataType.simpleString()) for field in fields]
