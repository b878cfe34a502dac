"""What the quality report notices, beside SDMetrics' quality report on the same tables, and what it costs.

python benchmarks/quality.py [--part sabotages adult neighbours distances] [--rows 2000] [--seeds 20 22] [--json FILE]

sabotages    known damages (`dpsynth.quality.sabotage`) of a drawn table: whether our report notices (all the metrics
             that must), and whether SDMetrics' overall score falls below the lowest that it gives real rows of the
             same source over all seeds: it has no reference of its own, so it is given the best one there is;
             counts of ours on many seeds and real tables: quality_sabotages.py
adult        `evaluate` on Adult, 32,561 rows, with and without a target and detection: CPU seconds and memory
neighbours   precision, recall, density, coverage of 50,000 x 50,000 points of 20 numbers: CPU seconds and memory
distances    mean two-way total variation against a loop over pairs of columns and cells
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.quality import evaluate
from dpsynth.quality.neighbours import prdc
from dpsynth.quality.report import QualityReport
from dpsynth.quality.sabotage import SABOTAGES, is_number, sabotaged
from dpsynth.simulation import world

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def main() -> int:
    """Print each part's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"sabotages": _sabotages, "adult": _adult, "neighbours": _neighbours, "distances": _distances}
    parser.add_argument("--part", nargs="+", choices=parts, default=[*parts])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs=2, default=(20, 22), metavar=("FIRST", "END"))
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    found = {}
    for part in arguments.part:
        found[part] = parts[part](arguments)
        sys.stdout.flush()
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), "utf-8")
    return 0


def _drawn(rows: int, seed: int) -> dict[str, pd.DataFrame]:
    """Training rows, fresh ones and a holdout of a known population, with cells that are missing together."""
    frame = world("network", columns=8, seed=seed).draw(3 * rows, seed=seed).table.to_pandas()
    chance = np.random.default_rng(seed).random(len(frame))
    for name in list(frame.columns)[:3]:
        column = frame[name].astype(float) if is_number(frame[name]) else frame[name].astype(object)
        frame[name] = column.mask(chance < 0.1)
    names = ("real", "fresh", "holdout")
    return {name: frame[at * rows : (at + 1) * rows].reset_index(drop=True) for at, name in enumerate(names)}


def _ours(split: dict[str, pd.DataFrame], synthetic: pd.DataFrame) -> tuple[QualityReport, float]:
    groups = [name for name in synthetic if name != "target" and not is_number(synthetic[name])]
    start = time.process_time()
    report = evaluate(split["real"], synthetic, split["holdout"], target="target", groups=groups, detection=True)
    return report, time.process_time() - start


def _theirs(real: pd.DataFrame, synthetic: pd.DataFrame) -> tuple[float, float]:
    """Overall score and CPU seconds of SDMetrics."""
    from sdmetrics.reports.single_table import QualityReport as Rival

    columns = {name: {"sdtype": "numerical" if is_number(real[name]) else "categorical"} for name in real}
    start = time.process_time()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        report = Rival()
        report.generate(real, synthetic, {"columns": columns}, verbose=False)
    return float(report.get_score()), time.process_time() - start


def _sabotages(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows: dict[str, list[tuple[bool, int, float, float, float]]] = {}
    for seed in range(*arguments.seeds):
        split = _drawn(arguments.rows, seed)
        for name in ("real rows", *SABOTAGES):
            made: pd.DataFrame | None = split["fresh"]
            if name != "real rows":
                made = sabotaged(name, fresh=split["fresh"], real=split["real"], target="target", seed=seed)
            if made is None:
                continue
            report, ours = _ours(split, made)
            score, theirs = _theirs(split["real"], made)
            loud = sum(metric.noticed is True for metric in report.metrics)
            full = (
                loud > 0 if name == "real rows" else bool(SABOTAGES[name].must) and not SABOTAGES[name].missed(report)
            )
            rows.setdefault(name, []).append((full, loud, score, ours, theirs))
    lowest = min(score for _, _, score, _, _ in rows["real rows"])
    out = []
    print(f"\n{arguments.rows} rows, seeds {arguments.seeds}, CPU s; SDMetrics' lowest of real rows {lowest:.4f}")
    print(f"{'':<20}{'noticed':>9}{'metrics':>9}{'s':>7}{'SDMetrics':>11}{'score':>8}{'s':>7}")
    for name, runs in rows.items():
        ours, theirs = sum(run[0] for run in runs), sum(run[2] < lowest for run in runs)
        mean = np.mean(np.array([run[1:] for run in runs], dtype=float), axis=0)
        print(
            f"{name:<20}{ours:>6}/{len(runs)}{mean[0]:>9.1f}{mean[2]:>7.1f}{theirs:>8}/{len(runs)}{mean[1]:>9.4f}{mean[3]:>7.1f}"
        )
        out.append({"name": name, "runs": len(runs), "ours": ours, "sdmetrics": theirs, "score": float(mean[1])})
    return out


def _adult(_: argparse.Namespace) -> list[dict[str, Any]]:
    path = SHARED / "data/tabular/adult/adult.csv.gz"
    if not path.exists():
        print("\nAdult: not found; set DPSYNTH_SHARED")
        return []
    table = pd.read_csv(path, keep_default_na=False).sample(frac=1, random_state=0)
    real, holdout = table[:32_561], table[32_561:]
    fresh = real.sample(frac=1, replace=True, random_state=1)
    out = []
    print(f"\n{'Adult, 32,561 x 15':<30}{'CPU s':>8}{'peak MiB':>10}")
    cases: dict[str, dict[str, Any]] = {
        "without a target": {}, "with": {"target": "income"}, "and detection": {"target": "income", "detection": True}
    }  # fmt: skip
    for name, options in cases.items():
        start = time.process_time()
        evaluate(real, fresh, holdout, **options)
        seconds, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:<30}{seconds:>8.1f}{peak:>10.0f}")
        out.append({"name": name, "seconds": seconds, "peak_mib": peak})
    start = time.process_time()
    score, seconds = _theirs(real, fresh)
    print(f"{'SDMetrics':<30}{seconds:>8.1f}{'':>10} score {score:.4f}")
    return [*out, {"name": "SDMetrics", "seconds": time.process_time() - start}]


def _neighbours(_: argparse.Namespace) -> dict[str, float]:
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(2, 50_000, 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, wall = time.process_time(), time.perf_counter()
    found = prdc(real, synthetic)
    seconds, passed = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n50,000 x 50,000 points: {seconds:.0f} CPU s, {passed:.0f} s wall, {peak:.0f} MiB ({before:.0f} before)")
    return {"seconds": seconds, "peak_mib": peak, "before_mib": before, "coverage": found.coverage}


def _distances(_: argparse.Namespace) -> dict[str, float]:
    split = _drawn(500, 0)
    names = [name for name in split["real"] if not is_number(split["real"][name])]
    tables = [split[part][names].fillna("missing") for part in ("real", "fresh", "holdout")]
    report = evaluate(*tables).metric("tvd2_mean").value
    gaps = []
    for at, left in enumerate(names):
        for right in names[at + 1 :]:
            shares: list[dict[tuple[str, str], float]] = []
            for table in tables[:2]:
                seen: dict[tuple[str, str], float] = {}
                for cell in zip(table[left], table[right], strict=True):
                    seen[cell] = seen.get(cell, 0.0) + 1 / len(table)
                shares.append(seen)
            cells = {*shares[0], *shares[1]}
            gaps.append(sum(abs(shares[0].get(cell, 0.0) - shares[1].get(cell, 0.0)) for cell in cells) / 2)
    brute = float(np.mean(gaps))
    print(f"\nmean two-way distance {report:.15f}, by loop {brute:.15f}")
    return {"report": float(report or 0.0), "loop": brute}


if __name__ == "__main__":
    raise SystemExit(main())
