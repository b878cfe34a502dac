"""What a run that was interrupted goes on from: survivors of the last vote and the noisy counts behind them.

All of it was released and paid for. It is kept as soon as a vote is over, before the source is shown a survivor: a
round whose source failed is not voted on again, since its second survivors would tell the source of a vote that nobody
paid for. A vote that was interrupted was shown to nobody and is held again. Private points are computed anew; the
embedding is fitted again on the same public texts, which are kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.sgd.checkpoint import pack, unpack
from dpsynth.text.voting.population import Population


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """After a vote, or before the first.

    Attributes:
        rounds: votes that are over.
        public: texts that the embedding is fitted on.
        population: survivors; candidates before the first vote.
        parents: those of them that are varied for the next vote, with repeats, int64.
        weight: of survivors, float64.
    """

    rounds: int
    public: tuple[str, ...]
    population: Population
    parents: NDArray[np.int64]
    weight: NDArray[np.float64]

    def voted(self, candidates: Population, parents: NDArray[np.int64], weight: NDArray[np.float64]) -> State:
        """After a vote on candidates; `weight` of each."""
        kept, at = np.unique(parents, return_inverse=True)
        return replace(self, rounds=self.rounds + 1, population=candidates.take(kept), parents=at, weight=weight[kept])

    def to_bytes(self, label: str) -> bytes:
        """For a store of checkpoints; `label` binds it to the run's settings."""
        arrays: dict[str, NDArray[Any]] = {
            "public": _bytes(self.public),
            "texts": _bytes(self.population.texts),
            "topics": self.population.topics,
            "parents": self.parents,
            "weight": self.weight,
        }
        return pack(label, self.rounds, arrays)

    @classmethod
    def of(cls, kept: bytes, label: str) -> Self:
        """What was kept.

        Raises:
            ModelError: it is of another run, or no state.
        """
        rounds, arrays = unpack(kept, label)
        return cls(
            rounds=rounds,
            public=_texts(arrays["public"]),
            population=Population(texts=_texts(arrays["texts"]), topics=arrays["topics"]),
            parents=arrays["parents"],
            weight=arrays["weight"],
        )


def _bytes(texts: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(list(texts)).encode("ascii"), dtype=np.uint8)


def _texts(kept: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(json.loads(kept.tobytes().decode("ascii")))
