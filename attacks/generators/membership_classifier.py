"""From features of releases to a score: was the target in the table that this release was made from?

Two classifiers that fail in different ways are trained on shadow releases, and the one that does better on releases it
was not trained on is used. *Ridge*: in a private generator one more person shifts many counts a little, by amounts that
add up. *Trees*: in one that copies, a single feature says all. Neither sees a held-out world.

>>> rng = np.random.default_rng(0)
>>> inside = rng.random(80) < 0.5
>>> features = np.column_stack([inside + rng.normal(size=80) / 9, rng.normal(size=(80, 20))])
>>> trained = train(features[:40], inside[:40], rng)
>>> scores = trained.score(features[40:])
>>> bool(scores[inside[40:]].min() > scores[~inside[40:]].max())
True

Not guaranteed: the best classifier. Any classifier gives valid bounds, a weak one wide of the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.statistics import FloatArray, auc_delong

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
TREES = 60
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A classifier, its AUC on training worlds that it did not see, and the scale of its scores without the target."""

    predict: Callable[[Matrix], FloatArray]
    auc: float
    middle: float
    scale: float

    def score(self, features: Matrix) -> FloatArray:
        """Scores in standard deviations of worlds without the target, shape (worlds,)."""
        return np.asarray((self.predict(features) - self.middle) / self.scale)


def train(features: Matrix, inside: NDArray[np.bool_], rng: np.random.Generator) -> Trained:
    """The better of two classifiers.

    Args:
        features: shape (worlds, features).
        inside: whether the target was in, shape (worlds,).
        rng: of the trees.
    """
    moving = features.std(axis=0) > 1e-12
    if inside.all() or not inside.any() or min(inside.sum(), (~inside).sum()) < 2 or not moving.any():
        return Trained(predict=lambda rows: np.zeros(len(rows)), auc=0.5, middle=0.0, scale=1.0)
    kept = features[:, moving]
    found = [_judged(*build(kept, inside, rng), inside=inside) for build in (_ridge, _trees)]
    best = max(found, key=lambda trained: trained.auc)
    return Trained(
        predict=lambda rows: best.predict(rows[:, moving]), auc=best.auc, middle=best.middle, scale=best.scale
    )


def _judged(predict: Callable[[Matrix], FloatArray], unseen: FloatArray, *, inside: NDArray[np.bool_]) -> Trained:
    out = unseen[~inside]
    return Trained(
        predict=predict,
        auc=auc_delong(unseen[inside], out).estimate,
        middle=float(out.mean()),
        scale=max(float(out.std()), 1e-9),
    )


def _ridge(
    features: Matrix, inside: NDArray[np.bool_], _rng: np.random.Generator
) -> tuple[Callable[[Matrix], FloatArray], FloatArray]:
    """Ridge regression of membership; scores of training worlds are those of the fit without them, in closed form."""
    middle, scale = features.mean(axis=0), features.std(axis=0)
    z = (features - middle) / scale
    values, vectors = np.linalg.eigh(z @ z.T / z.shape[1])
    values = np.maximum(values, 0.0)
    share = float(inside.mean())
    wanted = inside - share
    unseen, chosen, least = np.zeros(len(wanted)), PENALTIES[0], np.inf
    for penalty in PENALTIES:
        shrink = values / (values + penalty)
        fitted = vectors @ (shrink * (vectors.T @ wanted))
        leverage = (vectors**2) @ shrink + 1.0 / len(wanted)
        missed = (wanted - fitted) / np.maximum(1.0 - leverage, 1e-6)
        error = float((missed**2).mean())
        if error < least:
            unseen, chosen, least = np.asarray(wanted - missed), penalty, error
    weights = z.T @ (vectors @ ((vectors.T @ wanted) / (values + chosen))) / z.shape[1]
    return lambda rows: np.asarray(((rows - middle) / scale) @ weights), unseen


def _trees(
    features: Matrix, inside: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Callable[[Matrix], FloatArray], FloatArray]:
    """Randomised trees; scores of training worlds are those of the trees that did not draw them."""
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        n_estimators=TREES,
        min_samples_leaf=2,
        bootstrap=True,
        oob_score=True,
        random_state=int(rng.integers(2**31)),
        n_jobs=1,
    ).fit(features, inside)
    unseen = np.nan_to_num(forest.oob_decision_function_[:, 1], nan=float(inside.mean()))
    return lambda rows: np.asarray(forest.predict_proba(rows)[:, 1]), unseen
