"""How many candidates each topic gets, who survives a round, and what noise hides: released facts alone.

The number of candidates follows from the released number of texts: `PER_CANDIDATE` times sigma votes for each on
average. Fewer and surer candidates cost variety: on complaints and messages, with three sources, half, one and two
sigma came out alike where the source was good, and fewer candidates worse where it was weak. A kind of text that fewer
than about `LOST` sigma units wrote is not seen, however its votes fall; `tail` says so for each topic.

>>> facts = Released(total=3000.0, topics=("a", "b"), shares=np.array([0.9, 0.1]))
>>> sizes = Sizes.of(facts, rows_per_unit=1, sigma=10.0, variations=2, asked=None)
>>> sizes.parents.tolist(), sizes.voted, [told["votes"] for told in sizes.tail(("a", "b"))]
([72, 8], 240, [12.5, 12.5])

Not guaranteed: that votes fall evenly; where they do, a topic whose votes stay below sigma is ranked by noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.text.protocol import Released

PER_CANDIDATE = 1.25
LOST = 2.0
MOST = 3000
Selection = Literal["rank", "sample"]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sizes:
    """What each topic gets.

    Attributes:
        parents: survivors of a round, int64, shape (topics,); 0 where the released share is 0.
        variations: of each survivor.
        votes: expected at least, float64, shape (topics,): a unit's votes add up to one or more.
        sigma: noise of a count, in votes.
    """

    parents: NDArray[np.int64]
    variations: int
    votes: NDArray[np.float64]
    sigma: float

    @classmethod
    def of(cls, facts: Released, *, rows_per_unit: int, sigma: float, variations: int, asked: int | None) -> Self:
        """By the released total and shares.

        Args:
            facts: released.
            rows_per_unit: most texts of a unit: there are at least total / rows_per_unit units.
            sigma: noise of a count, in votes.
            variations: of each survivor.
            asked: candidates voted on in a round, if the user says so.

        Raises:
            ParameterError: fewer candidates than topics.
        """
        there = int((facts.shares > 0).sum())
        if asked is not None and asked < there:
            raise ParameterError(
                f"{asked} candidates cannot serve {there} topics.", f"Ask for {there * (1 + variations)} or more."
            )
        votes = facts.total / rows_per_unit
        family = 1 + variations
        voted = asked if asked is not None else min(votes / (PER_CANDIDATE * sigma), MOST)
        parents = np.where(facts.shares > 0, np.maximum(np.rint(facts.shares * voted / family), 1), 0)
        return cls(parents=parents.astype(np.int64), variations=variations, votes=votes * facts.shares, sigma=sigma)

    @property
    def first(self) -> NDArray[np.int64]:
        """Candidates of each topic in a round, shape (topics,)."""
        return self.parents * (1 + self.variations)

    @property
    def voted(self) -> int:
        """Candidates of all topics."""
        return int(self.first.sum())

    @property
    def expected(self) -> float:
        """Votes of a candidate, on average over all."""
        return float(self.votes.sum()) / max(self.voted, 1)

    def tail(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        """For each topic: candidates, expected votes of one, sigma, and the least share of the topic that stands out.

        At best: where all votes of a kind of text fall to one candidate.
        """
        return [
            {
                "topic": topics[t],
                "candidates": int(self.first[t]),
                "votes": round(float(self.votes[t]) / int(self.first[t]), 2),
                "sigma": round(self.sigma, 2),
                "least_share_at_best": round(min(1.0, LOST * self.sigma / max(float(self.votes[t]), 1e-9)), 3),
                "ranked_by_noise": bool(self.votes[t] / self.first[t] < self.sigma),
            }
            for t in np.flatnonzero(self.parents).tolist()
        ]

    def warning(self, topics: Sequence[str]) -> str:
        """What noise hides, in words; "" if candidates of every topic expect sigma votes or more."""
        noisy = [told["topic"] for told in self.tail(topics) if told["ranked_by_noise"]]
        if not noisy:
            return ""
        which = "" if len(topics) == 1 else f" in {len(noisy)} of {int((self.parents > 0).sum())} topics"
        return (
            f"A candidate expects {self.expected:.2g} votes, noise has sigma {self.sigma:.2g}: rare kinds of text "
            f"vanish{which}, and ranks there are mostly noise. Ask for fewer rounds or candidates, or more epsilon."
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """Candidates and the topic of each, int64, shape (candidates,); no text twice in a topic."""

    texts: tuple[str, ...]
    topics: NDArray[np.int64]

    @classmethod
    def distinct(cls, texts: Sequence[str], topics: NDArray[np.int64]) -> Self:
        """Without repeats: two equal candidates would pay noise twice for one count."""
        kept = list(dict.fromkeys(zip(texts, topics.tolist(), strict=True)))
        return cls(texts=tuple(text for text, _ in kept), topics=np.array([topic for _, topic in kept], dtype=np.int64))

    def take(self, at: NDArray[np.int64]) -> Population:
        """Those candidates, in that order."""
        return Population(texts=tuple(self.texts[i] for i in at.tolist()), topics=self.topics[at])


def weights(noisy: NDArray[np.int64], *, threshold: float, sigma: float) -> NDArray[np.float64]:
    """Noisy counts above `threshold` sigma, less that; 0 for the others. `sigma` in the units of `noisy`."""
    return np.asarray(np.maximum(noisy - threshold * sigma, 0.0))


def parents_of(
    population: Population,
    noisy: NDArray[np.int64],
    weight: NDArray[np.float64],
    sizes: Sizes,
    selection: Selection,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Candidates that go on, with repeats if they are sampled; int64, in the order of topics."""
    chosen: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    for topic in np.flatnonzero(sizes.parents).tolist():
        own, most = np.flatnonzero(population.topics == topic), int(sizes.parents[topic])
        if selection == "rank":
            chosen.append(own[np.argsort(-noisy[own], kind="stable")[:most]])
        else:
            chosen.append(own[drawn(weight[own], most, rng)])
    return np.concatenate(chosen)


def drawn(weight: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` places in proportion to weights, sorted: one at each step of a comb with a random start (Kitagawa 1996).

    Each comes up its expected number of times, rounded up or down. Independent draws would lose kinds by chance,
    round by round, which the votes have kept.
    """
    comb = (rng.random() + np.arange(count)) / max(count, 1)
    return np.minimum(np.searchsorted(np.cumsum(shares_of(weight)), comb, side="right"), len(weight) - 1)


def shares_of(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that sum to 1; even where all are 0."""
    total = weight.sum()
    shares: NDArray[np.float64] = weight / total if total > 0 else np.full(len(weight), 1.0 / len(weight))
    return shares
