"""Copy experts: a record speaks through a cache of its own tokens, mixed with the public model.

A weak public model does not take up a record that stands in its prompt: every clip is idle, and private text carries no
signal (a model of 1 M parameters moves by less than one nat). A cache does:

    logits_i = log((1 - lambda) p_0 + lambda cache_i),   cache_i = mean of unigrams and of what followed the last token

(Grave, Joulin and Usunier 2017 mix a neural model and a cache in the same way.) Softmax does not see a constant, so

    difference_i = log(1 + lambda / (1 - lambda) cache_i / p_0)  >=  0

is used, and fits the one-sided box [0, 2 C]: twice the room of [-C, C] at the same price. Three public settings make
up for what a mean of logarithms gets wrong. A `gain` stretches the difference before it is clipped, so that agreement
of many rows counts and not how sure each is; a `top` probability ends the lift where they all agree; and the public
model, too sure of itself outside its own domain, is flattened by a `power`.

Defaults were tuned on SMS messages and clothing reviews and measured on complaints (benchmarks/text_prediction.py).

>>> experts = CopyExperts(vocabulary=4, share=0.3, bigrams=0.5, gain=1.0)
>>> bin_ = experts.open([np.array([1, 2, 1, 3])])
>>> bin_.append(2)                              # record: after 2 came 1
>>> block, = bin_.rows(np.log(np.full(4, 0.25)))
>>> (block[0] - np.log(0.25)).round(2).tolist()
[0.0, 0.83, 0.19, 0.19]

Not guaranteed: that rare tokens of one record stay out; that is the clip's work, see the page on private prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.backends.protocol import Tokens

BLOCK = 64


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CopyExperts:
    """See the module.

    Attributes:
        vocabulary: V.
        share: lambda, in (0, 1).
        bigrams: part of the cache for continuations of the last token, in [0, 1]; the rest counts unigrams.
        gain: factor of the difference before the clip.
        top: probability up to which records lift a token (before normalisation), in (0, 1).
        power: of the public model's probabilities, in (0, 1].
    """

    vocabulary: int
    share: float = 0.1
    bigrams: float = 0.65
    gain: float = 4.0
    top: float = 0.1
    power: float = 0.8

    @property
    def public_power(self) -> float:
        """Flattens the public model."""
        return self.power

    @property
    def ceiling(self) -> float | None:
        """Of a token that all records agree on."""
        return math.log(self.top)

    @property
    def one_sided(self) -> bool:
        """A mixture, less log(1 - lambda), is never below the public model."""
        return True

    @property
    def public_width(self) -> int | None:
        """As long as the longest topic."""
        return None

    def public_prompt(self, topic: str) -> Tokens:  # noqa: ARG002
        """Empty: a model this weak does not take up a topic either."""
        return np.zeros(0, dtype=np.int64)

    def open(self, records: Sequence[Tokens]) -> CopyBin:
        """Caches of these records."""
        return CopyBin(self, records)


@final
class CopyBin:
    """Caches of one bin."""

    def __init__(self, settings: CopyExperts, records: Sequence[Tokens]) -> None:
        self._settings = settings
        self._records = [record for record in records if len(record)]
        v = settings.vocabulary
        self._unigrams = [np.bincount(record, minlength=v) / len(record) for record in self._records]
        self._last: int | None = None

    def __repr__(self) -> str:
        return "CopyBin(records are private)"

    def begin(self, topic: str) -> None:  # noqa: ARG002
        """Nothing was said yet: unigrams alone speak."""
        self._last = None

    def append(self, token: int) -> None:
        """The token that continuations are looked up for."""
        self._last = token

    def rows(self, public: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """Blocks of at most `BLOCK` records."""
        settings = self._settings
        odds = settings.share / (1 - settings.share) * np.exp(-public)
        for first in range(0, len(self._records), BLOCK):
            cache = np.stack(self._unigrams[first : first + BLOCK]) * (1 - settings.bigrams)
            for row, record in enumerate(self._records[first : first + BLOCK]):
                following = record[1:][record[:-1] == self._last] if self._last is not None else record[:0]
                if len(following):
                    np.add.at(cache[row], following, settings.bigrams / len(following))
            yield public + settings.gain * np.log1p(cache * odds)
