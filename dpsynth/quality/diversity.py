"""Does the synthetic table fill the room that real rows fill? Precision, recall, density, coverage, Vendi, spread.

Rows become points: numbers and dates standardised by the real table and cut off at 4 standard deviations, missing
ones in the middle with a sign of their own; each category of at least 0.1 % of the real rows an axis, 1/sqrt(2) long,
so that two different ones are 1 apart. All sets have the same number of points, at most 1,000, because every figure
here depends on it. `repeated_rows` is the share of rows that another row of the table equals in every cell as coded.

>>> import pandas as pd
>>> from dpsynth.quality.coding import code_tables
>>> table = pd.DataFrame({"x": np.arange(40.0), "y": ["a", "b"] * 20})
>>> coded, x = code_tables({"real": table}), table[["x"]].to_numpy().T
>>> Room.of(coded, x).of_rows(coded.tables["real"], x).shape
(40, 4)

Not guaranteed: near means near in all columns alike; which columns matter, nobody asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.anchors import Anchors, metric_of
from dpsynth.quality.coding import Coded
from dpsynth.quality.neighbours import prdc, spread, vendi
from dpsynth.quality.report import Metric

POINTS: Final = 1_000
_CUT: Final = 4.0
_RARE: Final = 0.001
Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Room:
    """Axes of the points: mean and scale of each number, and which codes of each category have an axis."""

    mean: Floats
    scale: Floats
    codes: Mapping[int, NDArray[np.int64]]

    @classmethod
    def of(cls, coded: Coded, numbers: Floats) -> Room:
        """From the real table's codes and numbers."""
        real = coded.tables["real"]
        codes = {}
        for place, kind in enumerate(coded.kinds):
            if kind == "categorical":
                counts = np.bincount(real[place], minlength=coded.sizes[place])
                codes[place] = np.flatnonzero(counts >= max(_RARE * real.shape[1], 1))
        there = np.isfinite(numbers)
        count = np.maximum(there.sum(axis=1), 1)
        mean = np.where(there, numbers, 0.0).sum(axis=1) / count
        scale = np.sqrt((np.where(there, numbers - mean[:, None], 0.0) ** 2).sum(axis=1) / count)
        return cls(mean=mean, scale=np.where(scale > 1e-12, scale, 1.0), codes=codes)

    def of_rows(self, codes: NDArray[np.int64], numbers: Floats) -> Floats:
        """Points of rows, from codes and numbers, each of shape (columns, rows)."""
        there = np.isfinite(numbers)
        unit = np.where(there, (numbers - self.mean[:, None]) / self.scale[:, None], 0.0)
        parts = [np.clip(unit, -_CUT, _CUT).T, (~there).T.astype(np.float64)]
        for place, axes in self.codes.items():
            parts.append((codes[place][:, None] == axes[None, :]) / np.sqrt(2.0))
        return np.concatenate(parts, axis=1)


def repeated_share(codes: NDArray[np.int64]) -> float:
    """Share of rows that some other row equals in every column; codes of shape (columns, rows)."""
    _, sizes = np.unique(codes, axis=1, return_counts=True)
    return float(sizes[sizes > 1].sum() / codes.shape[1])


def diversity_metrics(coded: Coded, numbers: Mapping[str, Floats], anchors: Anchors) -> list[Metric]:
    """The metrics, all at equal numbers of points.

    Args:
        coded: tables with their anchors.
        numbers: table -> numbers and dates, NaN for missing, shape (columns, rows).
        anchors: which rows are redrawn.
    """
    room = Room.of(coded, numbers["real"])
    pool_codes = np.concatenate([coded.tables["real"], coded.tables["holdout"]], axis=1)
    pool_numbers = np.concatenate([numbers["real"], numbers["holdout"]], axis=1)
    tables = ("real", "synthetic", "holdout", "half", "other_half", "shuffled")
    most = min(POINTS, *(coded.tables[table].shape[1] for table in tables))
    rng = np.random.default_rng(most)  # of public draws from tables in no order that matters
    sides: dict[str, tuple[NDArray[np.int64], Floats]] = {}
    for table in tables:
        rows = rng.permutation(coded.tables[table].shape[1])[:most]
        sides[table] = coded.tables[table][:, rows], numbers[table][:, rows]
    compared = {
        "value": ("real", "synthetic"),
        "reference": ("real", "holdout"),
        "floor": ("half", "other_half"),
        "shuffle": ("real", "shuffled"),
    }
    for number in range(len(anchors.redraws)):
        for table, rows in zip((f"real~{number}", f"holdout~{number}"), anchors.redrawn(number), strict=True):
            some = rows[rng.permutation(rows.size)[:most]]
            sides[table] = pool_codes[:, some], pool_numbers[:, some]
        compared[f"redraw{number}"] = (f"real~{number}", f"holdout~{number}")
    points = {table: room.of_rows(*side) for table, side in sides.items()}
    by: dict[str, dict[str, float | None]] = {name: {} for name in _BETTER}
    for key, (left, right) in compared.items():
        found = prdc(points[left], points[right])
        unit = _unit(points[right])
        by["precision"][key], by["recall"][key] = found.precision, found.recall
        by["density"][key], by["coverage"][key] = found.density, found.coverage
        by["vendi"][key], by["nearest_spread"][key] = vendi(unit), spread(unit)
        by["repeated_rows"][key] = repeated_share(sides[right][0])
    metrics = [
        metric_of(name, "diversity", found, better=_BETTER[name], shuffled=name not in _UNSHUFFLED)
        for name, found in by.items()
    ]
    return [metric.model_copy(update={"spread": _spread(metric, most)}) for metric in metrics]


def _spread(metric: Metric, points: int) -> float | None:
    """At least that of a share of so many independent rows, where eight redraws happen to agree; of twins, of one pair.

    Neighbouring rows are near the same others: what redraws show is 1.2 times that of independent ones (randhie,
    anes96, networks and mixtures), hardly ever less but by luck.
    """
    if metric.spread is None or metric.redrawn is None or metric.name not in _SHARES:
        return metric.spread
    least = 2.0 / points if metric.name == "repeated_rows" else 0.0
    return max(metric.spread, least, float(np.sqrt(metric.redrawn * (1.0 - metric.redrawn) / points)))


_BETTER: Final[Mapping[str, str]] = {
    "precision": "high", "recall": "high", "density": "high", "coverage": "high",
    "vendi": "high", "nearest_spread": "high", "repeated_rows": "low",
}  # fmt: skip
_SHARES: Final = ("precision", "recall", "coverage", "repeated_rows")
_UNSHUFFLED: Final = ("vendi", "nearest_spread", "repeated_rows")
"""Permuted columns are more diverse than real ones: no anchor of these."""


def _unit(points: Floats) -> Floats:
    length = np.linalg.norm(points, axis=1, keepdims=True)
    unit: Floats = np.divide(points, length, out=np.zeros_like(points), where=length > 0)
    return unit
