"""Scores of worlds to effects and to epsilon: calibrated without a leak, never above a known epsilon."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.dp_audit.two_world import two_world_bound
from attacks.generators.bench import endpoints
from attacks.generators.evidence import auc_error, effect_of, epsilon_of
from attacks.generators.membership_classifier import train

AUC, TPR = endpoints()[:2]
WORLDS, TARGETS, PLACED = 60, 4, 15


def coins_of(rng, worlds=WORLDS):
    return rng.integers(0, 2, (worlds, TARGETS)).astype(bool)


def test_without_a_leak_false_alarms_stay_at_their_level():
    """Targets share one release a world, so their scores agree; the coins alone are independent."""
    rng, alarms = np.random.default_rng(0), {AUC: 0, TPR: 0}
    for _ in range(400):
        scores = rng.normal(size=(WORLDS, 1)) + 0.3 * rng.normal(size=(WORLDS, TARGETS))
        coins = coins_of(rng)
        for endpoint in alarms:
            alarms[endpoint] += effect_of(endpoint, scores, coins, PLACED).p_exceeds(endpoint.chance) <= 0.05
    assert alarms[AUC] <= 33  # 20 expected, 33 at 99.8 %
    assert alarms[TPR] <= 20


def test_bounds_hold_the_truth_where_targets_leak_unequally():
    """Half of the targets leak: the AUC over targets is the mean, which neither bound may miss too often."""
    rng, missed = np.random.default_rng(1), [0, 0]
    truth = (0.5 + 0.7602) / 2.0  # two normals one apart: Phi(1 / sqrt 2)
    for _ in range(300):
        coins = coins_of(rng)
        scores = rng.normal(size=(WORLDS, TARGETS)) + coins * np.array([1.0, 0.0, 1.0, 0.0])
        effect = effect_of(AUC, scores, coins, PLACED)
        missed[0] += effect.lower(0.05) > truth
        missed[1] += effect.upper(0.05) < truth
    assert max(missed) <= 26  # 15 expected


@pytest.mark.parametrize(("epsilon", "share"), [(0.5, 0.3), (1.0, 0.55), (3.0, 0.55)])
def test_the_bound_on_epsilon_is_below_a_known_one_in_95_of_100_runs_and_not_idle(epsilon, share):
    """Randomised response: the score says the coin with odds exp(epsilon), which is exactly epsilon-private."""
    rng, shown = np.random.default_rng(2), []
    for _ in range(100):
        coins = coins_of(rng, 200)
        told = coins ^ (rng.random(coins.shape) > 1.0 / (1.0 + np.exp(-epsilon)))
        found = epsilon_of(told + 0.0, coins, 50, delta=0.0, alpha=0.05, rng=rng)
        shown.append(found.value)
        assert found.value <= max(found.ceiling, found.single)
    assert np.mean(np.array(shown) > epsilon) <= 0.05
    assert np.median(shown) > share * epsilon


def test_a_single_target_that_leaks_is_bounded_by_its_own_two_worlds():
    rng = np.random.default_rng(3)
    coins = coins_of(rng, 200)
    scores = rng.normal(size=coins.shape)
    scores[:, 0] += 9.0 * coins[:, 0]
    found = epsilon_of(scores, coins, 50, delta=1e-6, alpha=0.05, rng=rng)
    assert found.single > 2.0 and found.value >= found.single


def test_few_worlds_that_all_agree_are_no_certainty():
    coins = coins_of(np.random.default_rng(5))
    effect = effect_of(AUC, coins + 0.0, coins, PLACED)
    assert effect.estimate == 1.0 and effect.se == auc_error(WORLDS, TARGETS)


def test_worlds_that_place_do_not_count_and_each_further_target_costs_certainty():
    rng = np.random.default_rng(6)
    coins = coins_of(rng, 200)
    scores = rng.normal(size=coins.shape)
    scores[:, 0] += 9.0 * coins[:, 0]
    many, one = (epsilon_of(scores[:, :k], coins[:, :k], 50, delta=1e-6, alpha=0.05, rng=rng) for k in (TARGETS, 1))
    assert (many.coins, one.coins) == (150 * TARGETS, 150)
    assert len(effect_of(TPR, scores, coins, 50).values) == 150
    assert 0.0 < many.single < one.single
    runs = min(coins[:, 0].sum(), (~coins[:, 0]).sum())
    inside, outside = (scores[side, 0][:runs] for side in (coins[:, 0], ~coins[:, 0]))
    assert one.single == two_world_bound(outside, inside, delta=1e-6, alpha=0.025).epsilon(1e-6)


@pytest.mark.parametrize("leak", ["few rare rows", "a shift of everything"])
def test_the_classifier_finds_what_a_count_and_what_a_sum_of_counts_says(leak):
    rng = np.random.default_rng(4)
    inside = rng.random(240) < 0.5
    features = rng.normal(size=(240, 60))
    if leak == "few rare rows":
        features[:, 7] = rng.poisson(0.02, 240) + inside * (rng.random(240) < 0.6)
    else:
        features += 0.35 * inside[:, None]
    trained = train(features[:120], inside[:120], rng)
    scores = trained.score(features[120:])
    own, other = scores[inside[120:]], scores[~inside[120:]]
    assert (own[:, None] > other[None, :]).mean() + (own[:, None] == other[None, :]).mean() / 2.0 > 0.72
    assert trained.auc > 0.7


def test_features_that_never_move_give_scores_that_say_nothing():
    trained = train(np.ones((20, 3)), np.arange(20) % 2 == 0, np.random.default_rng(0))
    assert (trained.score(np.ones((4, 3))) == 0.0).all() and trained.auc == 0.5
