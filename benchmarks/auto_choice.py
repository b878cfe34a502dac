"""What `auto` chooses, measured on simulated populations and embedded public tables: which generator, by public facts.

python benchmarks/auto_choice.py --folder SCRATCH [--workers 2] [--seeds 1] [--generators gibbs mst …] [--write]

Each population (two kinds, two laws each) is drawn at several numbers of columns and rows; each embedded table is taken
as it is, and each of its columns with its target, as a table of two columns. A run's loss is what a user would notice:

    loss = (tvd2 + tvd3) / 2 + max(0, TSTR of real rows - TSTR)

Rows are private, so tables of all sizes count together; what is left is columns and epsilon. Another generator
displaces the default where its losses sum to 2 % less on the tables that both ran on, and it is better on so many of
them that chance would give as many in one case of a hundred (sign test): a hundred comparisons are made. Runs are kept
in SCRATCH, so a study that was stopped goes on, and `--kept` adds up what is there. `--write` puts the
table into the package, with its provenance.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
from collections import defaultdict
from pathlib import Path
from typing import Any

import dpsynth as dp
from dpsynth.schema.model import Schema
from dpsynth.simulation import world

OUT = Path(__file__).resolve().parent.parent / "dpsynth" / "tabular" / "auto_choice.json"
GENERATORS = ("independent", "mst", "gibbs", "aim")
COLUMNS = (2, 4, 8, 16, 30)
ROWS = (1000, 10_000)
EPSILONS = ("0.1", "0.3", "1", "3", "10")
LAWS = (11, 12)
EMBEDDED = ("anes96", "fair", "cancer")
PAIRS = ("anes96", "fair")
CLOSE, LEVEL = 0.98, 0.01
DEFAULT = "gibbs"

Losses = dict[tuple[int, str], dict[str, dict[str, float]]]
"""(columns, epsilon) -> generator -> table -> loss."""


def simulated(arguments: argparse.Namespace, losses: Losses) -> None:
    """Every population."""
    for name in ("network", "mixture"):
        for law in LAWS:
            for columns in COLUMNS:
                for rows in ROWS:
                    drawn = world(name, columns=columns, seed=law).draw(rows, seed=law)
                    take(arguments, losses, drawn, f"{name}-{law}-{columns}-{rows}", columns, public=False)


def embedded(arguments: argparse.Namespace, losses: Losses) -> None:
    """Tables that ship with dependencies, whole and two columns at a time."""
    from embedded import embedded_cells, embedded_schema

    for name in EMBEDDED:
        cells = embedded_cells(name)
        document = embedded_schema(name, list(cells.columns))
        schema = Schema.from_dict(document)
        source = arguments.folder / f"{name}.csv"
        source.parent.mkdir(parents=True, exist_ok=True)
        cells.to_csv(source, index=False)
        columns = min(COLUMNS, key=lambda known: abs(known - len(schema.modelled)))
        take(arguments, losses, source, name, columns, public=True, schema=schema)
        for column in schema.modelled if name in PAIRS else ():
            if column != schema.target:
                kept = [column, schema.target]
                two = arguments.folder / f"{name}-{column}.csv"
                cells[kept].to_csv(two, index=False)
                part = Schema.from_dict({"version": 1, "columns": {c: document["columns"][c] for c in kept}})
                take(arguments, losses, two, two.stem, 2, public=True, schema=part)


def take(arguments: argparse.Namespace, losses: Losses, data: Any, name: str, columns: int, **options: Any) -> None:
    """Run one table's sweep, or read what there is of it, and add its losses."""
    folder = arguments.folder / name
    if arguments.kept:
        cells = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("cells/[!.]*.json"))]
        real = next(cell["figures"]["tstr"] for cell in cells if cell["key"].startswith("reference"))
        cells = [cell for cell in cells if cell.get("generator") in arguments.generators]
    else:
        found = dp.compare(
            arguments.generators, data, epsilon=arguments.epsilons, seeds=arguments.seeds, folder=folder,
            workers=arguments.workers, name=name, **options,
        )  # fmt: skip
        cells, real = [dict(cell) for cell in found.cells], found.reference["tstr"]
    for cell in cells:
        if cell["status"] != "done":
            print(f"{name}: {cell['generator']} at {cell['epsilon']} failed: {cell['error']['message']}", flush=True)
            continue
        figures = cell["figures"]
        wide = figures["tvd2"] if figures["tvd3"] is None else figures["tvd3"]
        loss = (figures["tvd2"] + wide) / 2 + max(0.0, (real or 0.0) - (figures["tstr"] or 0.0))
        losses[columns, cell["epsilon"]][cell["generator"]][f"{name} {cell['seed']}"] = loss
    print(f"{name}: {len(cells)} runs", flush=True)


def against(mine: dict[str, float], default: dict[str, float]) -> dict[str, float | int]:
    """A generator's losses beside the default's, on the tables that both ran on."""
    both = sorted(set(mine) & set(default))
    return {
        "ratio": round(sum(mine[t] for t in both) / sum(default[t] for t in both), 3),
        "wins": sum(mine[t] < default[t] for t in both),
        "tables": len(both),
    }


def chance(wins: int, tables: int) -> float:
    """Probability of as many wins, if each were the toss of a fair coin."""
    return sum(math.comb(tables, k) for k in range(wins, tables + 1)) / 2**tables


def choice(beside: dict[str, dict[str, float | int]]) -> str:
    """What displaces the default, the smallest ratio first; or the default."""
    better = [
        name
        for name, held in beside.items()
        if held["ratio"] < CLOSE and chance(int(held["wins"]), int(held["tables"])) <= LEVEL
    ]
    return min(better, key=lambda name: beside[name]["ratio"], default=DEFAULT)


def main() -> None:
    """Run, print, and write on demand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--generators", nargs="+", default=list(GENERATORS))
    parser.add_argument("--epsilons", nargs="+", default=list(EPSILONS))
    parser.add_argument("--kept", action="store_true", help="add up the runs of SCRATCH, and run nothing")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    losses: Losses = defaultdict(lambda: defaultdict(dict))
    simulated(arguments, losses)
    embedded(arguments, losses)
    table = []
    for (columns, epsilon), by in sorted(losses.items(), key=lambda item: (item[0][0], float(item[0][1]))):
        beside = {name: against(mine, by[DEFAULT]) for name, mine in sorted(by.items()) if name != DEFAULT}
        table.append({"columns": columns, "epsilon": epsilon, "choice": choice(beside), "against_default": beside})
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
            "pairs_with_target_of": list(PAIRS),
            "default": DEFAULT,
            "displaced_if": f"ratio of losses < {CLOSE} and sign test over tables at {LEVEL}",
        },
        "table": table,
    }
    if arguments.write:
        OUT.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        print(f"Wrote {OUT}")


if __name__ == "__main__":
    main()
