"""What a release looks like as a whole: means, histograms, correlations (Stadler, Oprisanu and Troncoso 2022).

The "Groundhog" features know no target: means and deviations of numbers (naive), shares of the values of every column
(histogram) and correlations between numbers (correlation). An outlier moves them by itself.

>>> Summaries().name
'shadow_summaries'

Not guaranteed: anything about a person whom the averages do not feel; that is what `shadow_counts` is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from attacks.generators.coded import Coded
from attacks.generators.membership_classifier import Matrix

BINS = 10
VALUES = 20
"""Most values of a category that are counted one by one: its first in the codebook, which is in order of appearance."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """Naive, histogram and correlation features."""

    name: ClassVar[str] = "shadow_summaries"

    def features(
        self, releases: list[Coded], target: Coded, reference: Coded, rng: np.random.Generator, cache: dict[str, Matrix]
    ) -> Matrix:
        """Summaries, shape (releases, features): the same for every target, so they are made once."""
        del target, rng
        if "summaries" not in cache:
            edges = [np.unique(_quantiles(reference.numbers[:, c])) for c in range(reference.numbers.shape[1])]
            cache["summaries"] = np.stack([_summary(release, edges) for release in releases])
        return cache["summaries"]


def _quantiles(values: Matrix) -> Matrix:
    known = values[~np.isnan(values)]
    return np.quantile(known, np.linspace(0.0, 1.0, BINS + 1)[1:-1]) if len(known) else np.zeros(1)


def _summary(release: Coded, edges: list[Matrix]) -> Matrix:
    rows = max(len(release), 1)
    parts = [np.array([np.log1p(len(release))])]
    present = ~np.isnan(release.numbers)
    known = np.maximum(present.sum(axis=0), 1)
    filled = np.where(present, release.numbers, 0.0)
    means = filled.sum(axis=0) / known
    centred = np.where(present, release.numbers - means, 0.0)
    deviations = np.sqrt((centred**2).sum(axis=0) / known)
    parts += [means, deviations, present.mean(axis=0) if len(release) else np.zeros(len(means))]
    for column, cuts in enumerate(edges):
        bins = np.searchsorted(cuts, release.numbers[present[:, column], column], side="right")
        parts.append(np.bincount(bins, minlength=len(cuts) + 1) / rows)
    for column in release.categories.T:
        parts.append(np.bincount(np.clip(column, -2, VALUES) + 2, minlength=VALUES + 3) / rows)
    if len(means) > 1:
        scaled = centred / np.maximum(deviations, 1e-12)
        pairs = np.triu_indices(len(means), 1)
        parts.append((scaled.T @ scaled / rows)[pairs])
    return np.concatenate(parts)
