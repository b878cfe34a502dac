"""How often DuckDB read the rows of its files, by its own profile of every statement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from dpsynth.data.engines.duckdb import DuckDB


class ProfiledDuckDB(DuckDB):
    """DuckDB that adds up what its scans of files gave, as DuckDB itself reports it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.rows_read = 0
        self.connection.execute("PRAGMA enable_profiling = 'no_output'")

    def fetch(self, query: str) -> pa.Table:
        found = super().fetch(query)
        self._add()
        return found

    def store(self, query: str) -> str:
        name = super().store(query)
        self._add()
        return name

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        yield from super().stream(query, rows)
        self._add()

    def _add(self) -> None:
        profile = json.loads(self.connection.get_profiling_information(format="json"))
        self.rows_read += sum(_read(operator) for operator in profile.get("operator", ()))


def _read(operator: dict[str, Any]) -> int:
    own = operator["intermediate_rows"] if operator["extra_info"].get("Function") == "READ_PARQUET" else 0
    return own + sum(_read(child) for child in operator.get("children", ()))
