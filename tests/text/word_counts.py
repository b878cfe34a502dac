"""A writer that is easy to see through: noisy counts of public words, drawn one by one.

A unit's text counts each of its first `MOST` different known words once, so one text moves the counts by at most
sqrt(MOST) in L2 norm, and a unit of k texts by k times that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian, Event
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.tabular.allocation import five_digits
from dpsynth.text.protocol import Released, Task, Written

MOST = 16
_KNOWN = """
loan fee late bank payment card account credit charge interest letter call report dispute refund balance mortgage office
agent money week month year told asked paid never again please help
"""
WORDS = tuple(_KNOWN.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    sigma: Decimal
    sensitivity: Decimal

    @property
    def events(self) -> tuple[Event, ...]:
        return (DiscreteGaussian(sigma=self.sigma, l2_sensitivity=self.sensitivity),)

    def describe(self) -> dict[str, Any]:
        return {"sigma": str(self.sigma)}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordAuthor:
    counts: NDArray[np.float64]
    words: tuple[str, ...]
    released: Released
    events: tuple[Event, ...]
    length: int
    most: int | None = None

    def write(self, count: int, rng: np.random.Generator) -> Written:
        topics = rng.choice(len(self.released.topics), size=count, p=self.released.shares)
        texts = []
        for topic in topics.tolist():
            shares = np.maximum(self.counts[topic], 0.0) + 1e-9
            texts.append(" ".join(rng.choice(self.words, size=self.length, p=shares / shares.sum())))
        return Written(texts=tuple(texts), topics=topics.astype(np.int64))

    def describe(self) -> dict[str, Any]:
        return {"words": len(self.words)}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordCounts:
    name: ClassVar[str] = "word-counts"
    length: int = 12
    words: tuple[str, ...] = WORDS

    @property
    def bracket(self) -> tuple[float, float]:
        return 1e-4, 1.0

    def settle(self, task: Task, budget: float) -> Counting:
        change = Decimal(task.unit.max_records * 4)  # sqrt(MOST) = 4
        return Counting(sigma=five_digits(float(change) * (2 * budget) ** -0.5), sensitivity=change)

    def check(self, task: Task, settled: Counting) -> None:
        """Any noise will do."""

    def learn(
        self, corpus: Any, task: Task, settled: Counting, released: Released, *, noise: Any, progress: Any,
        checkpoints: Any = None,
    ) -> WordAuthor:  # fmt: skip
        counts = np.zeros((len(released.topics), len(self.words)), dtype=np.int64)
        number = {word: at for at, word in enumerate(self.words)}
        for text, topic in zip(corpus.texts, corpus.topics.tolist(), strict=True):
            known = dict.fromkeys(word for word in re.findall(r"[a-z]+", text.lower()) if word in number)
            for word in list(known)[:MOST]:
                counts[topic, number[word]] += 1
        noisy, event = discrete_gaussian(counts, sigma=settled.sigma, noise=noise, l2_sensitivity=settled.sensitivity)
        progress("count words", 1, 1)
        return WordAuthor(
            counts=noisy.astype(float), words=self.words, released=released, events=(event,), length=self.length
        )

    def public_texts(self, count: int, rng: np.random.Generator) -> list[str]:
        return [" ".join(rng.choice(self.words, size=40)) for _ in range(count)]

    def describe(self) -> Mapping[str, Any]:
        return {"model": "words", "fingerprint": hashlib.sha256(" ".join(self.words).encode()).hexdigest()}
