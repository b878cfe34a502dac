"""Membership by meaning: what wording does not show is seen, and what nobody was trained on is not accused."""

from __future__ import annotations

import numpy as np
import pytest

import attacks
from attacks.errors import AttackInputError
from attacks.text.embedding import LatentSemantic, nearest, unit
from attacks.text.embedding_membership import EmbeddingMembership
from attacks.text.paraphrase import paraphrase
from attacks.text.tokens import encode
from attacks.text.view import TextView
from tests.attacks.text.worlds import complaints, leaky, messages, parts


@pytest.fixture(scope="module")
def world():
    return parts(1000, 1000, 1000)


def audited(members, release, holdout, **settings):
    report = attacks.audit_text(members, release, holdout, attacks=[EmbeddingMembership(**settings)])
    return report, {(r.endpoint, r.stratum): r for r in report.attacks}


def test_texts_never_trained_on_are_not_accused_and_controls_have_power(world):
    members, holdout, spare = world
    report, _ = audited(members, spare, holdout)
    assert report.verdict != "fail", str(report)
    assert all(r.negative_control.passed and r.positive_control.detected >= 8 for r in report.attacks)


def test_rewordings_and_a_three_gram_generator_are_caught(world):
    members, holdout, spare = world
    rng = np.random.default_rng(3)
    reworded = [paraphrase(t, rng) for t in members[:200]] + spare
    report, found = audited(members, reworded, holdout)
    assert report.verdict == "fail" and found["tpr_excess@fpr=0.01", "all"].verdict == "fail"
    assert audited(members, leaky(members, 1000, rng, 3), holdout)[1]["auc", "all"].ci_low > 0.6


def test_shuffled_words_that_no_word_pair_shows_are_caught_by_meaning(world):
    """Every member's words in random order: 4-grams are gone, the bag of words is not."""
    members, holdout, _ = world
    rng = np.random.default_rng(6)
    bags = [" ".join(rng.permutation(t.split())) for t in members]
    assert audited(members, bags, holdout)[0].verdict == "fail"


def test_what_the_population_writes_anyway_is_no_sign_of_membership():
    release = encode(["the bank took a fee", "my dog barks at night", "rain fell on the hills"])
    targets, reference = encode(["the bank took a fee", "my dog barks at night"]), encode(["the bank took a fee"])
    scores = EmbeddingMembership().score(
        TextView(release=release, targets=targets, reference=reference), np.random.default_rng(0)
    )["nearness"]
    assert abs(scores[0]) < 1e-6 and scores[1] > 0.5


class Letters:
    """An embedding that somebody brings: counts of letters. It counts what it was asked."""

    name = "letters"

    def __init__(self):
        self.asked = 0

    def encode(self, texts):
        self.asked += len(texts)
        return np.array([[t.count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts], dtype=np.float32)


def test_an_embedding_of_ones_own_encodes_each_text_once(world):
    members, holdout, _ = (part[:200] for part in world)
    letters = Letters()
    report = attacks.audit_text(members, members, holdout, embedding=letters)
    assert {r.verdict for r in report.attacks if r.name == "text_embedding"} <= {"fail", "inconclusive"}
    planted = {paraphrase(t, np.random.default_rng(1)) for t in members}  # at most one rewording a member besides
    assert letters.asked <= len({*members, *holdout}) + len(planted) + len(members)


@pytest.mark.parametrize("bad", ["rows", "nan", "shape"])
def test_an_embedding_that_answers_nonsense_is_refused(world, bad):
    class Broken(Letters):
        def encode(self, texts):
            rows = super().encode(texts)
            return {"rows": rows[1:], "nan": rows * np.nan, "shape": rows[:, 0]}[bad]

    members, holdout, _ = (part[:100] for part in world)
    with pytest.raises(AttackInputError, match="one finite row a text"):
        attacks.audit_text(members, members, holdout, attacks=[EmbeddingMembership(embedding=Broken())])


def test_blocks_of_products_give_what_all_at_once_gives(monkeypatch):
    rng = np.random.default_rng(0)
    one, two = (unit(rng.normal(size=(n, 8)).astype(np.float32)) for n in (57, 33))
    whole = (one @ two.T).max(axis=1)
    monkeypatch.setattr("attacks.text.embedding._BLOCK", 100)
    assert np.allclose(nearest(one, two), whole)
    assert (nearest(one, two[:0]) == -1.0).all()


def test_the_space_knows_the_release_alone(world):
    """Same release, other people: the same directions, bit for bit."""
    _, _, spare = world
    one, two = (LatentSemantic.fitted(encode(spare)) for _ in range(2))
    assert np.array_equal(one.directions, two.directions) and np.array_equal(one.words, two.words)
    assert (one.points(encode(["zzqq qqzz"])) == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("corpus", [messages, complaints])
def test_on_real_corpora_copies_fail_and_nulls_do_not(corpus):
    texts, caught = corpus(), 0
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(texts))
        members, holdout, spare = (list(p) for p in np.array_split(np.array(texts, dtype=object)[order], 3))
        report = attacks.audit_text(members, spare, holdout, attacks=[EmbeddingMembership()], seed=seed)
        assert report.verdict != "fail", str(report)
        copied = [*members[: len(members) // 5], *spare]
        report = attacks.audit_text(members, copied, holdout, attacks=[EmbeddingMembership()], seed=seed)
        assert report.verdict != "pass", str(report)
        caught += report.verdict == "fail"
    assert caught >= 4  # one split of the messages stays undecided: its negative control reads 0.524
