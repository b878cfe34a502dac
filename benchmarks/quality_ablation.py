"""Is the ablation's answer calibrated, can it say yes, and what does it cost?

    python benchmarks/quality_ablation.py --runs 200            # type-I error and power on simulated worlds
    python benchmarks/quality_ablation.py --adult SYNTHETIC.csv # time and memory on Adult, all learners

Worlds are `dpsynth.simulation` populations, drawn anew with another law in every run:

    null     synthetic rows are fresh real rows of the same law; only mixes of a fixed size count. Every mix then has
             the same expected score: the edge of the null hypothesis. A yes is an error.
    noise    synthetic rows are real rows whose target was permuted. A yes is an error.
    other    synthetic rows come from another law with the same columns. A yes is an error unless that law helps.
    helps    as null, and mixes beside all real rows count: more rows of the right law. A yes is right.
    many     as helps, with ten times as many synthetic rows, of which three times the real ones are added.
    worthless  the labels of the real rows were permuted, those of the synthetic ones are right. A yes is right.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from dpsynth.quality.ablation import Ablation, ablate
from dpsynth.quality.ablation.halves import holm
from dpsynth.simulation import WORLDS

ALPHA = 0.05


def said_yes(found: Ablation, modes: tuple[str, ...]) -> bool:
    """Whether any mix of these modes beats real data at 5 %, adjusted over them alone."""
    mine = [m.p_value for m in found.mixes if m.score == found.primary and m.share > 0 and m.mode in modes]
    return any(p is not None and p <= ALPHA for p in holm(mine))


def one(world: str, kind: str, run: int, rows: int, learners: tuple[str, ...]) -> bool:
    """One run of one question."""
    law = WORLDS[world](columns=6, seed=run, modes=0)
    sizes = rows, rows * (10 if kind == "many" else 1), max(rows, 2000 if kind == "many" else 0)
    real, fresh, holdout = (law.draw(size, seed=3 * run + i).table.to_pandas() for i, size in enumerate(sizes))
    if kind == "noise":
        fresh["target"] = np.random.default_rng(run).permutation(fresh["target"].to_numpy())
    if kind == "other":
        fresh = WORLDS[world](columns=6, seed=run + 10_000, modes=0).draw(rows, seed=run).table.to_pandas()
    if kind == "worthless":
        real["target"] = np.random.default_rng(run).permutation(real["target"].to_numpy())
    shares = (0, 0.5, 0.75) if kind == "many" else (0, 0.25, 0.5, 1.0)
    found = ablate(real, fresh, holdout, target="target", learners=learners, shares=shares, jobs=1, seed=run)
    return said_yes(found, {"null": ("fixed",), "helps": ("extra",), "many": ("extra",)}.get(kind, ("fixed", "extra")))


def rates(runs: int, rows: int, learners: tuple[str, ...], kinds: tuple[str, ...]) -> list[dict[str, object]]:
    """Rate of yes for each world and question."""
    out = []
    for kind in kinds:
        for world in WORLDS:
            yes = sum(one(world, kind, run, rows, learners) for run in range(runs))
            out.append({"kind": kind, "world": world, "rows": rows, "runs": runs, "yes": yes, "rate": yes / runs})
            print(json.dumps({**out[-1], "learners": learners}), flush=True)
    return out


def adult(synthetic: Path, jobs: int) -> dict[str, object]:
    """Cost of the full ablation."""
    from tables import load

    table = load("adult")
    real, holdout = (pd.read_csv(path, compression="infer") for path in (table.train, table.test))
    start, cpu = time.perf_counter(), time.process_time()
    found = ablate(real, pd.read_csv(synthetic), holdout, target="income", jobs=jobs)
    return {
        "wall_s": round(time.perf_counter() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "jobs": jobs,
        "answer": found.answer().model_dump(),
        "best": [best.model_dump() for best in found.best],
    }


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--learners", nargs="+", default=["linear"])
    parser.add_argument("--kinds", nargs="+", default=["null", "noise", "other", "helps", "many", "worthless"])
    parser.add_argument("--adult", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.adult is not None:
        result: object = adult(asked.adult, asked.jobs)
        print(json.dumps(result, indent=1))
    else:
        result = rates(asked.runs, asked.rows, tuple(asked.learners), tuple(asked.kinds))
    if asked.json is not None:
        asked.json.write_text(json.dumps(result, indent=1), "utf-8")


if __name__ == "__main__":
    main()
