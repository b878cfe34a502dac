"""Secrets that a few columns betray: rows of which only some columns were copied."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attacks.encoding import encode
from attacks.inference.attribute import attribute_score
from attacks.inference.forest import forest_score
from attacks.inference.reconstruction import reconstruction_score
from attacks.population import prepare
from attacks.protocol import Roles
from attacks.secret import Secret
from tests.attacks.conformance import SECRET, AttackConformance
from tests.attacks.test_reconstruction import gap, partly_copied, wide
from tests.attacks.worlds import independent, people, split


@pytest.mark.slow
class TestForest(AttackConformance):
    @pytest.fixture
    def attack(self):
        return forest_score(SECRET)


def test_a_leak_in_some_columns_is_seen_where_the_nearest_row_of_all_columns_sees_less():
    rng = np.random.default_rng(31)
    table = wide(5000, rng).drop(columns=["x3", "x4", "k3", "k4"])
    place = table["x0"] + table["x1"] + 0.3 * rng.normal(size=len(table))
    table["secret"] = pd.cut(place, 12, labels=list("abcdefghijkl")).astype(str)
    members, holdout = split(table, rng, (0.6, 0.4))
    release = partly_copied(members, rng)
    trees, row = (gap(build("secret"), members, release, holdout) for build in (forest_score, attribute_score))
    assert trees.lower(1e-6) > 0.05
    assert row.upper(1e-2) < trees.estimate


@pytest.mark.parametrize("build", [forest_score, reconstruction_score])
def test_a_number_is_guessed_by_its_place(build):
    rng = np.random.default_rng(32)
    members, holdout = split(people(3000, rng), rng, (0.6, 0.4))
    assert gap(build("income"), members, members, holdout).lower(1e-6) > 0.1
    clean = gap(build("income"), members, independent(members, len(members), rng), holdout)
    assert clean.lower(1e-6) < 0.0 < clean.upper(1e-6)


def test_a_release_that_holds_the_secret_of_nobody_is_attacked_all_the_same():
    rng = np.random.default_rng(33)
    members, holdout = split(people(1500, rng), rng, (0.6, 0.4))
    release = independent(members, 900, rng).assign(job="clerk", hours=np.nan)
    for build in (forest_score, reconstruction_score):
        for column in ("job", "hours"):
            assert gap(build(column), members, release, holdout).lower(1e-6) < 0.0


def test_the_forest_grows_once_for_a_release_and_once_for_each_planting():
    rng = np.random.default_rng(34)
    members, holdout = split(people(900, rng), rng, (0.6, 0.4))
    release = independent(members, 500, rng)
    people_ = prepare(release=release, members=members, nonmembers=holdout, roles=Roles(), rng=rng)
    built = []
    cohorts = people_.cohorts(None, rng)
    planted = people_.members.take(np.arange(50))
    for other in (None, planted, people_.members.take(np.arange(60))):
        for cohort in cohorts:
            view = cohort.view if other is None else cohort.view.with_planted(other)
            view.once("key", lambda view=view: built.append(len(view.rows())))
    assert built == [500, 550, 560]


def test_the_middle_of_a_class_is_right_within_five_points_of_rank():
    table = pd.DataFrame({"x": np.r_[np.arange(100.0), np.nan]})
    rows, layout = encode({"real": table}, scale_on="real")
    secret = Secret(column="x", layout=layout)
    targets = rows["real"]
    own = secret.classes(targets)
    assert own[:5].tolist() == [1] * 5
    assert own[-1] == 0
    assert secret.right(own, targets).all()
    assert not secret.right(np.where(own > 10, own - 2, own + 2), targets).any()


def test_half_a_vote_of_the_neighbouring_places_counts():
    _, layout = encode({"real": pd.DataFrame({"x": np.arange(100.0)})}, scale_on="real")
    votes = np.array([[0.0, 0.0, 4.0, 0.0, 2.0, 2.5, 2.0]])
    assert Secret(column="x", layout=layout).choose(votes).tolist() == [5]
