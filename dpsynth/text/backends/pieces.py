"""A vocabulary without a training library: 256 bytes, one end, and the commonest words and parts of words.

Whatever is no word of the vocabulary is spelled with its longest parts, in the end with bytes; so every text has an
encoding and comes back as it was (a lone surrogate, which is no Unicode text, as a question mark).

>>> pieces = Pieces.of(["the fee was late", "the late fee", "a later fee"], 20)
>>> pieces.text(pieces.tokens("the latest fée"))
'the latest fée'
>>> len(pieces.tokens("the fee")), len(pieces.tokens("zzz"))
(2, 3)

Not guaranteed: the shortest encoding; it is greedy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

BYTES = 256
LONGEST = 12
_WORDS = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\w\s]+|\s+|_+")


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """A greedy tokenizer: bytes are 0 … 255, the end is 256, pieces follow.

    Attributes:
        pieces: byte strings of two or more bytes, each once.
        spelling: bytes of each id, none for the end.
    """

    pieces: tuple[bytes, ...]
    spelling: tuple[bytes, ...] = field(init=False, repr=False)
    _ids: dict[bytes, int] = field(init=False, repr=False)
    _known: dict[str, tuple[int, ...]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spelling", (*(bytes([byte]) for byte in range(BYTES)), b"", *self.pieces))
        numbered = {bytes([byte]): byte for byte in range(BYTES)}
        numbered |= {piece: BYTES + 1 + at for at, piece in enumerate(self.pieces)}
        object.__setattr__(self, "_ids", numbered)

    @classmethod
    def of(cls, texts: Iterable[str], count: int) -> Self:
        """The `count` best pieces of public texts: three in five are words, by how many bytes they save."""
        words: Counter[bytes] = Counter()
        for text in texts:
            words.update(_bytes(word) for word in _WORDS.findall(text))
        saved = {word: times * (len(word) - 1) for word, times in words.items() if 2 <= len(word) <= LONGEST}
        chosen = _best(saved, count * 3 // 5)
        taken = set(chosen)
        parts: Counter[bytes] = Counter()
        for word, times in words.items():
            if word not in taken:
                for size in (2, 3, 4):
                    for at in range(len(word) - size + 1):
                        parts[word[at : at + size]] += times * (size - 1)
        rest = {part: saving for part, saving in parts.items() if part not in taken}
        return cls(pieces=(*chosen, *_best(rest, count - len(chosen))))

    @property
    def end(self) -> int:
        """The id that ends a text."""
        return BYTES

    @property
    def size(self) -> int:
        """How many ids there are."""
        return BYTES + 1 + len(self.pieces)

    def tokens(self, text: str) -> NDArray[np.int64]:
        """Ids of a text, shape (tokens,)."""
        ids: list[int] = []
        end = 0
        for match in _WORDS.finditer(text):
            if match.start() > end:
                ids += self._spelled(text[end : match.start()])
            ids += self._spelled(match.group())
            end = match.end()
        return np.array(ids + list(self._spelled(text[end:])), dtype=np.int64)

    def text(self, tokens: Sequence[int] | NDArray[np.int64]) -> str:
        """The text of ids, the end left out; bytes that are no UTF-8 become U+FFFD."""
        spelled = b"".join(self.spelling[int(token)] for token in tokens)
        return spelled.decode("utf-8", "replace")

    def _spelled(self, word: str) -> tuple[int, ...]:
        known = self._known.get(word)
        if known is None:
            spelled, at, raw = list[int](), 0, _bytes(word)
            while at < len(raw):
                size = next(n for n in range(min(LONGEST, len(raw) - at), 0, -1) if raw[at : at + n] in self._ids)
                spelled.append(self._ids[raw[at : at + size]])
                at += size
            known = tuple(spelled)
            if len(self._known) < 100_000 and len(raw) <= 64:
                self._known[word] = known
        return known


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "replace")


def _best(savings: dict[bytes, int], count: int) -> list[bytes]:
    return sorted(savings, key=lambda piece: (-savings[piece], piece))[:count]
