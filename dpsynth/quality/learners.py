"""Learners that a table teaches: gradient boosting, a linear model, or a scikit-learn estimator of the user's.

A learner is given rows and coded targets and gives back a function from rows to predictions: shares of all classes,
shape (rows, classes), or numbers, shape (rows,). What it knows of categories and scales comes from its own training
rows. A table without contrast (one class, one value, no row) teaches a constant: a finding, not an error.

    boosting   HistGradientBoosting, 100 iterations, native categories
    linear     logistic regression or ridge on standardised numbers and one-hot categories, missing a category

>>> LEARNERS["linear"].name
'linear'

Not guaranteed: that any of them is the learner that a reader will use; hence several, and the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.quality.coding import Kind
from dpsynth.quality.features import Features, Floats
from dpsynth.quality.words import Words

Predict = Callable[[pd.DataFrame], Floats]


class Learner(Protocol):
    """How rows become a function from rows to predictions."""

    @property
    def name(self) -> str:
        """One word for reports."""

    def fit(
        self, frame: pd.DataFrame, y: NDArray[Any], *, kinds: Mapping[str, Kind], classes: int | None, seed: int
    ) -> Predict:
        """Train on rows with at least two values of `y`.

        Args:
            frame: inputs, shape (rows, columns of `kinds`).
            y: class codes 0 to classes - 1, or numbers; shape (rows,).
            kinds: how each input is read.
            classes: number of classes, of which some may be absent; None for numbers.
            seed: of the learner's own chance.
        """


def taught(
    learner: Learner, frame: pd.DataFrame, y: NDArray[Any], *, kinds: Mapping[str, Kind], classes: int | None, seed: int
) -> Predict:
    """`learner.fit`, and a constant where the rows have no contrast; rows of class -1 (unknown) are left out."""
    if classes is not None:
        frame, y = frame.loc[y >= 0], y[y >= 0]
    if np.unique(y).size >= 2:
        return learner.fit(frame, y, kinds=kinds, classes=classes, seed=seed)
    if classes is None:
        return lambda test: np.full(len(test), float(y[0]) if y.size else 0.0)
    only = int(y[0]) if y.size else 0
    return lambda test: np.eye(classes)[np.full(len(test), only)]


def _spread(model: Any, shares: Floats, classes: int) -> Floats:
    """Shares of the classes that the model has seen, as shares of all."""
    out = np.zeros((len(shares), classes))
    out[:, model.classes_.astype(int)] = shares
    return out


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Boosting:
    """Histogram gradient boosting; reads the columns `texts`, if any, by 50 directions of their TF-IDF."""

    name: str = "boosting"
    texts: tuple[str, ...] = ()

    def fit(
        self, frame: pd.DataFrame, y: NDArray[Any], *, kinds: Mapping[str, Kind], classes: int | None, seed: int
    ) -> Predict:
        """See `Learner`."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        features = Features.of(frame, kinds)
        words = Words.of(frame, self.texts, seed=seed, dense=True) if self.texts else None

        def coded(rows: pd.DataFrame, table: str) -> Floats:
            found = features.encode(rows, table=table)
            return found if words is None else np.hstack([found, words.dense(rows)])

        x = coded(frame, "training")
        mask = np.arange(x.shape[1]) < len(kinds)
        mask[: len(kinds)] = features.mask()
        options: dict[str, Any] = {"categorical_features": mask, "random_state": seed, "max_iter": 100}
        if classes is None:
            numbers = HistGradientBoostingRegressor(**options).fit(x, y)
            return lambda test: np.asarray(numbers.predict(coded(test, "test")))
        seen = np.bincount(y)
        rare = seen.min(initial=2, where=seen > 0) < 2  # cannot be stratified for early stopping
        model = HistGradientBoostingClassifier(early_stopping=False if rare else "auto", **options).fit(x, y)
        return lambda test: _spread(model, model.predict_proba(coded(test, "test")), classes)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Logistic regression, or ridge regression for numbers; reads the columns `texts`, if any, by their TF-IDF."""

    name: str = "linear"
    texts: tuple[str, ...] = ()

    def fit(
        self, frame: pd.DataFrame, y: NDArray[Any], *, kinds: Mapping[str, Kind], classes: int | None, seed: int
    ) -> Predict:
        """See `Learner`."""
        from scipy.sparse import hstack
        from sklearn.linear_model import LogisticRegression, Ridge

        features = Features.of(frame, kinds)
        coded = features.encode(frame, table="training")
        numeric = ~np.array(features.mask(), dtype=bool)
        known = ~np.isnan(coded)
        total = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, coded, 0.0).sum(axis=0) / total
        width = np.sqrt(np.where(known, (coded - middle) ** 2, 0.0).sum(axis=0) / total)
        scale = numeric, middle, np.where(width > 0, width, 1.0)
        sizes = [0 if number else len(features.categories[name]) for name, number in zip(kinds, numeric, strict=True)]

        words = Words.of(frame, self.texts, seed=seed) if self.texts else None

        def ready(rows: pd.DataFrame, table: str) -> Any:
            found = _one_hot(features.encode(rows, table=table), scale, sizes)
            return found if words is None else hstack([found, words.sparse(rows)], format="csr")

        x = ready(frame, "training")
        if classes is None:
            level, spread = float(y.mean()), float(y.std()) or 1.0
            ridge = Ridge(alpha=1.0, solver="lsqr", random_state=seed).fit(x, (y - level) / spread)
            return lambda test: np.asarray(ridge.predict(ready(test, "test"))) * spread + level
        model = LogisticRegression(C=1.0, tol=1e-3, max_iter=500, random_state=seed).fit(x, y)
        return lambda test: _spread(model, model.predict_proba(ready(test, "test")), classes)


def _one_hot(coded: Floats, scale: tuple[NDArray[np.bool_], Floats, Floats], sizes: list[int]) -> Any:
    """Sparse rows: standardised numbers (missing at the mean, and marked), and a cell for each category."""
    from scipy import sparse

    numeric, middle, width = scale
    gaps = np.isnan(coded)
    numbers = np.where(gaps, 0.0, (coded - middle) / width)[:, numeric]
    parts = [sparse.csr_matrix(np.hstack([numbers, gaps[:, numeric].astype(float)]))]
    for column in np.flatnonzero(~numeric):
        # the code after the last category is "any other", the one after that "missing"
        cell = np.where(gaps[:, column], sizes[column] + 1, np.nan_to_num(coded[:, column])).astype(np.int64)
        rows = np.arange(len(cell) + 1)
        parts.append(sparse.csr_matrix((np.ones(len(cell)), cell, rows), shape=(len(cell), sizes[column] + 2)))
    return sparse.hstack(parts, format="csr")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A scikit-learn estimator or pipeline of the user's; cloned for each fit, `random_state` set where it has one.

    It gets the inputs as a DataFrame, as they were read, and class codes or numbers as targets.
    """

    estimator: Any
    name: str

    def fit(
        self, frame: pd.DataFrame, y: NDArray[Any], *, kinds: Mapping[str, Kind], classes: int | None, seed: int
    ) -> Predict:
        """See `Learner`; the estimator reads the kinds from the frame."""
        del kinds
        from sklearn.base import clone

        model = clone(self.estimator)
        seeds = {key: seed for key in model.get_params() if key == "random_state" or key.endswith("__random_state")}
        with self._running("fitted"):
            model = model.set_params(**seeds).fit(frame, y)
        if classes is None:
            return lambda test: self._told(lambda: np.asarray(model.predict(test), dtype=float))
        if hasattr(model, "predict_proba"):
            return lambda test: self._told(lambda: _spread(model, model.predict_proba(test), classes))
        if hasattr(model, "decision_function"):
            return lambda test: self._told(lambda: _spread(model, _scores(model.decision_function(test)), classes))
        raise ParameterError(
            f"The learner {self.name!r} has neither predict_proba nor decision_function, so it cannot be scored.",
            "Wrap it in CalibratedClassifierCV, or choose another classifier.",
        )

    def _told(self, predict: Callable[[], Floats]) -> Floats:
        with self._running("asked to predict"):
            return predict()

    @contextmanager
    def _running(self, what: str) -> Iterator[None]:
        """Code that is not ours: what it raises may quote cells, so its words stay behind."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises
            raise ParameterError(
                f"The learner {self.name!r} raised {type(error).__name__} when it was {what}; its message is left out "
                "because it may quote cells.",
                "Try it on made-up rows with the same columns: a DataFrame with text, numbers and missing cells.",
            ) from None


def _scores(decision: Floats) -> Floats:
    """Decisions as one score a class, in the order of the decisions."""
    return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision


def named(learner: str | Any) -> Learner:
    """A learner by its name, or around a scikit-learn estimator.

    Raises:
        ParameterError: no such name, or an object without `fit` and `get_params`.
    """
    if isinstance(learner, str):
        if learner not in LEARNERS:
            raise ParameterError(
                f"Unknown learner {learner!r}.", f"Use one of {', '.join(LEARNERS)}, or give a scikit-learn estimator."
            )
        return LEARNERS[learner]
    if isinstance(learner, Boosting | Linear | Own):
        return learner
    if not (hasattr(learner, "fit") and hasattr(learner, "get_params")) or isinstance(learner, type):
        raise ParameterError(
            f"A {type(learner).__name__} is not a scikit-learn estimator.", "Give an instance with fit and get_params."
        )
    last = learner.steps[-1][1] if hasattr(learner, "steps") else learner
    return Own(estimator=learner, name=type(last).__name__)


LEARNERS: dict[str, Learner] = {"boosting": Boosting(), "linear": Linear()}
