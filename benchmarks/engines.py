"""What counting in an engine costs: seconds and memory over rows, on Adult replicated with jitter, and the exponent.

    OMP_NUM_THREADS=1 python benchmarks/engines.py ADULT.csv[.gz] [--rows 1000000 10000000 100000000] [--threads 2]
        [--memory 3GiB] [--folder DIR] [--json FILE]

For each size, Parquet files are written once (rows drawn from Adult with replacement; age, fnlwgt and hours moved by a
few units, gains and losses by a few where they are not zero). A fresh process then opens them with DuckDB, fits MST at
epsilon 1 through `fit_model` (`fit`). Then, with the codes of that fit: `singles` are 15 histograms from the raw cells
in one scan, `codes` writes the codes and counts 15 histograms of them, and `pairs` counts 105. Exponents are least
squares in logarithms, of CPU seconds, and what is left of each size; the load of the machine is printed beside them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import SystemNoise
from dpsynth.data.read import read
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.tabular.mst import MST

BLOCK = 1_000_000
JITTERED = {"age": 3, "fnlwgt": 500, "capital_gain": 50, "capital_loss": 20, "hours_per_week": 3}
STEPS = ("fit", "singles", "codes", "pairs")


def main() -> int:
    """Write, run each size in a process of its own, print a line each and the exponents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adult", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="3GiB", help="DuckDB's own limit")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--one", type=Path, help="run on this folder in this process")
    arguments = parser.parse_args()
    table = read(arguments.adult).to_arrow()
    if arguments.one:
        print(json.dumps(measured(arguments.one, schema_of(table), arguments.threads, arguments.memory)))
        return 0
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for rows in arguments.rows:
            folder = (arguments.folder or Path(scratch)) / f"adult-{rows}"
            write(table, rows, folder)
            command = [sys.executable, __file__, str(arguments.adult), "--one", str(folder)]
            command += ["--threads", str(arguments.threads), "--memory", arguments.memory]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            found.append({"rows": rows, **json.loads(done.stdout)})
            print(found[-1], flush=True)
    for step in STEPS:
        rows, seconds = (np.log([case[what] for case in found]) for what in ("rows", f"{step}_cpu_s"))
        slope, level = np.polyfit(rows, seconds, 1)
        left = ", ".join(f"{100 * (math.exp(rest) - 1):+.0f} %" for rest in seconds - level - slope * rows)
        print(f"{step}: rows^{slope:.2f} (left: {left})")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), "utf-8")
    return 0


def write(table: pa.Table, rows: int, folder: Path) -> None:
    """Parquet files of a million rows each, unless they are there."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    rng = np.random.default_rng(rows)
    for at, start in enumerate(range(0, rows, BLOCK)):
        block = table.take(pa.array(rng.integers(0, table.num_rows, min(BLOCK, rows - start))))
        for name, most in JITTERED.items():
            values = block.column(name).to_numpy()
            moved = np.maximum(values + np.where(values > 0, rng.integers(-most, most + 1, len(values)), 0), 0)
            block = block.set_column(block.schema.get_field_index(name), name, pa.array(moved))
        pq.write_table(block, folder / f"part-{at:04d}.parquet")


def schema_of(table: pa.Table) -> Schema:
    """Adult's categories and ranges, which are public."""
    columns: dict[str, dict[str, object]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type):
            columns[name] = {"kind": "categorical", "values": sorted(pc.unique(column).drop_null().to_pylist())}
        else:
            columns[name] = {"kind": "integer", "min": 0, "max": 2 * int(pc.max(column).as_py())}
    return Schema.from_dict({"version": 1, "columns": columns})


def measured(folder: Path, schema: Schema, threads: int, memory: str) -> dict[str, float]:
    """Seconds (wall, CPU) of each step, and the peak of the process in MiB."""
    from dpsynth.data.engines.duckdb import DuckDB

    found: dict[str, float] = {}
    engine = DuckDB(threads=threads, memory_limit=memory)
    table = engine.parquet(sorted(folder.glob("*.parquet")))
    plan = MST().plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    with timed(found, "fit"):
        model = fit_model(table, schema, MST(), plan, noise=SystemNoise()).model
    binnings = model.binnings  # type: ignore[union-attr]
    engine.close()
    engine = DuckDB(threads=threads, memory_limit=memory)  # the fit's codes would stay until the engine is closed
    fresh = engine.parquet(sorted(folder.glob("*.parquet")))
    pairs = list(itertools.combinations(binnings, 2))
    with timed(found, "singles"):
        fresh.value_counts_of(list(binnings.items()))
    with timed(found, "codes"):
        list(fresh.counts(binnings, [(name,) for name in binnings]))
    with timed(found, "pairs"):
        list(fresh.counts(binnings, pairs))
    engine.close()
    found["load"] = os.getloadavg()[0]
    found["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


class timed:  # noqa: N801 - a block of measured time
    """Wall and CPU seconds of a block."""

    def __init__(self, found: dict[str, float], name: str) -> None:
        self._found, self._name = found, name

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self._found[f"{self._name}_s"] = round(time.perf_counter() - self._wall, 2)
        self._found[f"{self._name}_cpu_s"] = round(time.process_time() - self._cpu, 2)


if __name__ == "__main__":
    sys.exit(main())
