"""Is the synthetic table good enough to learn from? Train on synthetic, test on real (TSTR).

A histogram gradient boosting model is trained on the synthetic table and scored on the real holdout; the
same model trained on the real training table gives the reference (TRTR). What counts is the *gap* between
the two on the same test rows: its interval is a paired bootstrap over test rows (Efron and Tibshirani 1993,
ch. 16), 200 resamples. Where later real rows are given, the same two models are scored on them too: metrics
`later_...`, group `time`.

Targets with at most 20 values are classified (two classes: ROC AUC and average precision of the rarer class;
more: one-against-rest AUC averaged over classes, and accuracy); other targets are regressed (R2 and mean
absolute error). Not guaranteed: one learner and one target are one use of the data; a small gap here
promises nothing for another (`dpsynth.quality.ablation` takes several). The interval covers the draw of test
rows, not the draw of the training rows or of the synthetic table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.progress import Progress, silent
from dpsynth.quality.coding import Kind
from dpsynth.quality.learners import LEARNERS, taught
from dpsynth.quality.report import Comparator, Confidentiality, Group, Metric, Utility
from dpsynth.quality.scores import Floats, Score
from dpsynth.quality.sections import GroupScore
from dpsynth.quality.targets import Task, ready, scorable

if TYPE_CHECKING:
    from dpsynth.quality.comparators.score import Comparators

LEARNER = "HistGradientBoosting, 100 iterations, native categories"
FEWEST_AMONG = 20
"""Rows of a group's holdout."""
_RESAMPLES = 200


def _predictions(
    task: Task, kinds: Mapping[str, Kind], frames: Mapping[str, pd.DataFrame], table: str, tests: tuple[str, ...]
) -> dict[str, Floats]:
    """What a model trained on `table` predicts for each test table."""
    inputs = list(kinds)
    predict = taught(
        LEARNERS["boosting"], frames[table][inputs], task.y[table], kinds=kinds, classes=task.size, seed=0
    )  # fmt: skip
    return {test: predict(frames[test][inputs]) for test in tests}


def _bootstrap(score: Score, predictions: tuple[Any, Any], y: NDArray[Any], rng: np.random.Generator) -> Floats:
    """Scores of both models on resampled test rows, shape (resamples, 2); without contrast left out."""
    out = []
    for _ in range(_RESAMPLES):
        weight = rng.multinomial(y.size, np.full(y.size, 1 / y.size)).astype(float)
        if np.unique(y[weight > 0]).size > 1:
            out.append([score(p, y, weight) for p in predictions])
    return np.asarray(out).reshape(-1, 2)


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

    kept, task = ready(frames, kinds, target)
    inputs = {name: kind for name, kind in kinds.items() if name != target}
    with threadpool_limits(limits=1):
        predicted = _predictions(task, inputs, kept, table, ("holdout",))["holdout"]
    y = task.y["holdout"]
    return {name: score(predicted, y, np.ones(len(y))) for name, (score, _) in task.scores.items()}


def train_synthetic_test_real(
    frames: Mapping[str, pd.DataFrame],
    *,
    kinds: Mapping[str, Kind],
    target: str,
    rng: np.random.Generator,
    comparators: Comparators | None = None,
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress = silent,
) -> tuple[Utility, list[Metric]]:
    """TSTR against TRTR on one target.

    Args:
        frames: `real`, `synthetic` and `holdout`, same columns; `later`, if there are later real rows.
        kinds: column -> how it is read, target included.
        target: the column to predict.
        rng: for the bootstrap.
        comparators: DP models to train on the real rows; skipped where the target is a number.
        groups: name -> which rows of the holdout, shape (rows,): both models are scored on them alone, too.
        progress: receives the steps of `utility`.

    Returns:
        what was done, and the metrics: one a score, and the paired gap of each; the same for later rows, unless they
        have one class or value.

    Raises:
        DataError: the target is all missing, or has one class or value in the real or holdout table.
    """
    import sklearn.ensemble  # noqa: F401 - its thread pool must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    numbered = {**frames, "holdout": frames["holdout"].reset_index(drop=True)}
    kept, task = ready(numbered, kinds, target)
    inputs = {name: kind for name, kind in kinds.items() if name != target}
    tests = tuple(test for test in ("holdout", "later") if scorable(task, test))
    # One thread: equal figures on every machine, and on a busy one a pool's threads wait for each other for minutes.
    with threadpool_limits(limits=1):
        predictions = []
        for done, table in enumerate(("synthetic", "real")):
            progress("utility", done, 3, f"train on {table}")
            predictions.append(_predictions(task, inputs, kept, table, tests))
        progress("utility", 2, 3, "intervals")
        metrics = []
        for test in tests:
            pair = predictions[0][test], predictions[1][test]
            y = task.y[test]
            for name, (score, better) in task.scores.items():
                scored = tuple(score(p, y, np.ones(len(y))) for p in pair)
                draws = _bootstrap(score, pair, y, rng)
                prefix, group = _PLACE[test]
                metrics += _metrics(f"{prefix}tstr_{name}", group, better, scored, task.chance[test][name], draws)
        among = _scores_among(task, kept["holdout"].index, [one["holdout"] for one in predictions], groups or {})
        rivals: tuple[Comparator, ...] = ()
        if comparators is not None and task.classes is not None:
            progress("utility", 2, 3, "private models")
            y = task.y["holdout"]
            rivals = comparators.run(
                kept,
                kinds=inputs,
                target=target,
                classes=task.classes,
                scored=lambda shares: {name: score(shares, y, np.ones(len(y))) for name, (score, _) in
                                       task.scores.items()},
            )  # fmt: skip
    progress("utility", 3, 3)
    about = Utility(
        target=target,
        task="regression" if task.size is None else "classification",
        learner=LEARNER,
        classes=task.size,
        comparators=rivals,
        groups=tuple(among),
    )
    return about, metrics


def _scores_among(
    task: Task, rows: pd.Index, predictions: Sequence[Any], groups: Mapping[str, NDArray[np.bool_]]
) -> list[GroupScore]:
    """AUC, or R2, of both models on each group's rows; left out where they are few or show one value."""
    score, _ = next(iter(task.scores.values()))
    out = []
    for name, mask in groups.items():
        among = mask[rows]
        y = task.y["holdout"][among]
        if len(y) < FEWEST_AMONG or np.unique(y).size < 2:
            continue
        value, reference = (score(p[among], y, np.ones(len(y))) for p in predictions)
        out.append(GroupScore(group=name, score=value, reference=reference))
    return out


_PLACE: Mapping[str, tuple[str, Group]] = {"holdout": ("", "utility"), "later": ("later_", "time")}


def _metrics(
    name: str, group: Group, better: str, scored: tuple[float, ...], chance: float, draws: Floats
) -> list[Metric]:
    """The score itself, and the loss against training on real data."""
    value, reference = scored
    shown: Confidentiality = "internal" if group == "time" else "bucketed"
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
            name=name,
            group=group,
            value=value,
            reference=reference,
            floor=None,
            shuffle=chance,
            ci_low=bounds["value"][0],
            ci_high=bounds["value"][1],
            reference_low=bounds["real"][0],
            reference_high=bounds["real"][1],
            better="high" if better == "high" else "low",
            confidentiality=shown,
        ),
        Metric(
            name=f"{name}_gap",
            group=group,
            value=gap,
            reference=0.0,
            floor=0.0,
            shuffle=max(sign * (reference - chance), 0.0),
            ci_low=bounds["gap"][0],
            ci_high=bounds["gap"][1],
            better="low",
            confidentiality=shown,
        ),
    ]
