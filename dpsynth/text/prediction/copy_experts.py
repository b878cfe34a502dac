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
>>> group = experts.open([[np.array([1, 2, 1, 3])]])      # one bin of one record
>>> group.append(np.array([2]), np.array([True]))         # in the record 1 came after 2
>>> block, = group.rows(0, np.log(np.full(4, 0.25)))
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
LANES = 64


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

    def public_prompt(self, topic: str) -> Tokens:  # noqa: ARG002
        """Empty: a model this weak does not take up a topic either."""
        return np.zeros(0, dtype=np.int64)

    @property
    def lanes(self) -> int:
        """Many: the public model alone is asked for each."""
        return LANES

    def open(self, bins: Sequence[Sequence[Tokens]]) -> CopyGroup:
        """Caches of these records."""
        return CopyGroup([_Cache(self, records) for records in bins])


@final
class CopyGroup:
    """Caches of some bins."""

    def __init__(self, caches: Sequence[_Cache]) -> None:
        self._caches = tuple(caches)

    def __repr__(self) -> str:
        return "CopyGroup(records are private)"

    def begin(self, topics: Sequence[str]) -> None:  # noqa: ARG002
        """Nothing was said yet: unigrams alone speak."""
        for cache in self._caches:
            cache.last = None

    def append(self, tokens: Tokens, going: NDArray[np.bool_]) -> None:  # noqa: ARG002
        """The tokens that continuations are looked up for."""
        for cache, token in zip(self._caches, tokens.tolist(), strict=True):
            cache.last = token

    def rows(self, lane: int, public: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """Blocks of at most `BLOCK` records."""
        return self._caches[lane].rows(public)


class _Cache:
    """Of one bin; `last` is the token released before, None at the start of a text."""

    def __init__(self, settings: CopyExperts, records: Sequence[Tokens]) -> None:
        self.last: int | None = None
        kept = [record for record in records if len(record)]
        self._settings = settings
        self._blocks = [_Block(settings, kept[first : first + BLOCK]) for first in range(0, len(kept), BLOCK)]

    def rows(self, public: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """Blocks of shape (n, V)."""
        settings = self._settings
        odds = settings.share / (1 - settings.share) * np.exp(-public)
        for block in self._blocks:
            at, cache = block.cache(self.last)
            rows = np.repeat(public[None], block.rows, axis=0)
            rows.ravel()[at] += settings.gain * np.log1p(cache * odds[at % len(public)])
            yield rows


class _Block:
    """Caches of at most `BLOCK` records, as entries row * V + token."""

    def __init__(self, settings: CopyExperts, records: Sequence[Tokens]) -> None:
        v, self.rows = settings.vocabulary, len(records)
        lengths = np.array([len(record) for record in records])
        row, tokens = np.repeat(np.arange(self.rows), lengths), np.concatenate(records)
        self._at, self._entry, counts = np.unique(row * v + tokens, return_inverse=True, return_counts=True)
        self._unigrams = (1 - settings.bigrams) * counts / lengths[self._at // v]
        # Continuations: entry of the later token, by the earlier; each record shares 1 among those of one token.
        inside = row[1:] == row[:-1]
        self._before, self._after = tokens[:-1][inside], self._entry[1:][inside]
        order = np.argsort(self._before, kind="stable")
        self._before, self._after = self._before[order], self._after[order]
        _, which, often = np.unique(row[1:][inside][order] * v + self._before, return_inverse=True, return_counts=True)
        self._weights = settings.bigrams / often[which]

    def cache(self, last: int | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Entries and what each record's cache says of them."""
        if last is None:
            return self._at, self._unigrams
        low, high = np.searchsorted(self._before, [last, last + 1])
        cache = self._unigrams.copy()
        np.add.at(cache, self._after[low:high], self._weights[low:high])
        return self._at, cache
