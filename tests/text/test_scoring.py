"""Likelihoods of texts: those of the model's own logits, whatever stands beside a text in the batch."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.quality.text import evaluate_text
from dpsynth.text import scoring
from dpsynth.text.backends import load
from dpsynth.text.scoring import scorer_of
from tests.attacks.text.worlds import parts
from tests.text.small_models import LINES, network, tokenizer

TEXTS = [*LINES, "", "a", " ".join(LINES * 3), LINES[0]]


def hugging_face(family="gpt2"):
    from dpsynth.text.backends.hugging_face import HFBackend

    return HFBackend.of(network(family), tokenizer(), name="small", device="cpu")


def by_hand(model, text, most):
    """One token at a time, through the protocol that every backend has."""
    ids, total = model.tokens(text)[:most], 0.0
    started = model.start([np.zeros(0, dtype=np.int64)], width=1, room=max(len(ids), 1))
    for token in ids:
        logits = started.logits()[0].astype(np.float64)
        total += logits[token] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
        started.append(np.array([token]))
    return total, len(ids)


@pytest.mark.parametrize("make", [hugging_face, lambda: hugging_face("llama"), lambda: load("ngram")])
def test_the_likelihood_is_that_of_one_token_after_the_other(make, monkeypatch):
    model = make()
    monkeypatch.setattr(scoring, "ROWS", 3)
    monkeypatch.setattr(scoring, "POSITIONS", 70)
    totals, tokens = scorer_of(model, most=40)(TEXTS)
    for text, total, count in zip(TEXTS, totals, tokens, strict=True):
        assert (total, count) == pytest.approx(by_hand(model, text, 40), rel=1e-4, abs=1e-6)


def test_a_text_is_asked_for_once_and_its_company_changes_nothing():
    model = hugging_face()
    scorer = scorer_of(model)
    together, _ = scorer(TEXTS)
    calls = []
    handle = model.module.register_forward_hook(lambda *_: calls.append(1))
    again, _ = scorer(TEXTS[::-1])
    handle.remove()
    assert not calls and (again == together[::-1]).all()
    for text, total in zip(TEXTS, together, strict=True):
        assert scorer_of(model)([text])[0][0] == pytest.approx(total, rel=1e-4, abs=1e-6)


def test_no_texts_and_no_tokens():
    assert [len(part) for part in scorer_of(load("ngram"))([])] == [0, 0]
    with pytest.raises(ParameterError, match="most=0"):
        scorer_of(load("ngram"), most=0)


def test_shuffled_words_surprise_a_model_that_real_texts_do_not():
    """The report's perplexity with a scorer from a name; it says which model judged."""
    real, other, held = parts(60, 60, 60, seed=5)
    rng = np.random.default_rng(0)
    shuffled = [" ".join(rng.permutation(text.split())) for text in other]
    scorer = scorer_of(load("ngram"), most=30)
    good, bad = (evaluate_text(real, made, held, scorer=scorer) for made in (other, shuffled))
    for report in (good, bad):
        assert report.text.scored and report.text.scored_by.startswith("ngram (SHA-256 ")
    one, two = (report.metric("text_perplexity_gap") for report in (good, bad))
    assert one.reference == two.reference and one.floor == two.floor
    assert two.value > 2 * max(one.value, one.reference, 0.01)
