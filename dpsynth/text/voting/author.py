"""Texts after the last round: variations of candidates in proportion to their noisy votes, as many as one likes.

Noise allows few candidates, so the survivors alone would be a small and repetitive data set. What the source makes of
them is public post-processing of released counts; so a text is always a fresh variation, and its parent is drawn by
its votes, which keeps the proportions that ranks forget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from dpsynth.text.protocol import Released, Written
from dpsynth.text.voting.population import Population, drawn
from dpsynth.text.voting.source import Asked


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvolvedAuthor:
    """See the module.

    Attributes:
        events: what was spent.
        population: survivors of the last round.
        weight: of each, float64, shape (survivors,).
        released: topics and their shares.
        source: writes variations.
        degree: of a variation.
        facts: for `describe`.
    """

    events: tuple[Event, ...]
    population: Population
    weight: NDArray[np.float64]
    released: Released
    source: Asked
    degree: float
    facts: dict[str, Any]

    @property
    def most(self) -> int | None:
        """No limit."""
        return None

    def write(self, count: int, rng: np.random.Generator) -> Written:
        """`count` variations, topics in their released shares."""
        return self.write_on(rng.choice(len(self.released.shares), size=count, p=self.released.shares), rng)

    def write_on(self, topics: NDArray[np.int64], rng: np.random.Generator) -> Written:
        """A variation on each topic, shape (texts,); at random from the source on a topic that nobody voted in."""
        parents = np.full(len(topics), -1, dtype=np.int64)
        for topic in np.unique(topics).tolist():
            own, at = np.flatnonzero(self.population.topics == topic), np.flatnonzero(topics == topic)
            if len(own):
                parents[at] = own[rng.permutation(drawn(self.weight[own], len(at), rng))]
        words = np.array(self.released.topics, dtype=object)[topics]
        made = np.empty(len(topics), dtype=object)
        voted, bare = np.flatnonzero(parents >= 0), np.flatnonzero(parents < 0)
        texts = [self.population.texts[i] for i in parents[voted].tolist()]
        made[voted] = self.source.vary(texts, words[voted].tolist(), self.degree, rng)
        if len(bare):
            made[bare] = self.source.random(words[bare].tolist(), rng)
        return Written(texts=tuple(made.tolist()), topics=topics.astype(np.int64))

    def describe(self) -> dict[str, Any]:
        """Settings, sizes, and what noise hid."""
        return dict(self.facts)
