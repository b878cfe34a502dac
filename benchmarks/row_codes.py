"""What it costs to read rows as codes out of DuckDB: seconds and memory over rows, on Adult replicated with jitter.

    OMP_NUM_THREADS=1 python benchmarks/row_codes.py ADULT.csv[.gz] [--rows 1000000 10000000] [--folder DIR]

The tables are those of `benchmarks/engines.py`. In a fresh process for each size, 1-ways are fitted at epsilon 1, and
`codes` reads all rows as codes of that fit, sorted; `units` does so with a column that names each row's unit (fnlwgt).
`peak_mib` is that of the whole process, `array_mib` the final array alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from engines import schema_of, timed, write

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import SystemNoise
from dpsynth.data.read import read
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.tabular.independent import Independent


def main() -> int:
    """Write, run each size in a process of its own, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adult", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="1500MiB", help="DuckDB's own limit")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--one", type=Path, help="run on this folder in this process")
    arguments = parser.parse_args()
    table = read(arguments.adult).to_arrow()
    if arguments.one:
        print(json.dumps(measured(arguments.one, schema_of(table), arguments.threads, arguments.memory)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        for rows in arguments.rows:
            folder = (arguments.folder or Path(scratch)) / f"adult-{rows}"
            write(table, rows, folder)
            command = [sys.executable, __file__, str(arguments.adult), "--one", str(folder)]
            command += ["--threads", str(arguments.threads), "--memory", arguments.memory]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            print({"rows": rows, **json.loads(done.stdout)}, flush=True)
    return 0


def measured(folder: Path, schema: Schema, threads: int, memory: str) -> dict[str, float]:
    """Seconds (wall, CPU) of each step, and the peak of the process in MiB."""
    from dpsynth.data.engines.duckdb import DuckDB

    found: dict[str, float] = {}
    engine = DuckDB(threads=threads, memory_limit=memory)
    table = engine.parquet(sorted(folder.glob("*.parquet")))
    plan = Independent().plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    model = fit_model(table, schema, Independent(), plan, noise=SystemNoise()).model
    binnings = model.binnings  # type: ignore[union-attr]
    found["before_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    with timed(found, "codes"):
        codes, _ = table.codes(binnings)
    found["array_mib"] = round(codes.nbytes / 2**20)
    found["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    with timed(found, "units"):
        table.codes(binnings, "fnlwgt")
    found["units_peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    engine.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
