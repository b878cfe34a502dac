"""Sets of texts that are held against each other, and the anchors made of the real ones.

    real, synthetic       as they came
    held                  the holdout, cut to n texts
    matched               the synthetic texts, cut to n
    half, other_half      the real texts at random; the second cut to n
    redraws               real and held texts mixed and split anew, eight times: what chance alone makes of a figure
    drawn                 n texts of words drawn one by one from all real words, as long as real texts are: a model that
                          has learned which words there are, and neither order nor topic

n is the smaller of holdout and synthetic set, because every distance shrinks as texts are added. Figures that cost more
than a pass over the words take at most `MOST` texts of each set (`few`).

>>> sets = anchored(["a b", "c d", "a d", "b c"], ["a b"], ["b a", "d c"], np.random.default_rng(0))
>>> len(sets.held), len(sets.drawn), [len(text.split()) for text in sets.drawn.written]
(1, 1, [2])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from attacks.text.tokens import Hashes, Owners, Texts, grams, joined, of_words, split

MOST = 5_000
REDRAWS = 8
Rows = NDArray[np.intp]
Counts = NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class TextSet:
    """Texts as written, and their words as 64-bit hashes.

    A set that was taken from another knows which of its texts it holds: n-grams are hashed and sorted once, in the
    whole, and a part picks its own from them.
    """

    written: tuple[str, ...]
    encoded: Texts
    _whole: TextSet | None = None
    _rows: Rows | None = None
    _grams: dict[int, tuple[Hashes, Owners]] = field(default_factory=dict)
    _sorted: dict[int, tuple[Hashes, Owners]] = field(default_factory=dict)
    _kinds: dict[int, tuple[Hashes, Counts]] = field(default_factory=dict)
    _holders: dict[int, Counts] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Sequence[str]) -> TextSet:
        """The set of these texts."""
        written = np.array([*texts, None], dtype=object)[:-1]  # the end keeps numpy from looking into the texts
        encoded = replace(of_words((split(text) for text in texts), signed=False), written=written)
        return cls(written=tuple(texts), encoded=encoded)

    def __len__(self) -> int:
        return len(self.written)

    def and_then(self, other: TextSet) -> TextSet:
        """The texts of both, in order."""
        return TextSet(written=self.written + other.written, encoded=joined(self.encoded, other.encoded))

    def take(self, rows: Rows) -> TextSet:
        """These texts, in this order; none of them twice."""
        return TextSet(
            written=tuple(self.written[i] for i in rows),
            encoded=self.encoded.take(rows),
            _whole=self if self._whole is None else self._whole,
            _rows=rows if self._rows is None else self._rows[rows],
        )

    def first(self, count: int) -> TextSet:
        """The first texts; the set itself if it has no more."""
        return self if count >= len(self) else self.take(np.arange(count))

    def size(self, n: int) -> int:
        """How many n-grams there are."""
        return int(self._sizes(n).sum())

    def grams(self, n: int) -> tuple[Hashes, Owners]:
        """All n-grams of texts that have n words, in order of position, and the text that each belongs to."""
        if self._whole is not None and self._rows is not None:
            sizes, within = self._sizes(n), self._whole._sizes(n)
            ends = np.cumsum(sizes)
            before = (np.cumsum(within) - within)[self._rows]
            at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(before - (ends - sizes), sizes)
            return self._whole.grams(n)[0][at], np.repeat(np.arange(len(self)), sizes)
        if n not in self._grams:
            hashes, owners = grams(self.encoded, n)
            whole = self.encoded.lengths[owners] >= n
            self._grams[n] = (hashes[whole], owners[whole])
        return self._grams[n]

    def ascending(self, n: int) -> tuple[Hashes, Owners]:
        """The n-grams in ascending order, those of one text together among equal ones."""
        if self._whole is not None and self._rows is not None:
            hashes, owners = self._whole.ascending(n)
            place = np.full(len(self._whole), -1, dtype=owners.dtype)
            place[self._rows] = np.arange(len(self))
            owners = place[owners]
            ours = owners >= 0
            return hashes[ours], owners[ours]
        if n not in self._sorted:
            hashes, owners = self.grams(n)
            order = np.argsort(hashes, kind="stable")  # owners ascend already
            self._sorted[n] = (hashes[order], owners[order].astype(np.int32))
        return self._sorted[n]

    def kinds(self, n: int) -> tuple[Hashes, Counts]:
        """Different n-grams in ascending order, and how often each occurs."""
        self._count(n)
        return self._kinds[n]

    def holders(self, n: int) -> Counts:
        """How many texts hold each of them."""
        self._count(n)
        return self._holders[n]

    def _count(self, n: int) -> None:
        if n in self._kinds:
            return
        hashes, owners = self.ascending(n)
        changes = changes_of(hashes)
        begins = np.flatnonzero(changes)
        self._kinds[n] = (hashes[begins], np.diff(np.append(begins, len(hashes))))
        firsts = np.flatnonzero(changes[changes | changes_of(owners)])
        texts = int((changes | changes_of(owners)).sum())
        self._holders[n] = np.diff(np.append(firsts, texts))

    def _sizes(self, n: int) -> Counts:
        return np.maximum(self.encoded.lengths - n + 1, 0)


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Sets:
    """See the module."""

    real: TextSet
    synthetic: TextSet
    held: TextSet
    matched: TextSet
    half: TextSet
    other_half: TextSet
    drawn: TextSet
    redraws: tuple[tuple[TextSet, TextSet], ...] = ()
    pool: int = 0

    @property
    def beyond_redraws(self) -> float:
        """How much more a figure of one fresh set varies than redraws of it do, all from one finite pool of texts.

        n of N texts without replacement vary by sqrt(1 - n / N) of n fresh ones (Cochran 1977, ch. 2). A distance needs
        no such factor: both its sides are redrawn.
        """
        return 1.0 / math.sqrt(1.0 - len(self.held) / self.pool) if self.pool > len(self.held) else 1.0

    def between(self, *anchors: str) -> dict[str, tuple[TextSet, TextSet]]:
        """The pairs that a distance is measured between, by the name of the anchor; the redraws always."""
        known = {
            "value": (self.real, self.synthetic),
            "reference": (self.real, self.held),
            "matched": (self.real, self.matched),
            "floor": (self.half, self.other_half),
            "shuffle": (self.real, self.drawn),
        }
        return {name: known[name] for name in anchors} | {f"redraw{i}": pair for i, pair in enumerate(self.redraws)}

    def alone(self) -> dict[str, TextSet]:
        """The sets that a figure of one set is measured on."""
        own = {"value": self.synthetic, "reference": self.held, "floor": self.half}
        return own | {f"redraw{i}": held for i, (_, held) in enumerate(self.redraws)}

    def few(self) -> Sets:
        """The same with at most `MOST` texts, and as many real ones as held: for figures that need equal numbers."""
        count = min(len(self.held), MOST)
        half = min(len(self.half), len(self.other_half), count)
        return Sets(
            real=self.real.first(count),
            synthetic=self.matched.first(count),
            held=self.held.first(count),
            matched=self.matched.first(count),
            half=self.half.first(half),
            other_half=self.other_half.first(half),
            drawn=self.drawn.first(count),
            redraws=tuple((real.first(count), held.first(count)) for real, held in self.redraws),
            pool=self.pool,
        )


def changes_of(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Where another value begins."""
    out = np.ones(len(ordered), dtype=bool)
    out[1:] = ordered[1:] != ordered[:-1]
    return out


def drawn_words(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` texts of words drawn independently from all of them; each as long as one of them."""
    parts = [text.split() for text in texts]
    pool = np.array([word for words in parts for word in words] or [""], dtype=object)
    lengths = [len(parts[i]) for i in rng.integers(len(parts), size=count)]
    return [" ".join(pool[rng.integers(len(pool), size=length)]) for length in lengths]


def anchored(real: Sequence[str], synthetic: Sequence[str], holdout: Sequence[str], rng: np.random.Generator) -> Sets:
    """The sets of the module; each of them in random order."""
    count = min(len(synthetic), len(holdout))
    truth, made, held = TextSet.of(real), TextSet.of(synthetic), TextSet.of(holdout)
    order = rng.permutation(len(truth))
    made = made.take(rng.permutation(len(made)))
    chosen = rng.permutation(len(held))[:count]
    both = truth.and_then(held)
    pool = np.concatenate([order, len(truth) + chosen])
    middle = max(len(order) // 2, 1)
    orders = (pool[rng.permutation(len(pool))] for _ in range(REDRAWS))
    whole = both.take(order)
    return Sets(
        real=whole,
        synthetic=made,
        held=both.take(len(truth) + chosen),
        matched=made.first(count),
        half=whole.first(middle),
        other_half=whole.take(np.arange(middle, len(whole))).first(count) if len(whole) > 1 else whole,
        drawn=TextSet.of(drawn_words(whole.written, count, rng)),
        redraws=tuple((both.take(redrawn[count:]), both.take(redrawn[:count])) for redrawn in orders),
        pool=len(pool),
    )
