"""Texts as rows of integers: one record a row, its topic first, its own tokens, then the end, then padding.

    topic | t_1 … t_m | end | pad … pad        `length` places for tokens; a longer text is cut, and has no end

Records are never packed: a row is one record whatever its length, so the unit of privacy stays what was planned. The
tokenizer is the public model's. Nothing depends on other texts or on how long any of them is: `length` is public.

>>> Layout(length=4, vocabulary=10, end=0).row(np.array([3, 5]), 0).tolist()
[0, 3, 5, 0, 10]

Not guaranteed: that a text survives a round trip; some tokenizers normalise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

CHARACTERS = 64
"""Characters of a text that are read at most, for each token of `length`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a record becomes a row.

    Attributes:
        length: places for tokens, the end included.
        vocabulary: V; the code V itself is padding.
        end: the id that ends a text.
    """

    length: int
    vocabulary: int
    end: int

    @property
    def dtype(self) -> type[np.unsignedinteger[Any]]:
        """The smallest that holds V and topics."""
        return np.uint16 if self.vocabulary < 2**16 else np.uint32

    def row(self, tokens: NDArray[np.integer[Any]], topic: int) -> NDArray[np.unsignedinteger[Any]]:
        """One record, shape (1 + length,)."""
        made = np.full(1 + self.length, self.vocabulary, dtype=self.dtype)
        own = tokens[: self.length]
        made[0], made[1 : 1 + len(own)] = topic, own
        if len(own) < self.length:
            made[1 + len(own)] = self.end
        return made

    def rows(
        self, texts: Sequence[str], topics: NDArray[np.int64], tokens: Callable[[str], NDArray[np.int64]]
    ) -> NDArray[np.unsignedinteger[Any]]:
        """Records, shape (texts, 1 + length); an empty text is its end alone."""
        made = np.empty((len(texts), 1 + self.length), dtype=self.dtype)
        for at, text in enumerate(texts):
            made[at] = self.row(tokens(text[: CHARACTERS * self.length]), int(topics[at]))
        return made
