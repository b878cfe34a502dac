"""Texts as 64-bit words and n-grams: eight bytes each, any n in one pass.

A text is normalised (NFKC, case folded) and cut into words: runs of letters and digits, single ideographs, single
symbols outside ASCII such as emoji; ASCII punctuation is dropped. A word is 64 bits of BLAKE2b, so that two machines
agree. The hash of the words i .. i+n-1 is the polynomial sum of h[k] B^(i+n-1-k) modulo 2^64 (Karp and Rabin 1987).
With B odd it is a difference of prefix sums of h[k] B^(-k), so every n costs one subtraction and one product a gram.

A text shorter than n has one gram: itself as a whole, which equals no gram of a longer text.

>>> texts = encode(["To be, or not to be", "be or not"])
>>> grams(texts, 3)[0].size, int(np.isin(grams(texts, 3)[0][:4], grams(texts, 3)[0][4:]).sum())
(5, 1)

Not guaranteed: languages written without spaces (other than in ideographs and kana) come out as long words. Two
different grams collide by chance with probability 2^-64; texts built to collide are not looked for.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attacks.text.minhash import signatures

Hashes = NDArray[np.uint64]
Owners = NDArray[np.int64]

_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s\x00-\x7f\u2000-\u206f\ufe00-\ufe0f]"
)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Texts:
    """Encoded texts: `words` uint64 (all words), `starts` int64 (n + 1,), `signatures` uint32 (n, 128) of MinHash.

    `written` holds the texts as they came, for embeddings; None for those that came as words.
    """

    words: Hashes
    starts: NDArray[np.int64]
    signatures: NDArray[np.uint32]
    written: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words of each text."""
        return np.diff(self.starts)

    @property
    def ids(self) -> NDArray[np.int64]:
        """One number a text: equal exactly when the words are."""
        return windows(self, self.starts[:-1], self.lengths).view(np.int64)

    def take(self, rows: NDArray[np.intp]) -> Texts:
        """The given texts, in the given order."""
        lengths = self.lengths[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(starts[-1]) - np.repeat(starts[:-1] - self.starts[:-1][rows], lengths)
        written = None if self.written is None else self.written[rows]
        return Texts(words=self.words[at], starts=starts, signatures=self.signatures[rows], written=written)


def split(text: str) -> list[str]:
    """The words of a text, normalised."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def word_hash(word: str) -> int:
    """64 bits of BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def encode(texts: Iterable[str]) -> Texts:
    """Words of all texts, with the MinHash signature of each."""
    written = np.array([*texts, None], dtype=object)[:-1]  # the end keeps numpy from looking into the texts
    return replace(of_words(split(text) for text in written), written=written)


def of_words(texts: Iterable[Sequence[str]], *, signed: bool = True) -> Texts:
    """The same of texts that are already lists of words; without signatures if not `signed`."""
    known: dict[str, int] = {}
    parts, lengths = [], [0]
    for words in texts:
        for word in words:
            if word not in known:
                known[word] = word_hash(word)
        parts.append(np.fromiter((known[word] for word in words), dtype=np.uint64, count=len(words)))
        lengths.append(len(words))
    words_ = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)
    starts = np.cumsum(lengths, dtype=np.int64)
    bare = Texts(words=words_, starts=starts, signatures=np.zeros((len(lengths) - 1, 0), dtype=np.uint32))
    if not signed:
        return bare
    return Texts(words=words_, starts=starts, signatures=signatures(*grams(bare, 2), len(bare)))


def joined(first: Texts, second: Texts) -> Texts:
    """The texts of both, in order."""
    return Texts(
        words=np.concatenate([first.words, second.words]),
        starts=np.concatenate([first.starts, second.starts[1:] + first.starts[-1]]),
        signatures=np.concatenate([first.signatures, second.signatures]),
        written=None
        if first.written is None or second.written is None
        else np.concatenate([first.written, second.written]),
    )


def grams(texts: Texts, n: int) -> tuple[Hashes, Owners]:
    """All n-grams in order of position, and the text that each belongs to; a shorter text is one gram."""
    lengths = texts.lengths
    counts = np.where(lengths >= n, lengths - n + 1, (lengths > 0).astype(np.int64))
    owner = np.repeat(np.arange(len(texts)), counts)
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    at = np.arange(len(owner)) - before[owner] + texts.starts[:-1][owner]
    hashes = windows(texts, at, np.minimum(lengths[owner], n))
    return hashes, owner


def windows(texts: Texts, at: NDArray[np.int64], length: NDArray[np.int64]) -> Hashes:
    """Hash of the `length` words that start at each position `at`."""
    n = len(texts.words)
    powers = np.full(n + 1, _INVERSE, dtype=np.uint64)
    powers[0] = 1
    np.cumprod(powers, out=powers)
    sums = np.zeros(n + 1, dtype=np.uint64)
    np.cumsum(texts.words * powers[:n], out=sums[1:])
    powers.fill(_BASE)
    powers[0] = 1
    np.cumprod(powers, out=powers)
    end = at + length
    hashes: Hashes = (sums[end] - sums[at]) * powers[end]
    hashes ^= hashes >> np.uint64(31)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    return hashes
