"""Exposed tenths: chosen by a number that knows neither release nor membership, and where leaks are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.encoding import encode
from attacks.protocol import EXPOSED, Roles
from attacks.targets import EXPOSED_SHARE, EXPOSURES, exposed, rare_combination, small_group, split_folds
from tests.attacks.worlds import independent, people, split


def encoded(frame: pd.DataFrame, reference: pd.DataFrame):
    tables, layout = encode({"targets": frame, "reference": reference}, scale_on="reference")
    return tables["targets"], tables["reference"], layout


def test_every_stratum_has_a_selector():
    assert set(EXPOSURES) == set(EXPOSED)


def test_the_reference_of_a_fold_knows_no_label_and_holds_no_target():
    members, nonmembers = 700, 300
    for fold in split_folds(members, nonmembers, np.random.default_rng(0)):
        assert len(fold.reference) == len(fold.unseen) == 240
        assert not set(fold.reference) & {*fold.members, *(fold.nonmembers + members)}
        assert not set(fold.unseen) & set(fold.nonmembers)
        share = (fold.reference < members).mean()  # of 560 members and 240 nonmembers; five standard deviations
        assert abs(share - 0.7) < 5 * np.sqrt(0.7 * 0.3 / 240)


def test_rarest_pair_of_common_values_is_found():
    reference = pd.DataFrame({"a": ["x", "y"] * 200, "b": ["u", "v"] * 200})
    targets = pd.DataFrame({"a": ["x", "x", "y"], "b": ["u", "v", "v"]})
    values = rare_combination(*encoded(targets, reference), Roles())
    assert values.argmax() == 1


def test_smallest_group_decides_and_declared_groups_come_first():
    reference = pd.DataFrame({"g": ["big"] * 390 + ["small"] * 10, "h": ["left"] * 399 + ["right"]})
    targets = pd.DataFrame({"g": ["big", "small", "big"], "h": ["left", "left", "right"]})
    assert small_group(*encoded(targets, reference), Roles()).argmax() == 2
    assert small_group(*encoded(targets, reference), Roles(quasi_identifiers=("g",))).argmax() == 1


@pytest.mark.parametrize("name", EXPOSED)
def test_selector_is_blind_to_row_order_and_relabelling(name):
    rng = np.random.default_rng(3)
    reference, targets = split(people(900, rng), rng, (0.5, 0.5))
    base = EXPOSURES[name](*encoded(targets, reference), Roles())
    renamed = {"Aach": "Z", "Bern": "Y", "Cork": "X", "Dole": "W"}
    other = [frame.assign(city=frame.city.map(renamed)) for frame in (targets, reference.iloc[::-1])]
    np.testing.assert_allclose(EXPOSURES[name](*encoded(*other), Roles()), base, atol=1e-5)


def test_a_tenth_is_chosen_also_when_all_are_alike():
    assert exposed(np.zeros(100), np.random.default_rng(0)).sum() == EXPOSED_SHARE * 100


def test_without_reference_nobody_is_more_exposed_than_another():
    rng = np.random.default_rng(5)
    targets, reference, layout = encoded(people(50, rng), people(1, rng))
    nobody = reference.take(np.array([], dtype=np.intp))
    for selector in EXPOSURES.values():
        assert np.ptp(selector(targets, nobody, layout, Roles())) == 0.0


def test_full_suite_sees_copies_of_the_rare_that_random_targets_hide():
    """Copies of members with the rarest pairs: the `rare` stratum fails, the average over all does not."""
    rng = np.random.default_rng(11)
    table = people(6_000, rng)
    members, holdout = split(table, rng, (0.5, 0.5))
    pairs = members.groupby(["city", "job"]).size()
    small = pairs[pairs < 0.03 * len(members)].index
    rare = members[members.set_index(["city", "job"]).index.isin(small)]
    assert 30 <= len(rare) <= 0.1 * len(members)
    release = pd.concat([rare, independent(members, len(members) - len(rare), rng)], ignore_index=True)
    report = attacks.run("full", release=release, members=members, nonmembers=holdout, seed=1)
    rows = {row.limit_id: row for row in report.attacks}
    assert rows["membership.verbatim.rare"].verdict == "fail"
    assert rows["membership.nearest.auc"].verdict != "fail"
