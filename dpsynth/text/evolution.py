"""Private evolution: a public source writes candidates, private texts vote for the nearest, noisy winners are varied.

Aug-PE (Xie et al. 2024, after Lin et al. 2024). Each of T rounds releases one histogram over all candidates, in which a
unit's votes have joint L2 norm 1 (`voting.histogram`): T Gaussians of sigma / 1, composed exactly. The source is shown
topics and its own texts, never a private one, and needs no logits.

>>> from decimal import Decimal
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> task = Task(unit=PrivacyUnit(), relation=NeighboringRelation.ADD_REMOVE, epsilon=Decimal(4), delta=Decimal("1e-5"))
>>> settled = Evolution(rounds=10).settle(task, 0.5)                     # 0.5-zCDP for ten rounds
>>> settled.events[0].count, round(settled.sigma_in_votes, 3)
(10, 3.162)

Not guaranteed: any gain where the source cannot write what private texts say, or where a candidate expects fewer votes
than sigma; `describe()["tail"]` says which, from released facts. Rare kinds of text are lost first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np

from accounting.event import DiscreteGaussian, Event
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Clock, Progress
from dpsynth.tabular.allocation import five_digits
from dpsynth.text.corpus import Corpus
from dpsynth.text.embeddings import embedding as embedding_named
from dpsynth.text.embeddings.protocol import Embedding, Fitting
from dpsynth.text.embeddings.remembered import Remembered
from dpsynth.text.protocol import Released, Task
from dpsynth.text.voting.author import EvolvedAuthor
from dpsynth.text.voting.histogram import GRID, histogram, noisy_histogram, sensitivity
from dpsynth.text.voting.nearest import places, votes
from dpsynth.text.voting.population import Population, Selection, Sizes, parents_of, weights
from dpsynth.text.voting.source import Asked, Source
from dpsynth.text.voting.state import State

if TYPE_CHECKING:
    from dpsynth.sgd.checkpoint import Checkpoints
    from dpsynth.text.backends.protocol import LanguageModel

LEAST = 4
"""Candidates below which voting chooses nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class VotingPlan:
    """What evolution will spend: one histogram a round.

    Attributes:
        event: all rounds.
        rounds: T.
    """

    event: DiscreteGaussian
    rounds: int

    @property
    def events(self) -> tuple[Event, ...]:
        """One event, counted."""
        return (self.event,)

    @property
    def sigma_in_votes(self) -> float:
        """Noise of one count; a unit's votes have L2 norm 1."""
        return float(self.event.sigma) / GRID

    def describe(self) -> dict[str, Any]:
        """Rounds and noise."""
        return {"rounds": self.rounds, "sigma_in_votes": round(self.sigma_in_votes, 4), "grid": GRID}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """Texts of a public source, selected by noisy votes of private ones.

    Args:
        model: a language model or what `backends.load` finds by name, if `source` is left out.
        source: writes texts and variations; see `voting.source`.
        embedding: of texts: an object, or a name of `text.embeddings`.
        public: public texts that the embedding is fitted on, besides the first candidates.
        rounds: T; noise grows with its root. Three did as well as five or ten on 2,000 to 5,000 private texts.
        candidates: voted on in a round; by default from the released number of texts.
        variations: of each survivor.
        votes: candidates that a text votes for.
        selection: survivors by rank, or drawn in proportion to noisy votes.
        threshold: noisy counts below so many sigma weigh nothing.
        degrees: of variation in the first and last round, each from 0 to 1.
        units: how many units there are at least, if that is public: a run that noise would rule is then refused.
    """

    name: ClassVar[str] = "evolution"
    shows: ClassVar[bool] = True
    """Survivors of a vote are shown to the source, so a run that was interrupted never begins anew."""

    model: LanguageModel | str = "tiny"
    source: Source | None = None
    embedding: Embedding | Fitting | Literal["lexical", "minilm"] = "lexical"
    public: tuple[str, ...] = ()
    rounds: int = 3
    candidates: int | None = None
    variations: int = 1
    votes: int = 1
    selection: Selection = "sample"
    threshold: float = 1.0
    degrees: tuple[float, float] = (0.6, 0.3)
    units: int | None = None

    def __post_init__(self) -> None:
        if min(self.rounds, self.variations, self.votes) < 1:
            raise ParameterError("Expected rounds, variations and votes to be 1 or more.")
        if self.candidates is not None and self.candidates < LEAST:
            raise ParameterError(f"Expected candidates={self.candidates} >= {LEAST}: voting would choose nothing.")
        if not all(0 < degree <= 1 for degree in self.degrees):
            raise ParameterError(f"Expected degrees {self.degrees} above 0 and at most 1.")
        if not 0 <= self.threshold < 100:
            raise ParameterError(f"Expected 0 <= threshold={self.threshold} < 100, in sigmas.")
        if self.selection not in ("rank", "sample"):
            raise ParameterError(f"Unknown selection {self.selection!r}.", "Use rank or sample.")

    @property
    def bracket(self) -> tuple[float, float]:
        """Of rho."""
        return 1e-3, 10.0

    def settle(self, task: Task, budget: float) -> VotingPlan:
        """Rounds and noise of `budget`-zCDP, whatever the data."""
        change = sensitivity(task.relation)
        sigma = five_digits(float(change) * (self.rounds / (2.0 * budget)) ** 0.5)
        return VotingPlan(
            event=DiscreteGaussian(sigma=sigma, l2_sensitivity=change, count=self.rounds), rounds=self.rounds
        )

    def check(self, task: Task, settled: VotingPlan) -> None:
        """Refuse a run of which is publicly known that noise would rule it.

        Raises:
            ParameterError: a candidate would expect fewer than sigma / 4 votes; says what would do.
        """
        if self.units is None:
            return
        family, sigma = 1 + self.variations, settled.sigma_in_votes
        voted = self.candidates or max(LEAST, family)
        expected = self.units / voted
        if expected < sigma / 4:
            raise ParameterError(
                f"A candidate would expect {expected:.3g} votes under noise of sigma {sigma:.3g}: noise would choose "
                f"(epsilon {float(task.epsilon):.3g}, {self.rounds} rounds, {voted} candidates).",
                f"It takes {int(np.ceil(sigma * voted))} units or more, or epsilon of about "
                f"{float(task.epsilon) * sigma / expected:.2g}, or fewer rounds and candidates.",
            )

    def learn(
        self,
        corpus: Corpus,
        task: Task,
        settled: VotingPlan,
        released: Released,
        *,
        noise: NoiseSource,
        progress: Progress,
        checkpoints: Checkpoints | None = None,
    ) -> EvolvedAuthor:
        """T rounds of voting; private texts enter through `histogram` and its noise alone.

        Raises:
            ParameterError: fewer candidates than topics.
            SourceError: the source does not write.
            ModelError: the embedding fails on public texts, or the checkpoint is of another run.
        """
        if not isinstance(settled, VotingPlan):
            raise ParameterError("These events were settled for another writer.", "Call settle() of this one.")
        sizes = Sizes.of(
            released,
            rows_per_unit=task.unit.max_records,
            sigma=settled.sigma_in_votes,
            variations=self.variations,
            asked=self.candidates,
        )
        source = Asked(self._source())
        rng = np.random.default_rng(noise.uint64(4))  # public: what it decides, the source is told
        label = self._label(settled, released)
        kept = None if checkpoints is None else checkpoints.load()
        state = self._begun(source, sizes, released, rng) if kept is None else State.of(kept, label)
        space = self._space(state.public)
        grid = places(corpus.texts, space)
        units = np.arange(len(corpus.texts), dtype=np.int64) if corpus.units is None else corpus.units
        sigma, clock = float(settled.event.sigma), Clock(settled.rounds)
        event = settled.event
        for done in range(state.rounds, settled.rounds):
            candidates = state.population if not done else self._varied(state, source, released, rng)
            cast = votes(grid, corpus.topics, candidates.texts, candidates.topics, space, most=self.votes)
            exact = histogram(cast, len(candidates.texts), units=units)
            noisy, event = noisy_histogram(exact, sigma=settled.event.sigma, relation=task.relation, noise=noise)
            weight = weights(noisy, threshold=self.threshold, sigma=sigma)
            parents = parents_of(candidates, noisy, weight, sizes, self.selection, rng)
            state = state.voted(candidates, parents, weight)  # kept before the source is shown a survivor
            if checkpoints is not None:
                checkpoints.save(state.to_bytes(label))
            told = f"{sizes.expected:.3g} votes a candidate, noise {sizes.sigma:.3g}; {clock.left(done + 1)}"
            progress("votes", done + 1, settled.rounds, told)
        return EvolvedAuthor(
            events=(replace(event, count=state.rounds, noise=noise.kind),),
            population=state.population,
            weight=state.weight,
            released=released,
            source=source,
            degree=self.degrees[1],
            facts=self._facts(settled, sizes, released, state, space),
        )

    def public_texts(self, count: int, rng: np.random.Generator) -> list[str]:
        """What the source writes without a topic."""
        return Asked(self._source()).random([""] * count, rng)

    def describe(self) -> Mapping[str, Any]:
        """Source, embedding and settings."""
        named = self.embedding if isinstance(self.embedding, str) else self.embedding.name
        source = self._source()
        return {
            "model": source.name,
            **source.describe(),
            "embedding": named,
            "public_texts": len(self.public),
            "rounds": self.rounds,
            "candidates": self.candidates,
            "variations": self.variations,
            "votes": self.votes,
            "selection": self.selection,
            "threshold": self.threshold,
            "degrees": list(self.degrees),
        }

    def _source(self) -> Source:
        if self.source is not None:
            return self.source
        from dpsynth.text.voting.model_source import ModelSource

        return ModelSource.of(self.model)

    def _space(self, public: Sequence[str]) -> Remembered:
        made = embedding_named(self.embedding) if isinstance(self.embedding, str) else self.embedding
        return Remembered.of(made.fitted(public) if isinstance(made, Fitting) else made)

    def _label(self, settled: VotingPlan, released: Released) -> str:
        facts = [self.describe(), settled.describe(), released.total, released.topics, released.shares.tolist()]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def _begun(self, source: Asked, sizes: Sizes, released: Released, rng: np.random.Generator) -> State:
        """Random candidates of each topic."""
        topics = np.repeat(np.arange(len(sizes.first)), sizes.first)
        texts = source.random([released.topics[t] for t in topics.tolist()], rng)
        population = Population.distinct(texts, topics)
        return State(
            rounds=0,
            public=(*self.public, *population.texts),
            population=population,
            parents=np.zeros(0, dtype=np.int64),
            weight=np.zeros(0),
        )

    def _varied(self, state: State, source: Asked, released: Released, rng: np.random.Generator) -> Population:
        """Survivors with their variations: candidates of the next round."""
        drawn = state.population.take(np.repeat(state.parents, self.variations))
        words = [released.topics[t] for t in drawn.topics.tolist()]
        texts = source.vary(drawn.texts, words, self._degree(state.rounds - 1), rng)
        survivors = state.population
        return Population.distinct((*survivors.texts, *texts), np.concatenate([survivors.topics, drawn.topics]))

    def _degree(self, done: int) -> float:
        """Of variations after round `done`, from 0: in equal steps from the first to the last."""
        first, last = self.degrees
        return first + (last - first) * done / max(self.rounds - 2, 1)

    def _facts(
        self, settled: VotingPlan, sizes: Sizes, released: Released, state: State, space: Remembered
    ) -> dict[str, Any]:
        facts: dict[str, Any] = {
            **self.describe(),
            **settled.describe(),
            "embedding": space.embedding.name,
            "voted_on": sizes.voted,
            "survivors": len(state.population.texts),
            "tail": sizes.tail(released.topics),
        }
        if warning := sizes.warning(released.topics):
            facts["warning"] = warning
        return facts
