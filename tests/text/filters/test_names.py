"""Filters by name, as the command line asks for them, and which of them a run admits."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.data.table import Table
from dpsynth.text import filters
from dpsynth.text.corpus import Corpus
from dpsynth.text.filters import FILTERS, filters_from
from dpsynth.text.filters.admission import PRIVATE, admitted, refuse_private, rehearsed
from dpsynth.text.filters.length import Length
from dpsynth.text.filters.pii import PersonalIdentifiers
from dpsynth.text.filters.verifier import NamedVerifier, Verified

NOT_FILTERS = {"__init__", "protocol", "admission", "child", "patterns", "form"}
PRIVATE_ROWS = Table.from_arrow(pa.table({"note": ["a private note"]}))
CORPUS = Corpus.of(PRIVATE_ROWS, "note", unit=None, key=bytes(32))


def test_the_table_names_every_filter_in_the_folder():
    files = {path.stem for path in Path(filters.__file__).parent.glob("*.py")} - NOT_FILTERS
    assert {dotted.split(":")[0].rpartition(".")[2] for dotted in FILTERS.values()} == files


def test_filters_are_made_of_words_in_their_order():
    steps = filters_from(
        [
            "length:min_words=5,max-words=200",
            "pii:kinds=email+phone",
            "near-duplicates:threshold=0.8",
            "verifier:check=checks:polite,seconds=5",
            "repetition",
            "language:only=en",
        ]
    )
    assert steps[0] == Length(min_words=5, max_words=200)
    assert steps[1] == PersonalIdentifiers(kinds=("email", "phone"))
    assert steps[3] == NamedVerifier(check="checks:polite", seconds=5.0)
    assert [step.name for step in steps] == [
        "length",
        "pii",
        "near-duplicates",
        "verifier:checks:polite",
        "repetition",
        "language",
    ]
    assert filters_from([]) == ()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("lenght:min_words=3", "Unknown filter 'lenght'.*Did you mean 'length'"),
        ("toxicity", "Unknown filter 'toxicity'.*Known are language, length"),
        ("", "Unknown filter ''"),
        ("length:min_word=3", "no setting 'min_word'.*Did you mean 'min_words'"),
        ("length:min_words=three", "to be a whole number"),
        ("length:min_words=3.5", "to be a whole number"),
        ("near-duplicates:threshold=high", "to be a number"),
        ("length:min_words", "Expected min_words=VALUE once"),
        ("length:min_words=1,min_words=2", "Expected min_words=VALUE once"),
        ("length", "keeps everything"),
        ("language", "'language' needs only"),
        ("verifier", "'verifier' needs check"),
        ("verifier:check=rm -rf", "as module:attribute"),
        ("pii:kinds=", "Unknown kind of identifier ''"),
    ],
)
def test_words_that_ask_for_no_filter_say_what_is_known(word, told):
    with pytest.raises(ParameterError, match=told):
        filters_from([word])


def test_two_filters_of_one_name_are_refused():
    """The card counts by name; two of one name would share a count."""
    with pytest.raises(ParameterError, match="Two filters are called 'length'"):
        filters_from(["length:min_words=1", "length:max_words=9"])


class Holder:
    """A verifier that looks at private texts, wherever it keeps them."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def check(self, text: str) -> bool:
        return text not in self.held


@dataclass(frozen=True, slots=True)
class Slotted:
    held: Any
    name: str = "mine"

    def keep(self, texts, earlier):
        return np.ones(len(texts), dtype=bool)

    def describe(self):
        return {}


def closing_over(rows):
    class Closed:
        def check(self, text):
            return text not in rows.column("note").to_pylist()

    return Closed()


class Global:
    def check(self, text):
        return text != CORPUS.texts[0]


@pytest.mark.parametrize(
    "verifier",
    [
        Holder(PRIVATE_ROWS),
        Holder(CORPUS),
        Holder([{"deep": (CORPUS,)}]),
        Holder(functools.partial(print, PRIVATE_ROWS)),
        Holder(lambda rows=CORPUS: rows),
        Holder(Holder(CORPUS).check),
        closing_over(PRIVATE_ROWS),
        Global(),
    ],
    ids=["field", "corpus", "nested", "partial", "default", "method", "closure", "global"],
)
def test_a_filter_that_holds_private_text_is_refused(verifier):
    with pytest.raises(ParameterError, match="refused or charged"):
        Verified(verifier=verifier)


def test_a_filter_of_their_own_that_holds_private_text_is_refused():
    with pytest.raises(ParameterError, match="refused or charged") as caught:
        admitted([Slotted(held=CORPUS)])
    assert "private note" not in str(caught.value)
    admitted([Slotted(held=["public texts"])])


def test_our_filters_take_no_rows():
    for name in FILTERS:
        kind = getattr(import_module(FILTERS[name].split(":")[0]), FILTERS[name].split(":")[1])
        with pytest.raises(TypeError):
            kind(corpus=CORPUS)
        with pytest.raises(TypeError):
            kind(CORPUS)


def test_the_types_that_are_refused_exist():
    for dotted in PRIVATE:
        module, _, name = dotted.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type)


def test_circles_and_large_holdings_end():
    circle: list[Any] = []
    circle.append(circle)
    refuse_private(Holder(circle))
    start = Holder([list(range(300)) for _ in range(2_000)])
    refuse_private(start)


def test_what_is_no_filter_is_refused():
    with pytest.raises(ParameterError, match="Holder is no filter"):
        admitted([Holder(())])


def test_a_filter_that_cannot_run_says_so_in_rehearsal():
    with pytest.raises(ParameterError, match="cannot be imported"):
        rehearsed(filters_from(["verifier:check=no_such_module_here:polite"]))

    class Short(Slotted):
        def keep(self, texts, earlier):
            return np.ones(1, dtype=bool)

    with pytest.raises(ParameterError, match="another number of texts"):
        rehearsed([Short(held=())])
