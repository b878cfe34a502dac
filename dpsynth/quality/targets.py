"""A target made ready for models: what each table teaches, how predictions are scored, what chance scores.

A column of categories, or of at most 20 values, is a matter of classes (coded by falling frequency in the real table);
other numbers are predicted as numbers. Rows without a target teach and test nothing; a class of the holdout that no
real training row shows cannot be scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.errors import DataError
from dpsynth.quality.coding import Kind, as_float
from dpsynth.quality.scores import Score, accuracy, auc, average_precision, mean_absolute_error, one_vs_rest, r2

MAX_CLASSES = 20


TESTS = ("holdout", "later")
"""Tables on which models are scored."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Task:
    """A target made ready: what each table teaches and how predictions are scored.

    Attributes:
        classes: by falling frequency in the real table; None for numbers.
        y: table -> class codes (-1: not in the real table) or numbers, shape (rows,).
        scores: name -> score, and whether high or low is better.
        chance: test table -> score name -> what predictions that know nothing score.
    """

    classes: NDArray[Any] | None
    y: Mapping[str, NDArray[Any]]
    scores: Mapping[str, tuple[Score, str]]
    chance: Mapping[str, Mapping[str, float]]

    @property
    def size(self) -> int | None:
        """Number of classes; None for numbers."""
        return None if self.classes is None else int(self.classes.size)


def scorable(task: Task, test: str) -> bool:
    """Whether a test table is there and has contrast in the target."""
    return test in task.y and np.unique(task.y[test]).size > 1


def _classification(columns: Mapping[str, pd.Series], target: str) -> Task:
    classes = np.asarray(columns["real"].astype(object).value_counts().index, dtype=object)
    index = pd.Index(classes)
    y = {t: index.get_indexer(c.astype(object)) for t, c in columns.items()}
    seen = {t: np.bincount(y[t][y[t] >= 0], minlength=classes.size) for t in TESTS if t in y}
    if classes.size < 2 or (seen["holdout"] > 0).sum() < 2:
        where = "real" if classes.size < 2 else "holdout"
        raise DataError(
            f"Target {target!r} has one class in the {where} table: a model has nothing to tell apart.",
            "Choose another target, or leave the target out to skip utility.",
        )
    shares = {t: counts / max(int(counts.sum()), 1) for t, counts in seen.items()}
    if classes.size == 2:
        scores: dict[str, tuple[Score, str]] = {
            "auc": (lambda p, y, w: auc(p[:, 1], y == 1, w), "high"),
            "average_precision": (lambda p, y, w: average_precision(p[:, 1], y == 1, w), "high"),
        }
        chance = {t: {"auc": 0.5, "average_precision": float(share[1])} for t, share in shares.items()}
    else:
        scores = {"auc": (one_vs_rest, "high"), "accuracy": (accuracy, "high")}
        chance = {t: {"auc": 0.5, "accuracy": float(share[0])} for t, share in shares.items()}
    return Task(classes=classes, y=y, scores=scores, chance=chance)


def _regression(columns: Mapping[str, pd.Series], kind: Kind, target: str) -> Task:
    y = {t: as_float(c, kind, table=t) for t, c in columns.items()}
    if np.unique(y["holdout"]).size < 2:
        raise DataError(
            f"Target {target!r} has one value in the holdout table: there is nothing to predict.",
            "Choose another target, or leave the target out to skip utility.",
        )
    scores: dict[str, tuple[Score, str]] = {"r2": (r2, "high"), "mean_absolute_error": (mean_absolute_error, "low")}
    dull = {t: float(np.mean(np.abs(y[t] - np.median(y["real"])))) for t in TESTS if t in y}
    return Task(
        classes=None,
        y=y,
        scores=scores,
        chance={t: {"r2": 0.0, "mean_absolute_error": error} for t, error in dull.items()},
    )


def ready(
    frames: Mapping[str, pd.DataFrame], kinds: Mapping[str, Kind], target: str
) -> tuple[dict[str, pd.DataFrame], Task]:
    """Tables without rows whose target is missing or unknown, and the task.

    Raises:
        DataError: the target is all missing, or has one class or value in the real or holdout table.
    """
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
    if task.classes is None:
        return kept, task
    y = dict(task.y)
    for test in TESTS:  # a class of the holdout that no training row shows cannot be scored
        if test in y:
            kept[test], y[test] = kept[test].loc[y[test] >= 0], y[test][y[test] >= 0]
    return kept, Task(classes=task.classes, y=y, scores=task.scores, chance=task.chance)
