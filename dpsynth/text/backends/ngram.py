"""A language model of counts: no library beside numpy, read off public text in seconds, for tests and for teaching.

    p(c | a b) = (n(abc) + t(ab) p(c | b)) / (n(ab) + t(ab))         t(ab): how many different tokens followed "a b"

and so on down to single tokens and the uniform law (Witten and Bell 1991, equation of method C), so that every token
has positive probability after every prefix. A row's logits are a function of its last two tokens: independence of rows
holds by construction.

>>> model = NgramBackend.of(["the fee was late", "the fee was high", "the bank was late"], pieces=20)
>>> started = model.start([model.tokens("the fee was")], width=16, room=4)
>>> model.text([int(started.logits()[0].argmax())])
' late'

Not guaranteed: sense. It writes word salad with the right letters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.pieces import Pieces
from dpsynth.text.backends.prompts import checked_prompts, checked_tokens, room_left
from dpsynth.text.backends.protocol import Tokens

CONTEXT = 4096


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NgramBackend:
    """Trigrams over bytes and pieces of words, smoothed.

    Attributes:
        name: for cards and logs.
        pieces: the vocabulary.
        after_one: p(c | b), float64, shape (V, V).
        pairs: contexts "a b" as a V + b that occurred, sorted, shape (pairs,).
        starts: where each context's followers begin, shape (pairs + 1,).
        followers, counts: tokens and how often, shape (trigrams,).
        fingerprint: SHA-256 over all of these.
    """

    name: str
    pieces: Pieces
    after_one: NDArray[np.float64]
    pairs: NDArray[np.int64]
    starts: NDArray[np.int64]
    followers: NDArray[np.int64]
    counts: NDArray[np.int64]
    fingerprint: str

    @classmethod
    def of(cls, texts: Iterable[str], *, pieces: int = 767, name: str = "ngram") -> Self:
        """Count public texts.

        Args:
            texts: public.
            pieces: tokens beside the 256 bytes and the end.
            name: for cards and logs.
        """
        public = tuple(texts)
        if not any(public):
            raise ParameterError("An n-gram model needs some public text.", "Give at least one text that is not empty.")
        vocabulary = Pieces.of(public, pieces)
        size, end = vocabulary.size, np.array([vocabulary.end])
        stream = np.concatenate([part for text in public for part in (end, vocabulary.tokens(text))] + [end])
        after_one = _after_one(stream, size)
        keys = (stream[:-2] * size + stream[1:-1]) * size + stream[2:]
        trigrams, counts = np.unique(keys, return_counts=True)
        pairs, first = np.unique(trigrams // size, return_index=True)
        starts, followers = np.append(first, len(trigrams)), trigrams % size
        digest = hashlib.sha256(b"dpsynth.ngram/1\0" + b"\0".join(piece.hex().encode() for piece in vocabulary.pieces))
        for array in (after_one, pairs, starts, followers, counts):
            digest.update(np.ascontiguousarray(array).tobytes())
        return cls(
            name=name,
            pieces=vocabulary,
            after_one=after_one,
            pairs=pairs,
            starts=starts,
            followers=followers,
            counts=counts,
            fingerprint=digest.hexdigest(),
        )

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.pieces.size

    @property
    def end(self) -> int:
        """Stands before and after every text."""
        return self.pieces.end

    @property
    def context(self) -> int:
        """A promise to callers; the model itself looks at two tokens."""
        return CONTEXT

    @property
    def spelling(self) -> tuple[bytes, ...]:
        """Bytes of each id."""
        return self.pieces.spelling

    def tokens(self, text: str) -> Tokens:
        """Ids of a text."""
        return self.pieces.tokens(text)

    def text(self, tokens: Sequence[int] | Tokens) -> str:
        """The text of ids."""
        return self.pieces.text(tokens)

    def start(self, prompts: Sequence[Tokens], *, width: int, room: int) -> NgramDecoding:
        """Rows that begin with these prompts."""
        checked = checked_prompts(self, prompts, width, room)
        begun = [np.concatenate([[self.end, self.end], prompt])[-2:] for prompt in checked]
        last = np.array(begun, dtype=np.int64).reshape(len(begun), 2)
        return NgramDecoding(model=self, last=last, left=room)


@final
@dataclass(slots=True, kw_only=True, eq=False)
class NgramDecoding:
    """The last two tokens of each row, shape (rows, 2), and how many may still be appended."""

    model: NgramBackend
    last: NDArray[np.int64] = field(repr=False)
    left: int

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.last)

    def logits(self) -> NDArray[np.float32]:
        """Natural logarithms of probabilities, shape (rows, V)."""
        model = self.model
        key = self.last[:, 0] * model.vocabulary + self.last[:, 1]
        at = np.minimum(np.searchsorted(model.pairs, key), len(model.pairs) - 1)
        seen = model.pairs[at] == key
        chances = model.after_one[self.last[:, 1]]
        for row in np.flatnonzero(seen).tolist():
            begin, stop = model.starts[at[row]], model.starts[at[row] + 1]
            counts = model.counts[begin:stop]
            kinds, total = len(counts), int(counts.sum())
            chances[row] *= kinds / (total + kinds)
            chances[row, model.followers[begin:stop]] += counts / (total + kinds)
        return np.log(chances).astype(np.float32)

    def append(self, tokens: Tokens) -> None:
        """One token to each row."""
        self.left = room_left(self.left)
        self.last = np.stack([self.last[:, 1], checked_tokens(tokens, self.rows, self.model.vocabulary)], axis=1)

    def fork(self, rows: NDArray[np.int64]) -> NgramDecoding:
        """Copies of these rows."""
        return NgramDecoding(model=self.model, last=self.last[rows].copy(), left=self.left)


def _after_one(stream: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """p(c | b), shape (V, V): pairs smoothed by single tokens, these by the uniform law."""
    single = np.bincount(stream, minlength=size).astype(np.float64)
    kinds = np.count_nonzero(single)
    alone = (single + kinds / size) / (single.sum() + kinds)
    pairs = np.bincount(stream[:-1] * size + stream[1:], minlength=size * size).reshape(size, size).astype(np.float64)
    total, different = pairs.sum(axis=1, keepdims=True), np.count_nonzero(pairs, axis=1)[:, None]
    different = np.maximum(different, 1)
    smoothed: NDArray[np.float64] = (pairs + different * alone) / (total + different)
    return smoothed
