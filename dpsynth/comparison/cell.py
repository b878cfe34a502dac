"""One run of a sweep on public data: plan, fit and sample under a clock, then measure.

Time and memory are read before anything is measured, so they are those of the generator: CPU seconds of this process
and its children, and the largest resident memory so far. The process starts with the libraries loaded and the moves of
`gibbs` compiled (`server`), so neither is counted as time; loaded libraries count as memory.

Noise is seeded by the cell's key: figures can be repeated, and the data are public. A plan is priced as it is for
private data, so the guarantee is what the same run would give there; its events say `seeded`, which no ledger takes.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from accounting.relation import PrivacyUnit
from dpsynth.comparison.figures import ceiling, measure
from dpsynth.comparison.settings import restored
from dpsynth.comparison.source import read_table
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.schema.model import Schema
from dpsynth.workspace.layout import write_json

REFERENCE = "reference"


def run(job: Mapping[str, Any]) -> None:
    """Do what a job says, and write its document.

    Args:
        job: `out` (path of the document), `rows` (folder with train and holdout), `schema`, `target`, `unit`,
            `delta`, `cell` (what the document repeats), and `generator`, `epsilon`, `seed`; for the reference,
            `generator` is None.
    """
    schema = Schema.from_dict(job["schema"])
    folder = Path(job["rows"])
    train, holdout = read_table(folder / "train.arrow"), read_table(folder / "holdout.arrow")
    target = schema.target
    real, unseen = (part.select(schema.modelled).to_pandas() for part in (train, holdout))
    if job["generator"] is None:
        figures = ceiling(real, unseen, schema=schema, target=target)
        write_json(Path(job["out"]), {**job["cell"], "figures": figures})
        return
    made, about = _synthesize(job, schema, train)
    figures = measure(real, made.to_pandas(), unseen, schema=schema, target=target)
    write_json(Path(job["out"]), {**job["cell"], **about, "figures": figures})


def _synthesize(job: Mapping[str, Any], schema: Schema, train: Table) -> tuple[Table, dict[str, Any]]:
    """The rows, and what the run cost."""
    generator = restored(job["generator"])
    entropy = [int(job["key"][start : start + 8], 16) for start in range(0, 32, 8)]
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
    unit = PrivacyUnit.from_json(job["unit"])
    columns = train.select(schema.modelled) if unit.column is None else train
    about: dict[str, Any] = {"guarantee": None}
    began, spent = time.perf_counter(), _cpu()
    if job["epsilon"] is None:
        made = generator.fit(train.select(schema.modelled), schema, seed=seed >> 32, progress=silent)
        rows = made.sample(train.unsafe_num_rows, seed=seed >> 32)
        about["chosen"] = generator.name
    else:
        plan = generator.plan(schema, unit, epsilon=Decimal(job["epsilon"]), delta=Decimal(job["delta"]))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="seeded noise can be subtracted", category=UserWarning)
            noise = unsafe_SeededNoise(seed)
        domains, events = derive(columns, schema, plan.derive, noise=noise)
        model = generator.fit(columns, schema, domains, plan, noise=noise, progress=silent, spent=events)
        rows = model.sample(train.unsafe_num_rows, np.random.default_rng(seed))
        about |= {"chosen": model.generator, "guarantee": plan.guarantee.to_json()}
    about |= {
        "cpu_s": round(_cpu() - spent, 3),
        "wall_s": round(time.perf_counter() - began, 3),
        "peak_mib": round(_peak_mib(), 1),
    }
    return Table.from_arrow(rows), about


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
