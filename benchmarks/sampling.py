"""Rows a second a core from a fitted model into Parquet, and the memory that takes, by rows.

    python benchmarks/sampling.py [--generator mst gibbs] [--rows 1000000 10000000] [--runs 3] [--workers 1]
                                  [--most-at-once 10000000] [--folder DIR] [--json FILE]

Each model is fitted to Adult (15 columns, epsilon 1, delta 1e-9; the data lie beside the checkout or where
DPSYNTH_SHARED points). Each run is a process of its own that loads the model file and writes Parquet, in pairs one
after the other: `stream`, the parts of `dpsynth sample --to`, and `at once`, the single file of `dpsynth sample -o`,
which is left out above `--most-at-once` rows. Rows a second are rows over CPU seconds (user and system) of sampling and
writing; `start` is what imports and a first row cost before. Wall time means something on an idle machine only. Peak
resident memory is the operating system's figure for the process; with `--workers` above 1 it is the largest of all its
processes. One small stream is drawn first, so that no run compiles. What was written is deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tables import SHARED, load

Result = dict[str, Any]
WAYS = ("stream", "at once")
GOAL = 1_000_000


def main() -> int:
    """Run all pairs, print a table, write JSON; 1 if a stream of `mst` misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", nargs="+", default=["mst"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--most-at-once", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where to write; default the system's temporary folder")
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--one", nargs=4, metavar=("WAY", "MODEL", "ROWS", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(*arguments.one, workers=arguments.workers)))
        return 0
    if not SHARED.is_dir():
        print(f"no data at {SHARED}; set DPSYNTH_SHARED")
        return 1
    results = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        for generator in arguments.generator:
            model = fitted(generator, Path(scratch))
            apart("stream", model, 200_000, Path(scratch), 1)
            for rows in arguments.rows:
                for run in range(arguments.runs):
                    for way in WAYS if rows <= arguments.most_at_once else WAYS[:1]:
                        found = apart(way, model, rows, Path(scratch), arguments.workers)
                        results.append({"generator": generator, "rows": rows, "way": way, "run": run, **found})
                        show(results[-1])
    summary = summed(results)
    for entry in summary:
        show(entry)
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps({"summary": summary, "runs": results}, indent=1))
    slow = [entry for entry in summary if (entry["generator"], entry["way"]) == ("mst", "stream")]
    return int(any(entry["rows_per_cpu_s"] < GOAL for entry in slow))


def fitted(generator: str, scratch: Path) -> Path:
    """A model file."""
    from dpsynth.tabular import save
    from dpsynth.workspace.runs.public import synthesize_public

    table = load("adult")
    made = synthesize_public(table.train, generator, epsilon="1", delta="1e-9", schema=table.schema)
    save(made.saved, scratch / f"{generator}.dpmodel")
    return scratch / f"{generator}.dpmodel"


def apart(way: str, model: Path, rows: int, scratch: Path, workers: int) -> Result:
    """One run in a fresh process; what it wrote is deleted."""
    out = scratch / "out"
    command = [sys.executable, __file__, "--workers", str(workers), "--one", way, str(model), str(rows), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(done.stderr)
    shutil.rmtree(out, ignore_errors=True)
    out.with_suffix(".parquet").unlink(missing_ok=True)
    return dict(json.loads(done.stdout))


def one(way: str, model: str, rows: str, out: str, *, workers: int) -> Result:
    """Sample and write; CPU and wall seconds of that, and the process' peak memory."""
    import numpy as np

    from dpsynth.tabular.saved.saving import load as load_model
    from dpsynth.tabular.streams.parts import write_parts
    from dpsynth.tabular.streams.row_stream import RowStream
    from dpsynth.workspace.runs.public import write_rows

    saved, number, target = load_model(model), int(rows), Path(out)
    begun = spent()
    if way == "stream":
        list(RowStream.of(saved.model, 1).batches(0))
    else:
        saved.model.sample(1, np.random.default_rng(0))
    before, wall = spent(), time.perf_counter()
    if way == "stream":
        size = write_parts(saved, RowStream.of(saved.model, number), target, workers=workers).size
    else:
        target = target.with_suffix(".parquet")
        write_rows(saved.model.batches(number, np.random.default_rng(0)), target)
        size = target.stat().st_size
    wall = time.perf_counter() - wall
    if workers > 1:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)  # a process is counted once it has ended
    cpu = spent() - before
    return {
        "cpu_s": round(cpu, 2),
        "start_s": round(before - begun, 2),
        "wall_s": round(wall, 2),
        "rows_per_cpu_s": round(number / cpu),
        "rss_mib": round(peak()),
        "bytes_per_row": round(size / number, 2),
    }


def spent() -> float:
    """User and system seconds of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def peak() -> float:
    """Largest resident memory of a process, MiB."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def summed(results: list[Result]) -> list[Result]:
    """Median rows a second with the range, and the largest memory, of each generator, size and way."""
    groups: dict[tuple[str, int, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result["generator"], result["rows"], result["way"]), []).append(result)
    return [
        {
            "generator": generator,
            "rows": rows,
            "way": way,
            "runs": len(own),
            "rows_per_cpu_s": round(statistics.median(run["rows_per_cpu_s"] for run in own)),
            "slowest": min(run["rows_per_cpu_s"] for run in own),
            "fastest": max(run["rows_per_cpu_s"] for run in own),
            "wall_s": statistics.median(run["wall_s"] for run in own),
            "start_s": statistics.median(run["start_s"] for run in own),
            "rss_mib": max(run["rss_mib"] for run in own),
            "bytes_per_row": own[0]["bytes_per_row"],
        }
        for (generator, rows, way), own in groups.items()
    ]


def show(entry: Result) -> None:
    """One line."""
    kind = f"median of {entry['runs']}" if "runs" in entry else f"run {entry['run']}"
    spread = f" ({entry['slowest']:,} to {entry['fastest']:,})" if "runs" in entry else ""
    what = f"{entry['generator']:6} {entry['rows']:>11,} {entry['way']:8} {kind:12}"
    print(
        f"{what} {entry['rows_per_cpu_s']:>10,} rows/CPU s{spread}, wall {entry['wall_s']:.2f} s, "
        f"start {entry['start_s']} CPU s, {entry['rss_mib']:,} MiB, {entry['bytes_per_row']} B/row",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
