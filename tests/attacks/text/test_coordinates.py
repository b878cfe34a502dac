"""Coordinates of texts keep what attacks on rows need: equal texts fall together, other texts do not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attacks.text.coordinates import DIMENSIONS, coordinates

WORDS = [f"{a}{b}" for a in "bcdfghjklm" for b in ("ank", "ore", "ill", "ust", "ent")]


@given(st.lists(st.text(max_size=60), max_size=6))
def test_they_are_a_function_of_each_text_alone(texts: list[str]) -> None:
    together = coordinates(texts)
    assert together.shape == (len(texts), DIMENSIONS) and np.isfinite(together).all()
    for at, text in enumerate(texts):
        assert (coordinates([text])[0] == together[at]).all()


def test_distances_grow_with_the_words_that_differ() -> None:
    rng = np.random.default_rng(1)
    texts = [list(rng.choice(WORDS, size=40)) for _ in range(300)]
    near = [[*words[:36], *rng.choice(WORDS, size=4)] for words in texts]
    far = [list(rng.choice(WORDS, size=40)) for _ in range(300)]
    ours, close, other = (coordinates([" ".join(words) for words in group]) for group in (texts, near, far))
    assert np.mean(np.abs(ours - close).sum(1) < np.abs(ours - other).sum(1)) > 0.97


def test_different_texts_hardly_ever_fall_together() -> None:
    rng = np.random.default_rng(2)
    texts = {" ".join(rng.choice(WORDS, size=30)) for _ in range(3000)}
    points = coordinates(sorted(texts))
    assert len(np.unique(points, axis=0)) > 0.999 * len(texts)


def test_no_word_is_the_origin() -> None:
    assert not coordinates(["", "?!", "  "]).any()
