"""Each private text is encoded, placed and counted for itself, to the last bit."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import ModelError
from dpsynth.text.embeddings.lexical import Lexical
from dpsynth.text.embeddings.remembered import Remembered
from dpsynth.text.voting.nearest import best, on_grid, places, votes


class Toy:
    """Two coordinates by length; can be told to misbehave."""

    name = "toy"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def encode(self, texts):
        self.batches.append(list(texts))
        rows = np.array([[len(text), 5.0] for text in texts], dtype=np.float32).reshape(len(texts), 2)
        rows[[text == "nan" for text in texts]] = np.nan
        return rows[:, :1] if "flat" in texts else rows


@functools.cache
def lexical():
    return Lexical(dimensions=12).fitted([f"word{i} word{i + 1} other{i % 7}" for i in range(60)])


def space() -> Remembered:
    return Remembered.of(lexical())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([f"word{i} word{j}" for i in range(6) for j in range(6)]), min_size=1, max_size=9))
def test_a_texts_votes_do_not_depend_on_its_neighbours(texts) -> None:
    candidates, topics = [f"word{i} other{i % 7}" for i in range(20)], np.arange(20) % 2
    own = np.zeros(len(texts), dtype=np.int64)
    embedding = space()
    together = votes(places(texts, embedding), own, candidates, topics, embedding, most=3)
    alone = [votes(places([text], space()), own[:1], candidates, topics, space(), most=3) for text in texts]
    for row, single in enumerate(alone):
        assert sorted(together.candidates[together.rows == row]) == sorted(single.candidates)


def test_products_are_exact_so_ties_go_to_the_earlier_candidate_in_any_block() -> None:
    rng = np.random.default_rng(1)
    twins = np.repeat(on_grid(rng.normal(size=(40, 257)).astype(np.float32)), 2, axis=0)
    texts = on_grid(rng.normal(size=(300, 257)).astype(np.float32))
    whole = best(texts, twins, 1)
    assert (whole % 2 == 0).all()
    assert np.array_equal(whole, np.concatenate([best(texts[i : i + 1], twins, 1) for i in range(300)]))


def test_a_vote_stays_in_its_topic_and_a_topic_without_candidates_gets_none() -> None:
    embedding = space()
    texts = ["word1 word2", "word1 word2", "word1 word2"]
    cast = votes(
        places(texts, embedding),
        np.array([0, 1, 2]),
        ["word1 word2", "word30 word31", "word1 word2"],
        np.array([1, 0, 1]),
        embedding,
        most=1,
    )
    assert dict(zip(cast.rows.tolist(), cast.candidates.tolist(), strict=True)) == {0: 1, 1: 0}


def test_private_texts_come_one_a_call_and_candidates_together() -> None:
    toy = Toy()
    embedding = Remembered.of(toy)
    embedding.public(["a", "bb"])
    embedding.private(["ccc", "dddd", "ccc"])
    assert toy.batches[-3:] == [["a", "bb"], ["ccc"], ["dddd"]]


def test_a_candidate_that_equals_a_private_text_is_encoded_as_if_it_did_not() -> None:
    """The point of a candidate must not come from the call that a private record caused."""
    toy = Toy()
    embedding = Remembered.of(toy)
    embedding.private(["same"])
    embedding.public(["same", "other"])
    assert toy.batches[-1] == ["same", "other"]


@pytest.mark.parametrize("text", ["", "   \n", "nan", "flat"])
def test_a_private_text_that_is_empty_or_fails_abstains_and_stops_nothing(text: str) -> None:
    embedding = Remembered.of(Toy())
    grid = places(["fine", text], embedding)
    assert grid[0].any() and not grid[1].any()
    cast = votes(grid, np.zeros(2, dtype=np.int64), ["a", "b"], np.zeros(2, dtype=np.int64), embedding, most=1)
    assert cast.rows.tolist() == [0]


def test_what_an_encoder_raises_on_a_private_text_goes_no_further() -> None:
    class Raises(Toy):
        def encode(self, texts):
            if "secret" in texts[0]:
                raise ValueError(f"cannot encode {texts[0]!r}")
            return super().encode(texts)

    embedding = Remembered.of(Raises())
    grid = places(["fine", "a secret"], embedding)
    assert grid[0].any() and not grid[1].any()
    with pytest.raises(ValueError, match="cannot encode 'secret'"):
        embedding.public(["secret"])  # a candidate: public, and said in full


@pytest.mark.parametrize("text", ["nan", "flat"])
def test_a_candidate_that_the_embedding_fails_on_is_a_typed_error(text: str) -> None:
    embedding = Remembered.of(Toy())
    with pytest.raises(ModelError, match=r"'toy' returned an array of shape .* 2 finite coordinates"):
        embedding.public(["fine", text])


def test_an_embedding_that_does_not_return_rows_is_refused_at_once() -> None:
    class Bad:
        name = "bad"

        def encode(self, texts):
            return np.zeros(len(texts))

    with pytest.raises(ModelError, match=r"'bad' returned an array of shape \(1,\)"):
        Remembered.of(Bad())
