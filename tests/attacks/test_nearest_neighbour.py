"""Calibrated distances: near-copies, and outliers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.membership.nearest_neighbour import NearestNeighbour, calibrated
from tests.attacks.conformance import AttackConformance
from tests.attacks.worlds import independent, people, split


class TestNearestNeighbour(AttackConformance):
    @pytest.fixture
    def attack(self):
        return NearestNeighbour()


def test_the_score_grows_as_the_release_comes_closer():
    distances = np.array([2.0, 1.0, 0.1, 0.0])
    assert (np.diff(calibrated(np.ones(4), distances)) > 0).all()


def test_training_rows_with_a_cent_added_fail_although_none_matches():
    rng = np.random.default_rng(1)
    members, holdout = split(people(450, rng), rng, (2 / 3, 1 / 3))
    release = members.assign(income=members["income"] + 0.01)
    report = attacks.audit(members, release, holdout)
    by_id = {r.limit_id: r for r in report.attacks}
    assert by_id["membership.nearest.auc"].verdict == "fail"
    assert by_id["membership.nearest.tpr"].verdict == "fail"
    assert by_id["membership.verbatim.all"].estimate == 0.0
    assert report.verdict == "fail"


def test_copies_of_outliers_fail_although_the_average_row_is_safe():
    rng = np.random.default_rng(2)
    table = people(12_000, rng)
    odd = rng.permutation(len(table))[:600]
    table.loc[odd, "income"] *= rng.choice([30.0, 0.02], 600)
    members, holdout = split(table, rng, (0.6, 0.4))
    clean = independent(members, len(members), rng)
    outliers = members[(members["income"] > 3e5) | (members["income"] < 1e3)][:300]
    leaky = pd.concat([outliers.assign(hours=outliers["hours"] + 0.1), clean[len(outliers) :]])
    report = attacks.audit(members, leaky, holdout, suite=[NearestNeighbour()])
    by_id = {r.limit_id: r for r in report.attacks}
    assert by_id["membership.nearest.auc"].verdict == "pass"
    assert by_id["membership.nearest.tail"].verdict == "fail"
    assert attacks.audit(members, clean, holdout, suite=[NearestNeighbour()]).verdict == "pass"
