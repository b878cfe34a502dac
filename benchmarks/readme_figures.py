"""Write the figures of README: a real run's output, and a table of the benchmarks' results.

    python benchmarks/readme_figures.py [--results DIR] [--skip-runs]

Runs the demo and the benchmarks (about ten minutes), keeps their JSON in `benchmarks/results/`, and replaces what
stands between the markers in README. A benchmark whose data are not there keeps its line out of the table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = {
    "start": ["start.py"],
    "tabular": ["tabular.py", "--table", "adult", "--generator", "mst", "gibbs", "autoregressive", "--runs", "3"],
    "ledger": ["ledger.py"],
    "gate": ["gate.py", "--runs", "20"],
}


def rows_of(name: str, result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, measured, goal) lines of one benchmark."""
    if name == "start":
        over = result["import dpsynth"] - result["bare"]
        return [
            ("`import dpsynth` over bare Python", f"{over:.0f} ms", "150 ms"),
            ("`dpsynth --help`", f"{result['dpsynth --help']:.0f} ms", "300 ms"),
        ]
    if name == "tabular":
        return [line for entry in result["summary"] for line in adult_lines(entry)]
    if name == "ledger":
        return [("one signed, fsynced ledger entry (median)", f"{result['append_ms_median']:.1f} ms", "5 ms")]
    runs = result["runs"]

    def shipped(kind: str) -> int:
        return int(result[kind]["decisions"].get("ship", 0))

    return [
        ("a planted copy generator refused by the gate", f"{runs - shipped('copy')} of {runs}", f"{runs} of {runs}"),
        ("real rows that nobody trained on shipped", f"{shipped('null')} of {runs}", "19 of 20"),
        ("MST at epsilon 1 shipped at the first try (`fair`)", f"{shipped('mst')} of {runs}", ""),
    ]


def adult_lines(entry: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Cost and error of one generator on Adult, with the goals that it has."""
    mean, goal = {name: figure["mean"] for name, figure in entry["figures"].items()}, entry["goal"]
    what = f"Adult (32,561 × 15), `{entry['system']}`, epsilon 1, delta 1e-9, from process start to CSV, mean of 3"
    cost = f"{mean['wall_s']:.1f} s, {mean['cpu_s']:.1f} CPU s, {mean['rss_mib']:.0f} MiB"
    named = {"tvd1": "TVD1", "tvd2": "TVD2", "tvd3": "TVD3", "auc": "TSTR AUC"}
    error = ", ".join(f"{word} {mean[figure]:.4f}" for figure, word in named.items())
    wanted = ", ".join(f"{word} {goal[figure]:g}" for figure, word in named.items() if figure in goal)
    return [(what, cost, f"{goal['wall_s']:g} s, {goal['rss_mib']:g} MiB"), ("… its error", error, wanted)]


def demo() -> str:
    """What `dpsynth demo` prints, with the folder's path shortened."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-c", "from dpsynth.cli.app import main; main()", "demo", "--out", scratch]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        text = done.stdout.replace(str(Path(scratch).resolve()), "demo-out").replace(scratch, "demo-out")
    return "```text\n$ make demo\n" + "\n".join(line.rstrip() for line in text.splitlines()) + "\n```"


def table(results: Path) -> str:
    """The Markdown table of all results that are there."""
    lines = ["| what | measured | goal |", "|---|---|---|"]
    for name in BENCHMARKS:
        path = results / f"{name}.json"
        if path.exists():
            lines += [f"| {what} | {got} | {goal} |" for what, got, goal in rows_of(name, json.loads(path.read_text()))]
    return "\n".join([*lines, "", f"Measured on {os.cpu_count()} cores by `make bench`."])


def replace(text: str, marker: str, content: str) -> str:
    """Put content between the begin and end markers."""
    pattern = re.compile(rf"(<!-- {marker}:begin[^>]*-->\n).*?(<!-- {marker}:end -->)", re.DOTALL)
    replaced, times = pattern.subn(lambda m: f"{m.group(1)}{content}\n{m.group(2)}", text)
    if times != 1:
        raise SystemExit(f"README has no {marker} markers")
    return replaced


def main() -> int:
    """Run, then write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--skip-runs", action="store_true", help="use the results that are there")
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    if not arguments.skip_runs:
        for name, command in BENCHMARKS.items():
            print(f"{name} ...", flush=True)
            script, *options = command
            target = arguments.results / f"{name}.json"
            subprocess.run([sys.executable, str(ROOT / "benchmarks" / script), *options, "--json", str(target)])
    readme = ROOT / "README.md"
    text = replace(readme.read_text("utf-8"), "demo", demo())
    readme.write_text(replace(text, "figures", table(arguments.results)), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
