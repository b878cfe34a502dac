"""Nearest rows by combinations of categories, by trees and by products: each way gives what brute force gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from attacks import search
from attacks.beside import code
from attacks.blocks import Block
from attacks.inference.attribute import attribute_score
from attacks.planting import nearer
from attacks.population import prepare
from attacks.protocol import Roles
from attacks.released import Released
from attacks.search import Search
from tests.attacks.worlds import independent, people, split

TILE = 8192


@pytest.fixture(scope="module", autouse=True)
def short_spans():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SPAN", TILE)
        yield


def brute(queries, points):
    return np.array([np.sqrt(np.square(points.astype(float) - q).sum(axis=1).min()) for q in queries.astype(float)])


def worked_off(queries, kinds, points, groups, same=None):
    found, named = Search(queries, kinds), np.full(len(queries), -1)
    for at in range(0, len(points), TILE):
        part = slice(at, at + TILE)
        who, row = found.add(points[part], groups[part], None if same is None else same[part])
        named[who] = row + at
    return found, named


@pytest.fixture(scope="module")
def mixed():
    """Few combinations that come again; some are new in the third of four spans, and come again in the fourth."""
    rng = np.random.default_rng(1)
    kinds = (rng.normal(size=(400, 5)) * 0.6).astype(np.float32)
    which = np.concatenate([rng.integers(0, 300, 2 * TILE), rng.integers(200, 400, 2 * TILE)])
    points = np.concatenate([kinds[which], rng.normal(size=(4 * TILE, 2)).astype(np.float32)], axis=1)
    asked = rng.integers(0, 400, 150)
    queries = np.concatenate([kinds[asked], rng.normal(size=(150, 2)).astype(np.float32)], axis=1)
    return queries, np.array([True] * 5 + [False] * 2), points, which.astype(np.uint64)


@pytest.mark.parametrize("kept", [search.KEPT, 40, 0])
def test_combinations_that_come_again_are_not_looked_at_anew_and_nothing_is_lost(mixed, kept, monkeypatch):
    queries, kinds, points, groups = mixed
    monkeypatch.setattr(search, "TOO_MANY", 1e9)
    monkeypatch.setattr(search, "KEPT", kept)
    new = []
    monkeypatch.setattr(
        Search, "_bound", lambda self, p, fresh, *a, f=Search._bound: (new.append(len(fresh)), f(self, p, fresh, *a))[1]
    )
    found, named = worked_off(queries, kinds, points, groups)
    assert found.distances == pytest.approx(brute(queries, points), abs=1e-12)
    exact = np.square(points[named].astype(float) - queries).sum(axis=1)
    assert np.sqrt(exact) == pytest.approx(found.distances, abs=1e-12)
    assert (new == [300, 100]) if kept > 1000 else sum(new) > 800


def test_categories_alone_are_looked_at_once(mixed, monkeypatch):
    queries, kinds, points, groups = mixed
    monkeypatch.setattr(search, "TOO_MANY", 1e9)
    found, named = worked_off(queries[:, kinds], kinds[kinds], points[:, kinds], groups)
    assert found.distances == pytest.approx(brute(queries[:, kinds], points[:, kinds]), abs=1e-12)
    first = {group: at for at, group in reversed(list(enumerate(groups.tolist())))}
    assert all(named[at] == first[groups[named[at]]] for at in range(len(queries)))


@pytest.mark.parametrize("dims", [2, 6, 8, 9])
def test_a_tree_of_numbers_is_exact(dims, monkeypatch):
    """Rounded, so that many rows are equal; one dimension never varies; nine dimensions are multiplied."""
    rng = np.random.default_rng(dims)
    points = rng.normal(size=(3 * TILE + 77, dims + 1)).round(1).astype(np.float32)
    queries = rng.normal(size=(300, dims + 1)).round(1).astype(np.float32)
    points[:, dims] = 1.0
    same = np.unique(points, axis=0, return_inverse=True)[1].astype(np.uint64).ravel()
    used = []
    monkeypatch.setattr(Search, "_from_tree", lambda *a, f=Search._from_tree: (used.append(1), f(*a))[1])
    for known in (same, None):
        found, named = worked_off(queries, None, points, np.zeros(len(points), dtype=np.uint64), known)
        exact = brute(queries, points)
        assert found.distances == pytest.approx(exact, abs=1e-12 if dims <= search.TREE_DIMS else 1e-6)
        exactly = np.sqrt(np.square(points[named].astype(float) - queries).sum(axis=1))
        assert exactly == pytest.approx(found.distances, abs=1e-12)
    assert bool(used) is (dims <= search.TREE_DIMS)


def test_a_block_makes_what_the_coding_makes():
    rng = np.random.default_rng(3)
    table = people(900, rng)
    table["city"] = table["city"].where(rng.random(900) > 0.1)
    coding = code({"real": table[:400]}, Released.of(table), scale_on="real", rng=rng).coding
    for frame in (table, table.astype({"city": "category", "job": "category"})):
        whole, block = coding.encode(frame), Block(coding, frame)
        for part in ("ids", "cells", "codes", "points"):
            assert getattr(block, part).tobytes() == getattr(whole, part).tobytes(), part
        rows, dims = np.array([5, 3, 800]), np.array([9, 0, 4])
        assert (block.points_of(rows, dims) == whole.points_of(rows, dims)).all()
        assert (block.ids_without(2) == whole.ids_without(2)).all()
        assert block.take(rows).points.tobytes() == whole.take(rows).points.tobytes()


def test_all_pairs_that_are_nearer_are_found():
    rng = np.random.default_rng(4)
    queries, rows = rng.normal(size=(500, 4)).astype(np.float32), rng.normal(size=(9000, 4)).astype(np.float32)
    rows[:200] = queries[:200]
    limits = rng.choice([0.0, 0.2, 0.4], 500)
    far = np.sqrt(np.square(queries[:, None].astype(float) - rows[None].astype(float)).sum(axis=2))
    found = nearer(queries, rows, limits)
    wanted = np.argwhere(far < limits[:, None])
    assert {*zip(found.query.tolist(), found.row.tolist(), strict=True)} == {*map(tuple, wanted.tolist())}
    assert found.distance == pytest.approx(far[found.query, found.row], abs=1e-12)
    some = rng.random(9000) < 0.3
    assert found.among(some).lowered(limits) == pytest.approx(
        np.minimum(limits, np.where(some, far, np.inf).min(axis=1)), abs=1e-12
    )
    assert nearer(queries, rows, limits, most=len(wanted) - 1) is None


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_what_is_planted_is_found_as_if_all_of_it_were_searched(share):
    rng = np.random.default_rng(5)
    members, holdout = split(people(1500, rng), rng, (0.6, 0.4))
    members = pd.concat([members, members[:150].assign(job="smith")], ignore_index=True)  # twins but for the secret
    made = prepare(release=independent(members, 900, rng), members=members, nonmembers=holdout, roles=Roles(), rng=rng)
    attack, changed = attribute_score("job"), 0
    for cohort in made.cohorts(None, np.random.default_rng(6)):
        planted = made.members.take(rng.permutation(len(made.members))[: round(share * len(made.members))])
        view = cohort.view.with_planted(planted)
        slow = replace(view, plantable=None, cache={})
        assert view.nearer_planted(None, None, view.release_distance()) is not None
        assert view.release_distance() == pytest.approx(slow.release_distance(), abs=1e-6)
        dims = view.layout.dims_without("city")
        assert view.distance_in(dims) == pytest.approx(slow.distance_in(dims), abs=1e-6)
        assert (attack.score(view, rng)["success"] == attack.score(slow, rng)["success"]).all()
        changed += int((attack.score(view, rng)["success"] != attack.score(cohort.view, rng)["success"]).sum())
    assert changed > 20 * share
