"""How many rows of the release agree with the target on some of its columns?

Each query draws a random subset of the columns, of any size, and counts the release's rows that agree with the target
in all of them: categories equal, numbers equal or within a window of 1, 5 or 20 percentage points around the target's
(drawn once a query). Counts of few columns see a private generator's marginals move, counts of many see copies
(Houssiau et al. 2022, TAPAS, arXiv 2211.06550; Meeus et al. 2023, arXiv 2306.10308).

>>> CountQueries().queries
200

Not guaranteed: structure that no count of agreeing rows shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from attacks.generators.coded import Coded
from attacks.generators.membership_classifier import Matrix

WINDOWS = (0.0, 0.01, 0.05, 0.20)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CountQueries:
    """Random k-way counts that the target matches.

    Args:
        queries: how many a target.
    """

    name: ClassVar[str] = "shadow_counts"
    queries: int = 200

    def features(
        self, releases: list[Coded], target: Coded, reference: Coded, rng: np.random.Generator, cache: dict[str, Matrix]
    ) -> Matrix:
        """Counts, shape (releases, queries); the same queries of every release."""
        del cache
        low, high = _windows(target, reference)
        rules = low.size + target.categories.shape[1]
        asked = _subsets(self.queries, target, rules, rng)
        sizes = asked.sum(axis=0)
        found = np.empty((len(releases), self.queries))
        for at, release in enumerate(releases):
            agree = _agreement(release, target, low, high)
            found[at] = (agree @ asked >= sizes - 0.5).sum(axis=0)
        return np.log1p(found)


def _windows(target: Coded, reference: Coded) -> tuple[Matrix, Matrix]:
    """Ends of the windows around each number of the target, shape (windows, columns); NaN where it is missing."""
    low = np.empty((len(WINDOWS), target.numbers.shape[1]))
    high = np.empty_like(low)
    for at, value in enumerate(target.numbers[0]):
        known = np.sort(reference.numbers[:, at])
        known = known[~np.isnan(known)]
        if np.isnan(value) or not len(known):
            low[:, at] = high[:, at] = value
            continue
        rank = (np.searchsorted(known, value, "left") + np.searchsorted(known, value, "right")) / (2.0 * len(known))
        for window, width in enumerate(WINDOWS):
            ends = np.quantile(known, [max(rank - width, 0.0), min(rank + width, 1.0)]) if width else (value, value)
            low[window, at], high[window, at] = min(ends[0], value), max(ends[1], value)
    return low, high


def _agreement(release: Coded, target: Coded, low: Matrix, high: Matrix) -> np.ndarray:
    """Whether each row agrees with the target by each rule, float32 (rows, windows * numbers + categories)."""
    parts = [
        ((release.numbers >= below) & (release.numbers <= above)) | (np.isnan(release.numbers) & np.isnan(below))
        for below, above in zip(low, high, strict=True)
    ]
    parts.append(release.categories == target.categories[0])
    return np.concatenate(parts, axis=1).astype(np.float32)


def _subsets(queries: int, target: Coded, rules: int, rng: np.random.Generator) -> np.ndarray:
    """Which rules each query holds, float32 (rules, queries): a random number of columns, one window a number."""
    numbers, categories = target.numbers.shape[1], target.categories.shape[1]
    columns, asked = numbers + categories, np.zeros((rules, queries), dtype=np.float32)
    for query in range(queries):
        size = columns if query == 0 else int(rng.integers(1, columns + 1))
        for column in rng.permutation(columns)[:size]:
            window = 0 if query == 0 else int(rng.integers(len(WINDOWS)))
            rule = window * numbers + column if column < numbers else len(WINDOWS) * numbers + column - numbers
            asked[rule, query] = 1.0
    return asked
