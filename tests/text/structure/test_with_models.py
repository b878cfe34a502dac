"""Forms hold real backends: public generation, and private prediction that pays for choices alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.generation import generate
from dpsynth.text.backends.ngram import NgramBackend
from dpsynth.text.filters.form import FormFilter
from dpsynth.text.private_prediction import PrivatePrediction
from tests.text.test_private_prediction import TASK, corpus, ngram, released, sentences, spoken

pytest.importorskip("llguidance", reason="the extra `text` is not installed")

SCHEMA = {
    "type": "object",
    "properties": {"issue": {"enum": ["fees", "fraud"]}, "note": {"type": "string", "maxLength": 20}},
    "required": ["issue", "note"],
    "additionalProperties": False,
}


def transformer(tmp_path):
    from dpsynth.text.backends.hugging_face import HFBackend
    from tests.text.small_models import save

    return HFBackend.load(str(save(tmp_path / "model")), device="cpu")


@pytest.mark.parametrize("kind", ["ngram", "transformer"])
def test_public_texts_have_the_form_or_ran_out_of_tokens(kind, tmp_path):
    from dpsynth.text.structure.json_schema import JSONSchema

    model = ngram() if kind == "ngram" else transformer(tmp_path)
    form = JSONSchema(SCHEMA)
    texts = generate(
        model, [model.tokens("note")] * 24, most=60, structure=form, rng=np.random.default_rng(0), name="texts"
    )
    kept = FormFilter(structure=form).keep(texts, ())
    assert kept.sum() >= 12, texts
    for text, whole in zip(texts, kept.tolist(), strict=True):
        if whole:
            assert set(json.loads(text)) == {"issue", "note"}
        else:
            assert text.startswith('{"issue": ')
    cut = generate(model, [model.tokens("note")] * 8, most=4, structure=form, rng=np.random.default_rng(0))
    assert not FormFilter(structure=form).keep(cut, ()).any()


@pytest.mark.parametrize("form", [r"issue: (fees|fraud)\. [a-z ]{3,12}\.", "schema"])
def test_private_prediction_writes_texts_of_the_form(form):
    from dpsynth.text.structure.json_schema import JSONSchema
    from dpsynth.text.structure.regex import Regex

    structure = JSONSchema(SCHEMA) if form == "schema" else Regex(form)
    made = PrivatePrediction(
        model=ngram(), tokens=24, longest=64, batch_size=7, sequences=2, experts="copy", structure=structure, top_k=20
    )
    texts = [text for text, _ in spoken(made, corpus(sentences(84)), released(84))]
    kept = FormFilter(structure=structure).keep(texts, ())
    assert len(texts) == 24
    assert kept.mean() >= 0.75, texts


@pytest.mark.parametrize(
    "pattern", ["The complaint of today is about [a-f]{1,3}; 0123456789 [a-f]{1,2}!", "[a-f]{20}", "[a-f ]*"]
)
def test_no_text_asks_its_records_more_often_than_was_paid(pattern, monkeypatch):
    """Every question to a bin's records is counted, and every draw at the private rate, though texts are longer."""
    from dpsynth.text.prediction import engine
    from dpsynth.text.structure.regex import Regex

    rates: list[object] = []
    asked: list[int] = []
    real, ask = engine.draw, engine._Lane._draw

    def counted(scores, among, rate, stream):
        rates.append(rate)
        assert len(among) > 1
        return real(scores, among, rate, stream)

    def lane(self, public):
        before = self._left
        token = ask(self, public)
        asked.append(before - self._left)
        assert self._left >= 0
        return token

    monkeypatch.setattr(engine, "draw", counted)
    monkeypatch.setattr(engine._Lane, "_draw", lane)
    made = PrivatePrediction(
        model=NgramBackend.of(["abc def"], pieces=0),
        tokens=6,
        longest=80,
        batch_size=7,
        experts="copy",
        structure=Regex(pattern),
    )
    texts = [text for text, _ in spoken(made, corpus(sentences(28)), released(28))]
    private = made._engine(made.settle(TASK, 3.0), ("",)).rate
    assert rates.count(private) == sum(asked) <= 6 * len(texts)
    assert sum(asked) > 0
    if pattern != "[a-f ]*":
        assert FormFilter(structure=Regex(pattern)).keep(texts, ()).all()
        assert min(map(len, texts)) >= 20
    if pattern == "[a-f]{20}":
        assert sum(asked) == 6 * len(texts)
        assert len(rates) == 20 * len(texts)


def test_the_form_changes_no_price():
    from dpsynth.text.structure.regex import Regex

    plain = PrivatePrediction(model=ngram(), tokens=24, batch_size=7, experts="copy")
    formed = replace(plain, structure=Regex("[a-z ]+"), longest=60)
    assert plain.settle(TASK, 3.0).events == formed.settle(TASK, 3.0).events


def test_longer_texts_need_a_form_or_a_test():
    with pytest.raises(ParameterError, match="under `sparse` or a form"):
        PrivatePrediction(model=ngram(), tokens=24, longest=60)


def test_public_texts_of_the_writer_have_the_form():
    from dpsynth.text.structure.regex import Regex

    made = PrivatePrediction(model=ngram(), tokens=10, structure=Regex("fee: [0-9]{2}"), experts="copy")
    assert all(re.fullmatch("fee: [0-9]{2}", text) for text in made.public_texts(5, np.random.default_rng(0)))
