"""Whether Spark and DuckDB give the same release, to the byte, and what each of them costs, on Adult replicated.

    OMP_NUM_THREADS=1 python benchmarks/spark.py ADULT.csv[.gz] [--rows 10000000] [--master 'local[4]'] [--folder DIR]

Both fit MST at epsilon 1 on the same Parquet files (`benchmarks/engines.py` writes them) with the same noise words,
each in a process of its own; CPU seconds are Python's and, for Spark, Java's. What is compared is the SHA-256 of the
events and of 10,000 sampled rows as Parquet. Exit code 1 if they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from engines import schema_of, write

from accounting.relation import PrivacyUnit
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.read import read
from dpsynth.pipeline import fit_model
from dpsynth.release.formats import encode_parquet
from dpsynth.tabular.mst import MST


def main() -> int:
    """Write, run each engine, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adult", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--master", default="local[4]")
    parser.add_argument("--memory", default="3g", help="of Spark's driver")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--one", choices=["duckdb", "spark"], help="run this engine in this process")
    arguments = parser.parse_args()
    if arguments.one:
        folder = arguments.folder / f"adult-{arguments.rows}"
        print(json.dumps(measured(arguments.one, folder, arguments.adult, arguments.master, arguments.memory)))
        return 0
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        write(read(arguments.adult).to_arrow(), arguments.rows, folder / f"adult-{arguments.rows}")
        for engine in ("duckdb", "spark"):
            command = [sys.executable, __file__, str(arguments.adult), "--one", engine, "--rows", str(arguments.rows)]
            command += ["--master", arguments.master, "--memory", arguments.memory, "--folder", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            found.append(json.loads(done.stdout.splitlines()[-1]))
            print(found[-1], flush=True)
    same = found[0]["release"] == found[1]["release"]
    print("the same release" if same else "THE RELEASES DIFFER")
    return 0 if same else 1


def measured(name: str, files: Path, adult: Path, master: str, memory: str) -> dict[str, object]:
    """Digest of the release; seconds (wall, CPU) of opening and fitting; MiB at most."""
    schema = schema_of(read(adult).to_arrow())
    java = None
    began = time.perf_counter()
    if name == "duckdb":
        from dpsynth.data.engines.duckdb import DuckDB

        table = DuckDB(threads=4).parquet(sorted(files.glob("*.parquet")))
    else:
        from dpsynth.data.engines.spark.engine import Spark

        options = {"spark.driver.memory": memory, "spark.local.dir": str(files.parent / "spark")}
        engine = Spark(master, options)
        java = engine.session.sparkContext._gateway.proc.pid
        table = engine.parquet(sorted(files.glob("*.parquet")))
    opened = time.perf_counter()
    plan = MST().plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    model = fit_model(table, schema, MST(), plan, noise=ReplayedNoise(bytes(range(32)))).model
    fitted = time.perf_counter()
    rows = encode_parquet(model.sample(10_000, np.random.default_rng(5)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found: dict[str, object] = {
        "engine": name,
        "release": hashlib.sha256(repr(model.events).encode() + rows).hexdigest()[:16],
        "open_s": round(opened - began, 1),
        "fit_s": round(fitted - opened, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime + (0 if java is None else _cpu(java)), 1),
        "peak_mib": round(used.ru_maxrss / 1024),
    }
    if java is not None:
        found["java_peak_mib"] = _peak(java)
    table.engine.close()
    return found


def _cpu(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


if __name__ == "__main__":
    sys.exit(main())
