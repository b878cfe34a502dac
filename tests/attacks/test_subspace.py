"""Subspace distances: copies disturbed in one half of their columns, which a distance over all columns loses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.encoding import Layout
from attacks.membership.nearest_neighbour import NearestNeighbour
from attacks.membership.subspace import Subspace, parts
from attacks.membership.verbatim import Verbatim
from tests.attacks.conformance import AttackConformance
from tests.attacks.worlds import split


class TestSubspace(AttackConformance):
    @pytest.fixture
    def attack(self):
        return Subspace()


def layout(numeric: list[bool], names: list[str] | None = None) -> Layout:
    count = len(numeric)
    return Layout(
        columns=tuple(names or [f"c{i}" for i in range(count)]),
        numeric=tuple(numeric),
        dims=tuple(slice(i, i + 1) for i in range(count)),
        ranks=(None,) * count,
    )


def test_parts_are_kinds_where_there_are_two_of_each():
    first, second = parts(layout([True, False, True, False]))
    assert (first.tolist(), second.tolist()) == ([1, 3], [0, 2])


def test_parts_of_one_kind_alternate_by_name_whatever_the_order():
    names = ["d", "a", "c", "b"]
    found = parts(layout([True] * 4, names))
    assert [sorted(names[i] for i in part) for part in found] == [["a", "c"], ["b", "d"]]


def test_a_single_column_is_both_parts():
    assert [part.tolist() for part in parts(layout([True]))] == [[0], [0]]


def wide(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Eight numbers and six categories of twelve values, independent: nobody has a twin in either half."""
    numbers = {f"x{i}": rng.normal(size=rows).round(2) for i in range(8)}
    return pd.DataFrame({**numbers, **{f"k{i}": rng.choice(list("abcdefghijkl"), rows) for i in range(6)}})


def encrypted(members: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every row there, every number moved by a secret amount of its own column, up to twice its range."""
    return members.assign(**{c: members[c] + rng.uniform(6, 12) for c in members if c.startswith("x")})


def scrambled(members: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every row there, its categories exchanged between people."""
    return members.assign(**{c: rng.permutation(members[c].to_numpy()) for c in members if c.startswith("k")})


@pytest.mark.parametrize("leak", [encrypted, scrambled])
def test_copies_disturbed_in_one_half_fail(leak):
    rng = np.random.default_rng(8)
    members, holdout = split(wide(4_000, rng), rng, (0.5, 0.5))
    release = leak(members, rng)
    found = attacks.audit(members, release, holdout, suite=[Subspace(), NearestNeighbour(), Verbatim()])
    verdicts = {(row.name, row.limit_id): row.verdict for row in found.attacks}
    assert verdicts["subspace", "membership.subspace.auc"] == "fail"
    assert all(row.verdict != "fail" for row in found.attacks if row.name == "verbatim")
    estimates = {row.name: row.estimate for row in found.attacks if row.endpoint == "auc"}
    assert estimates["subspace"] > estimates["nearest_neighbour"] + 0.1
