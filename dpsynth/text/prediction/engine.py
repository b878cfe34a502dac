"""Bins become texts: a fixed number of tokens each, every token from one bin's records and what that bin said before.

    public row (no record) ─┐
    experts of the bin ─────┴─ clipped, summed, over s ── exact draw ── one token, appended to all of them

Public rows of some bins are decoded together; they hold released tokens only, so that even a backend whose rows
touched each other would break no proof. Every bin ends with its texts, empty ones with the public model's; none is
dropped, and none is repeated by looking at it. A text that ends early leaves its tokens unspent; under a form, one
whose tokens are spent is ended by the public model.

A row without a token, such as a blanked one, adds the zero vector: it is not asked at all.

Privacy: each bin is `tokens * sequences` steps of the exponential mechanism, given all that was released before, and
bins compose in parallel (`partition`).

Not guaranteed: constant time. A bin of many rows takes longer; whoever can time a bin learns of its size.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.backends.prompts import finite
from dpsynth.text.backends.protocol import LanguageModel, Tokens
from dpsynth.text.prediction.aggregators.difference_clip import candidates
from dpsynth.text.prediction.aggregators.protocol import FLOOR, GRID, Aggregator, log_softmax
from dpsynth.text.prediction.drawing import Stream, draw
from dpsynth.text.prediction.experts import Experts, GroupExperts
from dpsynth.text.prediction.partition import Bin
from dpsynth.text.prediction.sparse_vector import SparseTest
from dpsynth.text.structure.protocol import Automaton, Structure

CHARACTERS = 32
"""Most characters that a token is expected to have; what lies beyond `length` times as many is not read."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What is equal for all bins.

    Attributes:
        model: public.
        experts: of the bins' records.
        aggregator: of their rows.
        batch_size: s.
        temperature: tau.
        top_k, margin: of the candidates.
        tokens: private tokens of a text at most.
        longest: tokens of a text at most; more than `tokens` only with a sparse vector test or a form.
        sequences: texts of a bin.
        length: tokens that a record is cut to.
        structure: form of each text.
        sparse: test against the public model.
    """

    model: LanguageModel
    experts: Experts
    aggregator: Aggregator
    batch_size: int
    temperature: Decimal
    top_k: int | None
    margin: float
    tokens: int
    longest: int
    sequences: int
    length: int
    structure: Structure | None = None
    sparse: SparseTest | None = None

    @property
    def rate(self) -> Fraction:
        """Nats over tau of one unit of score."""
        return 1 / (Fraction(self.temperature) * self.batch_size * GRID)

    def write(
        self,
        bins: Sequence[Bin],
        words: tuple[str, ...],
        shares: NDArray[np.float64],
        streams: Sequence[Stream],
    ) -> list[list[Spoken]]:
        """Texts of some bins, `sequences` each.

        Args:
            bins: whose; at most `experts.lanes`.
            words: of all topics.
            shares: of all topics, for texts of the pool.
            streams: of each bin.
        """
        group = self.experts.open(
            [[record for text in bin_.rows if len(record := self._record(text))] for bin_ in bins]
        )
        said: list[list[Spoken]] = [[] for _ in bins]
        for _ in range(self.sequences):
            lanes = [
                _Lane(self, group, at, stream, _topic(bin_, shares, stream))
                for at, (bin_, stream) in enumerate(zip(bins, streams, strict=True))
            ]
            self._one_text_each(lanes, group, words)
            for own, lane in zip(said, lanes, strict=True):
                own.append(Spoken(topic=lane.topic, tokens=np.array(lane.tokens, dtype=np.int64)))
        return said

    def _record(self, text: str) -> Tokens:
        """Cut to the public length; characters first, so that no record takes long."""
        return self.model.tokens(text[: self.length * CHARACTERS])[: self.length]

    def _one_text_each(self, lanes: list[_Lane], group: GroupExperts, words: tuple[str, ...]) -> None:
        prompts = [self.experts.public_prompt(words[lane.topic]) for lane in lanes]
        prompts += [self.experts.public_prompt(words[0])] * (self.experts.lanes - len(lanes))
        width = max(1, *(len(self.experts.public_prompt(word)) for word in words))
        public = self.model.start(prompts, width=width, room=self.longest)
        group.begin([words[lane.topic] for lane in lanes])
        spoken = np.full(len(prompts), self.model.end, dtype=np.int64)
        for position in range(self.longest):
            if position:
                public.append(spoken)
                group.append(spoken[: len(lanes)], np.array([lane.going for lane in lanes]))
            logits = finite(public.logits())
            for place, lane in enumerate(lanes):
                if lane.going:
                    spoken[place] = lane.step(log_softmax(logits[place] * self.experts.public_power))
            if not any(lane.going for lane in lanes):
                return


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One released text: its topic and its tokens, without the one that ends it."""

    topic: int
    tokens: Tokens


class _Lane:
    """One bin in the middle of a text."""

    def __init__(self, engine: Engine, group: GroupExperts, at: int, stream: Stream, topic: int) -> None:
        self._engine, self._group, self._at, self._stream, self.topic = engine, group, at, stream, topic
        self.tokens: list[int] = []
        self.going = True
        self._left = engine.tokens
        self._form: Automaton | None = None if engine.structure is None else engine.structure.begin(engine.model)
        self._threshold = engine.sparse.noisy_threshold(stream) if engine.sparse else 0

    def step(self, public: NDArray[np.float64]) -> int:
        """Draw the next token and take it."""
        token = self._draw(public)
        if token == self._engine.model.end:
            self.going = False
            return token
        self.tokens.append(token)
        self.going = (self._left > 0 or self._form is not None) and len(self.tokens) < self._engine.longest
        if self._form is not None:
            self._form.advance(token)
        return token

    def _draw(self, public: NDArray[np.float64]) -> int:
        """A token. One that form and public model leave no choice about costs nothing; so does the rest of a form."""
        engine = self._engine
        if self._form is None:
            allowed = candidates(public, engine.top_k, engine.margin)
        else:
            form = self._form.allowed()
            best = candidates(np.where(form, public, -np.inf), engine.top_k, engine.margin)
            allowed = best[form[best]]
        if len(allowed) == 1:
            return int(allowed[0])
        if self._left == 0:  # what was paid is spoken; the public model, which saw no record, ends the form
            return self._public(public, allowed)
        score = engine.aggregator.public_part(public)
        total = np.zeros(len(public), dtype=np.int64)
        for rows in self._group.rows(self._at, public):
            score += engine.aggregator.contributions(rows, public)
            if engine.sparse is not None:
                total += engine.sparse.contributions(rows)
        if engine.sparse is not None and not self._is_private(engine.sparse, total, public):
            return self._public(public, allowed)
        self._left -= 1
        return draw(engine.aggregator.final(score, public), allowed, engine.rate, self._stream)

    def _public(self, public: NDArray[np.float64], allowed: NDArray[np.int64]) -> int:
        """A token of the public model."""
        plain = np.rint(np.maximum(public, FLOOR) * GRID).astype(np.int64)
        return draw(plain, allowed, 1 / (Fraction(self._engine.temperature) * GRID), self._stream)

    def _is_private(self, test: SparseTest, total: NDArray[np.int64], public: NDArray[np.float64]) -> bool:
        """Ask the test; draw its threshold anew where it says yes and may be asked again."""
        if not test.above(test.distance(total, public), self._threshold, self._stream):
            return False
        if self._left > 1:
            self._threshold = test.noisy_threshold(self._stream)
        return True


def _topic(bin_: Bin, shares: NDArray[np.float64], stream: Stream) -> int:
    """The topic of a text: the bin's, or one of the pool's in their released shares."""
    if len(bin_.topics) == 1:
        return bin_.topics[0]
    weights = np.maximum(shares[list(bin_.topics)], 0.0) + 1e-12
    uniform = float(stream.uint64(1)[0] >> np.uint64(11)) * 2.0**-53
    at = int(np.searchsorted(np.cumsum(weights) / weights.sum(), uniform, side="right"))
    return bin_.topics[min(at, len(bin_.topics) - 1)]


def tokens_per_second(done: int, began: float) -> str:
    """For progress: released tokens alone are counted."""
    return f"{done / max(time.monotonic() - began, 1e-9):.0f} tokens/s"
