"""Figures of a sweep: the quality report's own, triples by brute force, real rows in the place of synthetic ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dpsynth.comparison.figures import ceiling, measure
from dpsynth.quality.evaluation import evaluate
from dpsynth.simulation import network

PEOPLE = network(columns=6, seed=3)
REAL, HOLDOUT, OTHER = (PEOPLE.draw(n, seed=seed).table.to_pandas() for n, seed in ((1500, 1), (700, 2), (1500, 3)))
SHUFFLED = pd.DataFrame({name: REAL[name].sample(frac=1, random_state=i).to_numpy() for i, name in enumerate(REAL)})


def figures(synthetic: pd.DataFrame) -> dict[str, float | None]:
    return measure(REAL, synthetic, HOLDOUT, schema=PEOPLE.schema, target="target")


def test_they_are_those_of_the_quality_report() -> None:
    report = evaluate(REAL, OTHER, HOLDOUT, schema=PEOPLE.schema, target="target")
    names = {"tvd1": "tvd1_mean", "tvd2": "tvd2_mean", "kept": "tail_kept_10_99", "invented": "invented_mass"}
    mine, real = figures(OTHER), ceiling(REAL, HOLDOUT, schema=PEOPLE.schema, target="target")
    for own, theirs in {**names, "tstr": "tstr_auc"}.items():
        assert mine[own] == pytest.approx(report.metric(theirs).value, abs=1e-12), own
    assert real["tstr"] == pytest.approx(report.metric("tstr_auc").reference, abs=1e-12)
    for own in ("tvd1", "tvd2"):  # categories that only one table has make no cell in the other
        assert real[own] == pytest.approx(report.metric(names[own]).reference, abs=1e-12)


def test_triples_are_counted_as_brute_force_counts_them() -> None:
    codes = {name: frame.astype(str) for name, frame in (("real", REAL), ("other", OTHER))}
    small = ["c1", "c2", "c4", "target"]
    found = []
    for triple in combinations(small, 3):
        shares = [frame[list(triple)].value_counts(normalize=True) for frame in codes.values()]
        found.append(0.5 * (shares[0].subtract(shares[1], fill_value=0)).abs().sum())
    schema = PEOPLE.schema
    mine = measure(REAL[small], OTHER[small], HOLDOUT[small], schema=schema, target=None)
    assert mine["tvd3"] == pytest.approx(np.mean(found), abs=1e-12)


def test_a_copy_is_perfect_and_a_shuffled_table_is_seen() -> None:
    copied, shuffled, fresh = figures(REAL), figures(SHUFFLED), figures(OTHER)
    assert copied["tvd1"] == copied["tvd2"] == copied["tvd3"] == copied["invented"] == 0
    assert copied["kept"] == 1
    assert shuffled["tvd1"] == 0
    for figure in ("tvd2", "tvd3", "invented"):
        assert 0 < fresh[figure] < shuffled[figure], figure
    assert shuffled["tstr"] < 0.6 < fresh["tstr"]


def test_without_target_or_triples_there_is_nothing_to_say() -> None:
    pair = ["c0", "c1"]
    found = measure(REAL[pair], OTHER[pair], HOLDOUT[pair], schema=PEOPLE.schema, target=None)
    assert found["tstr"] is None
    assert found["tvd3"] is None
