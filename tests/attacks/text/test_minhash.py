"""MinHash estimates the similarity that it says, and banding finds near-copies as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.text.minhash import MOST_CANDIDATES, caught, signatures, similarity
from attacks.text.paraphrase import paraphrase
from attacks.text.tokens import encode
from tests.attacks.text.worlds import parts


def sets_of_similarity(share: float, pairs: int, rng: np.random.Generator):
    """Two lists of sets of 100 hashes, each pair with that Jaccard similarity."""
    common = round(200 * share / (1 + share))
    both = rng.integers(0, 1 << 63, size=(pairs, 200 - common), dtype=np.uint64)
    one, other = both[:, :100], both[:, 100 - common :]
    owner = np.repeat(np.arange(pairs), 100)
    return signatures(one.ravel(), owner, pairs), signatures(other.ravel(), owner, pairs)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_the_share_of_equal_entries_estimates_the_jaccard_similarity(share):
    one, other = sets_of_similarity(share, 400, np.random.default_rng(1))
    equal = (one == other).mean(axis=1)
    true = round(200 * share / (1 + share)) / (200 - round(200 * share / (1 + share)))
    assert equal.mean() == pytest.approx(true, abs=5 * np.sqrt(true * (1 - true) / 128 / 400))
    assert equal.std() < 1.3 * np.sqrt(true * (1 - true) / 128)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_banding_looks_at_as_many_pairs_as_its_curve_says(share):
    one, other = sets_of_similarity(share, 1000, np.random.default_rng(2))
    seen = (similarity(one, other) > 0).mean()
    assert seen == pytest.approx(caught(share), abs=5 * np.sqrt(0.25 / 1000))


def test_nine_in_ten_planted_near_copies_are_found_among_real_texts():
    texts, others = parts(1000, 1000)
    rng = np.random.default_rng(3)
    edited = encode(paraphrase(text, rng) for text in texts)
    release = np.concatenate([encode(others).signatures, edited.signatures])
    found = similarity(encode(texts).signatures, release)
    assert (found >= 0.5).mean() > 0.9
    assert (similarity(encode(texts).signatures, encode(others).signatures) >= 0.5).mean() < 0.05


def test_a_text_without_words_resembles_nothing_and_repeats_are_bounded():
    nothing = encode(["", "?!", "a b c d"])
    assert similarity(nothing.signatures, nothing.signatures).tolist() == [0.0, 0.0, 1.0]
    same = encode(["the same words again and again"] * (10 * MOST_CANDIDATES))
    assert (similarity(same.signatures, same.signatures) == 1.0).all()


def test_signatures_do_not_depend_on_how_they_are_blocked(monkeypatch):
    texts = encode(parts(200)[0])
    monkeypatch.setattr("attacks.text.minhash._BLOCK", 64)
    assert (encode(parts(200)[0]).signatures == texts.signatures).all()
