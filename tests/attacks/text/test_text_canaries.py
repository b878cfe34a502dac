"""Text canaries: an n-gram generator echoes them at one repeat, a DP one does not, and coins stay secret."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import attacks
from attacks.dp_audit.one_run import one_run_bound
from attacks.errors import AttackInputError, AttackParameterError
from attacks.limits import DEFAULT_LIMITS
from attacks.statistics import auc_delong
from attacks.text.canaries import SIBLINGS, attack_text_canaries, exposures
from attacks.text.tokens import encode
from tests.attacks.text.worlds import leaky, parts, private_bigrams

TEXTS = 1500


@pytest.fixture(scope="module")
def world():
    members, holdout, public = parts(TEXTS, TEXTS, TEXTS)
    return members, holdout, public, attacks.make_text_canaries(public, 400, rng=np.random.default_rng(1))


def trace(canaries, release, seed=0):
    limit, rng = DEFAULT_LIMITS["public"]["canary.auc"], np.random.default_rng(seed)
    return attack_text_canaries(canaries, encode(release), limit=limit, family=10, trials=10, rng=rng)


@pytest.mark.parametrize("order", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_leaky_generator_echoes_at_one_repeat_with_auc_above_four_fifths(world, order):
    members, _, _, canaries = world
    found = trace(canaries, leaky(members + canaries.inserted(), TEXTS, np.random.default_rng(2), order))
    assert found.measurement.effect.lower(0.05) > 0.8
    assert 1.0 < found.bound.value <= found.bound.ceiling
    assert found.measurement.positive.caught


def test_a_private_generator_leaves_the_auc_near_chance_and_bounds_no_epsilon_above_its_own(world):
    members, _, public, canaries = world
    vocabulary = [w for w, _ in Counter(w for t in public for w in t.split()).most_common(500)]
    areas = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        release = private_bigrams(members + canaries.inserted(), vocabulary, TEXTS, 1.0, rng)
        score = exposures(canaries, release, rng=rng).exposure
        areas.append(auc_delong(score[canaries.included], score[~canaries.included]).estimate)
        assert one_run_bound(score, canaries.included, delta=canaries.delta, rng=rng).value <= 1.0
    assert np.mean(areas) <= 0.55


def test_exposure_is_the_rank_among_siblings(world):
    _, holdout, _, canaries = world
    clean = exposures(canaries, holdout, rng=np.random.default_rng(3))
    assert clean.most == np.log2(SIBLINGS + 1)
    # Under no echo the rank is uniform: P[exposure >= b] = 2^-b, mean 1 / ln 2 bits, standard deviation the same.
    assert clean.exposure.mean() == pytest.approx(1 / np.log(2), abs=5 / np.log(2) / 20)
    copied = exposures(canaries, holdout + list(canaries.inserted()), rng=np.random.default_rng(3))
    assert (copied.exposure[canaries.included] > 10).all()
    assert np.median(copied.exposure[~canaries.included]) < 3


@pytest.mark.slow
def test_a_prefix_like_ordinary_text_echoes_more_than_odd_words_alone(world):
    members, _, public, _ = world
    areas = {}
    for prefix, suffix in ((0, 30), (20, 10)):
        canaries = attacks.make_text_canaries(
            public, 400, rng=np.random.default_rng(4), prefix_words=prefix, suffix_words=suffix
        )
        release = leaky(members + canaries.inserted(), TEXTS, np.random.default_rng(5))
        score = exposures(canaries, release, rng=np.random.default_rng(6)).exposure
        areas[prefix] = auc_delong(score[canaries.included], score[~canaries.included]).estimate
    assert areas[20] > areas[0] + 0.05


def test_what_is_published_of_canaries_does_not_depend_on_private_texts(world):
    members, holdout, public, _ = world
    few = attacks.make_text_canaries(public[:500], 100, rng=np.random.default_rng(8))
    release = [*holdout[:500], *few.inserted()]
    seen = set()
    known = [f"{text} user{i}@example.org" for i, text in enumerate(release[:500])]  # one kind of identifier more
    for real, other in ((members[:400], holdout[600:900]), (known, holdout[1200:1500])):
        report = attacks.audit_text(real, release, other, canaries=few)
        row = next(row for row in report.attacks if row.confidentiality == "canary_only")
        seen.add((row.estimate, row.ci_low, row.ci_high, row.alpha, row.positive_control, report.epsilon_lower_bound))
    assert len(seen) == 1


def test_coins_are_fair_secret_and_decide_what_is_inserted(world):
    canaries = world[3]
    assert abs(int(canaries.included.sum()) - 200) < 5 * 10
    assert len(canaries.inserted(3)) == 3 * canaries.included.sum()
    assert "True" not in repr(canaries) and canaries.texts[0] not in repr(canaries)
    assert len(set(canaries.texts)) == 400


@pytest.mark.parametrize(
    ("public", "count", "settings", "error", "match"),
    [
        (["one two"], 10, {}, AttackInputError, "fewer than 10 different words"),
        (["a b c d e f g h i j k"], 1, {}, AttackParameterError, "two canaries"),
        (["a b"], 50, {"prefix_words": 0, "suffix_words": 2}, AttackInputError, "do not yield 50"),
        (["a b"], 4, {"suffix_words": 1}, AttackParameterError, "suffix of two words"),
    ],
)
def test_public_texts_that_make_no_canaries_are_refused(public, count, settings, error, match):
    with pytest.raises(error, match=match):
        attacks.make_text_canaries(public, count, rng=np.random.default_rng(0), **settings)
