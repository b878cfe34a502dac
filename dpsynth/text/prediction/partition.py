"""Who is in which bin: one row a unit, one bin a row, by that unit's own content and a key.

A bin of a topic is `hash mod bins`, and the number of bins follows from released counts and public settings. So a unit
that comes, goes or grows moves nobody else, and bins compose in parallel (proof in
docs/concepts/text-private-prediction.md). Every row of a bin is summed: none is cut off to a batch size, which would
make a new row displace another and cost four times the zCDP.

A unit of several texts is ONE row: its texts in the order of a hash that is keyed with the unit's own, joined by a
blank line, cut to the public length. Its topic is its first text's. Empty texts are left out, so that a unit which is
blanked is an empty row.

>>> bins_of(600.0, np.array([0.9, 0.099, 0.001]), 60)
Bins(counts=(9, 1, 0), pooled=(2,))

Not guaranteed: bins of equal size; a topic without a bin of its own is read in the pool of all such topics.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.corpus import Corpus

JOIN = "\n\n"
LARGEST = 1 << 20


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """How many bins there are; a function of released counts.

    Attributes:
        counts: of each topic.
        pooled: topics too small for a bin; together they have one more group of bins, which stands last.
    """

    counts: tuple[int, ...]
    pooled: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"Bins(counts={self.counts}, pooled={self.pooled})"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Bin:
    """One bin: released topics that its texts may have, and its private rows.

    Attributes:
        topics: indices of topics; one, unless it is of the pool.
        rows: texts (private), in an order that no computation depends on.
    """

    topics: tuple[int, ...]
    rows: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Bin(topics={self.topics}, rows are private)"


def bins_of(total: float, shares: NDArray[np.float64], batch_size: int) -> Bins:
    """As many bins of each topic as make about `batch_size` rows each.

    Args:
        total: released number of units.
        shares: released, of each topic.
        batch_size: s, public.
    """
    expected = np.minimum(total * shares / batch_size, LARGEST)
    counts = np.rint(expected).astype(np.int64)
    pooled = np.flatnonzero(counts == 0)
    return Bins(counts=tuple(counts.tolist()), pooled=tuple(pooled.tolist()))


def pool_size(bins: Bins, total: float, shares: NDArray[np.float64], batch_size: int) -> int:
    """Number of bins of the pooled topics: at least one, if there are such topics and rows may be expected."""
    if not bins.pooled:
        return 0
    expected = total * float(shares[list(bins.pooled)].sum()) / batch_size
    return max(1 if sum(bins.counts) == 0 else 0, round(min(expected, LARGEST)))


def fixed(count: int, shares: NDArray[np.float64]) -> Bins:
    """`count` bins in all, in the shares of topics."""
    return bins_of(float(count), shares, 1)


def partition(corpus: Corpus, bins: Bins, pool: int) -> tuple[Bin, ...]:
    """The bins with their rows, those of each topic together, the pool's last."""
    texts, topics = _rows(corpus)
    group = np.where(np.isin(topics, bins.pooled), -1, topics)
    made: list[Bin] = []
    for topic, count in [*enumerate(bins.counts), (-1, pool)]:
        if not count:
            continue
        members = np.flatnonzero(group == topic)
        places = (corpus.hashes[members] % np.uint64(count)).astype(np.int64)
        order = np.lexsort((corpus.hashes[members], places))
        ends = np.searchsorted(places[order], np.arange(count), side="right")
        begins = np.r_[0, ends[:-1]]
        own = bins.pooled if topic < 0 else (topic,)
        made += [
            Bin(topics=own, rows=tuple(texts[i] for i in members[order[a:b]]))
            for a, b in zip(begins.tolist(), ends.tolist(), strict=True)
        ]
    return tuple(made)


def _rows(corpus: Corpus) -> tuple[list[str], NDArray[np.int64]]:
    """One text and one topic a unit, in the order of `corpus.hashes`."""
    if corpus.units is None:
        return list(corpus.texts), corpus.topics
    mine: list[list[tuple[bytes, int, str]]] = [[] for _ in range(len(corpus.hashes))]
    for text, topic, unit in zip(corpus.texts, corpus.topics.tolist(), corpus.units.tolist(), strict=True):
        key = corpus.hashes[unit].tobytes()
        place = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=8).digest()
        mine[unit].append((place, topic, text))
    ordered = [sorted(own) for own in mine]
    firsts = np.array([own[0][1] if own else 0 for own in ordered], dtype=np.int64)
    return [JOIN.join(text for _, _, text in own if text) for own in ordered], firsts
