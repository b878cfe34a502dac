"""What breaks first in a wide table: a plan beside the run that it plans, on DuckDB, and CPU time over columns.

    OMP_NUM_THREADS=1 python benchmarks/wide.py [--columns 100 200 400] [--rows 100000] [--generator mst] [--folder DIR]
    OMP_NUM_THREADS=1 python benchmarks/wide.py --far        plans alone, of a billion rows and 1,000 columns

Half of the columns are categories of ten values, half integers up to 100,000 with a spike at zero; neighbours depend on
each other. Each size runs in a process of its own: Parquet is written, the fit is planned (`dp.plan_cost`) and run
(`fit_model`, epsilon 1), and what the engine was sent is counted. Exponents are least squares in logarithms.
"""

from __future__ import annotations

import argparse
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
import pyarrow.parquet as pq

from dpsynth.core.amounts import duration, size
from dpsynth.core.noise import SystemNoise
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator
from dpsynth.workspace.cost import plan_cost

VALUES, LARGEST = 10, 100_000


def main() -> int:
    """Run each width in a process of its own, print a line each and the exponents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--generator", default="mst")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--far", action="store_true", help="print plans of a billion rows and 1,000 columns")
    parser.add_argument("--one", type=int, help="run this width in this process")
    arguments = parser.parse_args()
    if arguments.far:
        for case in FAR:
            print(json.dumps(far(*case)), flush=True)
        return 0
    if arguments.one:
        print(json.dumps(measured(arguments.folder, arguments.one, arguments)))
        return 0
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        for columns in arguments.columns:
            command = [sys.executable, __file__, "--one", str(columns), "--rows", str(arguments.rows)]
            command += [
                "--generator",
                arguments.generator,
                "--threads",
                str(arguments.threads),
                "--folder",
                str(folder),
            ]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            found.append(json.loads(done.stdout))
            print(json.dumps(found[-1], indent=1), flush=True)
    for step in ("plan", "fit", *(found[0]["steps"] if len(found) > 1 else ())):
        seconds = [one["steps"].get(step, one.get(f"{step}_cpu_s")) for one in found]
        if len(found) > 1 and all(seconds):
            columns = [math.log(one["columns"]) for one in found]
            print(f"{step}: columns^{np.polyfit(columns, np.log(seconds), 1)[0]:.2f}")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), "utf-8")
    return 0


FAR_COLUMNS, FAR_ROWS = 1000, 10**9
CLUSTER, FILES = "spark://cluster:7077", "claims/"
FAR: tuple[tuple[str, str, int, bool, int], ...] = (
    *((name, CLUSTER, FAR_ROWS, False, 1) for name in ("independent", "mst", "gibbs", "aim")),
    ("mst", FILES, FAR_ROWS, False, 1),
    ("mst", FILES, FAR_ROWS, True, 1),
    ("mst", FILES, FAR_ROWS // 100, False, 1),
    ("mst", FILES, FAR_ROWS, False, 10),
    ("aim", FILES, FAR_ROWS, False, 10),
)
"""Generator, place, rows, whether domains are open, and blocks that share the budget as equal parts of epsilon."""


def far(name: str, place: str, rows: int, left_open: bool, blocks: int) -> dict[str, object]:
    """The plan of one case; a row of the table in docs/how-to/plan-a-large-run.md."""
    found = plan_cost(
        place,
        name,
        table="w.claims" if "://" in place else None,
        epsilon=1 / blocks,
        delta=1e-9 / blocks,
        rows=rows,
        schema=schema_of(FAR_COLUMNS // blocks, left_open=left_open),
    )
    return {
        "generator": name,
        "engine": found.engine,
        "rows": rows,
        "open": left_open,
        "blocks": blocks,
        "statements": blocks * found.total("statements"),
        "histograms": blocks * found.total("histograms"),
        "cells": blocks * found.total("cells"),
        "read": size(blocks * found.total("read")),
        "written": size(found.total("written")),
        "shuffles": blocks * found.total("shuffles"),
        "memory_here": {step.name: size(step.here) for step in sorted(found.steps, key=lambda s: -s.here)[:2]},
        "cpu": None if found.time is None else duration(blocks * found.time.seconds),
        "noise": found.noise(),
    }


def write(folder: Path, columns: int, rows: int) -> None:
    """One Parquet file."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(columns)
    hidden, cells = rng.normal(size=rows), {}
    for at in range(columns):
        hidden = 0.8 * hidden + 0.6 * rng.normal(size=rows)
        if at % 2:
            codes = np.clip(np.floor(hidden * 2 + VALUES / 2), 0, VALUES - 1).astype(int)
            cells[f"x{at}"] = pa.array(np.array([f"v{code}" for code in range(VALUES)])[codes])
        else:
            amounts = np.clip(np.exp(hidden + 7), 1, LARGEST).astype(np.int64)
            cells[f"x{at}"] = pa.array(np.where(rng.random(rows) < 0.3, 0, amounts))
    pq.write_table(pa.table(cells), folder / "part.parquet")


def schema_of(columns: int, *, left_open: bool = False) -> Schema:
    """Public domains, or kinds alone."""
    kinds: tuple[dict[str, object], ...] = (
        {"kind": "integer", "min": 0, "max": LARGEST},
        {"kind": "categorical", "values": [f"v{code}" for code in range(VALUES)]},
    )
    if left_open:
        kinds = ({"kind": "integer"}, {"kind": "categorical"})
    return Schema.from_dict({"version": 1, "columns": {f"x{at}": kinds[at % 2] for at in range(columns)}})


def measured(scratch: Path, columns: int, arguments: argparse.Namespace) -> dict[str, object]:
    """Seconds, statements and memory of one width; and what the plan says of the same."""
    from dpsynth.data.engines.duckdb import DuckDB

    folder = scratch / f"wide-{columns}"
    if not folder.exists():
        write(folder, columns, arguments.rows)
    schema, made = schema_of(columns), generator(arguments.generator)
    began = time.process_time()
    said = plan_cost(folder, made, epsilon=1, delta="1e-9", schema=schema, rows=round(arguments.rows / 0.7))
    plan_s = time.process_time() - began
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    engine = DuckDB(threads=arguments.threads)
    sent: list[int] = []
    engine.fetch, fetch = lambda query: (sent.append(len(query)), fetch(query))[1], engine.fetch  # type: ignore[method-assign]
    engine.store, store = lambda query: (sent.append(len(query)), store(query))[1], engine.store  # type: ignore[method-assign]
    table = engine.parquet([folder / "part.parquet"])
    sent.clear()
    steps: dict[str, float] = {}
    last = began = time.process_time()

    def progress(name: str, *_: object) -> None:
        nonlocal last
        now = time.process_time()
        steps[name], last = steps.get(name, 0.0) + now - last, now

    model = fit_model(table, schema, made, said.plan, noise=SystemNoise(), progress=progress).model
    fit_s = time.process_time() - began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    engine.close()
    within = [step for step in said.steps if step.events]
    return {
        "columns": columns,
        "rows": arguments.rows,
        "generator": made.name,
        "plan_cpu_s": round(plan_s, 2),
        "fit_cpu_s": round(fit_s, 2),
        "steps": {name: round(seconds, 2) for name, seconds in steps.items()},
        "statements": len(sent),
        "statements_said": sum(step.statements or 0 for step in within),
        "longest_statement_kib": round(max(sent) / 1024),
        "peak_mib": round(peak_mib - before_mib),
        "memory_said_mib": round(max(step.here for step in said.steps if step.name != "draw rows") / 2**20),
        "time_said_s": None if said.time is None else round(said.time.seconds, 1),
        "score_sigma": said.noise()["scores"],
        "table_sigma": said.noise()["tables"],
        "rows_released": model.rows,
    }


if __name__ == "__main__":
    sys.exit(main())
