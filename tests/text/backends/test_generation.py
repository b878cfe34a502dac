"""Public sampling: laws of the draw, ends, forms, and texts that need no other text beside them."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends import load
from dpsynth.text.backends.generation import draw, generate
from dpsynth.text.backends.ngram import NgramBackend
from tests.text.small_models import LINES

MODEL = NgramBackend.of(LINES, pieces=60)


def test_tokens_are_drawn_by_their_softmax():
    logits = np.log(np.array([[0.5, 0.3, 0.15, 0.05]], dtype=np.float32)).repeat(40_000, axis=0)
    rng = np.random.default_rng(0)
    for temperature, expected in ((1.0, [0.5, 0.3, 0.15, 0.05]), (0.5, [0.25, 0.09, 0.0225, 0.0025])):
        chosen = draw(logits, temperature=temperature, top_k=None, allowed=None, rng=rng)
        found = np.bincount(chosen, minlength=4)
        chances = np.array(expected) / sum(expected)
        assert (((found - 40_000 * chances) ** 2) / (40_000 * chances)).sum() < 31  # chi2, 3 df, alpha 1e-6


def test_top_k_and_temperature_zero_and_what_is_not_allowed():
    rng = np.random.default_rng(0)
    logits = np.array([[0.0, 3.0, 2.0, 1.0]], dtype=np.float32).repeat(500, axis=0)
    assert set(draw(logits, temperature=5.0, top_k=2, allowed=None, rng=rng).tolist()) == {1, 2}
    assert set(draw(logits, temperature=0, top_k=None, allowed=None, rng=rng).tolist()) == {1}
    allowed = np.array([[True, False, False, True]]).repeat(500, axis=0)
    assert set(draw(logits, temperature=1.0, top_k=1, allowed=allowed, rng=rng).tolist()) == {3}
    assert set(draw(logits, temperature=0, top_k=None, allowed=allowed, rng=rng).tolist()) == {3}


def test_texts_end_at_the_end_and_at_the_limit():
    rng = np.random.default_rng(0)
    texts = generate(MODEL, [MODEL.tokens("The bank")] * 50, most=12, rng=rng)
    assert len(texts) == 50 and len(set(texts)) > 5
    greedy = generate(MODEL, [MODEL.tokens("My credit report")], most=60, temperature=0, rng=rng)
    assert greedy == [" shows a debt that is not mine."]


def test_many_batches_and_rows_that_leave_give_each_prompt_its_own_text():
    prompts = [MODEL.tokens(line[:9]) for line in LINES] * 5
    texts = generate(MODEL, prompts, most=80, temperature=0, rng=np.random.default_rng(0), rows=7)
    assert texts == generate(MODEL, prompts[:4], most=80, temperature=0, rng=np.random.default_rng(0)) * 5


def test_a_seed_repeats_and_progress_tells_tokens_per_second():
    told: list[tuple[str, int, int, str]] = []
    prompts = [MODEL.tokens("They")] * 9

    def progress(name, done, total, detail=""):
        told.append((name, done, total, detail))

    one = generate(MODEL, prompts, most=20, rng=np.random.default_rng(3), rows=4, progress=progress)
    assert one == generate(MODEL, prompts, most=20, rng=np.random.default_rng(3), rows=4)
    assert [entry[1:3] for entry in told] == [(4, 9), (8, 9), (9, 9)] and "tokens/s" in told[-1][3]


def test_a_form_is_kept():
    pytest.importorskip("llguidance", reason="forms need it")
    from dpsynth.text.structure import structure_from

    form = structure_from("regex:(yes|no), [a-z]{2,8}")
    texts = generate(MODEL, [MODEL.tokens("")] * 40, most=30, structure=form, rng=np.random.default_rng(0))
    assert all(form.accepts(text) for text in texts) and len(set(texts)) > 3


@pytest.mark.parametrize("wrong", [{"most": 0}, {"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}])
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ParameterError, match="Expected most"):
        generate(MODEL, [MODEL.tokens("a")], **{"most": 3, "rng": np.random.default_rng(0), **wrong})


def test_no_prompt_gives_no_text():
    assert generate(load("ngram"), [], most=3, rng=np.random.default_rng(0)) == []
