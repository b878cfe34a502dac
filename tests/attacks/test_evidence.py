"""Scores meet labels in one place: cuts come from other folds, small groups say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.errors import AttackParameterError
from attacks.evidence import MIN_GROUP, Cohort, checked_scores, measure
from attacks.protocol import Endpoint
from attacks.statistics import RateDifference

TPR = Endpoint(name="tpr", score="s", statistic="tpr_excess", stratum="all", limit_id="membership.nearest.tpr", fpr=0.1)


def fold(members, nonmembers):
    labels = np.repeat([True, False], [len(members), len(nonmembers)])
    cohort = Cohort(view=None, is_member=labels, strata={"tail": np.ones(len(labels), dtype=bool)})
    return cohort, {"s": np.concatenate([members, nonmembers]).astype(float)}


def test_the_cut_of_a_fold_is_placed_on_the_other_folds_nonmembers():
    low, high = fold([5] * 40, range(10, 50)), fold([60] * 40, range(100, 140))
    effect = measure(TPR, [low[0], high[0]], [low[1], high[1]])
    # cut for `low` is high's (135): nothing called. Cut for `high` is low's (45): everything called, holdout too.
    assert effect == RateDifference(hits1=40, n1=80, hits0=40, n0=80)


def test_strata_are_measured_on_their_own_targets_only():
    cohort, scores = fold(np.arange(100), np.arange(100))
    tail = np.arange(200) % 2 == 0
    tailed = [Cohort(view=None, is_member=cohort.is_member, strata={"tail": tail})] * 2
    one = measure(
        Endpoint(name="r", score="s", statistic="rate_excess", stratum="tail", limit_id="x"), tailed, [scores] * 2
    )
    assert (one.n1, one.n0) == (100, 100)


@pytest.mark.parametrize("statistic", ["auc", "tpr_excess", "rate_excess", "mean_excess"])
def test_groups_below_the_minimum_say_nothing(statistic):
    ask = Endpoint(name="x", score="s", statistic=statistic, stratum="all", limit_id="x", fpr=0.1)
    few = [fold(np.arange(MIN_GROUP), np.arange((MIN_GROUP - 1) // 2 + k)) for k in (0, 0)]
    assert measure(ask, [f[0] for f in few], [f[1] for f in few]) is None


@pytest.mark.parametrize("scores", [np.zeros(3), np.array([0.0, np.nan]), np.zeros((2, 1))])
def test_an_attack_that_skips_a_target_is_broken(scores):
    with pytest.raises(AttackParameterError, match="no finite score for every target"):
        checked_scores("x", {"s": scores}, 2)
