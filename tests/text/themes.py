"""A public source of texts that have a theme, and private texts of the same themes in other shares: a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.text.corpus import Corpus
from dpsynth.text.protocol import Released, Task

THEMES = 6
WORDS = [[f"{name}{i}" for i in range(25)] for name in ("ash", "bee", "cod", "dew", "elm", "fox")]
LENGTH = 10


def a_text(theme: int, rng: np.random.Generator) -> str:
    return " ".join(WORDS[theme][i] for i in rng.integers(0, 25, LENGTH))


def theme_of(text: str) -> int:
    return int(np.bincount([[w[0][:3] for w in WORDS].index(word[:3]) for word in text.split()]).argmax())


def shares(texts: Sequence[str]) -> np.ndarray:
    return np.bincount([theme_of(text) for text in texts], minlength=THEMES) / len(texts)


class ThemeSource:
    """Writes each theme equally often; a variation keeps the theme but for one in ten. Remembers what it was told."""

    name = "themes"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def random(self, topics, rng):
        self.calls.append(("random", tuple(topics)))
        return [a_text(int(rng.integers(THEMES)), rng) for _ in topics]

    def vary(self, texts, topics, degree, rng):
        self.calls.append(("vary", tuple(texts), tuple(topics), degree))
        return [self._one(text, degree, rng) for text in texts]

    def _one(self, text, degree, rng):
        theme = theme_of(text) if rng.random() < 0.9 else int(rng.integers(THEMES))
        if theme != theme_of(text):
            return a_text(theme, rng)
        new = a_text(theme, rng).split()
        return " ".join(b if rng.random() < degree else a for a, b in zip(text.split(), new, strict=True))

    def describe(self):
        return {"source": self.name}


def private_texts(parts: Sequence[float], count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [a_text(int(theme), rng) for theme in rng.choice(THEMES, size=count, p=parts)]


def corpus(texts: Sequence[str], topics: Sequence[int] | None = None, units: Sequence[int] | None = None) -> Corpus:
    owner = None if units is None else np.array(units, dtype=np.int64)
    count = len(texts) if owner is None else int(owner.max()) + 1
    return Corpus(
        texts=tuple(texts),
        topics=np.zeros(len(texts), dtype=np.int64) if topics is None else np.array(topics, dtype=np.int64),
        units=owner,
        hashes=np.arange(count, dtype=np.uint64),
    )


def task(unit: PrivacyUnit | None = None, relation: NeighboringRelation = NeighboringRelation.ADD_REMOVE) -> Task:
    from decimal import Decimal

    return Task(unit=unit or PrivacyUnit(), relation=relation, epsilon=Decimal(4), delta=Decimal("1e-5"))


def one_topic(total: float) -> Released:
    return Released(total=total, topics=("",), shares=np.ones(1))


def learned(writer, records: Corpus, rho: float, facts: Released, *, seed: int = 1, on=None, checkpoints=None):
    on = on or task()
    return writer.learn(
        records,
        on,
        writer.settle(on, rho),
        facts,
        noise=unsafe_SeededNoise(seed),
        progress=silent,
        checkpoints=checkpoints,
    )
