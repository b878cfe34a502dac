"""Record linkage: a person is at risk where the release rows with their quasi-identifiers are rightly theirs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.linkage import record_linkage
from attacks.linkage.record_linkage import RecordLinkage
from attacks.population import prepare
from attacks.protocol import Roles
from attacks.suite import SUITES, build
from tests.attacks.conformance import AttackConformance
from tests.attacks.worlds import people, split

QUASI = ("age", "city")


class TestRecordLinkage(AttackConformance):
    @pytest.fixture
    def attack(self):
        return RecordLinkage()

    def report(self, attack, members, release, holdout, seed=0):
        roles = Roles(sensitive=("job",), quasi_identifiers=QUASI)
        return attacks.run(
            [attack], release=release, members=members, nonmembers=holdout, roles=roles, seed=seed, limits=LIMITS
        )


LIMITS = {"linkage.record.all": attacks.Limit(value=0.02, planted=1.0), "linkage.record.tail": 0.05}


def risks(release: pd.DataFrame, rows: int = 1200):
    rng = np.random.default_rng(1)
    members, holdout = split(people(rows, rng), rng, (0.5, 0.5))
    roles = Roles(quasi_identifiers=QUASI)
    prepared = prepare(release=release, members=members, nonmembers=holdout, roles=roles, rng=rng, strata=())
    cohort = prepared.cohorts(None, rng)[0]
    targets = pd.concat([members, holdout]).reset_index(drop=True)
    return cohort, RecordLinkage().score(cohort.view, rng), targets


@pytest.mark.parametrize("block", [7, 200_000])
def test_risks_are_those_of_comparing_every_pair(block, monkeypatch):
    """Written out pair by pair; blocks of any size give the same."""
    monkeypatch.setattr(record_linkage, "BLOCK", block)
    rng = np.random.default_rng(2)
    cohort, found, _ = risks(pd.concat([people(300, rng)] * 2, ignore_index=True))
    view = cohort.view
    at = [view.layout.columns.index(c) for c in QUASI]
    rest = [c for c in range(len(view.layout.columns)) if c not in at]
    rows = view.release.take(np.unique(view.release.ids, return_index=True)[1])
    for t in range(0, len(view.targets), 9):
        own = view.targets.codes[t]
        same = (rows.codes[:, at] == own[at]).all(axis=1)
        agree = same.copy()
        for c in rest:
            ranks = view.layout.ranks[c]
            for r in np.flatnonzero(same):
                one, two = int(own[c]), int(rows.codes[r, c])
                both = ranks is not None and one >= 0 and two >= 0
                agree[r] &= abs(ranks[one] - ranks[two]) <= 0.05 if both else one == two
        known = 1 + (view.reference.codes[:, at] == own[at]).all(axis=1).sum()
        assert found["prosecutor"][t] == (agree.sum() / same.sum() if same.any() else 0.0)
        assert found["journalist"][t] == (agree.any() / known)
        assert found["at_risk"][t] == float(found["prosecutor"][t] > 0.09)


def test_figures_are_told_of_members_and_holdout_and_the_highest_risk_of_one_person_is_not():
    rng = np.random.default_rng(3)
    members, holdout = split(people(3000, rng), rng, (0.6, 0.4))
    roles = Roles(quasi_identifiers=QUASI)
    report = attacks.run([RecordLinkage()], release=members, members=members, nonmembers=holdout, roles=roles)
    assert report.verdict == "fail"
    told = {f.name: f for f in report.figures}
    assert set(told) == {"prosecutor risk above 0.09", "journalist risk above 0.09", "marketer risk (mean)"}
    assert all(f.members > f.nonmembers and f.confidentiality == "internal" for f in told.values())
    assert attacks.AttackReport.from_json(report.to_json()) == report


def test_a_planted_row_that_the_release_has_already_changes_no_risk():
    rng = np.random.default_rng(4)
    cohort, before, _ = risks(people(400, rng))
    view = cohort.view.with_planted(cohort.view.release.take(np.arange(200)))
    after = RecordLinkage().score(view, rng)
    assert all((after[key] == before[key]).all() for key in before)


def test_without_quasi_identifiers_it_is_listed_as_not_applicable():
    built, absent = build(SUITES["full"], Roles(sensitive=("job",)), 12)
    assert "record_linkage" not in {a.name for a in built}
    assert "record_linkage" in {a.name for a in absent}
    built, absent = build(SUITES["full"], Roles(quasi_identifiers=QUASI), 12)
    assert "record_linkage" in {a.name for a in built}
    assert "record_linkage" not in {a.name for a in absent}


def test_a_negative_number_agrees_with_its_like_alone():
    """anonymeter 1.1.0 divides a difference by the guess, sign and all: -5 and -100 are right for a secret of 1000."""
    ranks = np.array([0.05, 0.10, 0.55, 0.95])  # of -100, -5, 5 and 1000
    guess, secret = np.array([0, 1, 2, 3, 1]), np.array([3, 3, 3, 3, 0])
    assert record_linkage._agree(guess, secret, ranks).tolist() == [False, False, False, True, True]
