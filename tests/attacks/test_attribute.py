"""Secrets guessed better for training people than for others, and for no other reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.inference.attribute import _right, attribute_score
from attacks.suite import SUITES, build
from tests.attacks.conformance import SECRET, AttackConformance
from tests.attacks.worlds import independent, people, split


class TestCategorical(AttackConformance):
    @pytest.fixture
    def attack(self):
        return attribute_score(SECRET)


class TestNumeric(AttackConformance):
    @pytest.fixture
    def attack(self):
        return attribute_score("income")


def test_true_statistics_are_no_breach():
    """A secret that everybody's other columns betray is guessed for members and nonmembers alike."""
    rng = np.random.default_rng(1)
    members, holdout, spare = split(people(4500, rng), rng, (0.4, 0.3, 0.3))
    for table in (members, holdout, spare):
        table["group"] = np.where((table["age"] > 50) ^ (rng.random(len(table)) < 0.25), "old", "young")
    report = attacks.audit(members, spare, holdout, suite=[attribute_score("group")], sensitive=["group"])
    assert report.attacks[0].verdict == "pass"


def test_a_negative_secret_is_not_guessed_for_free():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"x": rng.normal(size=3000), "secret": -1000 - rng.exponential(50, 3000)})
    members, holdout = split(table, rng, (0.5, 0.5))
    release = independent(members, 1500, rng)
    row = attacks.audit(members, release, holdout, suite=[attribute_score("secret")]).attacks[0]
    assert row.verdict == "pass"
    assert abs(row.estimate) < 0.03


def test_a_secret_that_everybody_betrays_cannot_be_tested_and_says_so():
    rng = np.random.default_rng(6)
    table = people(9000, rng).assign(group=lambda t: np.where(t["age"] > 50, "old", "young"))
    members, holdout = split(table, rng, (0.6, 0.4))
    row = attacks.audit(members, members, holdout, suite=[attribute_score("group")]).attacks[0]
    assert row.verdict == "inconclusive"
    assert "Not even copies of everybody" in row.reason


def test_a_number_is_right_within_five_points_of_rank_on_either_side_and_missing_matches_missing_only():
    ranks = np.array([0.10, 0.14, 0.30, 0.90])
    guess, truth = np.array([0, 1, 0, 3, -1, -1, 0]), np.array([1, 0, 3, 0, -1, 0, -1])
    assert _right(guess, truth, ranks).tolist() == [1, 1, 0, 0, 1, 0, 0]


def test_each_sensitive_column_is_attacked_and_the_worst_decides():
    rng = np.random.default_rng(3)
    members, holdout = split(people(3000, rng), rng, (0.6, 0.4))
    report = attacks.audit(members, members, holdout, sensitive=["job", "income"])
    names = {r.name for r in report.attacks if r.name.startswith("attribute")}
    assert names == {"attribute_inference:job", "attribute_inference:income"}
    assert all(r.verdict == "fail" for r in report.attacks if r.name in names)


def test_a_table_of_one_column_has_nothing_to_guess_from():
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"only": rng.normal(size=900)})
    report = attacks.audit(table[:500], table[:500], table[500:].reset_index(drop=True), sensitive=["only"])
    row = next(r for r in report.attacks if r.name.startswith("attribute"))
    assert row.verdict == "inconclusive"


def test_copies_of_those_with_a_scarce_secret_fail_where_the_whole_does_not():
    """A release that repeats the people of one scarce job only: 8 % of all, so the gap over all stays small."""
    rng = np.random.default_rng(7)
    table = people(12000, rng).assign(job=lambda t: np.where(rng.random(len(t)) < 0.08, "pilot", "clerk"))
    members, holdout = split(table, rng, (0.6, 0.4))
    release = pd.concat([members[members["job"] == "pilot"], independent(members, 6000, rng)], ignore_index=True)
    report = attacks.audit(members, release, holdout, suite=[attribute_score("job")])
    rows = {(r.endpoint, r.stratum): r for r in report.attacks}
    assert rows["success_gap@scarce", "all"].verdict == "fail"
    assert rows["success_gap", "all"].verdict != "fail"
    assert rows["success_gap@scarce", "all"].n_controls < 0.1 * rows["success_gap", "all"].n_controls


def test_standard_asks_one_question_a_secret_and_full_seven_more():
    roles = attacks.Roles(sensitive=("job",))

    def asked(suite):
        found = [
            e.limit_id for a in build(SUITES[suite], roles, 12)[0] for e in a.endpoints(roles) if SUITES[suite].asks(e)
        ]
        return sorted(limit for limit in found if limit.startswith("inference"))

    assert asked("standard") == ["inference.attribute"]
    assert asked("full") == [
        "inference.attribute",
        *(f"inference.attribute.{k}" for k in ("group", "rare", "scarce", "tail")),
        "inference.forest.all",
        "inference.forest.group",
        "inference.reconstruction",
    ]
