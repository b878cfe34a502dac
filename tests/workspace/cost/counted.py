"""Engines that count what they are sent: statements, public tables, and what each statement scans."""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar

import pyarrow as pa

from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.data.engines.postgresql import PostgreSQL

NAME = re.compile(r"dpsynth_\d+")


class Counting:
    """Before an engine: relations are `source`, `copy` (raw cells that were stored), `codes` or `public`.

    Attributes:
        phase: of the run, of all engines: whoever calls sets it.
        sent: phase -> what was sent: statements, uploads, scans of each relation.
    """

    phase: ClassVar[str] = "open"
    sent: ClassVar[defaultdict[str, Counter[str]]] = defaultdict(Counter)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.rooms: dict[str, str] = {}
        self.within = False

    def view(self, query: str) -> str:
        name = super().view(query)
        self.rooms[name] = self._scanned(query, "source")
        return name

    def store(self, query: str) -> str:
        with self._sent(query, "source"):
            name = super().store(query)
        self.rooms[name] = "codes" if re.search(r'AS "e0"', query) else "copy"
        return name

    def _copied(self, query: str, *rest: Any) -> str:
        """PostgreSQL's copy of the source, at one moment."""
        with self._sent(query, "source"):
            name = super()._copied(query, *rest)
        self.rooms[name] = "copy"
        return name

    def upload(self, rows: pa.Table) -> str:
        Counting.sent[Counting.phase]["uploads"] += 1
        name = super().upload(rows)
        self.rooms[name] = "public"
        return name

    def fetch(self, query: str) -> pa.Table:
        with self._sent(query):
            return super().fetch(query)

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        with self._sent(query):
            yield from super().stream(query, rows)

    @contextmanager
    def _sent(self, query: str, otherwise: str = "nothing") -> Iterator[None]:
        """One statement, whatever of the engine it calls in turn; questions to a catalogue are none."""
        outer, self.within = self.within, True
        if not outer and not any(words in query for words in CATALOGUE):
            Counting.sent[Counting.phase]["statements"] += 1
            Counting.sent[Counting.phase][self._scanned(query, otherwise)] += 1
        try:
            yield
        finally:
            self.within = outer

    def _scanned(self, query: str, otherwise: str) -> str:
        rooms = {self.rooms[name] for name in NAME.findall(query) if name in self.rooms} - {"public"}
        return rooms.pop() if len(rooms) == 1 else "several" if rooms else otherwise


def _counting(engine: type) -> type:
    return type(f"Counted{engine.__name__}", (Counting, engine), {})


CATALOGUE = ("DESCRIBE", "parquet_schema(", "parquet_metadata(", "pg_", "information_schema")
"""Words of questions about names, types and footers, which read no row."""
PHASES = {
    "dpsynth.schema.checks:prepare": "check",
    "dpsynth.data.engines.version:version_of": "digest the rows",
    "dpsynth.data.engines.keyed:require_key": "split",
    "dpsynth.data.engines.keyed:split": "split",
    "dpsynth.data.engines.keyed:bounded": "bound rows of a unit",
    "dpsynth.pipeline:fit_model": "fit",
    "dpsynth.data.engines.rows:sampled": "draw targets",
}
"""Functions in which a step of a run happens, wherever in the package they are called from."""


@contextmanager
def counted(monkeypatch: Any) -> Iterator[Mapping[str, Counter[str]]]:
    """Runs inside the block go to engines that count, and say in which step they are."""
    Counting.phase, Counting.sent = "open", defaultdict(Counter)
    with monkeypatch.context() as patch:
        for engine in (DuckDB, PostgreSQL):
            patch.setattr(f"{engine.__module__}.{engine.__name__}", _counting(engine))
        import_module("dpsynth.workspace.runs.synthesis")
        for place, phase in PHASES.items():
            module, _, name = place.partition(":")
            function = getattr(import_module(module), name)
            for known in [found for own, found in sys.modules.items() if own.startswith("dpsynth.")]:
                for alias in [alias for alias, value in vars(known).items() if value is function]:
                    patch.setattr(known, alias, _within(phase, function))
        yield Counting.sent


def _within(phase: str, function: Any) -> Any:
    def run(*args: Any, **options: Any) -> Any:
        before, Counting.phase = Counting.phase, phase
        try:
            return function(*args, **options)
        finally:
            Counting.phase = before

    return run
