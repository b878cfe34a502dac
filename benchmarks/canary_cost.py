"""What planted canaries cost in quality: two-way error of the synthetic rows, by canaries' share of the fitted rows.

    python benchmarks/canary_cost.py --data fair randhie --generator gibbs --seeds 5

Half of the table is fitted, half is held out; `tvd2` is the mean total variation distance over pairs of columns to the
fitted rows. `100` is the default number of canaries, of which about half are planted. Noise is fresh in every fit, so
read a difference beside its standard error.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import SystemNoise
from dpsynth.data.read import read
from dpsynth.demo.data import write
from dpsynth.pipeline import fit_model
from dpsynth.quality.evaluation import evaluate
from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1)
"""Of the fitted rows; half of the canaries asked for are planted."""


def measure(name: str, made_by: str, epsilon: str, seeds: int) -> None:
    """Print one line a number of canaries."""
    with TemporaryDirectory() as scratch:
        data, public = write(name, Path(scratch))
        schema = Schema.from_yaml(public)
        whole = prepare(read(data), schema).table.select(schema.modelled)
    made = generator(made_by)
    plan = made.plan(schema, PrivacyUnit(), epsilon=epsilon, delta="1e-9")
    rows = len(whole.to_arrow())
    counts = {round(2 * share * (rows // 2)) for share in SHARES} | {100}
    for canaries in sorted(counts):
        errors, planted, start = [], [], time.process_time()
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(rows)
            halves = [type(whole)(whole.to_arrow().take(part)) for part in np.array_split(order, 2)]
            fitted = fit_model(halves[0], schema, made, plan, noise=SystemNoise(), canaries=canaries)
            out = fitted.model.sample(rows // 2, np.random.default_rng()).to_pandas()
            real, holdout = (half.to_arrow().to_pandas() for half in halves)
            errors.append(evaluate(real, out, holdout, schema=schema).metric("tvd2_mean").value)
            planted.append((fitted.canaries.planted if fitted.canaries else 0) / (rows // 2))
        error = np.std(errors, ddof=1) / len(errors) ** 0.5
        print(
            f"{name:8} {made_by:12} epsilon {epsilon}: {canaries:5} canaries, {np.mean(planted):6.2%} of rows planted, "
            f"tvd2 {np.mean(errors):.4f} +- {error:.4f}  ({(time.process_time() - start) / seeds:.1f} CPU s a fit)",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["fair", "randhie"])
    parser.add_argument("--generator", default="gibbs")
    parser.add_argument("--epsilon", default="1")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for table in given.data:
        measure(table, given.generator, given.epsilon, given.seeds)
