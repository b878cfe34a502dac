"""Do synthetic people visit as often as real ones, and does one visit follow another as it does in reality?

`diabetes130` (UCI 296): 101,766 hospital stays of 71,518 patients, fitted at patient level: `patient_nbr` is the unit,
`encounter_id` the order, at most K stays of a patient, epsilon 8 for all of them. Two thirds of the patients are
fitted, the others are the real anchor. For each seed: distance of visits per patient and relative error of its mean,
against real patients as they are and cut to K; for each column the distance between tables of consecutive cells and
twice that, which is the mean relative error of a cell; share of stays that repeat the cell before.

    python benchmarks/sequences.py --seeds 3 --out sequences.json
"""

from __future__ import annotations

import argparse
import json
import resource
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
from table_schemas import diabetes
from tables import SHARED

from accounting.relation import PrivacyUnit
from dpsynth.data.table import Table
from dpsynth.quality.coding import code_tables
from dpsynth.quality.marginals import PairDistances, joints
from dpsynth.quality.sequences import (
    People,
    Transition,
    constant_kept,
    rows_per_person,
    sequence_metrics,
    transitions,
    without_people,
)
from dpsynth.schema.model import Schema
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.workspace.runs.public import synthesize_public

CONSTANT = ("race", "gender")
GOAL = 0.10


def schema() -> Schema:
    """The benchmark's public schema with an order and two constant columns."""
    document = diabetes()
    document["columns"]["encounter_id"]["role"] = "order"
    for name in CONSTANT:
        document["columns"][name]["constant"] = True
    return Schema.from_dict(document)


def parts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two thirds of the patients, and the others."""
    whole = pd.read_parquet(SHARED / "data/tabular/diabetes130/diabetic_data.parquet")
    patients = np.array(sorted(whole["patient_nbr"].unique()))
    kept = np.random.default_rng(0).permutation(patients)[: 2 * len(patients) // 3]
    chosen = whole["patient_nbr"].isin(kept)
    return whole[chosen], whole[~chosen]


def prepared(frame: pd.DataFrame, declared: Schema) -> pd.DataFrame:
    """Real rows as the generator's reader sees them."""
    from dpsynth.schema.checks import prepare

    cells = frame.copy()
    for name, spec in declared.columns.items():
        cells[name] = cells[name].where(~cells[name].isin([*spec.missing, "?", ""]))
    found = prepare(Table.from_pandas(cells), declared)
    return found.table.to_pandas()


def first_rows(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """The first stays of each patient."""
    ordered = frame.sort_values(["patient_nbr", "encounter_id"])
    return ordered[ordered.groupby("patient_nbr").cumcount() < most]


def run(most: int, epsilon: str, seed: int, steps: int | None, clip: Decimal | None) -> dict[str, object]:
    """One fit and its figures."""
    declared = schema()
    train, test = (prepared(part, declared) for part in parts())
    before = resource.getrusage(resource.RUSAGE_SELF)
    unit = PrivacyUnit(kind="user", column="patient_nbr", max_records=most)
    made = synthesize_public(
        Table.from_pandas(train),
        Autoregressive(steps=steps, clip=clip),
        epsilon=epsilon,
        delta="1e-6",
        schema=declared,
        unit=unit,
    )
    synthetic = Table.from_arrow(made.rows).to_pandas()
    after = resource.getrusage(resource.RUSAGE_SELF)
    kinds = {name: spec.kind for name, spec in declared.columns.items()}
    people = People(unit="patient_nbr", order="encounter_id", constant=CONSTANT, declared=kinds)
    frames = {"real": train, "synthetic": synthetic, "holdout": test}
    cut = {"real": first_rows(train, most), "synthetic": synthetic, "holdout": first_rows(test, most)}
    rows = transitions(cut, people, rng=np.random.default_rng(seed))
    real, drawn = rows_per_person(cut["real"], people), rows_per_person(synthetic, people)
    coded = code_tables({name: without_people(frame, people) for name, frame in cut.items()}, declared=kinds)
    distances = PairDistances(left="real", right="synthetic")
    for joint in joints(coded):
        distances.add(joint)
    return {
        "seed": seed,
        "epsilon": epsilon,
        "most": most,
        "guarantee": str(made.guarantee.epsilon),
        "cpu_s": round(after.ru_utime - before.ru_utime, 1),
        "peak_mib": round(after.ru_maxrss / 1024),
        "metrics": {m.name: [m.value, m.reference, m.floor, m.shuffle] for m in sequence_metrics(frames, people)},
        "cut": {m.name: [m.value, m.reference, m.floor, m.shuffle] for m in sequence_metrics(cut, people)},
        "visits_real_cut": (np.bincount(real) / len(real)).round(4).tolist(),
        "visits_synthetic": (np.bincount(drawn) / len(drawn)).round(4).tolist(),
        "tvd2_mean": distances.mean().value,
        "constant_kept": constant_kept(synthetic, people),
        "within": sum(2 * row.tvd <= GOAL for row in rows),
        "within_of_holdout": sum(2 * (row.tvd - row.reference) <= GOAL for row in rows),
        "columns": len(rows),
        "transitions": [
            [row.column, *(round(x, 4) for x in (row.tvd, row.reference, row.floor, row.shuffle, *stays(row)))]
            for row in rows
        ],
    }


def stays(row: Transition) -> tuple[float, float]:
    """Share of consecutive stays with one cell, real and synthetic."""
    return row.stays_real, row.stays_synthetic


def main() -> None:
    """Print a line a run, and write all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=5)
    parser.add_argument("--epsilon", default="8")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--clip", type=Decimal)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    results = []
    for seed in range(asked.seeds):
        found = run(asked.most, asked.epsilon, seed, asked.steps, asked.clip)
        results.append(found)
        print(json.dumps({key: value for key, value in found.items() if key != "transitions"}), flush=True)
        for row in found["transitions"]:  # type: ignore[attr-defined]
            print("  ", *row)
        if asked.out:
            asked.out.write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
