"""Scores of predictions with weights, so that a resample of test rows is a vector of counts and no copy.

Equal to scikit-learn's with `sample_weight`, ties included (a test holds it); without its checks, which cost more than
the figure in a bootstrap.

>>> import numpy as np
>>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]), np.ones(4))
0.75
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Score = Callable[[Any, Any, Floats], float]
"""Predictions (rows, classes) or (rows,), truth (rows,), weights (rows,) -> value."""


def auc(score: Floats, positive: NDArray[Any], weight: Floats) -> float:
    """Weighted ROC AUC with ties at one half; shapes (rows,)."""
    order = np.argsort(score, kind="stable")
    s, y, w = score[order], positive[order].astype(float), weight[order]
    _, start = np.unique(s, return_index=True)
    pos, neg = np.add.reduceat(y * w, start), np.add.reduceat((1 - y) * w, start)
    below = np.cumsum(neg) - neg
    return float((pos @ (below + neg / 2)) / (pos.sum() * neg.sum()))


def average_precision(score: Floats, positive: NDArray[Any], weight: Floats) -> float:
    """Weighted average precision, tied scores taken together; shapes (rows,)."""
    order = np.argsort(-score, kind="stable")
    s, y, w = score[order], positive[order].astype(float), weight[order]
    last = np.append(np.flatnonzero(np.diff(s)), s.size - 1)
    hits, taken = np.cumsum(y * w)[last], np.cumsum(w)[last]
    return float(np.diff(hits, prepend=0.0) @ (hits / np.maximum(taken, 1e-300)) / hits[-1])


def one_vs_rest(proba: Floats, y: NDArray[np.int64], w: Floats) -> float:
    """Mean AUC of each class against the others, over classes with rows on both sides."""
    shares = np.bincount(y, weights=w, minlength=proba.shape[1])
    ready = [k for k in range(proba.shape[1]) if 0 < shares[k] < w.sum()]
    return float(np.mean([auc(proba[:, k], y == k, w) for k in ready]))


def accuracy(proba: Floats, y: NDArray[np.int64], w: Floats) -> float:
    """Weighted share of rows whose likeliest class is the right one."""
    return float(w @ (proba.argmax(axis=1) == y) / w.sum())


def r2(predicted: Floats, y: Floats, w: Floats) -> float:
    """Weighted coefficient of determination."""
    mean = w @ y / w.sum()
    return float(1 - w @ (y - predicted) ** 2 / (w @ (y - mean) ** 2))


def mean_absolute_error(predicted: Floats, y: Floats, w: Floats) -> float:
    """Weighted mean absolute error."""
    return float(w @ np.abs(y - predicted) / w.sum())
