"""What the checks before a run cost in an engine: statements and CPU seconds over columns, beside memory's.

    OMP_NUM_THREADS=1 python benchmarks/engine_checks.py [--rows 1000000] [--columns 35 200] [--threads 1] [--memory]
        [--folder DIR]

A table of made-up columns (four of text in ten, one of these beyond ASCII; integers, doubles, dates, truth values) is
written as one Parquet file, and `prepare` drafts and checks it in a fresh process: once with DuckDB, which reads the
file, and with `--memory` by the reader. The first statement of the engine looks at 5,000 rows; the others are scans.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.schema.checks import prepare


def main() -> int:
    """Write each table, check it in processes of its own, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, nargs="+", default=[35, 200])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="also by the reader, in memory")
    parser.add_argument("--folder", type=Path, help="where the files are written for a while")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(Path(arguments.one[0]), arguments.one[1], arguments.threads)))
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        for columns in arguments.columns:
            path = Path(scratch, f"{columns}.parquet")
            rng = np.random.default_rng(columns)
            pq.write_table(pa.table({f"x{at}": column(at, arguments.rows, rng) for at in range(columns)}), path)
            for where in ("duckdb", *(("memory",) if arguments.memory else ())):
                command = [sys.executable, __file__, "--one", str(path), where, "--threads", str(arguments.threads)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                print(f"{arguments.rows:,} x {columns} {where}: {done.stdout.strip()}", flush=True)
            path.unlink()
    return 0


def column(at: int, rows: int, rng: np.random.Generator) -> pa.Array:
    """One made-up column."""
    match at % 10:
        case 0 | 1 | 2 | 3 as kind:
            stem, size = (("value", 4), ("value", 40), ("value", 2000), ("Orl\u00e9ans", 300))[kind]
            words = np.array([f"{stem} {word} of {at}" for word in range(size)], dtype=object)
            return pa.array(words[rng.integers(0, size, rows)], pa.string())
        case 4:
            return pa.array(rng.integers(0, 100, rows))
        case 5:
            return pa.array(rng.integers(0, 10**6, rows))
        case 6:
            return pa.array(rng.normal(size=rows))
        case 7:
            return pa.array(np.round(rng.lognormal(8, 1, rows), 2), mask=rng.random(rows) < 0.1)
        case 8:
            return pa.array(rng.integers(0, 20_000, rows).astype(np.int32), pa.date32())
    return pa.array(rng.random(rows) < 0.3)


class Watched:
    """An engine whose statements are counted."""

    def __init__(self, engine: Any) -> None:
        self._engine, self.statements = engine, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def fetch(self, query: str) -> Any:
        """As the engine's, counted."""
        self.statements += 1
        return self._engine.fetch(query)


def measured(path: Path, where: str, threads: int) -> dict[str, Any]:
    """Seconds of CPU, statements and memory of one `prepare` in this process."""
    start, statements = _cpu(), None
    if where == "memory":
        prepare(path, target="x0")
    else:
        from dpsynth.data.engines.duckdb import DuckDB
        from dpsynth.data.engines.warehouse import EngineTable

        engine = DuckDB(threads=threads)
        table = engine.parquet([path])
        watched = Watched(engine)
        prepare(EngineTable(watched, table.relation, table.fields), target="x0")
        statements = watched.statements
        engine.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"cpu_s": round(_cpu() - start, 1), "statements": statements, "peak_mib": peak}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
