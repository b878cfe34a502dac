"""What a run that was interrupted between rounds goes on from: candidates and the noisy counts of rounds that are over.

All of it was released and paid for. Private points are computed anew; the embedding is fitted again on the same public
texts, which are kept. A round that was interrupted is voted on again: its counts were never kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.sgd.checkpoint import pack, unpack
from dpsynth.text.voting.population import Population


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """Between two rounds.

    Attributes:
        rounds: how many are over.
        public: texts that the embedding is fitted on.
        population: candidates of the next round; after the last, survivors.
        weight: of survivors after the last round, float64; else empty.
    """

    rounds: int
    public: tuple[str, ...]
    population: Population
    weight: NDArray[np.float64]

    def to_bytes(self, label: str) -> bytes:
        """For a store of checkpoints; `label` binds it to the run's settings."""
        arrays: dict[str, NDArray[Any]] = {
            "public": _bytes(self.public),
            "texts": _bytes(self.population.texts),
            "topics": self.population.topics,
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
            weight=arrays["weight"],
        )


def _bytes(texts: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(list(texts)).encode("ascii"), dtype=np.uint8)


def _texts(kept: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(json.loads(kept.tobytes().decode("ascii")))
