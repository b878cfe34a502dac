"""Linkability: two parts of a member's record are joined by a copied row, and a row nobody trained on joins no more."""

from __future__ import annotations

import numpy as np
import pytest

import attacks
from attacks.encoding import Layout, encode
from attacks.linkage.linkability import Linkability, gap, sides
from attacks.neighbours import nearest
from attacks.protocol import Roles
from tests.attacks.conformance import AttackConformance
from tests.attacks.worlds import leaking, people, split


class TestLinkability(AttackConformance):
    @pytest.fixture
    def attack(self):
        return Linkability()


def test_a_link_is_a_release_row_that_is_nearest_by_either_part():
    """The sum of squares says so without a list of neighbours; ties count as nearest."""
    rng = np.random.default_rng(1)
    frames = {"release": people(300, rng)[["age", "city", "job"]], "targets": people(200, rng)[["age", "city", "job"]]}
    rows, layout = encode(frames, scale_on="release")
    a, b = sides(layout, Roles(quasi_identifiers=("age",)))
    queries, release = rows["targets"].points.astype(float), rows["release"].points.astype(float)
    by_a, by_b = (np.square(queries[:, None, d] - release[None, :, d]).sum(axis=2) for d in (a, b))
    near_a = by_a <= by_a.min(axis=1, keepdims=True) + 1e-9
    near_b = by_b <= by_b.min(axis=1, keepdims=True) + 1e-9
    expected = (near_a & near_b).any(axis=1)
    joint, one, two = (nearest(rows["targets"].points[:, d], rows["release"].points[:, d])[0][:, 0]
                       for d in (np.concatenate([a, b]), a, b))  # fmt: skip
    assert ((gap(joint, one, two) == 0.0) == expected).all()
    assert 0.2 < expected.mean() < 0.98


def test_parts_are_the_quasi_identifiers_and_the_rest_where_both_are_there():
    layout = Layout(
        columns=("a", "b", "c"), numeric=(True, True, False), dims=(slice(0, 2), slice(2, 4), slice(4, 7)), ranks=()
    )
    first, second = sides(layout, Roles(quasi_identifiers=("b",)))
    assert (first.tolist(), second.tolist()) == ([2, 3], [0, 1, 4, 5, 6])
    for quasi in ((), ("a", "b", "c")):
        first, second = sides(layout, Roles(quasi_identifiers=quasi))
        assert set(first.tolist()).isdisjoint(second.tolist())
        assert len(first) + len(second) == 7


def test_ten_percent_of_copies_are_linked_and_the_plain_rate_is_told_beside_the_holdouts():
    rng = np.random.default_rng(2)
    members, holdout = split(people(6000, rng), rng, (0.6, 0.4))
    report = attacks.run(
        [Linkability()],
        release=leaking(members, 0.10, rng),
        members=members,
        nonmembers=holdout,
        roles=Roles(quasi_identifiers=("age", "city", "job")),
    )
    assert next(row for row in report.attacks if row.stratum == "all").verdict == "fail"
    (told,) = report.figures
    assert told.members - told.nonmembers > 0.05
    assert told.n_members == len(members)


def test_a_single_column_links_nobody_and_breaks_nothing():
    rng = np.random.default_rng(3)
    members, holdout = split(people(1000, rng)[["income"]], rng, (0.6, 0.4))
    assert attacks.audit(members, members, holdout, suite=[Linkability()]).verdict != "pass"
