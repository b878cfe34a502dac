"""What `auto` chooses, measured on simulated populations and embedded public tables: which generator, by public facts.

python benchmarks/auto_choice.py --folder SCRATCH [--workers 2] [--seeds 1] [--generators gibbs mst …] [--write]

Each population (two kinds, two laws each) is drawn at several numbers of columns and rows; each embedded table is taken
as it is. A run's loss is what a user would notice:

    loss = (tvd2 + tvd3) / 2 + max(0, TSTR of real rows - TSTR)

Rows are private, so losses are averaged over them, and over populations; what is left is columns and epsilon. Runs are
kept in SCRATCH, so a study that was stopped goes on. `--write` puts the table into the package, with its provenance.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import dpsynth as dp
from dpsynth.simulation import world

OUT = Path(__file__).resolve().parent.parent / "dpsynth" / "tabular" / "auto_choice.json"
GENERATORS = ("independent", "mst", "gibbs", "aim")
COLUMNS = (2, 4, 8, 16, 30)
ROWS = (1000, 10_000)
EPSILONS = ("0.1", "0.3", "1", "3", "10")
LAWS = (11, 12)
EMBEDDED = ("anes96", "fair", "cancer")
CLOSE = 0.02
"""A generator that is better by less than this part of the loss does not displace the default."""
DEFAULT = "gibbs"

Losses = dict[tuple[int, str], dict[str, list[float]]]


def simulated(arguments: argparse.Namespace, losses: Losses) -> None:
    """Every population."""
    for name in ("network", "mixture"):
        for law in LAWS:
            for columns in COLUMNS:
                for rows in ROWS:
                    drawn = world(name, columns=columns, seed=law).draw(rows, seed=law)
                    take(arguments, losses, drawn, f"{name}-{law}-{columns}-{rows}", columns, public=False)


def embedded(arguments: argparse.Namespace, losses: Losses) -> None:
    """Tables that ship with dependencies."""
    from embedded import embedded_cells, embedded_schema

    from dpsynth.schema.model import Schema

    for name in EMBEDDED:
        cells = embedded_cells(name)
        schema = Schema.from_dict(embedded_schema(name, list(cells.columns)))
        source = arguments.folder / f"{name}.csv"
        source.parent.mkdir(parents=True, exist_ok=True)
        cells.to_csv(source, index=False)
        columns = min(COLUMNS, key=lambda known: abs(known - len(schema.modelled)))
        take(arguments, losses, source, name, columns, public=True, schema=schema)


def take(arguments: argparse.Namespace, losses: Losses, data: Any, name: str, columns: int, **options: Any) -> None:
    """Run one table's sweep, and add its losses."""
    found = dp.compare(
        arguments.generators, data, epsilon=arguments.epsilons, seeds=arguments.seeds, folder=arguments.folder / name,
        workers=arguments.workers, name=name, **options,
    )  # fmt: skip
    real = found.reference["tstr"]
    for cell in found.cells:
        if cell["status"] != "done":
            print(f"{name}: {cell['generator']} at {cell['epsilon']} failed: {cell['error']['message']}", flush=True)
            continue
        figures = cell["figures"]
        wide = figures["tvd2"] if figures["tvd3"] is None else figures["tvd3"]
        loss = (figures["tvd2"] + wide) / 2 + max(0.0, (real or 0.0) - (figures["tstr"] or 0.0))
        losses[columns, cell["epsilon"]][cell["generator"]].append(loss)
    print(f"{name}: {len(found.cells)} runs", flush=True)


def choice(means: dict[str, float]) -> str:
    """The smallest loss, or the default where it is close to that."""
    best = min(means, key=lambda name: means[name])
    return DEFAULT if means.get(DEFAULT, float("inf")) <= means[best] * (1 + CLOSE) else best


def main() -> None:
    """Run, print, and write on demand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--generators", nargs="+", default=list(GENERATORS))
    parser.add_argument("--epsilons", nargs="+", default=list(EPSILONS))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    losses: Losses = defaultdict(lambda: defaultdict(list))
    simulated(arguments, losses)
    embedded(arguments, losses)
    table = []
    for (columns, epsilon), by in sorted(losses.items(), key=lambda item: (item[0][0], float(item[0][1]))):
        means = {name: round(statistics.fmean(values), 4) for name, values in by.items()}
        row = {"columns": columns, "epsilon": epsilon, "loss": means, "choice": choice(means)}
        table.append(row | {"tables": max(len(values) for values in by.values())})
        print(json.dumps(table[-1]))
    document = {
        "schema": "dpsynth.auto_choice/1",
        "provenance": {
            "made_by": "benchmarks/auto_choice.py",
            "version": dp.__version__,
            "python": platform.python_version(),
            "populations": [f"{name}, law {law}" for name in ("network", "mixture") for law in LAWS],
            "rows": list(ROWS),
            "embedded": list(EMBEDDED),
            "seeds": arguments.seeds,
            "generators": arguments.generators,
            "loss": "(tvd2 + tvd3) / 2 + max(0, tstr of real rows - tstr)",
            "close": CLOSE,
            "default": DEFAULT,
        },
        "table": table,
    }
    if arguments.write:
        OUT.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        print(f"Wrote {OUT}")


if __name__ == "__main__":
    main()
