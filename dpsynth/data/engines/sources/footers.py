"""What the footers of Parquet files say before a row is read: names, types, and whether numbers have finite ends.

A folder grows over years, and its files need not be alike. Files of two types give the type that holds both, and a file
without a column gives missing cells: both happen in silence in every engine, so both are warned of, by column. Names
and types are public; ends are looked at here and go nowhere.

>>> Footers(lacking=frozenset({"age"})).warning_of("age", "integer").message
"Column 'age' is not in every file; in the rows of the others it is missing."

Not guaranteed: anything about files with nested columns, which are refused later; which of two types a person meant.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, final

import pyarrow as pa

from dpsynth.core.errors import DataError
from dpsynth.data.engines.protocol import EngineLost
from dpsynth.data.engines.sources.files import FileSource
from dpsynth.data.warning import DataWarning, listed, shown

_COLUMNS = """WITH s AS (SELECT file_name, name, duckdb_type, COALESCE(num_children, 0) AS inside,
 TRANSLATE(name, '{upper}', '{lower}') AS alike FROM parquet_schema([{names}])),
 flat AS (SELECT file_name FROM s GROUP BY file_name HAVING COUNT(CASE WHEN inside > 0 THEN 1 END) <= 1),
 c AS (SELECT * FROM s WHERE inside = 0 AND file_name IN (SELECT file_name FROM flat))"""
_WIDTHS = r"^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER)$"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Footers:
    """What is known of columns.

    Attributes:
        finite: numbers whose ends are finite in every file.
        lacking: columns that some files have not.
        differing: columns that have another type in some files; widths of integers and of floats are one type.
    """

    finite: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()
    differing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, fetch: Callable[[str], pa.Table], source: FileSource, names: str) -> Self:
        """Read the footers of files.

        Args:
            fetch: runs a query of DuckDB.
            source: the files.
            names: their paths as DuckDB reads them, in SQL.

        Raises:
            DataError: a file that is no Parquet file or may not be read, by its name; a column without a name; two
                columns of one file with one name, case aside. DuckDB would rename such columns.
        """
        columns = _COLUMNS.format(names=names, upper=string.ascii_uppercase, lower=string.ascii_lowercase)
        kind = f"CASE WHEN regexp_matches(duckdb_type, '{_WIDTHS}') THEN 'INTEGER' ELSE duckdb_type END"
        kind = f"CASE WHEN duckdb_type IN ('FLOAT', 'DOUBLE') THEN 'DOUBLE' ELSE {kind} END"
        try:
            found = fetch(
                f"{columns} SELECT MIN(name) AS name, COUNT(*) > COUNT(DISTINCT file_name) AS twice,"  # noqa: S608
                " COUNT(DISTINCT file_name) < (SELECT COUNT(*) FROM flat) AS lacking,"
                f" COUNT(DISTINCT {kind}) FILTER (duckdb_type <> '\"NULL\"') > 1 AS differing FROM c GROUP BY alike"
            ).to_pylist()
        except (DataError, EngineLost):
            source.require_parquet()
            raise
        if not all(column["name"].strip() for column in found):  # DuckDB would call it C1
            raise DataError("A column has no name.", "Name it in every file.")
        twice = sorted(column["name"] for column in found if column["twice"])
        if twice:
            raise DataError(
                f"Two columns are called {listed(twice)}, upper and lower case aside.", "Rename one of them."
            )
        return cls(
            finite=_finite(fetch, names),
            lacking=frozenset(column["name"] for column in found if column["lacking"]),
            differing=frozenset(column["name"] for column in found if column["differing"]),
        )

    def warning_of(self, name: str, kind: str) -> DataWarning | None:
        """What a person should know of a column that is not alike in all files.

        Args:
            name: the column.
            kind: what it is read as.
        """
        if name in self.differing:
            text = f"Column {shown(name)} has other types in some files; all are read as {kind}."
            return DataWarning(code="types_differ", column=name, message=text)
        if name in self.lacking:
            text = f"Column {shown(name)} is not in every file; in the rows of the others it is missing."
            return DataWarning(code="not_in_every_file", column=name, message=text)
        return None


def _finite(fetch: Callable[[str], pa.Table], names: str) -> frozenset[str]:
    ends = [f"TRY_CAST(COALESCE(stats_{end}_value, stats_{end}) AS DOUBLE)" for end in ("min", "max")]
    finite = " AND ".join(f"COALESCE(isfinite({end}), false)" for end in ends)
    answer = fetch(
        f'SELECT path_in_schema AS "name" FROM parquet_metadata([{names}]) GROUP BY path_in_schema'  # noqa: S608
        f" HAVING BOOL_AND(({finite}) OR COALESCE(stats_null_count = num_values, false))"
    )
    return frozenset(answer.column(0).to_pylist())
