"""Texts as features of a learner: TF-IDF of words and pairs of words, known from the learner's own training table.

    words = Words.of(frame, ("note",))
    words.sparse(frame)     # for linear models, shape (rows, terms)
    words.dense(frame)      # for trees: 50 directions of a truncated SVD (latent semantic analysis)

>>> frame = pd.DataFrame({"note": ["rent is due", "rent was paid", "fever and cough"]})
>>> Words.of(frame, ("note",), seed=0).sparse(frame).shape[0]
3

Not guaranteed: meaning beyond words; for that use a pipeline of your own with embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TERMS = 20_000
DIRECTIONS = 50
_NOTHING = "(empty)"
_WORD = r"(?u)\w+"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Words:
    """Vocabularies and directions of one training table."""

    columns: tuple[str, ...]
    vectorizers: tuple[Any, ...]
    directions: Any

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: Sequence[str], *, seed: int, dense: bool = False) -> Words:
        """Learn the vocabulary of each text column, and the directions if `dense` is wanted."""
        from scipy import sparse
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        made = []
        for column in columns:
            vectorizer = TfidfVectorizer(max_features=TERMS, ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD)
            made.append(vectorizer.fit([*_texts(frame, column), _NOTHING]))
        words = cls(columns=tuple(columns), vectorizers=tuple(made), directions=None)
        if not dense:
            return words
        found = words.sparse(frame)
        most = min(DIRECTIONS, min(found.shape) - 1)
        with np.errstate(invalid="ignore", divide="ignore"):  # texts that are all the same have no variance to share
            svd = TruncatedSVD(n_components=max(most, 1), random_state=seed).fit(sparse.csr_matrix(found))
        return cls(columns=words.columns, vectorizers=words.vectorizers, directions=svd)

    def sparse(self, frame: pd.DataFrame) -> Any:
        """Weights of all terms, sparse, shape (rows, terms)."""
        from scipy import sparse

        parts = [v.transform(_texts(frame, c)) for v, c in zip(self.vectorizers, self.columns, strict=True)]
        return sparse.hstack(parts, format="csr")

    def dense(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Weights of the directions, shape (rows, at most 50)."""
        out: NDArray[np.float64] = self.directions.transform(self.sparse(frame))
        return out


def _texts(frame: pd.DataFrame, column: str) -> list[str]:
    return [str(text) for text in frame[column].fillna("")]
