"""The three verdicts follow from bounds, controls and limits, and from nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from attacks import sampling
from attacks.controls import PositiveControl
from attacks.limits import DEFAULT_LIMITS, Limit
from attacks.protocol import Endpoint, Roles
from attacks.report import SamplingRecord
from attacks.statistics import NormalEffect, RateDifference
from attacks.suite import SUITES, build
from attacks.verdict import Measurement, conclusive, decide, worst
from dpsynth.workspace.private import targets

LIMIT = Limit(value=0.05, planted=0.10)
CAUGHT = PositiveControl(kind="random", fraction=0.05, detected=9, trials=10)
ASKED = Endpoint(name="x", score="x", statistic="rate_excess", stratum="all", limit_id="membership.verbatim.all")


def judged(estimate, se, *, positive=CAUGHT, control=(0.0, 0.005), beside=0, drift=0.0):
    def effect(value, error):
        return NormalEffect(estimate=value, se=error, method="normal")

    one = Measurement(
        endpoint=ASKED, limit=LIMIT, members=900, nonmembers=600, effect=effect(estimate, se),
        control=effect(*control), positive=positive, drift=drift,
    )  # fmt: skip
    quiet = Measurement(
        endpoint=ASKED, limit=LIMIT, members=900, nonmembers=600, effect=effect(0.0, 0.005), control=effect(0.0, 0.005),
        positive=CAUGHT,
    )  # fmt: skip
    return decide([one] + [quiet] * beside)[0]


def test_fail_when_the_lower_bound_exceeds_the_limit():
    assert judged(0.20, 0.01).verdict == "fail"


def test_pass_when_the_upper_bound_is_below_and_a_leak_was_caught():
    assert judged(0.0, 0.01).verdict == "pass"


def test_no_pass_without_a_caught_leak():
    for positive in (
        None,
        PositiveControl(kind="random", fraction=0.05, detected=7, trials=10),
        PositiveControl(kind="random", fraction=0.20, detected=10, trials=10),
        PositiveControl(kind="random", fraction=0.05, detected=0, trials=0),
    ):
        decision = judged(0.0, 0.01, positive=positive)
        assert decision.verdict == "inconclusive"
        assert "No power" in decision.reason


def test_inconclusive_when_the_interval_holds_the_limit():
    decision = judged(0.045, 0.01)
    assert decision.verdict == "inconclusive"
    assert "upper bound is not below" in decision.reason


@pytest.mark.parametrize(
    ("rows", "said"), [(40, "holdout rows would let a release"), (4000, "take it for a leak near")]
)
def test_more_rows_are_advised_only_where_rows_are_what_is_lacking(rows, said):
    effect = RateDifference(hits1=rows // 20, n1=rows, hits0=0, n0=rows)
    measured = Measurement(
        endpoint=ASKED, limit=LIMIT, members=rows, nonmembers=rows, effect=effect, control=None, positive=CAUGHT
    )
    [decision] = decide([measured])
    assert decision.verdict == "inconclusive"
    assert said in decision.reason


@pytest.mark.parametrize(
    ("statistic", "said"),
    [
        ("auc", "closer to the holdout"),
        ("mean_excess", "Secrets of holdout rows are guessed better"),
        ("rate_excess", "finds holdout rows more often"),
    ],
)
def test_an_attack_that_does_better_on_the_holdout_says_what_it_did_better(statistic, said):
    endpoint = replace(ASKED, statistic=statistic)
    effect = NormalEffect(estimate=endpoint.chance - 0.3, se=0.01, method="normal")
    limit = Limit(value=endpoint.chance + 0.05, planted=0.1)
    [decision] = decide(
        [Measurement(
            endpoint=endpoint, limit=limit, members=900, nonmembers=600, effect=effect, control=None, positive=CAUGHT
        )]
    )  # fmt: skip
    assert decision.verdict == "inconclusive"
    assert said in decision.reason
    assert "swapped" in decision.reason


def test_failing_is_corrected_for_the_family():
    assert judged(0.05 + 0.02, 0.01).verdict == "fail"
    assert judged(0.05 + 0.02, 0.01, beside=9).verdict == "inconclusive"


def test_a_confounded_split_is_neither_failure_nor_pass():
    for estimate in (0.0, 0.5):
        decision = judged(estimate, 0.01, control=(0.2, 0.01))
        assert decision.verdict == "inconclusive"
        assert decision.confounded
        assert "Split them at random" in decision.reason


def test_what_the_control_reads_is_added_to_the_limit():
    assert judged(0.09, 0.01, control=(0.0, 0.02)).verdict == "fail"
    assert judged(0.09, 0.01, control=(0.04, 0.02)).verdict == "inconclusive"


def test_drift_rules_a_pass_out_and_asks_more_of_a_failure():
    decision = judged(0.0, 0.01, drift=0.1)
    assert decision.verdict == "inconclusive"
    assert "differ in themselves" in decision.reason
    assert judged(0.12, 0.01).verdict == "fail"
    assert judged(0.12, 0.01, drift=0.1).verdict == "inconclusive"
    assert judged(0.9, 0.01, drift=0.1).verdict == "fail"


def test_swapped_tables_do_not_pass():
    decision = judged(-0.4, 0.01)
    assert decision.verdict == "inconclusive"
    assert "swapped" in decision.reason


def test_too_few_people_never_pass_and_never_fail():
    one = Measurement(endpoint=ASKED, limit=LIMIT, members=1, nonmembers=1, effect=None, control=None, positive=None)
    assert decide([one])[0].verdict == "inconclusive"


def test_no_evidence_is_inconclusive():
    assert worst([]) == "inconclusive"


@pytest.mark.parametrize("verdicts", list(itertools.permutations(["pass", "fail", "inconclusive"])))
def test_the_worst_verdict_does_not_depend_on_order(verdicts):
    assert worst(verdicts) == "fail"


def test_a_larger_effect_never_gets_a_better_verdict():
    rank = {"pass": 0, "inconclusive": 1, "fail": 2}
    seen = []
    for hits in range(20, 200):
        effect = RateDifference(hits1=hits, n1=900, hits0=20, n0=900)
        m = Measurement(
            endpoint=ASKED, limit=LIMIT, members=900, nonmembers=900, effect=effect,
            control=RateDifference(hits1=20, n1=900, hits0=20, n0=900), positive=CAUGHT,
        )  # fmt: skip
        seen.append(rank[decide([m])[0].verdict])
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2}


ROUNDS = 400


@pytest.mark.parametrize(("share", "most", "least"), [(1.0, 1.0, 0.7), (0.25, 0.35, 0.0)])
def test_so_many_people_conclude_about_a_release_without_leak_and_a_quarter_does_not(share, most, least):
    """All questions of `standard` at once: how often the upper bounds of a release that knows nobody are below."""
    rng, asked = np.random.default_rng(1), questions("standard")
    people = round(share * conclusive(asked))
    below = np.ones(ROUNDS, dtype=bool)
    for endpoint, limit in asked:
        n = people if endpoint.stratum == "all" else people // 10
        error = {"auc": np.sqrt(2 / 12 / n), "mean_excess": np.sqrt(0.5 / n)}.get(endpoint.statistic)
        for at in range(ROUNDS):
            if error is not None:
                effect = NormalEffect(estimate=endpoint.chance + rng.normal(0, error), se=error, method="normal")
            else:
                hits = rng.binomial(n, endpoint.fpr or 0.01, 2)
                effect = RateDifference(hits1=int(hits[0]), n1=n, hits0=int(hits[1]), n0=n)
            below[at] &= effect.upper(0.05) < limit.value
    assert least <= below.mean() <= most


def test_default_numbers_of_targets_conclude():
    """Those drawn from files, and those sealed with a draft of an engine, a tenth fewer than meant."""
    for suite in ("quick", "standard"):
        assert conclusive(questions(suite)) < min(sampling.TARGETS, 0.9 * targets.TARGETS)


def questions(suite):
    settings, roles = SUITES[suite], Roles(sensitive=("secret",))
    found = [e for attack in build(settings, roles, 15)[0] for e in attack.endpoints(roles)]
    return [(e, DEFAULT_LIMITS["public"][e.limit_id]) for e in found if settings.asks(e)]


@pytest.mark.parametrize(("caught", "said"), [(0.20, "About 8,"), (1.00, "More rows will hardly do")])
def test_how_many_rows_would_catch_what_must_be_caught(caught, said):
    """An error of 0.05 that must shrink to a third, and a slope of copies that does not reach the limit."""
    positive = PositiveControl(kind="random", fraction=caught, detected=9, trials=10)
    reason = judged(0.0, 0.02, positive=positive).reason
    assert f"the smallest share caught was {caught:.1%}" in reason and said in reason


def test_a_report_on_a_sample_says_how_many_people_conclude():
    told = [
        str(SamplingRecord(release_rows=9, learned_rows=9, targets=most, conclusive=conclusive(questions("standard"))))
        for most in (1000, 20_000)
    ]
    assert all("about 2,599 of either let every question pass" in line for line in told)
    assert ["more than these" in line for line in told] == [True, False]
