"""MAUVE: how alike two clouds of points are, from histograms over shared clusters.

Both sets are projected on the directions that hold 90 % of their joint variance and cut into n / 10 clusters by
k-means; the scaled Kullback-Leibler divergences of both histograms from their mixtures give a curve, and the area under
it is the score: 1 for equal histograms (Pillutla et al. 2021, 2023). Written from the papers; the package `mauve-text`
is GPL and serves as oracle of the tests only.

The score changes with the number of clusters, the scaling, the seed of k-means and the number of texts. All are fixed
here, five seeds are averaged, and the same is done for real texts against real ones, which score below 1 too.

>>> rng = np.random.default_rng(0)
>>> a, b = rng.normal(size=(2, 200, 3))
>>> mauve(a, b).value > mauve(a, b + 1.5).value
True

Not guaranteed: that gibberish scores low. Embeddings hardly see word order; shuffled real text has scored 0.66.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.text.ngrams import Spread

Points = NDArray[np.floating]
VARIANCE = 0.9
TEXTS_PER_CLUSTER = 10
MOST_CLUSTERS = 500
SCALING = 5.0
MIXTURES = 25
SEEDS = 5
GROUPS = 20
TEXTS_PER_GROUP = 50
SMALLEST = 0.02
_Z = 1.959963984540054


def mauve(left: Points, right: Points, *, seeds: int = SEEDS) -> Spread:
    """Mean over seeds of k-means; the interval is of the seeds alone.

    Args:
        left: shape (n, d).
        right: shape (m, d).
        seeds: how many clusterings.
    """
    points = projected(np.concatenate([left, right]))
    clusters = max(2, min(round(min(len(left), len(right)) / TEXTS_PER_CLUSTER), MOST_CLUSTERS))
    scores = []
    for seed in range(seeds):
        of = _fitted(points, clusters, seed).labels_
        p, q = (np.bincount(side, minlength=clusters) / len(side) for side in (of[: len(left)], of[len(left) :]))
        scores.append(area(p, q))
    mean, half = float(np.mean(scores)), _Z * float(np.std(scores, ddof=1)) if seeds > 1 else 0.0
    return Spread(value=mean, low=max(0.0, mean - half), high=min(1.0, mean + half))


def projected(points: Points) -> NDArray[np.float64]:
    """Rows of length one on their principal directions, as few as hold 90 % of the variance."""
    x: NDArray[np.float64] = np.asarray(points, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.where(length > 1e-12, length, 1.0)
    x = x - x.mean(axis=0)
    values, directions = np.linalg.eigh(x.T @ x)
    values, directions = np.maximum(values[::-1], 0.0), directions[:, ::-1]
    if values.sum() <= 0:
        return x[:, :1]
    kept = int(np.searchsorted(np.cumsum(values) / values.sum(), VARIANCE)) + 1
    return np.asarray(x @ directions[:, :kept])


def worst_group(real: Points, other: Points, *, seeds: int = SEEDS) -> float:
    """Of groups of real points, the one least often met: its share among the others over its real share, at most 1.

    Groups are 20 clusters of the real points (fewer where that leaves less than 50 points to one), those that hold at
    least 2 % of them; the mean over seeds. A lost topic shows here, where averages over all points hide it.
    """
    points = projected(np.concatenate([real, other]))
    ours, theirs = points[: len(real)], points[len(real) :]
    clusters = max(1, min(GROUPS, len(real) // TEXTS_PER_GROUP))
    scores = []
    for seed in range(seeds):
        found = _fitted(ours, clusters, seed)
        p, q = (np.bincount(side, minlength=clusters) / len(side) for side in (found.labels_, found.predict(theirs)))
        large = p >= min(SMALLEST, p.max())
        scores.append(float((q[large] / p[large]).min()))
    return min(float(np.mean(scores)), 1.0)


def _fitted(points: NDArray[np.float64], clusters: int, seed: int) -> Any:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # fewer different points than clusters: a set that repeats itself
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(clusters, n_init=1, max_iter=100, random_state=seed).fit(points)


def area(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Area under the divergence curve of two histograms, mean of both ways to sort it."""
    curve = [(0.0, np.inf)]
    for weight in np.linspace(1e-6, 1 - 1e-6, MIXTURES):
        mixed = weight * p + (1 - weight) * q
        curve.append((_divergence(q, mixed), _divergence(p, mixed)))
    x, y = np.exp(-SCALING * np.array([*curve, (np.inf, 0.0)])).T
    by_x, by_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    areas = np.trapezoid(y[by_x], x[by_x]), np.trapezoid(x[by_y], y[by_y])
    return float(min(max(sum(areas) / 2, 0.0), 1.0))


def _divergence(p: NDArray[np.float64], mixed: NDArray[np.float64]) -> float:
    """Kullback-Leibler, in nats; `mixed` is positive wherever p is."""
    some = p > 0
    return float((p[some] * np.log(p[some] / mixed[some])).sum())
