"""Whether a fit's memory is flat in rows and in the logical batch: peak of a fresh process beyond its table and codes.

    OMP_NUM_THREADS=1 python benchmarks/dpsgd_memory.py [--json FILE]

A process makes a table of `rows` rows and 15 columns in memory, notes its peak, fits `autoregressive` (5 steps at
sampling probability q) and draws 200,000 rows block by block without keeping them. What its peak grew by, less one byte
for each cell (the codes, which training must hold), is `beyond`. Exit 1 if ten times the rows, or eight times the
batch, add more than `ALLOWED` MiB to it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import SystemNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.tabular.autoregressive import Autoregressive

CASES = ((100_000, "0.0625"), (1_000_000, "0.0625"), (1_000_000, "0.5"))
COLUMNS, VALUES, STEPS, DRAWN = 15, 16, 5, 200_000
ALLOWED = 64.0


def main() -> int:
    """Run the cases, print a line each, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--one", nargs=2, metavar=("ROWS", "Q"), help="run one case in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(growth(int(arguments.one[0]), arguments.one[1])))
        return 0
    found = []
    for rows, probability in CASES:
        command = [sys.executable, __file__, "--one", str(rows), probability]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        found.append({"rows": rows, "q": probability, **json.loads(done.stdout)})
        print(found[-1], flush=True)
    least = found[0]["beyond_mib"]
    missed = [case for case in found if case["beyond_mib"] > least + ALLOWED]
    print("NOT FLAT" if missed else f"flat: within {ALLOWED:g} MiB of {least:g}")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), "utf-8")
    return int(bool(missed))


def growth(rows: int, probability: str) -> dict[str, float]:
    """Peak memory before and after, MiB, and what it grew by beyond the codes."""
    table, schema = made(rows)
    before = peak()
    generator = Autoregressive(steps=STEPS, probability=Decimal(probability))
    plan = generator.plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    model = fit_model(table, schema, generator, plan, noise=SystemNoise()).model
    drawn = sum(block.num_rows for block in model.batches(DRAWN, np.random.default_rng(0)))
    after, codes = peak(), rows * COLUMNS / 2**20
    return {
        "drawn": drawn,
        "before_mib": round(before),
        "peak_mib": round(after),
        "codes_mib": round(codes),
        "beyond_mib": round(after - before - codes),
    }


def made(rows: int) -> tuple[Table, Schema]:
    """Columns that follow the first one half of the time."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, VALUES, rows)
    cells = {"c0": first.astype(np.int16)}
    for at in range(1, COLUMNS):
        cells[f"c{at}"] = np.where(rng.random(rows) < 0.5, first, rng.integers(0, VALUES, rows)).astype(np.int16)
    columns = {name: {"kind": "categorical", "values": list(range(VALUES))} for name in cells}
    return Table.from_arrow(pa.table(cells)), Schema.from_dict({"version": 1, "columns": columns})


def peak() -> float:
    """Peak resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    raise SystemExit(main())
