"""Distances: exact, bounded in memory, and the same for every way of writing down the same table."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from attacks import neighbours
from attacks.encoding import encode, kind_of
from attacks.errors import AttackInputError
from attacks.neighbours import nearest
from tests.attacks.worlds import people


@pytest.mark.parametrize("k", [1, 3])
def test_equal_to_brute_force_across_tile_borders(k, monkeypatch):
    monkeypatch.setattr(neighbours, "TILE_ROWS", 37)
    monkeypatch.setattr(neighbours, "TILE_QUERIES", 11)
    rng = np.random.default_rng(0)
    Q, R = rng.normal(size=(60, 7)).astype(np.float32), rng.normal(size=(200, 7)).astype(np.float32)
    full = np.sqrt(((Q[:, None].astype(float) - R[None]) ** 2).sum(-1))
    distances, indices = nearest(Q, R, k=k)
    assert distances == pytest.approx(np.sort(full, axis=1)[:, :k], abs=1e-9)
    assert np.take_along_axis(full, indices, axis=1) == pytest.approx(distances, abs=1e-9)


def test_equal_rows_have_distance_zero_and_tiny_changes_are_seen():
    rng = np.random.default_rng(1)
    R = rng.normal(size=(5000, 30)).astype(np.float32)
    Q = R[:100].copy()
    assert (nearest(Q, R)[0] == 0.0).all()
    Q[:, 0] += 1e-4
    assert nearest(Q, R)[0] == pytest.approx(np.full((100, 1), 1e-4), rel=0.01)


def test_fewer_rows_than_neighbours_leave_infinity():
    distances, indices = nearest(np.zeros((2, 1)), np.ones((1, 1)), k=3)
    assert distances[:, 0].tolist() == [1.0, 1.0]
    assert np.isinf(distances[:, 1:]).all()
    assert (indices[:, 1:] == -1).all()
    assert np.isinf(nearest(np.zeros((2, 1)), np.ones((0, 1)))[0]).all()


def test_memory_is_bounded_by_tiles():
    rng = np.random.default_rng(2)
    Q, R = rng.random((6000, 8), dtype=np.float32), rng.random((40_000, 8), dtype=np.float32)
    tracemalloc.start()
    nearest(Q, R)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * 2**20  # the full distance matrix would take 960 MB


def test_ids_are_equal_exactly_for_equal_rows():
    table = people(400, np.random.default_rng(3))
    again = pd.concat([table.iloc[:50], table.iloc[100:130]]).reset_index(drop=True)
    again.loc[0, "income"] += 0.01
    again.loc[1, "hours"] = np.nan if not np.isnan(again.loc[1, "hours"]) else 1.0
    encoded, _ = encode({"a": table, "b": again}, scale_on="a")
    hit = np.isin(encoded["b"].ids, encoded["a"].ids)
    assert not hit[0] and not hit[1]
    assert hit[2:].all()


def test_distances_do_not_depend_on_units_signs_labels_or_column_order():
    rng = np.random.default_rng(4)
    table = people(300, rng)
    other = table.assign(
        income=-3.0 * table["income"] + 1e6,
        age=table["age"] * 2 + 7,
        city=table["city"].map({"Aach": "z", "Bern": "y", "Cork": "x", "Dole": "w"}),
    )[["job", "hours", "city", "income", "age"]]
    first = encode({"t": table}, scale_on="t")[0]["t"].points
    second = encode({"t": other}, scale_on="t")[0]["t"].points
    assert nearest(first, first[:100], k=3)[0] == pytest.approx(nearest(second, second[:100], k=3)[0], abs=1e-4)


def test_the_scale_ignores_training_rows_and_release():
    rng = np.random.default_rng(5)
    real, wild = people(200, rng), people(200, rng).assign(income=1e12)
    alone = encode({"holdout": real}, scale_on="holdout")[0]["holdout"].points
    beside = encode({"holdout": real, "release": wild}, scale_on="holdout")[0]["holdout"].points
    assert (alone == beside).all()


def test_wide_categories_stay_bounded_and_distinct():
    names = pd.DataFrame({"user": [f"u{k}" for k in range(3000)]})
    encoded, _ = encode({"t": names}, scale_on="t")
    assert encoded["t"].points.shape == (3000, 64)
    assert len(np.unique(encoded["t"].ids)) == 3000
    assert nearest(encoded["t"].points, encoded["t"].points, k=2)[0][:, 1].min() > 0.5


def test_constant_and_empty_columns_have_distance_zero():
    table = pd.DataFrame({"same": [5.0] * 10, "none": [None] * 10, "x": range(10)})
    points = encode({"t": table}, scale_on="t")[0]["t"].points
    assert np.isfinite(points).all()
    assert kind_of(table["none"]) == "missing"


def test_cells_that_cannot_be_compared_are_refused_by_column():
    with pytest.raises(AttackInputError, match="Column 'tags' holds lists"):
        encode({"t": pd.DataFrame({"tags": [["a"], ["b"]]})}, scale_on="t")
