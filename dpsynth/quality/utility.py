"""Is the synthetic table good enough to learn from? Train on synthetic, test on real (TSTR).

A histogram gradient boosting model is trained on the synthetic table and scored on the real holdout; the
same model trained on the real training table gives the reference (TRTR). What counts is the *gap* between
the two on the same test rows: its interval is a paired bootstrap over test rows (Efron and Tibshirani 1993,
ch. 16), 200 resamples.

Targets with at most 20 values are classified (two classes: ROC AUC and average precision of the rarer class;
more: one-against-rest AUC averaged over classes, and accuracy); other targets are regressed (R2 and mean
absolute error). Not guaranteed: one learner and one target are one use of the data; a small gap here
promises nothing for another. The interval covers the draw of test rows, not the draw of the training rows or
of the synthetic table.

>>> import numpy as np
>>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]), np.ones(4))
0.75
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.errors import DataError
from dpsynth.core.progress import Progress, silent
from dpsynth.quality.coding import Kind, as_float
from dpsynth.quality.report import Comparator, Metric, Utility

if TYPE_CHECKING:
    from dpsynth.quality.comparators.score import Comparators

MAX_CLASSES = 20
LEARNER = "HistGradientBoosting, 100 iterations, native categories"
_TOP = 250
_RESAMPLES = 200
Floats = NDArray[np.float64]
Score = Callable[[Any, Any, Floats], float]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Features:
    """Encodes a table for one model; categories are those of the model's own training table."""

    kinds: Mapping[str, Kind]
    categories: Mapping[str, pd.Index]

    @classmethod
    def of(cls, frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> Features:
        """Keep the 250 most frequent categories of each categorical column of the training table."""
        found = {
            name: frame[name].astype(object).value_counts().index[:_TOP]
            for name, kind in kinds.items()
            if kind == "categorical"
        }
        return cls(kinds=kinds, categories=found)

    def encode(self, frame: pd.DataFrame, *, table: str) -> Floats:
        """Shape (rows, columns); missing is NaN, categories outside the training table's top share a code."""
        parts = []
        for name, kind in self.kinds.items():
            if kind == "categorical":
                values = frame[name].astype(object)
                code = self.categories[name].get_indexer(values).astype(np.float64)
                code[code < 0] = len(self.categories[name])
                code[values.isna().to_numpy()] = np.nan
                parts.append(code)
            else:
                parts.append(as_float(frame[name], kind, table=table))
        return np.stack(parts, axis=1)

    def mask(self) -> list[bool]:
        """Which columns are categorical."""
        return [kind == "categorical" for kind in self.kinds.values()]


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


def _one_vs_rest(proba: Floats, y: NDArray[np.int64], w: Floats) -> float:
    shares = np.bincount(y, weights=w, minlength=proba.shape[1])
    ready = [k for k in range(proba.shape[1]) if 0 < shares[k] < w.sum()]
    return float(np.mean([auc(proba[:, k], y == k, w) for k in ready]))


def _accuracy(proba: Floats, y: NDArray[np.int64], w: Floats) -> float:
    return float(w @ (proba.argmax(axis=1) == y) / w.sum())


def _r2(predicted: Floats, y: Floats, w: Floats) -> float:
    mean = w @ y / w.sum()
    return float(1 - w @ (y - predicted) ** 2 / (w @ (y - mean) ** 2))


def _mae(predicted: Floats, y: Floats, w: Floats) -> float:
    return float(w @ np.abs(y - predicted) / w.sum())


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Task:
    """A target made ready: what each table teaches and how predictions are scored."""

    classes: NDArray[Any] | None
    y: Mapping[str, NDArray[Any]]
    scores: Mapping[str, tuple[Score, str]]  # name -> score, better
    chance: Mapping[str, float]


def _classification(columns: Mapping[str, pd.Series], target: str) -> _Task:
    classes = np.asarray(columns["real"].astype(object).value_counts().index, dtype=object)
    index = pd.Index(classes)
    y = {t: index.get_indexer(c.astype(object)) for t, c in columns.items()}
    seen = np.bincount(y["holdout"][y["holdout"] >= 0], minlength=classes.size)
    if classes.size < 2 or (seen > 0).sum() < 2:
        where = "real" if classes.size < 2 else "holdout"
        raise DataError(
            f"Target {target!r} has one class in the {where} table: a model has nothing to tell apart.",
            "Choose another target, or leave the target out to skip utility.",
        )
    if classes.size == 2:
        scores: dict[str, tuple[Score, str]] = {
            "auc": (lambda p, y, w: auc(p[:, 1], y == 1, w), "high"),
            "average_precision": (lambda p, y, w: average_precision(p[:, 1], y == 1, w), "high"),
        }
        chance = {"auc": 0.5, "average_precision": float(seen[1] / seen.sum())}
    else:
        scores = {"auc": (_one_vs_rest, "high"), "accuracy": (_accuracy, "high")}
        chance = {"auc": 0.5, "accuracy": float(seen[0] / seen.sum())}
    return _Task(classes=classes, y=y, scores=scores, chance=chance)


def _regression(columns: Mapping[str, pd.Series], kind: Kind, target: str) -> _Task:
    y = {t: as_float(c, kind, table=t) for t, c in columns.items()}
    if np.unique(y["holdout"]).size < 2:
        raise DataError(
            f"Target {target!r} has one value in the holdout table: there is nothing to predict.",
            "Choose another target, or leave the target out to skip utility.",
        )
    dull = float(np.mean(np.abs(y["holdout"] - np.median(y["real"]))))
    scores: dict[str, tuple[Score, str]] = {"r2": (_r2, "high"), "mean_absolute_error": (_mae, "low")}
    return _Task(classes=None, y=y, scores=scores, chance={"r2": 0.0, "mean_absolute_error": dull})


def _predict(task: _Task, kinds: Mapping[str, Kind], frames: Mapping[str, pd.DataFrame], table: str) -> Any:
    """What a model trained on `table` predicts for the holdout: (rows, classes) shares, or (rows,) values."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    known = np.ones(len(frames[table]), bool) if task.classes is None else task.y[table] >= 0
    y = task.y[table][known]
    test_rows = len(frames["holdout"])
    if np.unique(y).size < 2:  # a table without contrast teaches nothing: a constant, not an error
        if task.classes is None:
            return np.full(test_rows, y[0] if y.size else 0.0)
        constant = np.zeros((test_rows, task.classes.size))
        constant[:, y[0] if y.size else 0] = 1.0
        return constant
    features = Features.of(frames[table][known], kinds)
    x = features.encode(frames[table][known], table=table)
    test = features.encode(frames["holdout"], table="holdout")
    options: dict[str, Any] = {"categorical_features": features.mask(), "random_state": 0, "max_iter": 100}
    if task.classes is None:
        return HistGradientBoostingRegressor(**options).fit(x, y).predict(test)
    rare = np.bincount(y).min(initial=2, where=np.bincount(y) > 0) < 2  # cannot be stratified for early stopping
    model = HistGradientBoostingClassifier(early_stopping=False if rare else "auto", **options).fit(x, y)
    shares = np.zeros((test_rows, task.classes.size))
    shares[:, model.classes_] = model.predict_proba(test)
    return shares


def _bootstrap(score: Score, predictions: tuple[Any, Any], y: NDArray[Any], rng: np.random.Generator) -> Floats:
    """Scores of both models on resampled test rows, shape (resamples, 2); without contrast left out."""
    out = []
    for _ in range(_RESAMPLES):
        weight = rng.multinomial(y.size, np.full(y.size, 1 / y.size)).astype(float)
        if np.unique(y[weight > 0]).size > 1:
            out.append([score(p, y, weight) for p in predictions])
    return np.asarray(out).reshape(-1, 2)


def _ready(
    frames: Mapping[str, pd.DataFrame], kinds: Mapping[str, Kind], target: str
) -> tuple[dict[str, pd.DataFrame], _Task]:
    """Tables without rows whose target is missing or unknown, and the task; errors as `train_synthetic_test_real`."""
    columns = {t: f[target].dropna() for t, f in frames.items()}
    for table, column in columns.items():
        if column.empty and table != "synthetic":
            raise DataError(
                f"Target {target!r} is missing in every row of the {table} table.", "Choose another target."
            )
    kept = {t: f.loc[f[target].notna().to_numpy()] for t, f in frames.items()}
    few = columns["real"].astype(object).nunique() <= MAX_CLASSES
    classify = kinds[target] == "categorical" or few
    task = _classification(columns, target) if classify else _regression(columns, kinds[target], target)
    if task.classes is not None:  # a class of the holdout that no training row shows cannot be scored
        known = task.y["holdout"] >= 0
        kept["holdout"] = kept["holdout"].loc[known]
        task = _Task(
            classes=task.classes,
            y={**task.y, "holdout": task.y["holdout"][known]},
            scores=task.scores,
            chance=task.chance,
        )
    return kept, task


def score_trained_on(
    table: str, frames: Mapping[str, pd.DataFrame], *, kinds: Mapping[str, Kind], target: str
) -> dict[str, float]:
    """What a model trained on one table scores on the holdout, without intervals.

    Args:
        table: which of the tables teaches.
        frames: `real`, `holdout` and that table, same columns; `real` says which classes there are.
        kinds: column -> how it is read, target included.
        target: the column to predict.

    Returns:
        score name -> value; `auc` is there for classes, `r2` for numbers.

    Raises:
        DataError: as `train_synthetic_test_real`.
    """
    import sklearn.ensemble  # noqa: F401 - its thread pool must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    kept, task = _ready(frames, kinds, target)
    inputs = {name: kind for name, kind in kinds.items() if name != target}
    with threadpool_limits(limits=1):
        predicted = _predict(task, inputs, kept, table)
    y = task.y["holdout"]
    return {name: score(predicted, y, np.ones(len(y))) for name, (score, _) in task.scores.items()}


def train_synthetic_test_real(
    frames: Mapping[str, pd.DataFrame],
    *,
    kinds: Mapping[str, Kind],
    target: str,
    rng: np.random.Generator,
    comparators: Comparators | None = None,
    progress: Progress = silent,
) -> tuple[Utility, list[Metric]]:
    """TSTR against TRTR on one target.

    Args:
        frames: `real`, `synthetic` and `holdout`, same columns.
        kinds: column -> how it is read, target included.
        target: the column to predict.
        rng: for the bootstrap.
        comparators: DP models to train on the real rows; skipped where the target is a number.
        progress: receives the steps of `utility`.

    Returns:
        what was done, and the metrics: one a score, and the paired gap of each.

    Raises:
        DataError: the target is all missing, or has one class or value in the real or holdout table.
    """
    import sklearn.ensemble  # noqa: F401 - its thread pool must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    kept, task = _ready(frames, kinds, target)
    inputs = {name: kind for name, kind in kinds.items() if name != target}
    # One thread: equal figures on every machine, and on a busy one a pool's threads wait for each other for minutes.
    with threadpool_limits(limits=1):
        predictions = []
        for done, table in enumerate(("synthetic", "real")):
            progress("utility", done, 3, f"train on {table}")
            predictions.append(_predict(task, inputs, kept, table))
        progress("utility", 2, 3, "intervals")
        metrics = []
        y = task.y["holdout"]
        even = np.ones(len(y))
        for name, (score, better) in task.scores.items():
            value, reference = (score(p, y, even) for p in predictions)
            draws = _bootstrap(score, (predictions[0], predictions[1]), y, rng)
            metrics += _metrics(name, better, value, reference, task.chance[name], draws)
        rivals: tuple[Comparator, ...] = ()
        if comparators is not None and task.classes is not None:
            progress("utility", 2, 3, "private models")
            rivals = comparators.run(
                kept,
                kinds=inputs,
                target=target,
                classes=task.classes,
                scored=lambda shares: {name: score(shares, y, even) for name, (score, _) in task.scores.items()},
            )
    progress("utility", 3, 3)
    classes = None if task.classes is None else int(task.classes.size)
    about = Utility(
        target=target,
        task="regression" if classes is None else "classification",
        learner=LEARNER,
        classes=classes,
        comparators=rivals,
    )
    return about, metrics


def _metrics(name: str, better: str, value: float, reference: float, chance: float, draws: Floats) -> list[Metric]:
    """The score itself, and the loss against training on real data."""
    sign = 1 if better == "high" else -1
    gap = sign * (reference - value)
    bounds: dict[str, tuple[float | None, float | None]] = {
        "value": (None, None),
        "real": (None, None),
        "gap": (None, None),
    }
    if len(draws) >= _RESAMPLES // 2:
        for key, sample in (
            ("value", draws[:, 0]),
            ("real", draws[:, 1]),
            ("gap", sign * (draws[:, 1] - draws[:, 0])),
        ):
            low, high = np.quantile(sample, [0.025, 0.975])
            bounds[key] = (float(low), float(high))
    return [
        Metric(
            name=f"tstr_{name}",
            group="utility",
            value=value,
            reference=reference,
            floor=None,
            shuffle=chance,
            ci_low=bounds["value"][0],
            ci_high=bounds["value"][1],
            reference_low=bounds["real"][0],
            reference_high=bounds["real"][1],
            better="high" if better == "high" else "low",
        ),
        Metric(
            name=f"tstr_{name}_gap",
            group="utility",
            value=gap,
            reference=0.0,
            floor=0.0,
            shuffle=max(sign * (reference - chance), 0.0),
            ci_low=bounds["gap"][0],
            ci_high=bounds["gap"][1],
            better="low",
        ),
    ]
