"""DuckDB that counts what it is sent: statements, public tables, and what each statement scans."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar

import pyarrow as pa

from dpsynth.data.engines.duckdb import DuckDB

NAME = re.compile(r"dpsynth_\d+")


class CountedDuckDB(DuckDB):
    """Relations are `source` (views of the files), `copy` (raw cells that were stored), `codes` or `public`.

    Attributes:
        phase: of the run, of all engines: whoever calls sets it.
        sent: phase -> what was sent: statements, uploads, scans of each relation.
    """

    phase: ClassVar[str] = "open"
    sent: ClassVar[defaultdict[str, Counter[str]]] = defaultdict(Counter)

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.rooms: dict[str, str] = {}

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
        self.sent[self.phase]["uploads"] += 1
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

    def _send(self, query: str) -> None:
        self.sent[self.phase]["statements"] += 1
        self.sent[self.phase][self._scanned(query) or "nothing"] += 1

    def _scanned(self, query: str) -> str | None:
        rooms = {self.rooms[name] for name in NAME.findall(query) if name in self.rooms} - {"public"}
        return rooms.pop() if len(rooms) == 1 else None


PHASES = {
    "dpsynth.workspace.private": {
        "prepare": "check",
        "check_counted": "split",
        "version_of": "digest the rows",
        "split_in_engine": "split",
        "bounded_in_engine": "bound rows of a unit",
    },
    "dpsynth.workspace.synthesis": {"fit_model": "fit", "_targets": "draw targets"},
}


@contextmanager
def counted(monkeypatch: Any) -> Iterator[Mapping[str, Counter[str]]]:
    """Runs inside the block go to engines that count, and say in which step they are."""
    CountedDuckDB.phase, CountedDuckDB.sent = "open", defaultdict(Counter)
    with monkeypatch.context() as patch:
        patch.setattr("dpsynth.data.engines.duckdb.DuckDB", CountedDuckDB)
        for module, functions in PHASES.items():
            for name, phase in functions.items():
                patch.setattr(f"{module}.{name}", _within(phase, getattr(import_module(module), name)))
        yield CountedDuckDB.sent


def _within(phase: str, function: Any) -> Any:
    def run(*args: Any, **options: Any) -> Any:
        before, CountedDuckDB.phase = CountedDuckDB.phase, phase
        try:
            return function(*args, **options)
        finally:
            CountedDuckDB.phase = before

    return run
