"""The whole text suite on real texts: leaks fail, harmless releases pass, hostile input is answered or refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.errors import AttackError, AttackInputError
from attacks.protocol import Roles
from attacks.report import AttackReport
from attacks.text.auditing import TEXT_ATTACKS, _built
from attacks.text.paraphrase import paraphrase
from attacks.text.verbatim import TextVerbatim
from tests.attacks.text.worlds import complaints, leaky, messages, parts, private_bigrams

TEXTS = 2000


@pytest.fixture(scope="module")
def world():
    return parts(TEXTS, TEXTS, TEXTS)


def rows(report):
    return {(r.name, r.endpoint, r.stratum): r for r in report.attacks}


def test_every_endpoint_has_a_limit_in_both_tiers_and_the_table_names_what_it_builds():
    built = _built()
    assert [attack.name for attack in built] == list(TEXT_ATTACKS)
    for tier in attacks.DEFAULT_LIMITS.values():
        assert all(e.limit_id in tier for attack in built for e in attack.endpoints(Roles()))


def test_real_texts_never_trained_on_pass_and_every_row_has_both_controls(world):
    members, holdout, spare = world
    report = attacks.audit_text(members, spare, holdout)
    assert report.verdict == "pass", str(report)
    assert all(r.positive_control.trials == 10 and r.detectable is not None for r in report.attacks)
    assert all(r.negative_control.passed for r in report.attacks)
    assert AttackReport.from_json(report.to_json()) == report


def test_a_private_generator_passes_and_its_members_are_not_inferred(world):
    members, holdout, spare = world
    vocabulary = [w for w, _ in Counter(w for t in spare for w in t.split()).most_common(500)]
    release = private_bigrams(members, vocabulary, TEXTS, 1.0, np.random.default_rng(3))
    report = attacks.audit_text(members, release, holdout)
    assert report.verdict == "pass", str(report)
    assert rows(report)["text_ngram", "auc", "all"].estimate <= 0.55


def test_a_two_gram_generator_fails_by_membership_where_verbatim_overlap_passes(world):
    members, holdout, _ = world
    release = leaky(members, TEXTS, np.random.default_rng(4), order=2)
    found = rows(attacks.audit_text(members, release, holdout))
    assert found["text_ngram", "auc", "all"].ci_low > 0.8
    assert found["text_verbatim", "gram13_excess", "all"].verdict == "pass"


@pytest.mark.parametrize(
    ("how", "caught_by"),
    [pytest.param("copied", "text_verbatim", marks=pytest.mark.slow), ("reworded", "text_near_duplicate")],
)
def test_a_tenth_of_the_members_copied_or_reworded_fails(world, how, caught_by):
    members, holdout, spare = (part[:1000] for part in world)
    rng = np.random.default_rng(5)
    plant = members[:100] if how == "copied" else [paraphrase(t, rng) for t in members[:100]]
    report = attacks.audit_text(members, plant + spare, holdout)
    assert caught_by in {r.name for r in report.attacks if r.verdict == "fail"}


def test_swapped_training_and_holdout_do_not_pass(world):
    members, holdout, _ = world
    members, holdout = members[:500], holdout[:500]
    report = attacks.audit_text(holdout, members, members[::-1])
    assert report.verdict == "inconclusive" and any("swapped" in r.reason for r in report.attacks)


@pytest.mark.parametrize("law", ["case", "punctuation", "order", "table"])
def test_verdicts_do_not_depend_on_how_the_texts_are_written(world, law):
    members, holdout, _ = (part[:500] for part in world)
    release = members[:250] + holdout[:0] + world[2][:250]

    def changed(texts):
        if law == "case":
            return [t.upper() for t in texts]
        if law == "punctuation":
            return [t.replace(" ", "  ") + "..." for t in texts]
        if law == "order":
            return texts[::-1]
        return pd.DataFrame({"n": range(len(texts)), "text": texts})

    column = "text" if law == "table" else None
    one = attacks.audit_text(members, release, holdout, attacks=[TextVerbatim()])
    two = attacks.audit_text(
        changed(members), changed(release), changed(holdout), column=column, attacks=[TextVerbatim()]
    )
    if law == "order":  # new folds: bounds move, a leak does not vanish
        assert one.verdict == two.verdict == "fail"
    else:
        assert [r.estimate for r in one.attacks] == [r.estimate for r in two.attacks]


def test_equal_seeds_give_equal_reports(world):
    members, holdout, spare = (part[:300] for part in world)
    one, two = (attacks.audit_text(members, spare, holdout, benchmarks=spare[:30], seed=4) for _ in range(2))
    assert [r.model_dump(exclude={"seconds"}) for r in one.attacks] == [
        r.model_dump(exclude={"seconds"}) for r in two.attacks
    ]


def test_one_text_a_person_is_attacked_and_nobody_stands_on_both_sides(world):
    members, holdout, spare = (part[:400] for part in world)
    real = pd.DataFrame({"who": np.arange(400) // 4, "text": members})
    other = pd.DataFrame({"who": 1000 + np.arange(400) // 4, "text": holdout})
    report = attacks.audit_text(real, spare, other, column="text", unit="who")
    assert {r.n_targets for r in report.attacks if r.stratum == "all" and r.name.startswith("text")} == {100}
    with pytest.raises(AttackInputError, match="both in training and in the holdout"):
        attacks.audit_text(real, spare, real.assign(text=holdout), column="text", unit="who")


def test_a_holdout_that_was_trained_on_is_refused(world):
    members, _, spare = (part[:400] for part in world)
    with pytest.raises(AttackInputError, match="split is broken"):
        attacks.audit_text(members, spare, members[:200] + spare[:200])


HOSTILE = {
    "empty list": [],
    "one text": "just one string",
    "bytes": [b"abc"] * 50,
    "numbers": [1.5] * 50,
    "infinite": [float("inf")] * 50,
    "all missing": [None, np.nan, pd.NA, pd.NaT],
    "no words": ["?!", "", "   "] * 20,
    "nested": [["a", "b"]] * 30,
    "nothing": None,
}
SOUND = {
    "one word": ["word"] * 40,
    "all equal": ["all of these texts are equal"] * 60,
    "some missing": [f"text number {i} of some" if i % 3 else None for i in range(90)],
    "a huge line": ["word " * 20_000] + [f"short text {i}" for i in range(40)],
    "binary": ["\x00\x01\x7f\xff" * 20 + str(i) for i in range(40)],
    "null bytes": [f"a\x00b {i}\x00" for i in range(40)],
    "emoji": ["\U0001f600\U0001f469\u200d\U0001f680 " * (1 + i) for i in range(40)],
    "right to left": [f"שלום \u202eעולם {i} \u0661\u0662" for i in range(40)],
    "combining": ["e" + "\u0301" * (1 + i % 9) + f" a\u0308\u0323 {i}" for i in range(40)],
    "lone surrogates": [f"\ud800 {i} \udfff" for i in range(40)],
    "two texts": ["one text here", "and another one"],
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["real", "synthetic", "holdout", "benchmarks"])
def test_what_is_no_text_is_refused_by_name_and_without_a_value(name, place):
    good = {p: [f"{p} text number {i} of the many" for i in range(60)] for p in ("real", "synthetic", "holdout")}
    if place == "benchmarks" and name in ("nothing", "no words"):
        assert attacks.audit_text(**good, benchmarks=HOSTILE[name]).verdict != "fail"
        return
    with pytest.raises(AttackInputError) as caught:
        attacks.audit_text(**{**good, place: HOSTILE[name]})
    assert caught.value.remedy
    assert "abc" not in str(caught.value) and "1.5" not in str(caught.value)


@pytest.mark.parametrize("name", SOUND)
def test_odd_texts_get_a_sound_answer(name):
    good = {p: [f"{p} text number {i} of the many" for i in range(60)] for p in ("real", "synthetic", "holdout")}
    report = attacks.audit_text(SOUND[name], SOUND[name], good["holdout"], benchmarks=SOUND[name][:3])
    assert report.verdict != "pass"  # copies, or too few texts for any verdict
    assert attacks.audit_text(good["real"][:20], good["synthetic"], SOUND[name]).verdict != "pass"


def test_a_copy_of_odd_texts_still_fails():
    for name in ("emoji", "right to left", "binary"):
        make = [SOUND[name][i % 40] + f" k{i} v{i * 7}" for i in range(200)]
        report = attacks.audit_text(make[:100], make[:100], make[100:])
        assert report.verdict == "fail", name


@pytest.mark.slow
@pytest.mark.parametrize("corpus", [messages, complaints])
def test_leaks_of_real_corpora_fail_and_their_nulls_never_do(corpus):
    texts = corpus()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(texts))
        members, holdout, spare = np.array_split(np.array(texts, dtype=object)[order], 3)
        null = attacks.audit_text(list(members), list(spare), list(holdout), seed=seed)
        assert null.verdict != "fail", str(null)
        copied = [*members[: len(members) // 10], *spare]
        assert attacks.audit_text(list(members), copied, list(holdout), seed=seed).verdict == "fail"


def test_errors_are_of_the_tree(world):
    members, holdout, spare = (part[:100] for part in world)
    for settings in ({"limits": "secret"}, {"column": "text"}, {"unit": "who"}, {"limits": {"text.ngram.auc": 0.6}}):
        try:
            attacks.audit_text(members, spare, holdout, **settings)
        except AttackError as error:
            assert error.remedy
        else:
            assert settings == {"column": "text"}  # a list needs none
