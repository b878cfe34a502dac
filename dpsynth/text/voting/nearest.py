"""The nearest candidates of each private text, each text for itself to the last bit.

The sensitivity of a vote count is a statement about one unit's votes. It fails silently where arithmetic couples the
rows: a float product of matrices rounds differently with the number of rows, and one near-tie that flips for that
reason is a vote that another person's record moved. So a private text is encoded alone, in a call of its own, its
coordinates are rounded to integers of 12 bits, and products are sums of integers below 2^53, which float64 holds
exactly in any order. Ties go to the earlier candidate.

>>> places = np.array([[4096, 0], [0, 4096], [4096, 0]])
>>> best(np.array([[10, 3], [0, 0]]), places, 2).tolist()        # a text without direction votes for nothing
[[0, 2], [-1, -1]]

Not guaranteed: that near means alike; that is the embedding's part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.embeddings.protocol import Points
from dpsynth.text.embeddings.remembered import Remembered
from dpsynth.text.voting.histogram import Votes

SCALE = 1 << 12
_BLOCK = 1 << 22
"""Most products held at once: 32 MiB."""

Grid = NDArray[np.int64]


def on_grid(points: Points) -> Grid:
    """Directions rounded to 12 bits a coordinate, int64, shape (n, d); zero where a row has no finite direction."""
    rows = np.asarray(points, dtype=np.float64)
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    rows = rows / np.where(largest > 0, largest, 1.0)
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.rint(rows / np.where(length > 0, length, 1.0) * SCALE).astype(np.int64)


def best(texts: Grid, candidates: Grid, most: int) -> NDArray[np.int64]:
    """Index of the `most` nearest candidates, shape (texts, most), nearest first; -1 where a text votes for nothing."""
    chosen = np.full((len(texts), most), -1, dtype=np.int64)
    other = candidates.T.astype(np.float64)
    step = max(1, _BLOCK // max(len(candidates), 1))
    for at in range(0, len(texts), step):
        block = texts[at : at + step].astype(np.float64)
        products = block @ other
        for place in range(min(most, len(candidates))):
            column = products.argmax(axis=1)
            chosen[at : at + step, place] = column
            products[np.arange(len(block)), column] = -np.inf
    chosen[~texts.any(axis=1)] = -1
    return chosen


def votes(
    texts: Grid,
    topics: NDArray[np.int64],
    candidates: Sequence[str],
    candidate_topics: NDArray[np.int64],
    embedding: Remembered,
    *,
    most: int,
) -> Votes:
    """Votes of each text for the nearest candidates of its own topic (private).

    Args:
        texts: of private texts, as `places` gives them, shape (texts, d).
        topics: of the texts.
        candidates: public.
        candidate_topics: of the candidates.
        embedding: of both.
        most: votes of a text.

    Raises:
        ModelError: the embedding fails on a candidate.
    """
    others = on_grid(embedding.public(candidates))
    rows, chosen = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for topic in np.unique(candidate_topics).tolist():
        own, there = np.flatnonzero(topics == topic), np.flatnonzero(candidate_topics == topic)
        found = best(texts[own], others[there], most)
        voting, place = np.nonzero(found >= 0)
        rows.append(own[voting])
        chosen.append(there[found[voting, place]])
    return Votes(rows=np.concatenate(rows), candidates=np.concatenate(chosen))


def places(texts: Sequence[str], embedding: Remembered) -> Grid:
    """Private texts on the grid, int64, shape (texts, d); zero for an empty one and where the embedding fails."""
    empty = np.zeros((0, embedding.dimension), dtype=np.int64)
    return np.concatenate([empty, *(on_grid(row[None]) for row in embedding.private(texts))])
