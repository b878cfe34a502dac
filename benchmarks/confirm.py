"""The shipped defaults on tables on which nothing was decided: does the lead hold where nobody looked before?

    python benchmarks/confirm.py [--table anes96 digits cancer] [--generator independent mst gibbs] [--epsilon 0.3 1 3]
                                 [--runs 3] [--json FILE] [--out DIR]

Settings that were decided on a table flatter it. `DECIDED` says which setting was decided on which tables, as the
docstrings of the settings say it; the tables here are the others. Runs and scores are those of `tabular.py`: the
command line in a fresh process, the shared scorer, mean and range over runs with noise of their own.

The default tables ship inside statsmodels and scikit-learn, only the scorer is shared. Others may be named. Nothing in
this file may be used to choose a setting. Once it was, the table belongs into `DECIDED`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from tables import EMBEDDED, NAMES, SHARED, load
from tabular import HARNESS, run, score, summarise

DECIDED = {
    "mst: share of the 1-ways, number of codes, one-shot scores": "adult, nist, credit, covid, diabetes, coil",
    "gibbs: slots a column where noise is small, weight of the target, sweeps": "adult",
    "gibbs: slots a column where noise is large": "coil, fair, nist, diabetes",
    "gibbs: halves, their shares and slots": "coil, nist, digits",
    "1-ways: projection by variance, sigmas of a code of a small grid": "coil, nist, fair, adult, anes96",
    "gibbs: least strength and scores believed by evidence": "adult, coil, fair, nist, diabetes",
    "gibbs, aim: greatest strength, records of a chain, averaged sweeps": "covid; adult, nist and credit as checks",
    "aim: weight of the target, when noise is halved": "adult, nist, credit",
    "all: widths of intervals": "credit, kdd, nist",
}
"""Setting -> the tables on which it was decided, from the docstrings of the settings."""
TABLES = ("anes96", "digits", "cancer", "randhie")
SHOWN = ("tvd1", "tvd2", "tvd3", "auc", "kept", "invented", "cpu_s")


def main() -> int:
    """Run, score, print the table and the statement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", nargs="+", default=TABLES, choices=NAMES)
    parser.add_argument("--generator", nargs="+", default=["independent", "mst", "gibbs"])
    parser.add_argument("--epsilon", nargs="+", default=["0.3", "1", "3"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=900.0, help="CPU seconds after which a run is given up")
    parser.add_argument("--out", type=Path, help="keep CSV and JSON files here; runs that are there are not repeated")
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    if not HARNESS.is_dir():
        print(f"no scorer at {SHARED}; set DPSYNTH_SHARED")
        return 1
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.table:
            if name not in EMBEDDED and not (SHARED / "data" / "tabular").is_dir():
                print(f"{name} left out: no data at {SHARED}")
                continue
            table, folder = load(name), (arguments.out or Path(scratch)) / name
            folder.mkdir(parents=True, exist_ok=True)
            made = [
                run(table, system, epsilon, "1e-9", seed, folder, None, arguments.limit)
                for epsilon in arguments.epsilon
                for system in arguments.generator
                for seed in range(arguments.runs)
            ]
            results += score(table, folder, made)
    summary = summarise(results)
    print(markdown(summary))
    print(statement([entry["table"] for entry in summary]))
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps({"runs": results, "summary": summary, "decided": DECIDED}, indent=1))
    return 0


def markdown(summary: list[dict[str, Any]]) -> str:
    """A row for each table, epsilon and generator: mean, and least to greatest, over the runs."""
    lines = [
        "| table | epsilon | generator | runs | " + " | ".join(SHOWN) + " |",
        "|---|---|---|---|" + "---|" * len(SHOWN),
    ]
    for entry in summary:
        figures = entry["figures"]
        cells = [spread(figures[name]) if figures else "; ".join(entry["failed"]) for name in SHOWN]
        start = f"| {entry['table']} | {entry['epsilon']:g} | {entry['system']} | {entry['runs']} | "
        lines.append(start + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(figure: dict[str, float]) -> str:
    """Mean (least–greatest)."""
    return f"{figure['mean']:.3g} ({figure['min']:.3g}–{figure['max']:.3g})"


def statement(names: list[str]) -> str:
    """What was decided where, and whether a table of this run is among those."""
    lines = ["", "Decided on:"] + [f"- {setting}: {tables}" for setting, tables in DECIDED.items()]
    used = {table.strip() for tables in DECIDED.values() for table in tables.split(",")}
    seen = sorted(set(names) & used)
    lines.append(f"Of the tables above, {', '.join(seen)} took part in that." if seen else "None of the tables above.")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
