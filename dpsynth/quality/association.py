"""How strongly each pair of columns goes together, in one number a pair, beside the real one.

    two numbers               Pearson's r, over rows that have both
    a number and categories   correlation ratio: root of the share of variance between categories, corrected for
                              chance as epsilon squared (Kelley 1935)
    categories                Cramer's V, corrected for chance (Bergsma 2013)

The metrics are the mean and the largest absolute difference over all pairs.

>>> float(cramers_v(np.array([[50, 0], [0, 50]]))), float(cramers_v(np.array([[25, 25], [25, 25]])))
(1.0, 0.0)

Not guaranteed: a dependence that leaves the mean alone has r = 0; distances between pairs see it, these do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.anchors import COMPARISONS, metric_of
from dpsynth.quality.coding import Coded
from dpsynth.quality.marginals import Joint
from dpsynth.quality.report import Metric
from dpsynth.quality.sections import Association

SHOWN: Final = 50
Floats = NDArray[np.float64]


def cramers_v(counts: NDArray[np.int64]) -> float:
    """Bias-corrected Cramer's V of a table of counts; 0 where a side shows one value."""
    table = counts[np.ix_(counts.sum(axis=1) > 0, counts.sum(axis=0) > 0)].astype(np.float64)
    n, (rows, columns) = table.sum(), table.shape
    if n < 2 or min(rows, columns) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = ((table - expected) ** 2 / expected).sum() / n
    phi = max(phi - (rows - 1) * (columns - 1) / (n - 1), 0.0)
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(min(phi / least, 1.0))) if least > 0 else 0.0


def standardised(numbers: Floats) -> Floats:
    """Each row of numbers with mean 0 and variance 1; what is missing or constant is 0. Shape (columns, rows)."""
    there = np.isfinite(numbers)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    filled = np.where(there, numbers, 0.0)
    centred = np.where(there, filled - filled.sum(axis=1, keepdims=True) / count, 0.0)
    scale = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    unit: Floats = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 1e-12)
    return unit


def correlations(numbers: Floats) -> Floats:
    """Pearson's r of each two, shape (columns, columns)."""
    unit, there = standardised(numbers), np.isfinite(numbers).astype(np.float64)
    both = np.maximum(there @ there.T, 1.0)
    return np.clip(unit @ unit.T / both, -1.0, 1.0)


def correlation_ratio(codes: NDArray[np.int64], size: int, unit: Floats, there: NDArray[np.bool_]) -> float:
    """Of standardised numbers among categories, shapes (rows,), corrected for chance."""
    counts = np.bincount(codes[there], minlength=size)
    n, groups = int(counts.sum()), int((counts > 0).sum())
    if n <= groups or groups < 2:
        return 0.0
    sums = np.bincount(codes[there], weights=unit[there], minlength=size)
    between = float((sums**2 / np.maximum(counts, 1)).sum() / n)
    corrected = 1.0 - (1.0 - between) * (n - 1) / (n - groups)
    return float(np.sqrt(min(max(corrected, 0.0), 1.0)))


class Associations:
    """Collects Cramer's V from joint histograms, and adds what numbers need."""

    def __init__(self, coded: Coded) -> None:
        self._coded = coded
        self._tables = sorted({table for pair in COMPARISONS.values() for table in pair})
        self._found: dict[str, dict[tuple[int, int], float]] = {table: {} for table in self._tables}

    def look(self, joint: Joint) -> None:
        """Take in one pair of columns; only two of categories count."""
        kinds = self._coded.kinds
        if joint.shape is None or kinds[joint.i] != "categorical" or kinds[joint.j] != "categorical":
            return
        for table in self._tables:
            self._found[table][joint.i, joint.j] = cramers_v(joint.counts[table].reshape(joint.shape))

    def add_numbers(self, table: str, numbers: Floats, codes: NDArray[np.int64]) -> None:
        """Take in one table's numbers, shape (columns of numbers, rows), and codes, shape (columns, rows)."""
        kinds, sizes = self._coded.kinds, self._coded.sizes
        places = [place for place, kind in enumerate(kinds) if kind != "categorical"]
        found = self._found[table]
        r = correlations(numbers)
        unit, there = standardised(numbers), np.isfinite(numbers)
        for at, place in enumerate(places):
            for other, second in enumerate(places[at + 1 :], start=at + 1):
                found[place, second] = float(r[at, other])
            for category, kind in enumerate(kinds):
                if kind == "categorical":
                    pair = (min(place, category), max(place, category))
                    found[pair] = correlation_ratio(codes[category], sizes[category], unit[at], there[at])

    def figures(self) -> tuple[list[Association], list[Metric]]:
        """Pairs whose association is furthest from real, beyond the holdout's; mean and maximum as metrics."""
        pairs = sorted(self._found["real"])
        by: dict[str, dict[str, float | None]] = {"association_mean": {}, "association_max": {}}
        for key, (left, right) in COMPARISONS.items():
            gaps = [abs(self._found[left][pair] - self._found[right][pair]) for pair in pairs]
            by["association_mean"][key] = float(np.mean(gaps)) if gaps else None
            by["association_max"][key] = float(np.max(gaps)) if gaps else None
        rows = [self._row(pair) for pair in pairs]
        rows.sort(key=lambda row: abs(row.reference - row.real) - abs(row.synthetic - row.real))
        return rows[:SHOWN], [metric_of(name, "fidelity", found) for name, found in by.items()]

    def _row(self, pair: tuple[int, int]) -> Association:
        names: Mapping[int, Literal["pearson", "correlation_ratio", "cramers_v"]]
        names = {0: "pearson", 1: "correlation_ratio", 2: "cramers_v"}
        left, right = pair
        return Association(
            left=self._coded.columns[left],
            right=self._coded.columns[right],
            measure=names[sum(self._coded.kinds[place] == "categorical" for place in pair)],
            real=self._found["real"][pair],
            synthetic=self._found["synthetic"][pair],
            reference=self._found["holdout"][pair],
        )
