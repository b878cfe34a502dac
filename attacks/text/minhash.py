"""MinHash: which texts share most of their word pairs, without comparing all with all.

Under a random permutation of all pairs of neighbouring words, two texts have the same smallest pair with probability
equal to the Jaccard similarity of their sets of pairs (Broder 1997). 128 permutations (multiply-shift hashes) give a
signature whose share of equal entries estimates it, standard error at most 0.045. Signatures are cut into 32 bands of
four; texts that agree in a whole band are candidates, so a pair of similarity s is looked at with probability
1 - (1 - s^4)^32: 0.87 at 0.5, 0.9998 at 0.7.

>>> round(float(caught(0.5)), 2)
0.87

Not guaranteed: pairs less alike than one half are often not looked at, and then score 0.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 128
BANDS = 32
ROWS = PERMUTATIONS // BANDS
MOST_CANDIDATES = 16
"""Texts of one band that a target is compared with; more share a band only where the release repeats itself."""
_BLOCK = 1 << 20


def _multipliers() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    rng = np.random.default_rng(1_997)  # fixed: two machines must agree, and nothing here is secret
    draw = rng.integers(0, 1 << 63, size=(2, PERMUTATIONS), dtype=np.uint64)
    return draw[0] * np.uint64(2) + np.uint64(1), draw[1]


def caught(similarity: float) -> float:
    """Probability that banding looks at a pair of this similarity."""
    return 1.0 - (1.0 - similarity**ROWS) ** BANDS


def signatures(shingles: NDArray[np.uint64], owner: NDArray[np.int64], texts: int) -> NDArray[np.uint32]:
    """Signatures, uint32 (texts, 128); a text without shingles has the largest value everywhere.

    Args:
        shingles: hashes of all texts, those of a text together.
        owner: the text of each, ascending.
        texts: number of texts.
    """
    result = np.full((texts, PERMUTATIONS), np.iinfo(np.uint32).max, dtype=np.uint32)
    if not len(shingles):
        return result
    factor, shift = _multipliers()
    first = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    blocks = np.unique(np.searchsorted(first, np.arange(0, len(shingles), _BLOCK)))
    edges = [*blocks.tolist(), len(first)]
    for low, high in pairwise(edges):
        stop = first[high] if high < len(first) else len(shingles)
        part = shingles[first[low] : stop]
        cuts, rows = first[low:high] - first[low], owner[first[low:high]]
        for at in range(PERMUTATIONS):
            hashed = (part * factor[at] + shift[at]) >> np.uint64(32)
            result[rows, at] = np.minimum.reduceat(hashed, cuts).astype(np.uint32)
    return result


def similarity(targets: NDArray[np.uint32], texts: NDArray[np.uint32]) -> NDArray[np.float64]:
    """For each target the largest estimated similarity to a text that shares a band with it; 0 where none does."""
    best = np.zeros(len(targets))
    if not len(texts) or not len(targets):
        return best
    wordless = targets[:, 0] == np.iinfo(np.uint32).max
    for band in range(BANDS):
        columns = slice(band * ROWS, (band + 1) * ROWS)
        keys = _keys(texts[:, columns])
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        wanted = _keys(targets[:, columns])
        low = np.searchsorted(keys, wanted, side="left")
        count = np.minimum(np.searchsorted(keys, wanted, side="right") - low, MOST_CANDIDATES)
        for step in range(int(count.max(initial=0))):
            rows = np.flatnonzero(count > step)
            equal = (targets[rows] == texts[order[low[rows] + step]]).mean(axis=1)
            best[rows] = np.maximum(best[rows], equal)
    best[wordless] = 0.0
    return best


def _keys(band: NDArray[np.uint32]) -> NDArray[np.uint64]:
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = (keys ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys
