"""Is `gibbs` better with a network beside it? Its rows, tilted by what private gradient steps add to them.

    python benchmarks/combined.py --table adult nist --share 0.3 --runs 2

`gibbs` takes `1 - share` of rho (zCDP of the target). A log-linear network learns its rows without noise (they are
released), then the private rows by DP-SGD, with the noise that brings all events together to the target. Each of the
rows of `gibbs` is weighted by p(row) after the private steps over p(row) before, raked to its own columns and drawn
again. Beside it stand the same rows untilted; `gibbs` with the whole budget is `benchmarks/tabular.py`.

The answer so far, and earlier variants, stand in docs/concepts/trained-generators.md: no combination beat `gibbs`.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from tables import NAMES, BenchmarkTable, load
from tabular import score

from accounting.calibration import calibrate
from accounting.event import EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from accounting.zcdp import zcdp_epsilon
from dpsynth.core.noise import SystemNoise
from dpsynth.core.progress import silent
from dpsynth.data.options import ReadOptions
from dpsynth.data.read import read
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.checks import column_options
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units, train
from dpsynth.tabular import Gibbs
from dpsynth.tabular.allocation import five_digits
from dpsynth.tabular.finishing.raking import RakedTable, drawn_by_weight, raked
from dpsynth.tabular.networks.density import log_conditionals
from dpsynth.tabular.networks.log_linear import LogLinear
from dpsynth.tabular.networks.ordering import columns_of, ordered, without_gaps
from dpsynth.tabular.networks.pretraining import pretrain
from dpsynth.tabular.training_plan import rho_of

OVER = 4
"""Rows of `gibbs` for each that is kept."""
MOST_TILT = 3.0
PROBABILITY, STEPS, RATE = Decimal("0.25"), 100, 0.005


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", nargs="+", default=["adult"], choices=NAMES)
    parser.add_argument("--epsilon", default="1")
    parser.add_argument("--delta", default="1e-9")
    parser.add_argument("--share", type=float, default=0.3, help="of rho, for the gradient steps")
    parser.add_argument("--runs", type=int, default=2)
    arguments = parser.parse_args()
    for name in arguments.table:
        table = load(name)
        with tempfile.TemporaryDirectory() as scratch:
            made: list[dict[str, Any]] = []
            for run in range(arguments.runs):
                before, after = tilted(table, arguments.epsilon, arguments.delta, arguments.share, run)
                for kind, rows in (("before", before), ("tilted", after)):
                    made.append(written(table, rows, f"{kind}-{run}", Path(scratch), float(arguments.epsilon)))
            for result in score(table, Path(scratch), made):
                figures = "  ".join(f"{figure} {result[figure]:.4f}" for figure in ("tvd1", "tvd2", "tvd3", "auc"))
                print(f"{name}, share {arguments.share:g}, {result['tag']}: {figures}")


def tilted(table: BenchmarkTable, epsilon: str, delta: str, share: float, run: int) -> tuple[pa.Table, pa.Table]:
    """Rows of `gibbs` at its part of the budget, and the same after the private steps have weighted them."""
    schema, rng, noise = table.schema, np.random.default_rng(run), SystemNoise()
    private = read(table.train, options=ReadOptions(columns=column_options(schema)))
    left = zcdp_epsilon((1 - share) * rho_of(float(epsilon), float(delta)), float(delta))
    generator = Gibbs()
    plan = generator.plan(schema, PrivacyUnit(), epsilon=f"{left:.6f}", delta=delta)
    model: Any = fit_model(private, schema, generator, plan, noise=noise).model
    pool = model.sample(OVER * model.rows, rng)
    order = ordered(model.binnings, schema.target)
    columns = columns_of(model.binnings, order, model.total)
    codecs = {name: model.binnings[name] for name in order}

    def codes_of(rows: Table) -> Any:
        return without_gaps(rows.codes(codecs, None)[0], columns)

    network = LogLinear(columns)
    pretrain(network, Table(pool), codecs, order, columns, rng, rate=0.02, progress=silent)
    held = codes_of(Table(pool))
    started = log_conditionals(LogLinear.sampler(network.state()), held).sum(axis=1)
    steps = schedule(plan.tree, epsilon, delta, Decimal(len(order)) / 2)
    train(network, Units.of(codes_of(private)), steps, size=model.total, rate=RATE, noise=noise)
    tilt = log_conditionals(LogLinear.sampler(network.state()), held).sum(axis=1) - started
    ends = [
        RakedTable(columns=(at,), shares=counts / counts.sum(), factors=np.ones(size))
        for at, size in enumerate(columns.sizes)
        for counts in [np.bincount(held[:, at], minlength=size).astype(np.float64)]
    ]
    weights, _ = raked(held, ends, weights=np.exp(np.clip(tilt - tilt.mean(), -MOST_TILT, MOST_TILT)))
    return pool.slice(0, model.rows), pool.take(pa.array(drawn_by_weight(weights, model.rows, rng)))


def schedule(spent: EventTree, epsilon: str, delta: str, clip: Decimal) -> Schedule:
    """Steps whose noise brings all events together to the target."""

    def at(budget: float) -> Schedule:
        return Schedule(probability=PROBABILITY, steps=STEPS, sigma=five_digits(budget**-0.5), clip=clip)

    def build(budget: float) -> EventTree:
        events = (*spent.events, at(budget).event())
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=spent.unit, events=events)

    budget, _ = calibrate(build, epsilon=Decimal(epsilon), delta=Decimal(delta), bracket=(1e-3, 1e-1))
    return at(budget)


def written(table: BenchmarkTable, rows: pa.Table, tag: str, folder: Path, epsilon: float) -> dict[str, Any]:
    """The rows in the scorer's form, and what it wants to know of the run."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(rows, buffer)
    text = {} if table.name == "adult" else {"dtype": str, "keep_default_na": False}
    frame = pd.read_csv(io.BytesIO(buffer.getvalue()), **text)
    table.to_scored(frame).to_csv(folder / f"{tag}.csv", index=False)
    result = {"tag": tag, "system": "combined", "mech": tag, "name": table.name, "eps": epsilon, "delta": 1e-9}
    result |= {"seed": 0, "status": "ok", "wall_s": 0, "cpu_s": 0, "rss_mib": 0}
    (folder / f"{tag}.json").write_text(json.dumps(result), "utf-8")
    return result


if __name__ == "__main__":
    main()
