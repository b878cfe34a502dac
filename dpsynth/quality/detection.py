"""Can a model tell synthetic rows from real ones? A classifier two-sample test, calibrated by real rows.

Gradient boosting learns "synthetic or real" on half of the rows and scores the other half, and the other way
round; as many rows of each side as the smallest table has, at most 5,000. ROC AUC 0.5 means that it cannot tell. The
same model tells the real holdout from the training rows (`reference`), and one half of the training rows from the
other (`floor`): whatever it finds there is chance. Interval: DeLong, DeLong and Clarke-Pearson (1988).

>>> scores = np.array([0.1, 0.2, 0.3, 0.4]); delong(scores, np.array([0, 0, 1, 1]))
(1.0, 0.0)

Not guaranteed: AUC near 1 may come from one harmless detail, such as decimals; `giveaways` says from which columns.
A copy of the training rows is not detected: that is what attacks are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.quality.coding import Kind
from dpsynth.quality.features import Features
from dpsynth.quality.report import Metric
from dpsynth.quality.sections import Giveaway

MOST: Final = 5_000
_Z: Final = 1.959963984540054
Floats = NDArray[np.float64]


def delong(scores: Floats, positive: NDArray[Any]) -> tuple[float, float]:
    """ROC AUC and its standard error; shapes (rows,); ties count one half."""
    ours, theirs = (np.sort(scores[positive == side]) for side in (1, 0))

    def placed(values: Floats, among: Floats) -> Floats:
        return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / (2 * among.size)

    above, below = placed(ours, theirs), 1.0 - placed(theirs, ours)
    variance = sum(float(np.var(v, ddof=1)) / v.size for v in (above, below) if v.size > 1)
    return float(above.mean()), float(np.sqrt(variance))


def detection_metric(
    frames: Mapping[str, pd.DataFrame], kinds: Mapping[str, Kind], rng: np.random.Generator
) -> tuple[Metric, list[Giveaway]]:
    """The metric `detection_auc`, and what each column betrays.

    Args:
        frames: `real`, `synthetic` and `holdout`, same columns.
        kinds: column -> how it is read.
        rng: which rows are taken, and into which half.
    """
    import sklearn.ensemble  # noqa: F401 - its thread pool must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    frames = {name: frames[name] for name in ("real", "synthetic", "holdout")}
    order = rng.permutation(len(frames["real"]))
    middle = order.size // 2
    half, other = (frames["real"].iloc[part] for part in (order[:middle], order[middle:]))
    most = min(MOST, *(len(frame) for frame in frames.values()))
    taken = {name: frame.iloc[rng.permutation(len(frame))[:most]] for name, frame in frames.items()}
    with threadpool_limits(limits=1):
        value = _Detector(taken["real"], taken["synthetic"], kinds, rng)
        reference = _Detector(taken["real"], taken["holdout"], kinds, rng)
        floor = _Detector(half.iloc[:most], other.iloc[:most], kinds, rng)
        drops, chance = ((one.drops(rng) if one.ready else np.zeros(len(kinds))) for one in (value, reference))
    rows = [Giveaway(column=name, drop=float(drops[at]), reference=float(chance[at])) for at, name in enumerate(kinds)]
    metric = Metric(
        name="detection_auc",
        group="detection",
        value=value.auc,
        ci_low=max(value.auc - _Z * value.error, 0.0),
        ci_high=min(value.auc + _Z * value.error, 1.0),
        reference=reference.auc,
        reference_low=max(reference.auc - _Z * reference.error, 0.0),
        reference_high=min(reference.auc + _Z * reference.error, 1.0),
        floor=floor.auc,
        shuffle=1.0,
        better="low",
        confidentiality="internal",
        spread=reference.error,
    )
    return metric, sorted(rows, key=lambda row: -row.drop)


class _Detector:
    """Two models, each on one half of both tables, scored on the other half."""

    def __init__(self, real: pd.DataFrame, other: pd.DataFrame, kinds: Mapping[str, Kind], rng: np.random.Generator):
        from sklearn.ensemble import HistGradientBoostingClassifier

        together = pd.concat([real[list(kinds)], other[list(kinds)]], ignore_index=True)
        features = Features.of(together, kinds)
        self._x = features.encode(together, table="real and other")
        self._y = np.repeat([0, 1], [len(real), len(other)])
        fold = np.concatenate([rng.permutation(np.arange(len(side)) % 2) for side in (real, other)])
        self._models: list[tuple[Any, NDArray[np.bool_]]] = []
        self.ready = min(len(real), len(other)) >= 4
        if not self.ready:
            self.auc, self.error = 0.5, 0.0
            return
        options: dict[str, Any] = {"categorical_features": features.mask(), "random_state": 0, "max_iter": 60}
        for side in (0, 1):
            learn = fold != side
            model = HistGradientBoostingClassifier(early_stopping=False, max_leaf_nodes=15, **options)
            self._models.append((model.fit(self._x[learn], self._y[learn]), ~learn))
        self.auc, self.error = self._told(self._x)

    def _told(self, x: Floats) -> tuple[float, float]:
        """Mean AUC over the two models, and its standard error."""
        found = [delong(model.decision_function(x[test]), self._y[test]) for model, test in self._models]
        return float(np.mean([auc for auc, _ in found])), float(np.sqrt(sum(error**2 for _, error in found)) / 2)

    def drops(self, rng: np.random.Generator) -> Floats:
        """Fall of the AUC when one column is permuted among all rows, shape (columns,)."""
        out = np.empty(self._x.shape[1])
        for column in range(self._x.shape[1]):
            torn = self._x.copy()
            torn[:, column] = rng.permutation(torn[:, column])
            out[column] = self.auc - self._told(torn)[0]
        return out
