"""A sensitive column as classes, and the other columns as features: shared by the attacks that learn to guess it.

A category is its own class; a number's class is the twentieth of the real distribution in which it lies, so that a
guess is within five percentage points of rank as in `attribute.py`; a missing value is a class too. Features do not
depend on how the table is written: columns stand in the order of their names, numbers are ranks and categories are
ordered by how often the rows learned from hold them.

>>> RANK_CLASSES
20

Not guaranteed: categories that are equally frequent are ordered by their codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded, Layout
from attacks.inference.attribute import RANK_TOLERANCE
from attacks.statistics import FloatArray

RANK_CLASSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """The sensitive column `column` of tables with this layout."""

    column: str
    layout: Layout

    @property
    def at(self) -> int:
        """Position among the columns."""
        return self.layout.columns.index(self.column)

    @property
    def known(self) -> tuple[int, ...]:
        """Positions of the other columns, by name."""
        names = self.layout.columns
        return tuple(sorted((at for at in range(len(names)) if at != self.at), key=lambda at: names[at]))

    def classes(self, rows: Encoded) -> NDArray[np.int64]:
        """Class of each row from 1, or 0 where the secret is missing."""
        return cells(rows, self.layout, self.at, RANK_CLASSES)

    def choose(self, votes: FloatArray) -> NDArray[np.int64]:
        """The class with most votes; a number's class counts half the votes of its neighbours, which may be right too.

        Args:
            votes: shape (targets, classes), class 0 for missing.
        """
        if self.layout.ranks[self.at] is None:
            return np.asarray(votes.argmax(axis=1))
        near = votes.copy()
        near[:, 2:] += 0.5 * votes[:, 1:-1]
        near[:, 1:-1] += 0.5 * votes[:, 2:]
        return np.asarray(near.argmax(axis=1))

    def right(self, guess: NDArray[np.int64], targets: Encoded) -> FloatArray:
        """1 where the guessed class is the target's, or its middle is within five points of the target's rank."""
        codes, ranks = targets.codes[:, self.at], self.layout.ranks[self.at]
        equal = guess == self.classes(targets)
        if ranks is None or not len(ranks):
            return np.asarray(equal, dtype=np.float64)
        near = np.abs((guess - 0.5) / RANK_CLASSES - ranks[np.maximum(codes, 0)]) <= RANK_TOLERANCE + 1e-9
        return np.asarray(np.where((guess > 0) & (codes >= 0), near, equal), dtype=np.float64)


def cells(rows: Encoded, layout: Layout, at: int, bins: int) -> NDArray[np.int64]:
    """Codes of a column from 1, 0 for missing; of a number the bin of its rank among the holdout's values."""
    codes, ranks = rows.codes[:, at].astype(np.int64), layout.ranks[at]
    if ranks is None or not len(ranks):
        return codes + 1
    binned = np.minimum((ranks * bins).astype(np.int64), bins - 1)
    return np.where(codes >= 0, binned[np.maximum(codes, 0)] + 1, 0)


def features(rows: Encoded, secret: Secret, learned: Encoded) -> NDArray[np.float32]:
    """Ranks of numbers (-1 if missing) and places of categories by their frequency in `learned`, shape (n, columns).

    Ranks count from the side on which more of the learned rows lie, so that a column and its negation are one feature.
    """
    columns = []
    for at in secret.known:
        codes, ranks = rows.codes[:, at], secret.layout.ranks[at]
        if ranks is not None and len(ranks):
            there = learned.codes[:, at]
            high = ranks[there[there >= 0]].sum() > 0.5 * (there >= 0).sum()
            up = 1.0 - ranks if high else ranks
            columns.append(np.where(codes >= 0, np.round(up, 6)[np.maximum(codes, 0)], -1.0))
            continue
        width = int(max(codes.max(initial=-1), learned.codes[:, at].max(initial=-1))) + 2
        place = np.empty(width)
        place[np.argsort(-np.bincount(learned.codes[:, at] + 1, minlength=width), kind="stable")] = np.arange(width)
        columns.append(place[codes + 1])
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(rows), 0), dtype=np.float32)
