"""What bought quality figures say at which epsilon: bounds beside the exact distance, on real tables.

python benchmarks/published_quality.py [--epsilons 0.1 0.5 1] [--runs 3] [--json FILE]

Half of a public table is counted as if it had been fitted; three "releases" stand beside it: the other half (a perfect
synthesizer), that half with every column permuted on its own (no dependence), and with its first column replaced by one
value. Noise from the operating system; the worst bounds over the runs.
"""

from __future__ import annotations

import argparse
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from accounting.relation import NeighboringRelation
from dpsynth.core.noise import SystemNoise
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_laplace import discrete_laplace
from dpsynth.quality.published.bounds import noisy_distance
from dpsynth.quality.published.cells import cells_of
from dpsynth.workspace.figures.figure import noise_scale

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def main() -> int:
    """Print one line a table, release and epsilon."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epsilons", nargs="+", default=["0.1", "0.5", "1"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    lines = [line for name, (frame, target) in _tables().items() for line in _measured(name, frame, target, arguments)]
    for line in lines:
        print("  ".join(f"{value:<12}" if isinstance(value, str) else f"{value:8.4f}" for value in line.values()))
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(lines, indent=1), "utf-8")
    return 0


def _tables() -> dict[str, tuple[pd.DataFrame, str]]:
    """Public tables with their targets: Adult if the shared data are there, and two surveys of statsmodels."""
    import statsmodels.api as sm

    found = {}
    path = SHARED / "bench" / "tabular" / "data" / "adult_train.csv.gz"
    if path.exists():
        found["adult"] = pd.read_csv(path), "income"
    found["randhie"] = sm.datasets.randhie.load_pandas().data, "mdvis"
    found["fair"] = sm.datasets.fair.load_pandas().data, "affairs"
    return found


def _measured(name: str, frame: pd.DataFrame, target: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    order, half = rng.permutation(len(frame)), len(frame) // 2
    fitted, other = (Table.from_pandas(frame.iloc[part]) for part in (order[:half], order[half:]))
    shuffled = frame.iloc[order[half:]].apply(lambda column: rng.permutation(column.to_numpy()))
    constant = frame.iloc[order[half:]].assign(**{str(frame.columns[0]): frame.iloc[order[half], 0]})
    releases = {"real": other, "permuted": Table.from_pandas(shuffled), "one value": Table.from_pandas(constant)}
    lines = []
    for label, release in releases.items():
        cells = cells_of(release, target=target)
        exact, released = cells.count(fitted), cells.count(release)
        groups = {"columns": [i for i, m in enumerate(cells.marginals) if len(m) == 1]}
        groups["pairs"] = [i for i in range(len(cells.sizes)) if i not in groups["columns"]]
        ends = np.cumsum(cells.sizes)
        each = [np.abs(exact[e - s : e] / half - released[e - s : e] / released[e - s : e].sum()).sum() / 2
                for e, s in zip(ends, cells.sizes, strict=True)]  # fmt: skip
        for epsilon in arguments.epsilons:
            scale = noise_scale(Decimal(epsilon), NeighboringRelation.ADD_REMOVE, len(cells.sizes))
            line: dict[str, Any] = {"table": name, "release": label, "epsilon": epsilon, "rows": float(half)}
            noisy = [
                discrete_laplace(exact, scale=scale, noise=SystemNoise(), l1_sensitivity=len(cells.sizes))[0]
                for _ in range(arguments.runs)
            ]
            for group, chosen in groups.items():
                found = [
                    noisy_distance(n, released, scale=float(scale), sizes=cells.sizes, chosen=chosen)[0] for n in noisy
                ]
                line[f"{group} exact"] = float(np.mean([each[i] for i in chosen]))
                line[f"{group} low"] = min(one.low for one in found)
                line[f"{group} high"] = max(one.high for one in found)
                line[f"{group} missed"] = float(sum(not one.low <= line[f"{group} exact"] <= one.high for one in found))
            lines.append(line)
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
