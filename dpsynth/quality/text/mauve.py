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
DRAWN_FROM = 2_000
_Z = 1.959963984540054


def mauve(left: Points, right: Points, *, seeds: int = SEEDS) -> Spread:
    """Mean over seeds of k-means; the interval is of the seeds alone.

    Args:
        left: shape (n, d).
        right: shape (m, d).
        seeds: how many clusterings.
    """
    return _redrawn(left, right, (), seeds)[0]


def mauve_and_redraws(left: Points, right: Points, count: int) -> tuple[Spread, tuple[float, ...]]:
    """The same, and what it is when the points of both sides are mixed and split anew, `count` times.

    Redraws keep the clusters, which do not depend on which point is on which side: given the points, the score as it is
    and those of the redraws are exchangeable if both sides are of one law (Fisher 1935). What they leave out, how the
    clusters themselves would differ, is the interval over seeds, which `measures.metric` takes into the spread.
    """
    rng = np.random.Generator(np.random.PCG64(len(left) + len(right)))
    return _redrawn(left, right, tuple(rng.permutation(len(left) + len(right)) for _ in range(count)), SEEDS)


def _redrawn(
    left: Points, right: Points, orders: tuple[NDArray[np.int64], ...], seeds: int
) -> tuple[Spread, tuple[float, ...]]:
    """The score, and those of each order of the points that is cut at the number on the left."""
    points = projected(np.concatenate([left, right]))
    clusters = max(2, min(round(min(len(left), len(right)) / TEXTS_PER_CLUSTER), MOST_CLUSTERS))
    orders = (np.arange(len(points)), *orders)
    scores = np.empty((seeds, len(orders)))
    for seed in range(seeds):
        of = _fitted(points, clusters, seed).labels_
        for at, order in enumerate(orders):
            sides = of[order[: len(left)]], of[order[len(left) :]]
            scores[seed, at] = area(*(np.bincount(side, minlength=clusters) / len(side) for side in sides))
    mean, *others = (float(one) for one in scores.mean(axis=0))
    half = _Z * float(np.std(scores[:, 0], ddof=1)) if seeds > 1 else 0.0
    return Spread(value=mean, low=max(0.0, mean - half), high=min(1.0, mean + half)), tuple(others)


def projected(points: Points) -> NDArray[np.float32]:
    """Rows of length one on their principal directions, as few as hold 90 % of the variance."""
    x: NDArray[np.float64] = np.asarray(points, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.where(length > 1e-12, length, 1.0)
    x = x - x.mean(axis=0)
    values, directions = np.linalg.eigh(x.T @ x)
    values, directions = np.maximum(values[::-1], 0.0), directions[:, ::-1]
    if values.sum() <= 0:
        return x[:, :1].astype(np.float32)
    kept = int(np.searchsorted(np.cumsum(values) / values.sum(), VARIANCE)) + 1
    return np.asarray(x @ directions[:, :kept], dtype=np.float32)


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


def _fitted(points: NDArray[np.float32], clusters: int, seed: int) -> Any:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    centres = _apart(points, clusters, np.random.Generator(np.random.PCG64(seed)))
    with warnings.catch_warnings():  # fewer different points than clusters: a set that repeats itself
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(clusters, init=centres, n_init=1, max_iter=100, random_state=seed).fit(points)


def _apart(points: NDArray[np.float32], clusters: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Centres by k-means++ (Arthur and Vassilvitskii 2007) among `DRAWN_FROM` points: all their distances are known.

    Centres drawn evenly leave MAUVE 0.01 too high where sets differ; drawing from all points costs more than the fit.
    """
    some = points[rng.permutation(len(points))[: max(DRAWN_FROM, 2 * clusters)]]
    sizes = (some * some).sum(axis=1)
    squares = np.maximum(sizes[:, None] + sizes - 2.0 * (some @ some.T), 0.0)
    chosen = [0]
    near = squares[0].astype(np.float64)
    while len(chosen) < clusters:
        reached = np.cumsum(near)
        last = len(some) - 1
        chosen.append(min(int(np.searchsorted(reached, rng.random() * reached[-1], side="right")), last))
        np.minimum(near, squares[chosen[-1]], out=near)
    return some[chosen]


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
