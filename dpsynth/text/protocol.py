"""What a writer is: events that follow from public facts and one budget, a fit, an author that needs no data.

    settled = writer.settle(task, budget)                    # public facts in, worst case out; more budget, less noise
    writer.check(task, settled)                              # refused here if the budget affords nothing useful
    author  = writer.learn(corpus, task, settled, released, noise=noise)
    written = author.write(500, np.random.default_rng())     # post-processing of what was released

Three methods implement it: DP-SGD fine-tuning, private prediction (DP inference), private evolution. How a budget is
shared with the columns beside the text, and priced with them, is `dpsynth.text.generator`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress
from dpsynth.text.corpus import Corpus

if TYPE_CHECKING:
    from dpsynth.sgd.checkpoint import Checkpoints


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Public facts that a writer plans with.

    Attributes:
        unit: whose texts, and at most how many of them.
        relation: of neighbouring data sets.
        epsilon, delta: of the whole run; a recipe may depend on them, the price is not theirs alone.
    """

    unit: PrivacyUnit
    relation: NeighboringRelation
    epsilon: Decimal
    delta: Decimal


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What was released with noise before a writer begins.

    Attributes:
        total: number of texts, at least 1; of units too, where each has one.
        topics: the condition in words, such as "Issue: fees", one for each topic; ("",) without a condition.
        shares: part of each topic, shape (topics,), >= 0, sum 1.
    """

    total: float
    topics: tuple[str, ...]
    shares: NDArray[np.float64]


class Settled(Protocol):
    """What a writer will spend at one budget: fixed before any data is read."""

    @property
    def events(self) -> tuple[Event, ...]:
        """Worst case, in time order; relation and unit of the task."""

    def describe(self) -> dict[str, Any]:
        """Public settings, ready for JSON: for plans, cards and `--json`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Synthetic texts and the topic of each, an index into `Released.topics`, int64, shape (texts,)."""

    texts: tuple[str, ...]
    topics: NDArray[np.int64]


class Author(Protocol):
    """A fitted writer: released facts and public models only."""

    @property
    def events(self) -> tuple[Event, ...]:
        """What was really spent, in time order."""

    @property
    def most(self) -> int | None:
        """How many texts there are at all; None if as many as one likes can be written."""

    def write(self, count: int, rng: np.random.Generator) -> Written:
        """`count` texts, topics in their released shares; at most `most` over the author's life, each once."""

    def describe(self) -> dict[str, Any]:
        """Public facts about the fit, ready for JSON."""


@runtime_checkable
class TopicAuthor(Author, Protocol):
    """An author that writes on topics it is given, so that texts which filters took are replaced within their topic."""

    def write_on(self, topics: NDArray[np.int64], rng: np.random.Generator) -> Written:
        """A text on each topic, in order; topics are indices into `Released.topics`, shape (texts,)."""


class Writer(Protocol):
    """Makes authors."""

    name: ClassVar[str]

    @property
    def bracket(self) -> tuple[float, float]:
        """Two budgets to start a search from; it widens them if need be."""

    def settle(self, task: Task, budget: float) -> Settled:
        """Events at a budget > 0, monotone in it; raises `ParameterError` for settings that no budget could mend."""

    def check(self, task: Task, settled: Settled) -> None:
        """Refuse what would be paid for and be useless: raises `ParameterError` that says what would suffice."""

    def learn(
        self,
        corpus: Corpus,
        task: Task,
        settled: Settled,
        released: Released,
        *,
        noise: NoiseSource,
        progress: Progress,
        checkpoints: Checkpoints | None = None,
    ) -> Author:
        """Read the private texts through mechanisms alone.

        Args:
            corpus: private texts, at most `task.unit.max_records` of each unit.
            task: what `settled` was made for.
            settled: what may be spent.
            released: counts that were paid for before.
            noise: uniform words; its kind is the events'.
            progress: receives steps, tokens per second; nothing that depends on a private text.
            checkpoints: where a state to go on from is kept, for writers that have one.
        """

    def public_texts(self, count: int, rng: np.random.Generator) -> list[str]:
        """`count` texts that know no private one, such as samples of the public model: canaries are made of them."""

    def describe(self) -> Mapping[str, Any]:
        """Public facts about the writer, ready for JSON: `model` (its name), settings that shape the text.

        And `fingerprint`, SHA-256 (hex) of the model, where the model is here to be read; else that of these facts
        stands on the card.
        """
