"""Context experts: each record stands in the prompt of the public model, which goes on from it.

    expert of record i:   prompt(topic, record i) + released tokens       one row of a batch each
    public model:         prompt(topic, no record) + released tokens

Each prompt takes the same public number of tokens: the template's, and `length` for the record, which is cut to it.
Rows of several bins are decoded together. Neither what stands in other rows nor how many there are reaches a row's
logits: backends promise that to 0 ulp (`tests/conformance/backend.py`), and the proof needs it within one bin already.

Not guaranteed: that the time a group takes tells nothing of how many rows it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.protocol import Decoding, LanguageModel, Tokens
from dpsynth.text.prediction.aggregators.protocol import log_softmax

ROWS = 448
"""Decoded together, about."""
LANES = 64
PROMPT = "{topic}\nExample:\n{text}\nAnother example of the same kind:\n"
WITHOUT = "{topic}\nAn example of this kind:\n"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ContextExperts:
    """See the module.

    Attributes:
        model: public.
        prompt: template with {text} once, and {topic} if the topic is to be told.
        without: the same request without a record.
        length: most tokens of a record.
        room: most tokens that will be released in one text.
        batch_size: s, rows to expect of a bin.
        topics: all topics that may be told; they decide the width.
    """

    model: LanguageModel
    prompt: str
    without: str
    length: int
    room: int
    batch_size: int
    topics: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.prompt.count("{text}") != 1 or "{text}" in self.without:
            raise ParameterError(
                "A prompt shows the record once, and the public one not at all.", "Write {text} once in `prompt`."
            )

    @property
    def one_sided(self) -> bool:
        """A record may make a token less likely."""
        return False

    @property
    def public_power(self) -> float:
        """Public logits as they are."""
        return 1.0

    @property
    def ceiling(self) -> float | None:
        """None: a strong model knows how sure to be."""
        return None

    @property
    def width(self) -> int:
        """Tokens that each expert's prompt takes, public."""
        return max(len(a) + len(b) for a, b in map(self._around, self.topics)) + self.length

    def public_prompt(self, topic: str) -> Tokens:
        """The request without a record."""
        return self.model.tokens(self.without.replace("{topic}", topic))

    @property
    def lanes(self) -> int:
        """As many bins as make about `ROWS` rows."""
        return max(1, min(ROWS // self.batch_size, LANES))

    def open(self, bins: Sequence[Sequence[Tokens]]) -> ContextGroup:
        """Prompts of these records."""
        return ContextGroup(self, bins)

    def prompts(self, records: Sequence[Tokens], topic: str) -> list[Tokens]:
        """One a record."""
        before, after = self._around(topic)
        return [np.concatenate([before, record[: self.length], after]) for record in records]

    def _around(self, topic: str) -> tuple[Tokens, Tokens]:
        before, after = self.prompt.split("{text}")
        return self.model.tokens(before.replace("{topic}", topic)), self.model.tokens(after.replace("{topic}", topic))


@final
class ContextGroup:
    """One decoding of the rows of some bins, each bin's together."""

    def __init__(self, settings: ContextExperts, bins: Sequence[Sequence[Tokens]]) -> None:
        self._settings, self._bins = settings, [list(records) for records in bins]
        self._prompted: tuple[tuple[str, ...], Decoding] | None = None
        self._decoding: Decoding | None = None
        self._lanes = np.zeros(0, dtype=np.int64)  # of each row
        self._logits: NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        return "ContextGroup(records are private)"

    def begin(self, topics: Sequence[str]) -> None:
        """Read the prompts, or go back to where they were read."""
        self._lanes = np.repeat(np.arange(len(self._bins)), [len(records) for records in self._bins])
        self._decoding, self._logits = None, None
        if not len(self._lanes):
            return
        if self._prompted is None or self._prompted[0] != tuple(topics):
            settings = self._settings
            each = [settings.prompts(records, topic) for records, topic in zip(self._bins, topics, strict=True)]
            flat = [prompt for prompts in each for prompt in prompts]
            self._prompted = tuple(topics), settings.model.start(flat, width=settings.width, room=settings.room)
        self._decoding = self._prompted[1].fork(np.arange(len(self._lanes)))

    def append(self, tokens: Tokens, going: NDArray[np.bool_]) -> None:
        """The lane's token in each of its rows; rows of texts that ended go once they are half of all."""
        if self._decoding is None:
            return
        alive = going[self._lanes]
        if 2 * np.count_nonzero(alive) <= len(alive):
            kept = np.flatnonzero(alive)
            self._decoding = self._decoding.fork(kept) if len(kept) else None
            self._lanes = self._lanes[kept]
        if self._decoding is not None:
            self._decoding.append(tokens[self._lanes])
        self._logits = None

    def rows(self, lane: int, public: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:  # noqa: ARG002
        """One block."""
        mine = self._lanes == lane
        if self._decoding is None or not mine.any():
            return
        if self._logits is None:
            self._logits = self._decoding.logits()
        yield log_softmax(self._logits[mine])
