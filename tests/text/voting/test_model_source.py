"""A language model as a source: blanks of the right size at the right place, and nothing else."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.ngram import NgramBackend
from dpsynth.text.evolution import Evolution
from dpsynth.text.voting.model_source import ModelSource
from tests.text.themes import corpus, learned, one_topic

PUBLIC = ["the bank took a late fee", "my dog barks at the bank", "a fee of the bank was late", "the dog was late"] * 5


@functools.cache
def model() -> NgramBackend:
    return NgramBackend.of(PUBLIC, pieces=60)


def source(**settings) -> ModelSource:
    return ModelSource(model=model(), **settings)


@pytest.mark.parametrize("degree", [0.1, 0.5, 1.0])
def test_a_variation_differs_in_one_blank_of_its_degree(degree: float) -> None:
    text = "the bank took a late fee of the dog"
    old = model().tokens(text)
    blank = max(1, round(degree * len(old)))
    changed = 0
    for made in source().vary([text] * 40, [""] * 40, degree, np.random.default_rng(1)):
        new = model().tokens(made)
        same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        before, changed = len(model().text(old[:same])), changed + (made != text)
        ending = text[::-1]
        tail = next((i for i, (a, b) in enumerate(zip(ending, made[::-1], strict=False)) if a != b), len(made))
        kept = len(text) - max(len(model().text(old[i : i + blank])) for i in range(len(old) - blank + 1))
        assert min(len(text), before + tail) >= kept - 2  # but for spaces, and a piece that is cut elsewhere
    assert changed > 5


def test_samples_follow_the_prompt_and_are_drawn_by_the_rng_alone() -> None:
    made = [source(prompt="{topic} ", most=12).random(["dog"] * 5, np.random.default_rng(2)) for _ in range(2)]
    assert made[0] == made[1] and len(set(made[0])) > 1
    assert all(len(model().tokens(text)) <= 14 for text in made[0])


def test_a_topic_stands_on_a_line_before_the_text_unless_the_prompt_places_it() -> None:
    plain, placed = source(), source(prompt="A {topic} text: ")
    assert model().text(plain._prompted("fees")) == "fees\n" and not len(plain._prompted(""))
    assert model().text(placed._prompted("fees")) == "A fees text: "
    assert len(plain._prompted("long topic " * 40)) == 48


def test_empty_and_long_texts_have_variations() -> None:
    made = source(most=8).vary(["", "the bank " * 50], ["", ""], 0.5, np.random.default_rng(1))
    assert len(made) == 2 and len(model().tokens(made[1])) <= 10


@pytest.mark.parametrize("settings", [{"most": 0}, {"temperature": 0.0}, {"top_k": 0}, {"batch": 0}])
def test_settings_outside_their_range_are_refused(settings) -> None:
    with pytest.raises(ParameterError, match="Expected temperature > 0"):
        source(**settings)


def test_texts_longer_than_the_context_are_refused() -> None:
    with pytest.raises(ParameterError, match="prompts of up to 48 do not fit the model's context of 4096"):
        source(most=5000)


def test_evolution_runs_over_a_model() -> None:
    made = Evolution(source=source(most=10), rounds=2, candidates=8)
    author = learned(made, corpus(["the dog barks"] * 30), 5.0, one_topic(30.0))
    facts = author.describe()
    assert facts["model"] == "ngram" and facts["fingerprint"] == model().fingerprint
    assert len(author.write(9, np.random.default_rng(1)).texts) == 9
    assert learned(Evolution(model=model(), rounds=1, candidates=8), corpus([]), 5.0, one_topic(30.0)).events
