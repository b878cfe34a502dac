"""What filters do to what is written: counts of all texts asked for, topics in their shares, rounds that end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from accounting.event import DiscreteGaussian, EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.text import TextGenerator
from dpsynth.text.filters.length import Length
from dpsynth.text.filters.near_duplicates import NearDuplicates
from dpsynth.text.filters.verifier import Verified
from dpsynth.text.model import ROUNDS, TextModel
from dpsynth.text.protocol import Written
from tests.text.word_counts import WordCounts

EVENTS = EventTree(
    relation=NeighboringRelation.ADD_REMOVE,
    unit=PrivacyUnit(),
    events=(DiscreteGaussian(sigma=Decimal(1), l2_sensitivity=Decimal(1)),),
)


@dataclass(slots=True)
class Lottery:
    """Writes "topic number": each text is good with its topic's probability."""

    shares: tuple[float, ...]
    good: tuple[float, ...]
    most: int | None = None
    asked: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    number: int = 0

    def write(self, count: int, rng: np.random.Generator) -> Written:
        return self._written(rng.choice(len(self.shares), size=count, p=self.shares).astype(np.int64), rng)

    def _written(self, topics, rng) -> Written:
        self.first = self.first or topics.tolist()
        self.asked.append(len(topics))
        texts = []
        for topic in topics.tolist():
            self.number += 1
            texts.append(f"{'good' if rng.random() < self.good[topic] else 'bad'} {topic} {self.number}")
        return Written(texts=tuple(texts), topics=topics)

    def describe(self) -> dict[str, Any]:
        return {}


class OnTopics(Lottery):
    """The same, and it can be told the topics."""

    def write_on(self, topics, rng) -> Written:
        return self._written(topics, rng)

    @property
    def events(self):
        return EVENTS.events


class Good:
    def check(self, text: str) -> bool:
        return text.startswith("good")


GOOD = Verified(verifier=Good(), name="good")


def model(author, *filters) -> TextModel:
    return TextModel(
        generator="lottery",
        author=author,
        table=None,
        text="note",
        columns=("note",),
        given=tuple({} for _ in author.shares),
        filters=filters,
        writer={},
        events=EVENTS,
        total=1_000,
    )


def texts_of(made: TextModel, rows: int, seed: int = 0) -> list[str]:
    return made.sample(rows, np.random.default_rng(seed)).column("note").to_pylist()


def shares_of(texts: list[str], topics: int) -> np.ndarray:
    return np.bincount([int(text.split()[1]) for text in texts], minlength=topics) / len(texts)


def test_topics_keep_their_shares_though_one_passes_more_rarely():
    """0.5 and 0.1 pass: without replacement within topics, 0.7 : 0.3 would become 0.92 : 0.08."""
    author = OnTopics(shares=(0.7, 0.3), good=(0.5, 0.1))
    made = model(author, GOOD)
    texts = texts_of(made, 2_000)
    assert len(texts) == 2_000
    assert len(set(texts)) == 2_000
    assert abs(shares_of(texts, 2)[0] - 0.7) < 4.9 * (0.7 * 0.3 / 2_000) ** 0.5
    assert Counter(int(text.split()[1]) for text in texts) == Counter(author.first)
    (told,) = made.filtered()
    assert told["seen"] == sum(author.asked) == author.number


def test_without_topics_to_give_what_passes_more_often_is_there_more_often():
    """The bias that the module says is there, shown."""
    texts = texts_of(model(Lottery(shares=(0.7, 0.3), good=(0.5, 0.1)), GOOD), 2_000)
    assert shares_of(texts, 2)[0] > 0.88


def test_counts_are_of_all_texts_asked_for_in_the_order_of_the_filters():
    author = OnTopics(shares=(1.0,), good=(0.5,))
    made = model(author, GOOD, Length(max_characters=100), NearDuplicates())
    made.sample(200, np.random.default_rng(0))
    first, second, third = made.filtered()
    assert first["seen"] == author.number
    assert [second["seen"], third["seen"]] == [first["kept"], second["kept"]]
    assert abs(first["kept"] / first["seen"] - 0.5) < 0.15
    assert [told["name"] for told in made.filtered()] == ["good", "length", "near-duplicates"]
    made.sample(200, np.random.default_rng(1))
    assert made.filtered()[0]["seen"] == author.number > first["seen"]


def test_a_topic_that_nothing_passes_ends_after_its_rounds():
    author = OnTopics(shares=(0.5, 0.5), good=(1.0, 0.0))
    texts = texts_of(model(author, GOOD), 100)
    assert 30 < len(texts) < 70
    assert shares_of(texts, 2)[0] == 1.0
    assert len(author.asked) == ROUNDS


def test_nothing_accepted_is_an_error_that_says_so():
    made = model(OnTopics(shares=(1.0,), good=(0.0,)), GOOD)
    with pytest.raises(ModelError, match="No written text passed the filters"):
        made.sample(10, np.random.default_rng(0))
    assert made.filtered()[0]["kept"] == 0
    assert made.filtered()[0]["seen"] > 10


def test_an_author_with_so_many_texts_is_asked_for_no_more():
    author = Lottery(shares=(1.0,), good=(0.5,), most=60)
    texts = texts_of(model(author, GOOD), 50)
    assert author.number == 60
    assert 15 < len(texts) < 45


def test_without_filters_the_author_is_asked_once():
    author = OnTopics(shares=(0.5, 0.5), good=(0.0, 0.0))
    made = model(author)
    assert len(texts_of(made, 40)) == 40
    assert author.asked == [40]
    assert "filters" not in made.describe()


def test_a_generator_puts_its_writers_form_first_and_refuses_two_of_one_name():
    pytest.importorskip("llguidance", reason="the extra `text` is not installed")
    from dpsynth.text.structure.regex import Regex

    class Formed(WordCounts):
        structure = Regex("a+")

    assert [step.name for step in TextGenerator(writer=Formed(), filters=(GOOD,)).filters] == ["form", "good"]
    with pytest.raises(ParameterError, match="Two filters are called 'good'"):
        TextGenerator(writer=WordCounts(), filters=(GOOD, GOOD))
