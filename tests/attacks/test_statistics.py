"""Bounds keep their level, reject what they should, and agree with a second method."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from attacks.errors import AttackParameterError
from attacks.power import auc_detectable, nonmembers_needed, rate_excess_detectable
from attacks.statistics import (
    RateDifference,
    adjusted_mean_difference,
    auc_delong,
    clopper_pearson,
    clopper_pearson_lower,
    clopper_pearson_upper,
    conservative_cut,
    holm,
    newcombe,
    tpr_at_fpr,
)

WORLDS = 2000


def test_clopper_pearson_bounds_are_where_the_binomial_tail_is_alpha():
    for hits, trials in [(0, 30), (3, 30), (17, 200), (30, 30)]:
        low, high = clopper_pearson(hits, trials, alpha=0.1)
        if hits:
            assert binom.sf(hits - 1, trials, low) == pytest.approx(0.05, rel=1e-9)
        if hits < trials:
            assert binom.cdf(hits, trials, high) == pytest.approx(0.05, rel=1e-9)
    assert clopper_pearson_lower(0, 10, alpha=0.05) == 0.0
    assert clopper_pearson_upper(10, 10, alpha=0.05) == 1.0


def test_rule_of_three_for_zero_hits():
    assert clopper_pearson_upper(0, 2995, alpha=0.05) == pytest.approx(0.001, rel=2e-3)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_a_level_outside_zero_and_one_is_refused(alpha):
    with pytest.raises(AttackParameterError, match="Expected a level alpha in"):
        clopper_pearson_lower(1, 10, alpha=alpha)


def test_miettinen_nurminen_reproduces_a_published_interval():
    # 56/70 against 48/80, the worked example in Newcombe (1998), Table II (a): 0.0528 to 0.3382 and 0.0524 to 0.3339.
    effect = RateDifference(hits1=56, n1=70, hits0=48, n0=80)
    assert effect.lower(0.025) == pytest.approx(0.0528, abs=2e-4)
    assert effect.upper(0.025) == pytest.approx(0.3382, abs=2e-4)
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_bounds_and_p_value_of_a_rate_difference_say_the_same():
    effect = RateDifference(hits1=40, n1=900, hits0=5, n0=400)
    for alpha in (0.05, 0.01, 0.002):
        assert effect.p_exceeds(effect.lower(alpha)) == pytest.approx(alpha, rel=1e-4)
    assert effect.lower(0.01) < effect.lower(0.05) < effect.estimate < effect.upper(0.05) < effect.upper(0.01)


@pytest.mark.parametrize(
    ("p1", "p0", "n1", "n0"), [(0.02, 0.01, 1500, 700), (0.3, 0.3, 300, 200), (0.005, 0.001, 4000, 2000)]
)
def test_one_sided_coverage_of_rate_difference(p1, p0, n1, n0):
    rng = np.random.default_rng(11)
    missed_low = missed_high = 0
    for _ in range(WORLDS):
        effect = RateDifference(hits1=int(rng.binomial(n1, p1)), n1=n1, hits0=int(rng.binomial(n0, p0)), n0=n0)
        missed_low += effect.p_exceeds(p1 - p0) < 0.05
        missed_high += effect.z(p1 - p0) < -1.6449
    # Nominal 5 % of 2,000 is 100; 5 sd of the count is 49.
    assert missed_low < 150
    assert missed_high < 150
    assert missed_low + missed_high > 60  # and it is no blanket: it does miss


def test_rate_difference_survives_empty_and_full_tables():
    for hits1, hits0 in [(0, 0), (10, 10), (10, 0), (0, 10)]:
        effect = RateDifference(hits1=hits1, n1=10, hits0=hits0, n0=10)
        assert -1 <= effect.lower(0.05) <= effect.estimate <= effect.upper(0.05) <= 1


def test_auc_with_ties_equals_the_pairwise_count():
    rng = np.random.default_rng(0)
    pos, neg = rng.integers(0, 6, 60).astype(float), rng.integers(0, 5, 80).astype(float)
    brute = np.mean((pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :]))
    assert auc_delong(pos, neg).estimate == pytest.approx(brute, abs=1e-12)


def test_delong_variance_equals_its_definition():
    rng = np.random.default_rng(1)
    pos, neg = rng.normal(0.4, 1, 50).round(1), rng.normal(0, 1, 70).round(1)
    psi = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    expected = psi.mean(axis=1).var(ddof=1) / 50 + psi.mean(axis=0).var(ddof=1) / 70
    assert auc_delong(pos, neg).se ** 2 == pytest.approx(expected, rel=1e-12)


def test_coverage_of_delong_over_simulated_worlds():
    rng, inside = np.random.default_rng(2), 0
    truth = 0.6382  # Phi(0.5 / sqrt 2)
    for _ in range(1000):
        effect = auc_delong(rng.normal(0.5, 1, 200), rng.normal(0, 1, 150))
        inside += effect.lower(0.025) <= truth <= effect.upper(0.025)
    assert 930 <= inside <= 970


def test_perfect_separation_is_not_certainty():
    effect = auc_delong(np.arange(50.0) + 100, np.arange(40.0))
    assert effect.estimate == 1.0
    assert 0.9 < effect.lower(0.05) < 1.0


def test_coverage_of_the_adjusted_mean_difference_and_its_gain():
    rng, inside, plain, adjusted = np.random.default_rng(3), 0, 0.0, 0.0
    for _ in range(1000):
        easy1, easy0 = rng.random(300) < 0.7, rng.random(200) < 0.7
        own1, own0 = rng.random(300) < 0.2, rng.random(200) < 0.2
        v1 = np.where(own1, rng.random(300) < 0.7, easy1).astype(float)
        v0 = np.where(own0, rng.random(200) < 0.7, easy0).astype(float)
        effect = adjusted_mean_difference(v1, easy1.astype(float), v0, easy0.astype(float))
        inside += effect.lower(0.025) <= 0.0 <= effect.upper(0.025)
        adjusted += effect.se
        plain += adjusted_mean_difference(v1, np.zeros(300), v0, np.zeros(200)).se
    assert 930 <= inside <= 975
    assert adjusted < 0.75 * plain


def test_the_cut_never_exceeds_its_false_positive_rate_even_with_ties():
    rng = np.random.default_rng(4)
    for n in (5, 99, 100, 1000):
        scores = rng.integers(0, 20, n).astype(float)
        for fpr in (0.0, 0.01, 0.05, 0.5):
            assert (scores > conservative_cut(scores, fpr)).mean() <= fpr + 1e-12


def test_a_cut_needs_nonmembers():
    with pytest.raises(AttackParameterError, match="at least one nonmember"):
        conservative_cut(np.array([]), 0.01)


def test_tpr_at_fpr_sees_a_small_share_of_copies_that_the_auc_misses():
    rng = np.random.default_rng(5)
    members, nonmembers, calibration = rng.normal(size=4000), rng.normal(size=4000), rng.normal(size=4000)
    members[:120] += 10.0
    effect = tpr_at_fpr(members, nonmembers, calibration, 0.01)
    assert effect.lower(0.01) > 0.01
    assert auc_delong(members, nonmembers).lower(0.01) < 0.52


def test_holm_rejects_more_than_bonferroni_and_never_less_than_it_may():
    assert holm([0.01, 0.02, 0.9]) == pytest.approx([0.03, 0.04, 0.9])
    rng, false = np.random.default_rng(6), 0
    for _ in range(WORLDS):
        false += min(holm(list(rng.random(8)))) <= 0.05
    assert false < 150


def test_power_formulas_agree_with_the_published_table():
    # shared power table: n = 1000 a class sees AUC 0.532, TPR 1.9 % at a known FPR of 1 %, n = 5000 sees 0.514.
    assert auc_detectable(members=1000, nonmembers=1000) == pytest.approx(0.532, abs=1e-3)
    assert auc_detectable(members=5000, nonmembers=5000) == pytest.approx(0.514, abs=1e-3)
    assert rate_excess_detectable(rate=0.01, members=1000, nonmembers=10**9) == pytest.approx(0.009, abs=0.003)
    assert math.isclose(nonmembers_needed(spread=0.5, margin=0.05, members_per_nonmember=1.0), 1237, abs_tol=1)
