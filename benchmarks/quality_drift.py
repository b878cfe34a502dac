"""How often does the drift monitor cry wolf, what does it see, and how far is a fresh release from its own law?

    python benchmarks/quality_drift.py --runs 200                  # false alarms and power on simulated worlds
    python benchmarks/quality_drift.py --generators mst gibbs      # distance of releases at epsilon 1 to their holdouts

Drift of a known size: with probability w a row's column `c1` is set to its rarest category, which moves that column by
w (1 - share) in total variation, and every pair of it by as much.
"""

from __future__ import annotations

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from dpsynth.quality.drift.monitoring import monitor
from dpsynth.simulation import WORLDS, Population

TOLERANCE = 0.05
ROWS = 4000


def moved(law: Population, rows: int, by: float, seed: int) -> pd.DataFrame:
    """Rows of the law with the column `c1` at this total variation distance from it."""
    frame = law.draw(rows, seed=seed).table.to_pandas()
    shares = law.marginal(("c1",))
    rarest = int(np.argmin(shares))
    column = next(column for column in law.columns if column.name == "c1")
    hit = np.random.default_rng(seed).random(rows) < by / (1 - shares[rarest])
    return frame.assign(c1=frame["c1"].mask(hit, column.values[rarest]))


def rates(runs: int) -> None:
    """Share of `regenerate` by the size of the drift and the number of new rows."""
    for name, make in WORLDS.items():
        for rows in (500, 2000, 10_000):
            said = {}
            for by in (0.0, TOLERANCE, 0.1, 0.15, 0.2):
                answers = []
                for run in range(runs):
                    law = make(columns=8, seed=run)
                    before = law.draw(ROWS, seed=1).table.to_pandas()
                    new = moved(law, rows, by, 2)
                    answers.append(monitor(before, new, before=before, tolerance=TOLERANCE).answer == "regenerate")
                said[by] = sum(answers) / runs
            print(json.dumps({"world": name, "new_rows": rows, "runs": runs, "regenerate": said}), flush=True)


def own_error(generators: list[str]) -> None:
    """Largest distance of a column and of a pair, beyond the floor, of releases at epsilon 1 to real holdouts."""
    from tables import load

    from dpsynth.data.options import ReadOptions
    from dpsynth.data.read import read
    from dpsynth.data.table import Table
    from dpsynth.schema.checks import column_options
    from dpsynth.workspace.runs.public import synthesize_public

    for name in ("adult", "fair", "randhie", "anes96", "credit"):
        table = load(name)
        options = ReadOptions(columns=column_options(table.schema))
        columns = list(table.schema.modelled)
        holdout = read(table.test, options=options).select(columns).to_pandas()
        for generator in generators:
            train = read(table.train, options=options)
            drawn = synthesize_public(train, generator, schema=table.schema, epsilon=1, delta=1e-9)
            rows = Table.from_arrow(drawn.rows).select(columns).to_pandas()
            found = monitor(rows, holdout, kinds={name: table.schema.columns[name].kind for name in columns})
            worst = {kind: max(line.tvd - line.floor for line in lines)
                     for kind, lines in (("columns", found.columns), ("pairs", found.pairs))}  # fmt: skip
            print(json.dumps({"table": name, "generator": generator, "answer": found.answer, **worst}), flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--generators", nargs="+", default=[])
    asked = parser.parse_args()
    if asked.generators:
        own_error(asked.generators)
    else:
        rates(asked.runs)


if __name__ == "__main__":
    main()
