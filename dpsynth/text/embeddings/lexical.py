"""Weights of hashed words on the directions in which public texts vary: latent semantic analysis on a fixed vocabulary.

Deerwester et al. (1990) with the hashing trick: a word falls into one of 2^14 buckets. Weights are (1 + log count)
times the inverse document frequency among the public texts, and the directions are the leading right singular vectors
of their weighted matrix. Words that no public text holds have no direction: give public texts of the same domain.

>>> public = ["the bank took a fee", "a fee of the bank", "my dog barks", "a dog barks"]
>>> space = Lexical(dimensions=2).fitted(public)
>>> bank, dog, other = space.encode(["bank fee", "a dog", "its bank"])
>>> bool(bank @ other > 0.9), bool(abs(dog @ other) < 0.3)
(True, True)

Not guaranteed: word order counts for nothing, and directions in which only private texts vary are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from attacks.text.tokens import split, word_hash
from dpsynth.text.embeddings.protocol import Points

BUCKETS = 1 << 14


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lexical:
    """Recipe of the space.

    Args:
        dimensions: most directions; fewer where public texts are fewer.
    """

    dimensions: int = 256

    @property
    def name(self) -> str:
        """With its size."""
        return f"lexical-{self.dimensions}"

    def fitted(self, public: Sequence[str], /) -> LexicalSpace:
        """The space of public texts."""
        from sklearn.utils.extmath import randomized_svd

        counts = _counts(public)
        held = np.bincount(counts.indices, minlength=BUCKETS)
        weights = np.log((1.0 + len(public)) / (1.0 + held)) + 1.0
        there = np.flatnonzero(held)
        weighed = _unit(_weighed(counts, weights))[:, there]
        most = min(self.dimensions, *weighed.shape)
        directions = np.zeros((BUCKETS, max(most, 1)))
        if most:
            directions[there] = randomized_svd(weighed, n_components=most, n_iter=3, random_state=0)[2].T
        return LexicalSpace(name=self.name, weights=weights, directions=directions)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LexicalSpace:
    """What each bucket weighs, shape (2^14,), and the directions, shape (2^14, d)."""

    name: str
    weights: NDArray[np.float64]
    directions: NDArray[np.float64]

    def encode(self, texts: list[str], /) -> Points:
        """Unit vectors, float32, shape (n, d); zero for a text without a word."""
        points = _weighed(_counts(texts), self.weights) @ self.directions
        length = np.linalg.norm(points, axis=1, keepdims=True)
        return np.asarray(points / np.where(length > 1e-12, length, 1.0), dtype=np.float32)


def _counts(texts: Sequence[str]) -> sp.csr_array:
    """How often each text holds each bucket, (texts, buckets), sorted by bucket."""
    rows, columns = [], []
    for row, text in enumerate(texts):
        words = [word_hash(word) % BUCKETS for word in split(text)]
        rows += [row] * len(words)
        columns += words
    counts = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(texts), BUCKETS))
    counts.sum_duplicates()
    return counts


def _weighed(counts: sp.csr_array, weights: NDArray[np.float64]) -> sp.csr_array:
    weighed = counts.copy()
    weighed.data = (1.0 + np.log(weighed.data)) * weights[weighed.indices]
    return weighed


def _unit(rows: sp.csr_array) -> sp.csr_array:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sp.csr_array(sp.diags_array(1.0 / np.where(lengths > 0, lengths, 1.0)) @ rows)
