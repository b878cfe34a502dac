"""What AIM's counting costs on ten million rows and 35 columns, beside a whole fit of google/dpsynth's MST in memory.

    python benchmarks/aim_counting.py write FOLDER --rows 250000 1000000 10000000
    OMP_NUM_THREADS=1 python benchmarks/aim_counting.py ours FOLDER --rows 250000 1000000 10000000 [--threads 2]
    python benchmarks/aim_counting.py rival FOLDER --rows 250000 1000000       (under the interpreter that has it)

The table is made up: a hidden class of twenty in each row, 28 columns of text with 2 to 60 categories and seven of
whole numbers that depend on it. `ours` fits AIM at epsilon 1 with DuckDB on Parquet, all categories and ranges public,
and adds up the time inside `value_counts_of` and `counts`: the 1-ways, and the 595 pair tables from which every round
takes its scores. There it ends: AIM asks nothing later. `rival` reads the same file with pandas, then fits MST with its
own defaults (32 bins, as many threads as it takes) and samples as many rows. Each size runs in a process of its own; a
line through the sizes gives what a million rows more take.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TEXTS, NUMBERS, HIGHEST, BLOCK = 28, 7, 10_000, 1_000_000
SIZES = [2 + (at * 13) % 59 for at in range(TEXTS)]


def main() -> int:
    """Write the files, or run each size in a process of its own and print a line each and the slope."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["write", "ours", "rival"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--here", action="store_true", help="one size, in this process")
    arguments = parser.parse_args()
    if arguments.what == "write":
        for rows in arguments.rows:
            write(arguments.folder / f"wide-{rows}.parquet", rows)
        return 0
    if arguments.here:
        (rows,) = arguments.rows
        file = arguments.folder / f"wide-{rows}.parquet"
        print(
            json.dumps({"rows": rows, **(ours(file, arguments.threads) if arguments.what == "ours" else rival(file))})
        )
        return 0
    found = []
    for rows in arguments.rows:
        command = [sys.executable, __file__, arguments.what, str(arguments.folder), "--rows", str(rows), "--here"]
        command += ["--threads", str(arguments.threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(found[-1], flush=True)
    if len(found) > 1:
        for what in ("wall_s", "cpu_s"):
            slope, fixed = np.polyfit([case["rows"] for case in found], [case[what] for case in found], 1)
            print(f"{what}: {fixed:.1f} + {1e6 * slope:.2f} a million rows")
    return 0


def write(file: Path, rows: int) -> None:
    """The table, a million rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(35)
    classes = np.arange(20)[:, None]
    shapes = [(rng.dirichlet(np.full(size, 0.5), 20).cumsum(axis=1) + classes).ravel() for size in SIZES]
    writer = None
    for start in range(0, rows, BLOCK):
        here = min(BLOCK, rows - start)
        hidden = rng.integers(0, 20, here)
        columns: dict[str, Any] = {}
        for at, (size, shape) in enumerate(zip(SIZES, shapes, strict=True)):
            codes = np.searchsorted(shape, hidden + rng.random(here)) - hidden * size
            codes = np.clip(codes, 0, size - 1).astype(np.int32)
            words = pa.array([f"v{code}" for code in range(size)])
            columns[f"t{at}"] = pa.DictionaryArray.from_arrays(pa.array(codes), words).cast(pa.string())
        for at in range(NUMBERS):
            columns[f"n{at}"] = np.minimum(rng.gamma(1 + hidden / 5, 100 * (at + 1)).astype(np.int64), HIGHEST)
        block = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, block.schema)
        writer.write_table(block)
    if writer is not None:
        writer.close()


def ours(file: Path, threads: int) -> dict[str, float]:
    """Seconds of AIM's counting, and the peak of the process in MiB."""
    from accounting.relation import PrivacyUnit
    from dpsynth.core.noise import SystemNoise
    from dpsynth.data.engines.duckdb import DuckDB
    from dpsynth.pipeline import fit_model
    from dpsynth.schema.model import Schema
    from dpsynth.tabular.aim import AIM

    own: dict[str, dict[str, object]] = {
        f"t{at}": {"kind": "categorical", "values": [f"v{code}" for code in range(size)]}
        for at, size in enumerate(SIZES)
    }
    own |= {f"n{at}": {"kind": "integer", "min": 0, "max": HIGHEST} for at in range(NUMBERS)}
    schema = Schema.from_dict({"version": 1, "columns": own})
    plan = AIM().plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    engine = DuckDB(threads=threads)
    table = Timed(engine.parquet([file]))
    with contextlib.suppress(Counted):
        fit_model(table, schema, AIM(), plan, noise=SystemNoise())  # type: ignore[arg-type]
    engine.close()
    return {
        "wall_s": round(table.wall[0], 2),
        "cpu_s": round(table.cpu[0], 2),
        "peak_mib": peak(),
        "load": os.getloadavg()[0],
    }


class Counted(Exception):
    """All that AIM asks was answered."""


class Timed:
    """A table that adds up the time of its answers."""

    def __init__(self, table: Any, wall: list[float] | None = None, cpu: list[float] | None = None) -> None:
        self._table, self.wall, self.cpu = table, wall or [0.0], cpu or [0.0]
        self.columns, self.types, self.decimals = table.columns, table.types, table.decimals

    def select(self, columns: Any) -> Timed:
        """These columns, on the same clock."""
        return Timed(self._table.select(columns), self.wall, self.cpu)

    def value_counts_of(self, asked: Any) -> Any:
        """As `CountTable`."""
        return self._timed(lambda: self._table.value_counts_of(asked))

    def counts(self, codecs: Any, cliques: Any) -> Iterator[Any]:
        """As `CountTable`."""
        answers = self._table.counts(codecs, cliques)
        for _ in cliques:
            yield self._timed(lambda: next(answers))
        raise Counted

    def _timed(self, ask: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        found = ask()
        self.wall[0] += time.perf_counter() - wall
        self.cpu[0] += time.process_time() - cpu
        return found


def rival(file: Path) -> dict[str, float]:
    """Seconds of google/dpsynth's MST on the same rows in memory."""
    import pandas as pd

    import dpsynth
    from dpsynth import discrete_mechanisms as mechanisms

    start, cpu = time.perf_counter(), time.process_time()
    frame = pd.read_parquet(file)
    read, read_cpu = time.perf_counter() - start, time.process_time() - cpu
    domains: dict[str, Any] = {
        f"t{at}": dpsynth.CategoricalAttribute([f"v{code}" for code in range(size)]) for at, size in enumerate(SIZES)
    }
    domains |= {f"n{at}": dpsynth.NumericalAttribute(0, HIGHEST, dtype="int") for at in range(NUMBERS)}
    config = dpsynth.TabularConfig(domains=domains, discrete_mechanism=mechanisms.MSTConfig())
    config.calibrate(epsilon=1.0, delta=1e-9)(np.random.default_rng(0), frame)
    return {
        "wall_s": round(time.perf_counter() - start, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "read_wall_s": round(read, 2),
        "read_cpu_s": round(read_cpu, 2),
        "peak_mib": peak(),
        "load": os.getloadavg()[0],
    }


def peak() -> int:
    """MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    sys.exit(main())
