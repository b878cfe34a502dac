"""How long, how big, how wrong: a generator on a public table, from process start to CSV, and rivals beside it.

    python benchmarks/tabular.py --table coil --generator gibbs mst --epsilon 1 --runs 3 [--json FILE] [--out DIR]
    python benchmarks/tabular.py --table adult --generator gibbs --rival dpmm:mst dpmm:privbayes --python PATH

Every run is the command line in a fresh process, `dpsynth synthesize … --public -o …`: imports, reading the gzipped
CSV, calibration, fit, sampling and writing are all in the wall time, and CPU seconds and peak resident memory are the
operating system's figures for that process. The first run of `gibbs` after an installation also compiles its moves: run
it once before measuring. A rival runs through the shared harness under the interpreter that has it installed
(`--python`), and is timed in the same way.

Scores come from the shared scorer in a process of its own: mean total variation distance over all 1-, 2- and 3-way
tables (300 sampled 3-way tables where there are more than 20 columns), AUC of boosting trained on synthetic rows and
tested on real ones (TSTR; on real rows TRTR), rare cells kept, mass on cells that no real row has. Goals are those of
the project's issues on generators; a mean that misses one is marked and sets the exit code.

The data lie beside the checkout (`../shared`) or where DPSYNTH_SHARED points.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tables import NAMES, SHARED, BenchmarkTable, load, read_text

from dpsynth.data.options import ReadOptions
from dpsynth.data.read import read
from dpsynth.schema.checks import column_options
from dpsynth.schema.violations import broken

HARNESS = SHARED / "bench" / "tabular"
COSTS = ("wall_s", "cpu_s", "rss_mib")
ERRORS = ("tvd1", "tvd2", "tvd3", "invented")
MERITS = ("auc", "kept")
FIGURES = (*COSTS, "tvd1", "tvd2", "tvd3", "auc", "kept", "invented")
GOALS: dict[tuple[str, str, str], dict[str, float]] = {
    ("adult", "mst", "1"): {"wall_s": 2.0, "rss_mib": 250.0, "tvd2": 0.045},
    ("adult", "gibbs", "1"): {
        "wall_s": 15.0,
        "rss_mib": 350.0,
        "tvd1": 0.0065,
        "tvd2": 0.027,
        "tvd3": 0.062,
        "auc": 0.903,
        "kept": 0.90,
        "invented": 0.0015,
    },
    ("adult", "aim", "1"): {"tvd1": 0.0138, "tvd2": 0.0403, "tvd3": 0.0794, "auc": 0.9034},
    ("adult", "gibbs", "10"): {"tvd2": 0.0095, "tvd3": 0.034, "auc": 0.915},
    ("adult", "gibbs", "0.1"): {"tvd2": 0.080, "auc": 0.86},
    ("adult", "autoregressive", "1"): {
        "wall_s": 12.0,
        "rss_mib": 400.0,
        "tvd2": 0.034,
        "tvd3": 0.072,
        "auc": 0.903,
        "kept": 0.85,
        "invented": 0.0015,
    },
    ("adult", "autoregressive", "10"): {"tvd2": 0.0170, "auc": 0.911},
    ("covid", "gibbs", "1"): {"wall_s": 60.0, "rss_mib": 800.0, "tvd2": 0.0088, "auc": 0.935},
    ("coil", "gibbs", "1"): {"wall_s": 30.0, "tvd2": 0.080, "auc": 0.60},
    ("communities", "gibbs", "1"): {"wall_s": 120.0, "rss_mib": 1024.0},
    ("diabetes", "gibbs", "1"): {"wall_s": 120.0},
}
"""(table, generator, epsilon) -> figure -> bound; from above for costs and errors, from below for merits."""

Result = dict[str, Any]


def main() -> int:
    """Run, score, print; exit 1 if a mean misses its goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", nargs="+", default=["adult"], choices=NAMES)
    parser.add_argument("--generator", nargs="*", default=["gibbs"])
    parser.add_argument("--epsilon", nargs="+", default=["1"])
    parser.add_argument("--delta", default="1e-9")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rival", nargs="*", default=[], help="system:mechanism of the shared harness")
    parser.add_argument("--python", type=Path, help="interpreter that has the rivals")
    parser.add_argument("--limit", type=float, default=600.0, help="CPU seconds after which a run is given up")
    parser.add_argument("--out", type=Path, help="keep CSV and JSON files here; runs that are there are not repeated")
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    if not HARNESS.is_dir():
        print(f"no data at {SHARED}; set DPSYNTH_SHARED")
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        base = arguments.out or Path(scratch)
        results = []
        for name in arguments.table:
            table, folder = load(name), base / name
            folder.mkdir(parents=True, exist_ok=True)
            made = [
                run(table, system, epsilon, arguments.delta, seed, folder, arguments.python, arguments.limit)
                for epsilon in arguments.epsilon
                for system in (*arguments.generator, *arguments.rival)
                for seed in range(arguments.runs)
            ]
            results += score(table, folder, made)
    summary = summarise(results)
    print(text(results, summary))
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps({"runs": results, "summary": summary}, indent=1), "utf-8")
    return int(any(entry["missed"] for entry in summary))


def run(
    table: BenchmarkTable,
    system: str,
    epsilon: str,
    delta: str,
    seed: int,
    folder: Path,
    python: Path | None,
    limit: float,
) -> Result:
    """One fresh process; `system` with a colon is a rival. `seed` seeds rivals and counts our runs."""
    maker, _, mechanism = system.rpartition(":")
    tag = f"{system.replace(':', '-')}-{table.name}-e{epsilon}-s{seed}"
    kept = folder / f"{tag}.json"
    if kept.exists():
        known: Result = json.loads(kept.read_text("utf-8"))
        if known["status"] == "ok":
            return known
    raw = folder / f"{tag}.raw.csv"
    if maker and python is None:
        raise SystemExit(f"{system} needs --python, the interpreter that has it.")
    command = (
        rival_command(table, maker, mechanism, epsilon, delta, seed, folder, tag, str(python))
        if maker
        else own_command(table, system, epsilon, delta, raw)
    )
    result: Result = {
        "tag": tag,
        "system": maker or "dpsynth-release",
        "mech": mechanism,
        "name": table.name,
        "eps": float(epsilon),
        "delta": float(delta),
        "seed": seed,
    } | measured(command, folder / tag, limit)
    if not maker and result["status"] == "ok":
        if table.schema.constraints:
            result["broken_rows"] = broken_rows(table, raw)
        table.to_scored(read_text(raw)).to_csv(folder / f"{tag}.csv", index=False)
    kept.write_text(json.dumps(result, indent=1), "utf-8")
    return result


def broken_rows(table: BenchmarkTable, rows: Path) -> int:
    """Rows of a synthetic CSV that break a constraint of the schema."""
    options = ReadOptions(columns={n: o for n, o in column_options(table.schema).items() if n in table.schema.modelled})
    return int(broken(table.schema, read(rows, options=options).to_arrow()).sum())


def own_command(table: BenchmarkTable, generator: str, epsilon: str, delta: str, output: Path) -> list[str]:
    """`dpsynth synthesize`, as a user types it."""
    schema = output.with_suffix(".schema.yaml")
    schema.write_text(table.schema.to_yaml(), "utf-8")
    unit = ["--unit", table.unit, "--max-per-unit", str(table.max_per_unit)] if table.unit else []
    return [
        sys.executable, "-c", "from dpsynth.cli.app import main; main()", "synthesize", str(table.train),
        "--generator", generator, "--epsilon", epsilon, "--delta", delta, "--schema", str(schema), *unit,
        "--target", table.target, "--public", "-o", str(output), "--json",
    ]  # fmt: skip


def rival_command(
    table: BenchmarkTable,
    system: str,
    mechanism: str,
    epsilon: str,
    delta: str,
    seed: int,
    folder: Path,
    tag: str,
    python: str,
) -> list[str]:
    """The shared harness; it has no unit but one record, which flatters rivals where ours is a person."""
    return [
        python, str(HARNESS / "run_one.py"), "--system", system, "--mech", mechanism, "--data", str(table.scored),
        "--name", table.name, "--eps", epsilon, "--delta", delta, "--seed", str(seed), "--out", str(folder),
        "--tag", tag,
    ]  # fmt: skip


def measured(command: Sequence[str], stem: Path, limit: float) -> Result:
    """Run a command to its end: status, wall and CPU seconds, peak memory of the process.

    Args:
        command: what to run.
        stem: standard output and error are kept beside it, as `.out` and `.err`.
        limit: CPU seconds after which the system ends the process; a loaded machine does not change them.
    """
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    output, errors = stem.with_name(f"{stem.name}.out"), stem.with_name(f"{stem.name}.err")
    seconds = math.ceil(limit)
    start = time.perf_counter()
    with output.open("wb") as out, errors.open("wb") as err:
        child = subprocess.Popen(
            command,
            stdout=out,
            stderr=err,
            env={**threads, **os.environ},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5)),
        )
        _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    said = errors.read_text(errors="replace").strip().splitlines()
    cpu = used.ru_utime + used.ru_stime
    if child.returncode == 0:
        # the harness ends well even where its rival failed, and says so in what it prints
        last = (output.read_text(errors="replace").strip().splitlines() or ["{}"])[-1]
        outcome = json.loads(last).get("status", "ok")
    else:
        outcome = (
            f"not finished in {seconds} CPU s"
            if child.returncode == -signal.SIGXCPU
            else (said or ["no message"])[-1][:300]
        )
    return {
        "status": outcome,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "rss_mib": round(used.ru_maxrss / 1024),
    }


def score(table: BenchmarkTable, folder: Path, made: Sequence[Result]) -> list[Result]:
    """The runs with the shared scorer's figures; runs that failed keep their status."""
    wide = ["--tri", "300"] if table.wide else []
    command = [sys.executable, str(HARNESS / "evaluate.py"), "--data", str(table.scored), "--runs", str(folder), *wide]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    print("\n".join(line for line in done.stdout.splitlines() if "holdout" in line))
    out = []
    for result in made:
        scored: Result = json.loads((folder / f"{result['tag']}.json").read_text("utf-8"))
        if "tvd2" in scored:
            scored |= {"kept": scored["tail1_cells_kept"], "invented": scored["invented2"]}
        out.append(scored)
    return out


def summarise(results: Sequence[Result]) -> list[Result]:
    """Mean, least and greatest figure of each (table, epsilon, system), and the goals that the mean misses."""
    groups: dict[tuple[str, float, str], list[Result]] = {}
    for result in results:
        own = result["system"] == "dpsynth-release"
        name = result["mech"] if own else f"{result['system']}:{result['mech']}"
        groups.setdefault((result["name"], result["eps"], name), []).append(result)
    out = []
    for (table, epsilon, name), members in groups.items():
        fine = [member for member in members if "tvd2" in member]
        figures = {
            figure: {
                "mean": sum(member[figure] for member in fine) / len(fine),
                "min": min(member[figure] for member in fine),
                "max": max(member[figure] for member in fine),
            }
            for figure in FIGURES
            if fine
        }
        goals = GOALS.get((table, name, f"{epsilon:g}"), {})
        out.append(
            {"table": table, "epsilon": epsilon, "system": name, "runs": len(fine), "figures": figures, "goal": goals}
            | {"trtr": fine[0]["trtr"] if fine else None}
            | {"broken_rows": [member["broken_rows"] for member in fine if "broken_rows" in member]}
            | {"failed": sorted({member["status"] for member in members if member not in fine})}
            | {"missed": [g for g, bound in goals.items() if fine and not meets(g, figures[g]["mean"], bound)]}
        )
    return out


def meets(figure: str, value: float, bound: float) -> bool:
    """Whether a mean is on the right side of its goal."""
    return value >= bound if figure in MERITS else value <= bound


def text(results: Sequence[Result], summary: Sequence[Result]) -> str:
    """One line a run, then a line a system with range and goal, then how many times a rival's figure is ours."""
    lines = [f"{'run':<36}" + "".join(f"{figure:>10}" for figure in FIGURES)]
    for result in results:
        cells = [f"{result[figure]:>10.4g}" if figure in result else f"{'-':>10}" for figure in FIGURES]
        lines.append(f"{result['tag']:<36}" + "".join(cells) + ("" if result["status"] == "ok" else result["status"]))
    for entry in summary:
        lines.append(f"\n{entry['table']}, epsilon {entry['epsilon']:g}, {entry['system']} ({entry['runs']} runs)")
        lines += [f"  failed: {reason}" for reason in entry["failed"]]
        lines += [f"  rows that break a constraint: {entry['broken_rows']}"] * bool(entry["broken_rows"])
        for figure, spread in entry["figures"].items():
            goal = f"   goal {entry['goal'][figure]:g}" if figure in entry["goal"] else ""
            note = "  MISSED" if figure in entry["missed"] else ""
            reference = f"   TRTR {entry['trtr']:.4f}" if figure == "auc" else ""
            numbers = f"{spread['mean']:.4g} ({spread['min']:.4g} to {spread['max']:.4g})"
            lines.append(f"  {figure:<9}{numbers}{reference}{goal}{note}")
    return "\n".join([*lines, *ratios(summary)])


def ratios(summary: Sequence[Result]) -> list[str]:
    """Rival over ours for costs and errors: above 1 we are ahead. Differences for AUC and kept cells."""
    lines = []
    for ours in summary:
        for rival in summary:
            same = ours["table"] == rival["table"] and ours["epsilon"] == rival["epsilon"]
            if not same or ":" in ours["system"] or ":" not in rival["system"]:
                continue
            if not (ours["figures"] and rival["figures"]):
                continue
            mine, other = ours["figures"], rival["figures"]
            times = [
                f"{figure} x{other[figure]['mean'] / mine[figure]['mean']:.2f}"
                for figure in (*COSTS, *ERRORS)
                if mine[figure]["mean"]
            ]
            more = [f"{figure} {mine[figure]['mean'] - other[figure]['mean']:+.4f}" for figure in MERITS]
            where = f"{ours['table']}, epsilon {ours['epsilon']:g}"
            lines.append(f"\n{rival['system']} over {ours['system']}, {where}: " + ", ".join(times + more))
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
