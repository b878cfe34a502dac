"""Sources are trusted with nothing: what fails, is missing or is no text."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError, SourceError
from dpsynth.text.voting.source import Asked, CallableSource

RNG = np.random.default_rng(1)


def of(write, **settings) -> CallableSource:
    return CallableSource(write=write, rewrite=lambda texts, topics, degree: texts, **settings)


def test_a_call_that_fails_is_made_again_and_then_the_error_says_how_often() -> None:
    calls = []

    def flaky(topics):
        calls.append(len(topics))
        if len(calls) < 3:
            raise TimeoutError
        return [f"about {topic}" for topic in topics]

    assert of(flaky).random(["x", "y"], RNG) == ["about x", "about y"]

    def dead(topics):
        raise ConnectionError("secret address")

    with pytest.raises(SourceError, match="failed 4 times: ConnectionError") as told:
        of(dead, tries=4).random(["x"], RNG)
    assert "secret" not in str(told.value)


def test_an_error_that_is_not_worth_another_call_passes_through() -> None:
    def broken(topics):
        raise KeyError("bug")

    with pytest.raises(KeyError):
        of(broken).random(["x"], RNG)


@pytest.mark.parametrize("answer", [["one"], ["a", "b", "c"], "ab", None])
def test_too_few_or_too_many_texts_are_asked_for_again_and_then_refused(answer) -> None:
    """Which of them is missing cannot be known, and a text under another's topic would be worse than none."""
    asked = []

    def wrong(topics):
        asked.append(topics)
        return answer

    with pytest.raises(SourceError, match=r"failed 3 times: it returned .* where 2 texts were expected"):
        of(wrong).random(["x", "y"], RNG)
    assert len(asked) == 3


def test_what_is_no_string_is_refused_without_being_shown() -> None:
    with pytest.raises(SourceError, match=r"a list of 2 \(int, str\)"):
        Asked(of(lambda topics: ["text", 7])).random(["x", "y"], RNG)


def test_empty_texts_are_asked_for_again_alone() -> None:
    asked = []

    def sparse(topics):
        asked.append(list(topics))
        return ["", "b"] if len(topics) == 2 else [" a "]

    assert Asked(of(sparse)).random(["x", "y"], RNG) == ["a", "b"]
    assert asked == [["x", "y"], ["x"]]
    with pytest.raises(SourceError, match="left all texts of a topic empty, 3 times"):
        Asked(of(lambda topics: ["  "])).random(["x"], RNG)


def test_a_text_without_a_variation_stays_as_it_is() -> None:
    source = CallableSource(write=list, rewrite=lambda texts, topics, degree: ["" for _ in texts])
    assert Asked(source).vary(["kept"], [""], 0.5, RNG) == ["kept"]


def test_calls_are_no_larger_than_a_batch() -> None:
    sizes = []
    source = of(lambda topics: sizes.append(len(topics)) or ["t"] * len(topics), batch=4)
    assert len(source.random(["x"] * 10, RNG)) == 10
    assert sizes == [4, 4, 2]
    with pytest.raises(ParameterError, match="batch=0"):
        of(list, batch=0)


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_name_that_no_card_could_hold_is_refused_before_anything_is_paid(name) -> None:
    with pytest.raises(ParameterError, match="1 to 200 characters"):
        CallableSource(write=lambda topics: topics, rewrite=lambda texts, topics, degree: texts, name=name)
