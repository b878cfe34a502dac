"""What bought figures of rows in an engine cost: CPU seconds, statements and scans, beside the table in memory.

    OMP_NUM_THREADS=1 python benchmarks/engine_figures.py ADULT.csv[.gz] [--rows 1000000] [--draw 100000] [--memory]
        [--json FILE]

Adult replicated with jitter (`benchmarks/engines.py`) becomes a folder of Parquet, which DuckDB reads; with `--memory`
one file, which the reader loads. A workspace fits independent columns and buys both figures. `marginals` and `copies`
are whole purchases: opening, checks, version, split, count, noise and commit. Statements are DuckDB's; a scan is one
that names the source or what was stored of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from engines import schema_of, write

from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.data.read import read
from dpsynth.workspace import Workspace

FIGURES = ("marginals", "copies")


def main() -> int:
    """Write the rows, buy in a process of its own, print a line for each place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adult", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--draw", type=int, default=100_000, help="released rows")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--one", type=Path, help="buy for this folder or file in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one, arguments.draw)))
        return 0
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        table, folder = read(arguments.adult).to_arrow(), Path(scratch) / "adult"
        write(table, arguments.rows, folder)
        (Path(scratch) / "schema.yaml").write_text(schema_of(table).to_yaml(), "utf-8")
        places = [folder]
        if arguments.memory:
            places.append(Path(scratch) / "whole.parquet")
            pq.write_table(pq.read_table(folder), places[-1])
        for place in places:
            command = [sys.executable, __file__, str(arguments.adult), "--one", str(place)]
            command += ["--draw", str(arguments.draw)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            found.append({"place": place.name, "rows": arguments.rows, **json.loads(done.stdout)})
            print(found[-1], flush=True)
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), "utf-8")
    return 0


class Counted:
    """Statements of DuckDB, and which of them read rows."""

    def __init__(self) -> None:
        self.statements = self.scans = 0
        for name in ("fetch", "store"):
            self._watch(name)

    def _watch(self, name: str) -> None:
        asked = getattr(DuckDB, name)

        def ask(engine: DuckDB, query: str) -> object:
            if "DESCRIBE" not in query and "parquet_" not in query:
                self.statements += 1
                self.scans += "dpsynth_" in query
            return asked(engine, query)

        setattr(DuckDB, name, ask)


def measured(place: Path, draw: int) -> dict[str, float]:
    """CPU seconds, statements and peak of a workspace that fits once and buys each figure."""
    counted, found = Counted(), {}
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace.init(Path(scratch) / "vault")
        record = workspace.register(place, schema=place.parent / "schema.yaml")
        workspace.create_budget(record, epsilon=9, delta="1e-5")
        draft = workspace.synthesize(record, "independent", epsilon=1, delta="1e-9", target="income", rows=draw)
        for name in FIGURES:
            before, statements, scans = time.process_time(), counted.statements, counted.scans
            draft.buy_figure(name, epsilon="0.1")
            found[f"{name}_cpu_s"] = round(time.process_time() - before, 2)
            found[f"{name}_statements"] = counted.statements - statements
            found[f"{name}_scans"] = counted.scans - scans
    found["load"] = round(os.getloadavg()[0], 1)
    found["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


if __name__ == "__main__":
    sys.exit(main())
