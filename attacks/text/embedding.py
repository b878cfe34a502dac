"""Texts as points: how alike in meaning, not in wording.

An `Embedding` is anything with a `name` and `encode(texts) -> float32 (n, d)`; a sentence encoder that a user has at
hand is wrapped in three lines. Without one, texts are embedded by latent semantic analysis (Deerwester et al. 1990):
weights of words, rare ones heavier, projected on the directions in which the *release* varies most. It is fitted on
the release alone, so it cannot know who was a member.

>>> from attacks.text.tokens import encode
>>> space = LatentSemantic.fitted(encode(["the bank took a fee", "a fee of the bank", "my dog barks", "a dog barks"]))
>>> points = space.points(encode(["its bank fee", "dogs bark"]))
>>> np.abs(nearest(points, space.points(encode(["bank fee"])))).round(1).tolist()
[1.0, 0.0]

Not guaranteed: word order counts for nothing in the fallback, and words that the release lacks do not count at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from attacks.errors import AttackInputError
from attacks.statistics import FloatArray
from attacks.text.tokens import Hashes, Texts

Points = NDArray[np.float32]
DIMENSIONS = 100
_BLOCK = 1 << 23
"""Most similarities held at once: 32 MiB."""


@runtime_checkable
class Embedding(Protocol):
    """A map from texts to points in which near means alike; it must not have been fitted on members."""

    @property
    def name(self) -> str:
        """Printed with the attack; change it with the model."""

    def encode(self, texts: list[str], /) -> Points:
        """One row a text, float32 (n, d), all finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """An embedding that encodes a text once, by the digest of its bytes; asked of folds and plantings many times."""

    embedding: Embedding
    known: dict[bytes, Points] = field(default_factory=dict, repr=False, compare=False)

    def points(self, texts: Texts) -> Points:
        """Unit vectors, float32 (n, d).

        Raises:
            AttackInputError: the embedding returned something else than one finite row a text.
        """
        if texts.written is None:
            raise AttackInputError("These texts were passed as words, which an embedding does not read.", "Pass texts.")
        written = [str(text) for text in texts.written]
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in written]
        fresh = {key: text for key, text in zip(keys, written, strict=True) if key not in self.known}
        if fresh:
            rows = np.asarray(self.embedding.encode(list(fresh.values())), dtype=np.float32)
            if rows.ndim != 2 or len(rows) != len(fresh) or not np.isfinite(rows).all():
                raise AttackInputError(
                    f"The embedding {self.embedding.name!r} did not return one finite row a text.",
                    "Return an array of shape (texts, dimensions).",
                )
            self.known.update(zip(fresh, unit(rows), strict=True))
        return np.stack([self.known[key] for key in keys]) if keys else np.zeros((0, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSemantic:
    """Words of the release, what each weighs, and the directions (words, d) that texts are projected on."""

    words: Hashes
    weights: FloatArray
    directions: FloatArray

    @classmethod
    def fitted(cls, release: Texts, dimensions: int = DIMENSIONS) -> LatentSemantic:
        """The space of the release; fewer dimensions where it has fewer texts or words."""
        from sklearn.utils.extmath import randomized_svd

        words = np.unique(release.words)
        counts = _counts(release, words)
        held = np.bincount(counts.indices, minlength=len(words))
        weights = np.log((1.0 + counts.shape[0]) / (1.0 + held)) + 1.0
        weighed = _weighed(counts, weights)
        most = min(dimensions, *counts.shape)
        directions = randomized_svd(weighed, n_components=most, n_iter=3, random_state=0)[2].T
        return cls(words=words, weights=weights, directions=np.asarray(directions))

    def points(self, texts: Texts) -> Points:
        """Unit vectors, float32 (n, d); zero for a text without a word of the release."""
        return unit((_weighed(_counts(texts, self.words), self.weights) @ self.directions).astype(np.float32))


def unit(rows: Points) -> Points:
    """Rows of length one; a row without length stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 1e-12, length, 1.0), dtype=np.float32)


def nearest(targets: Points, others: Points) -> FloatArray:
    """For each target the largest cosine to one of the others, by blocks of products; -1 if there are none."""
    best = np.full(len(targets), -1.0)
    if not len(others):
        return best
    step = max(1, _BLOCK // len(others))
    for at in range(0, len(targets), step):
        best[at : at + step] = (targets[at : at + step] @ others.T).max(axis=1)
    return best


def _counts(texts: Texts, words: Hashes) -> sp.csr_array:
    """How often each text holds each of the words, (texts, words)."""
    at = np.minimum(np.searchsorted(words, texts.words), max(len(words) - 1, 0))
    kept = words[at] == texts.words if len(words) else np.zeros(len(texts.words), dtype=bool)
    owner = np.repeat(np.arange(len(texts)), texts.lengths)
    shape = (len(texts), len(words))
    counts = sp.csr_array((np.ones(int(kept.sum())), (owner[kept], at[kept])), shape=shape)
    counts.sum_duplicates()
    return counts


def _weighed(counts: sp.csr_array, weights: FloatArray) -> sp.csr_array:
    """(1 + log count) times weight."""
    weighed = counts.copy()
    weighed.data = (1.0 + np.log(weighed.data)) * weights[weighed.indices]
    return weighed
