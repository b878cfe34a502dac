"""Words, rolling hashes and counts agree with what plain Python finds."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks.text.counts import counted
from attacks.text.tokens import encode, grams, joined, of_words, split
from tests.attacks.text.worlds import docstrings

SENTENCES = st.lists(st.lists(st.sampled_from("abc"), max_size=9), min_size=1, max_size=6)


@given(SENTENCES, st.integers(1, 5))
def test_two_grams_have_equal_hashes_exactly_when_their_words_are_equal(texts, n):
    hashes, owner = grams(of_words(texts), n)
    plain = [
        (tuple(words[i : i + n]), len(words) < n, doc)
        for doc, words in enumerate(texts)
        for i in range(max(len(words) - n + 1, min(len(words), 1)))
    ]
    assert owner.tolist() == [doc for _, _, doc in plain]
    assert len(set(hashes.tolist())) == len({(gram, short) for gram, short, _ in plain})


@given(SENTENCES)
def test_taking_and_joining_texts_are_those_of_lists(texts):
    encoded = encode(" ".join(words) for words in texts)
    rows = np.arange(len(texts))[::-1]
    assert (encoded.take(rows).words == encode(" ".join(texts[i]) for i in rows).words).all()
    both = joined(encoded, encoded.take(rows))
    assert (both.ids[: len(texts)] == both.ids[len(texts) :][::-1]).all()
    assert (
        both.signatures == joined(encoded, encoded).signatures[np.concatenate([rows[::-1], len(texts) + rows])]
    ).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Loan, paid late!", "the loan paid LATE"),
        ("cafe\u0301 au lait", "café au lait"),
        ("ﬁne Ⅳ", "fine IV"),
        ("שלום\u200f עולם", "שלום עולם"),
        ("ok\ufe0f \U0001f600", "ok \U0001f600"),
    ],
)
def test_writings_of_the_same_words_are_the_same(one, other):
    assert split(one) == split(other)


def test_ideographs_and_emoji_are_words_of_their_own():
    assert split("銀行に 行く \U0001f600\U0001f600") == ["銀", "行", "に", "行", "く", "\U0001f600", "\U0001f600"]
    assert split("a\x00b \ud800 c") == ["a", "b", "\ud800", "c"]


def test_counts_are_those_of_a_counter_and_zero_for_the_unknown():
    words = encode(["to be or not to be"]).words
    assert counted(words).of(words).tolist() == [2, 2, 1, 1, 2, 2]
    assert counted(words[:1]).of(words).tolist() == [1, 0, 0, 0, 1, 0]
    assert counted(words[:0]).of(words).tolist() == [0] * 6


def test_a_gram_takes_eight_bytes_and_its_index_few_times_as_much():
    texts = encode(docstrings()[:8000])
    hashes, _ = grams(texts, 8)
    assert hashes.nbytes == 8 * len(hashes)
    tracemalloc.start()
    grams(texts, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * len(hashes)
