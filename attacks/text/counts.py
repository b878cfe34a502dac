"""How often each n-gram stands in a set of texts, looked up by hash.

>>> from attacks.text.tokens import encode, grams
>>> ours = grams(encode(["to be or not to be"]), 1)[0]
>>> counted(ours).of(ours).tolist()
[2, 2, 1, 1, 2, 2]

Not guaranteed: counts are of hashes; two n-grams in 2^64 pairs are taken for one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.text.tokens import Hashes


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Counts:
    """Distinct hashes in ascending order (uint64) and how often each occurred (int64)."""

    hashes: Hashes
    counts: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Occurrences of all together."""
        return int(self.counts.sum())

    def of(self, wanted: Hashes) -> NDArray[np.int64]:
        """Occurrences of each wanted hash, 0 for one that is not there."""
        if not len(self.hashes):
            return np.zeros(len(wanted), dtype=np.int64)
        at = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        return np.where(self.hashes[at] == wanted, self.counts[at], 0)


def counted(hashes: Hashes) -> Counts:
    """Counts of the given hashes."""
    distinct, counts = np.unique(hashes, return_counts=True)
    return Counts(hashes=distinct, counts=counts.astype(np.int64))
