"""DuckDB that counts what it is sent: statements, public tables, and what each statement scans."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from dpsynth.data.engines.duckdb import DuckDB

NAME = re.compile(r"dpsynth_\d+")


class CountedDuckDB(DuckDB):
    """Relations are `source` (views of the files), `copy` (raw cells that were stored), `codes` or `public`."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.rooms: dict[str, str] = {}
        self.sent: Counter[str] = Counter()

    def view(self, query: str) -> str:
        name = super().view(query)
        self.rooms[name] = self._scanned(query) or "source"
        return name

    def store(self, query: str) -> str:
        self._send(query)
        name = super().store(query)
        self.rooms[name] = "codes" if re.search(r'AS "e0"', query) else "copy"
        return name

    def upload(self, rows: pa.Table) -> str:
        self.sent["uploads"] += 1
        name = super().upload(rows)
        self.rooms[name] = "public"
        return name

    def fetch(self, query: str) -> pa.Table:
        if "DESCRIBE" not in query:
            self._send(query)
        return super().fetch(query)

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        self._send(query)
        return super().stream(query, rows)

    def taken(self) -> Counter[str]:
        """What was sent since the last time."""
        sent, self.sent = self.sent, Counter()
        return sent

    def _send(self, query: str) -> None:
        self.sent["statements"] += 1
        self.sent[self._scanned(query) or "nothing"] += 1

    def _scanned(self, query: str) -> str | None:
        rooms = {self.rooms[name] for name in NAME.findall(query) if name in self.rooms} - {"public"}
        return rooms.pop() if len(rooms) == 1 else None
