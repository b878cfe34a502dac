"""Context experts: each record stands in the prompt of the public model, which goes on from it.

    expert of record i:   prompt(topic, record i) + released tokens       one row of a batch each
    public model:         prompt(topic, no record) + released tokens

Each prompt takes the same public number of tokens: the template's, and `length` for the record, which is cut to it. A
bin is decoded in batches of a fixed number of rows, filled up with blank ones whose logits are thrown away, so that
neither what stands in other rows nor how many there are reaches a row's logits (backends promise 0 ulp,
`tests/conformance`).

Not guaranteed: that the time a bin takes tells nothing; a bin of more rows than one batch takes a second one.
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
        block: rows of a batch.
        topics: all topics that may be told; they decide the width.
    """

    model: LanguageModel
    prompt: str
    without: str
    length: int
    room: int
    block: int
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
    def public_width(self) -> int | None:
        """Of the longest topic."""
        return max(len(self.public_prompt(topic)) for topic in self.topics)

    @property
    def width(self) -> int:
        """Tokens that each expert's prompt takes, public."""
        return max(len(a) + len(b) for a, b in map(self._around, self.topics)) + self.length

    def public_prompt(self, topic: str) -> Tokens:
        """The request without a record."""
        return self.model.tokens(self.without.replace("{topic}", topic))

    def open(self, records: Sequence[Tokens]) -> ContextBin:
        """Prompts of these records."""
        return ContextBin(self, records)

    def start(self, records: Sequence[Tokens], topic: str) -> Decoding:
        """One batch of `block` rows, blank ones included."""
        before, after = self._around(topic)
        blank = np.zeros(0, dtype=np.int64)
        filled = [*(record[: self.length] for record in records), *[blank] * (self.block - len(records))]
        prompts = [np.concatenate([before, record, after]) for record in filled]
        return self.model.start(prompts, width=self.width, room=self.room)

    def _around(self, topic: str) -> tuple[Tokens, Tokens]:
        before, after = self.prompt.split("{text}")
        return self.model.tokens(before.replace("{topic}", topic)), self.model.tokens(after.replace("{topic}", topic))


@final
class ContextBin:
    """Decodings of one bin's rows; prompts are read once for all its texts of a topic."""

    def __init__(self, settings: ContextExperts, records: Sequence[Tokens]) -> None:
        self._settings = settings
        block = settings.block
        self._blocks = [records[first : first + block] for first in range(0, len(records), block)]
        self._prompted: tuple[str, list[Decoding]] | None = None
        self._running: list[Decoding] = []

    def __repr__(self) -> str:
        return "ContextBin(records are private)"

    def begin(self, topic: str) -> None:
        """Copies of the prompts' states."""
        if self._prompted is None or self._prompted[0] != topic:
            self._prompted = topic, [self._settings.start(block, topic) for block in self._blocks]
        all_rows = np.arange(self._settings.block)
        self._running = [decoding.fork(all_rows) for decoding in self._prompted[1]]

    def append(self, token: int) -> None:
        """The released token, in every row."""
        for decoding in self._running:
            decoding.append(np.full(self._settings.block, token, dtype=np.int64))

    def rows(self, public: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:  # noqa: ARG002
        """One block a batch, without its blank rows."""
        for decoding, records in zip(self._running, self._blocks, strict=True):
            yield log_softmax(decoding.logits()[: len(records)])
