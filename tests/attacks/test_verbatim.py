"""Exact copies, measured against what duplicates explain."""

from __future__ import annotations

import numpy as np
import pytest

import attacks
from attacks.membership.verbatim import Verbatim
from tests.attacks.conformance import AttackConformance
from tests.attacks.worlds import independent, leaking, people, split, statsmodels_table


class TestVerbatim(AttackConformance):
    @pytest.fixture
    def attack(self):
        return Verbatim()


def test_one_percent_of_copies_fails_where_rows_are_distinct():
    rng = np.random.default_rng(1)
    members, holdout = split(people(30_000, rng), rng, (0.7, 0.3))
    report = attacks.audit(members, leaking(members, 0.01, rng), holdout, suite=[Verbatim()])
    row = next(r for r in report.attacks if r.limit_id.endswith("isolated"))
    assert row.verdict == "fail"
    assert 0.008 < row.estimate < 0.012


def test_half_of_all_rows_having_a_twin_is_no_leak():
    rng = np.random.default_rng(2)
    table = statsmodels_table("randhie")
    members, holdout, spare = split(table, rng, (0.4, 0.3, 0.3))
    report = attacks.audit(members, spare, holdout, suite=[Verbatim()])
    matched = np.isin(holdout.astype(str).agg("|".join, axis=1), spare.astype(str).agg("|".join, axis=1)).mean()
    assert matched > 0.4
    assert report.verdict != "fail"
    assert next(r for r in report.attacks if r.stratum == "all").ci_high < 0.05


def test_detectable_share_is_smaller_on_distinct_rows_than_on_coarse_ones():
    rng = np.random.default_rng(3)
    fine, coarse = people(6000, rng), statsmodels_table("fair")[:6000]
    found = []
    for table in (fine, coarse):
        members, holdout = split(table, rng, (0.7, 0.3))
        report = attacks.audit(members, independent(members, len(members), rng), holdout, suite=[Verbatim()])
        found.append(next(r for r in report.attacks if r.limit_id.endswith("isolated")).detectable)
    assert found[0] <= 0.02 < found[1]
