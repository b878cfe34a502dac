"""The benchmark scan: what is there is found, what is not is not, and missed plants forbid a pass."""

from __future__ import annotations

import re

import numpy as np
import pytest

from attacks.limits import DEFAULT_LIMITS, Limit
from attacks.text.contamination import Census, attack_contamination, contained, recall_on_paraphrases
from attacks.text.paraphrase import paraphrase
from attacks.text.tokens import encode
from attacks.verdict import decide
from tests.attacks.text.worlds import parts

LIMIT = DEFAULT_LIMITS["public"]["text.contamination"]


def benchmark(count: int) -> list[str]:
    """Sentences of the language reference, which ships with Python and is no docstring of a package."""
    topics = pytest.importorskip("pydoc_data.topics", reason="needs pydoc_data of the standard library").topics
    found = dict.fromkeys(
        " ".join(sentence.split())
        for _, topic in sorted(topics.items())
        for sentence in re.split(r"(?<=\.)\s+", topic)
        if 12 <= len(sentence.split()) <= 50 and "::" not in sentence
    )
    return list(found)[:: max(len(found) // count, 1)][:count]


def scanned(items, release, limit=LIMIT, seed=0):
    row, recall = attack_contamination(items, encode(release), limit=limit, rng=np.random.default_rng(seed))
    return row, recall, decide([row.measurement])[0]


def test_a_release_of_other_texts_passes_and_says_what_it_would_have_seen():
    items, (release,) = benchmark(300), parts(3000)
    row, recall, decision = scanned(items, release)
    assert decision.verdict == "pass", decision.reason
    assert row.measurement.effect.estimate <= 0.005
    assert recall["any"] > 0.9 > 0.5 > recall["gram13"]  # the usual rule misses most rewordings


@pytest.mark.parametrize("how", ["copied", "inside", "reworded"])
def test_five_items_in_a_hundred_are_found_however_they_came_in(how):
    items, (release,) = benchmark(300), parts(3000)
    rng = np.random.default_rng(1)
    plant = {
        "copied": lambda t: t,
        "inside": lambda t: f"{release[0]} {t} {release[1]}",
        "reworded": lambda t: paraphrase(t, rng),
    }[how]
    _, _, decision = scanned(items, release + [plant(t) for t in items[:15]])
    assert decision.verdict == "fail"


def test_recall_is_reported_per_method_and_their_union_is_best():
    items, (release,) = benchmark(200), parts(1000)
    recall = recall_on_paraphrases(items, release, rng=np.random.default_rng(2))
    assert recall["any"] >= max(recall[m] for m in ("gram13", "contained", "minhash")) > 0.9


def test_items_too_short_to_be_found_reworded_give_no_pass():
    items = [f"{a} {b}" for a in ("red", "blue", "green", "grey") for b in ("cat", "dog", "cow", "hen", "fox", "owl")]
    _, recall, decision = scanned(items, parts(500)[0], limit=Limit(value=0.5, planted=1.0))
    assert recall["any"] < 0.8
    assert (decision.verdict, "paraphrases" in decision.reason) == ("inconclusive", True)


def test_the_bound_on_what_was_missed_holds_in_nineteen_of_twenty_worlds():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(1000):
        caught = int(rng.binomial(200, 0.85))
        found = int(rng.binomial(12, 0.85))
        covered += Census(found=found, items=200, caught=caught, planted=200).upper(0.05) >= 12 / 200
    assert covered >= 950


def test_containment_is_that_of_sets():
    items, release = encode(["a b c d e f"]), encode(["x a b c d y", "d e f"])
    assert contained(items, release).tolist() == [0.5]  # abc, bcd of abc, bcd, cde, def
    assert contained(items, encode(["a b c d e f z"])).tolist() == [1.0]
    assert contained(items, encode(["q"])).tolist() == [0.0]
