"""What each value says of the other columns: distributions given a value, and within the smallest groups.

For every value that enough real rows have, and every other column, the distance between that column's distribution
among the real rows with the value and among the other table's. A generator that keeps every pair nearly right may
still be wrong about 3 % of the people in all their columns: their rows weigh 3 % in a pair, and everything here.

A value counts if a table as large as the holdout has some 100 rows of it. *Groups* are smaller (20 real rows), chosen
beforehand; of them, mean distance over the other columns, the target's distance and the error of their share.

Not guaranteed: values given by two columns; those are the triples' cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.anchors import COMPARISONS, excess_metric, metric_of
from dpsynth.quality.coding import Coded
from dpsynth.quality.fidelity import Histograms
from dpsynth.quality.marginals import Joint
from dpsynth.quality.report import Metric
from dpsynth.quality.sections import Conditional, GroupQuality, GroupScore

ENOUGH: Final = 100
"""Rows with the value that a table as large as the holdout must have."""
LEAST: Final = 20
"""Real rows of a group."""
EACH: Final = 3
"""Groups a column, where nobody named the columns."""
MOST: Final = 30
SHOWN: Final = 50
Floats = NDArray[np.float64]
Group = tuple[int, int]
"""Position of the column, and code."""


def smallest_groups(counts: Histograms, columns: Sequence[int], each: int = EACH) -> list[Group]:
    """The smallest values of each of these columns that have 20 real rows; at most so many a column and 30 in all."""
    found: list[tuple[int, Group]] = []
    for place in columns:
        sizes = counts["real"][place][:-1]
        some = [int(code) for code in np.argsort(sizes, kind="stable") if sizes[code] >= LEAST]
        found += [(int(sizes[code]), (place, code)) for code in some[:each]]
    return [group for _, group in sorted(found)[:MOST]]


def distances_given(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Total variation between the rows of two tables of counts, shape (values,); 1 where one table lacks the value."""
    ours, theirs = (side.sum(axis=1, keepdims=True) for side in (left, right))
    apart = 0.5 * np.abs(left / np.maximum(ours, 1) - right / np.maximum(theirs, 1)).sum(axis=1)
    return np.where((ours > 0).ravel() & (theirs > 0).ravel(), apart, 1.0)


class Conditionals:
    """Collects distances given values from joint histograms.

    Args:
        coded: tables with their anchors.
        counts: histograms of the columns.
        groups: column and code of each group.
        target: position of the target.
    """

    def __init__(self, coded: Coded, counts: Histograms, groups: Sequence[Group], target: int | None) -> None:
        self._coded, self._counts, self._target = coded, counts, target
        self.groups = tuple(groups)
        real, held = (coded.tables[table].shape[1] for table in ("real", "holdout"))
        floor = ENOUGH * max(real / held, 1.0)
        self._enough = [np.flatnonzero(sizes >= floor) for sizes in counts["real"]]
        self._apart: dict[str, list[Floats]] = {key: [] for key in COMPARISONS}
        self._rows: dict[str, list[Floats]] = {key: [] for key in COMPARISONS}
        self._places: list[tuple[int, int]] = []
        self._within = {key: np.zeros(len(self.groups)) for key in COMPARISONS}
        self._of_target = {key: np.full(len(self.groups), np.nan) for key in COMPARISONS}
        self._columns = np.zeros(len(self.groups))

    def look(self, joint: Joint) -> None:
        """Take in one pair of columns, each given the other."""
        if joint.shape is None:
            return
        for given, column in ((joint.i, joint.j), (joint.j, joint.i)):
            groups = [at for at, (place, _) in enumerate(self.groups) if place == given]
            values = self._enough[given]
            if not groups and not values.size:
                continue
            self._columns[groups] += 1
            self._places.append((given, column))
            for key, pair in COMPARISONS.items():
                left, right = (joint.counts[table].reshape(joint.shape) for table in pair)
                apart = distances_given(left, right) if given == joint.i else distances_given(left.T, right.T)
                self._apart[key].append(apart[values])
                self._rows[key].append(self._shared_rows(key, given)[values])
                for at in groups:
                    self._within[key][at] += apart[self.groups[at][1]]
                    if column == self._target:
                        self._of_target[key][at] = apart[self.groups[at][1]]

    def _shared_rows(self, key: str, place: int) -> Floats:
        """A b / (a + b) of the rows of both tables with each value of a column."""
        ours, theirs = (self._counts[table][place].astype(np.float64) for table in COMPARISONS[key])
        return ours * theirs / np.maximum(ours + theirs, 1.0)

    def figures(self) -> tuple[list[Conditional], list[Metric]]:
        """Of each two columns the value that is furthest beyond the holdout, worst first; and the metrics."""
        apart = {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in self._apart.items()}
        rows = {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in self._rows.items()}
        by = {
            "conditional_mean": {key: _mean(each) for key, each in apart.items()},
            "conditional_max": {key: _most(each) for key, each in apart.items()},
        }
        shown = [row for at in range(len(self._places)) if (row := self._worst(at)) is not None]
        shown.sort(key=lambda row: row.reference - row.tvd)
        metrics = [metric_of(name, "fidelity", each) for name, each in by.items()]
        metrics.append(excess_metric("conditional_excess", "fidelity", apart, rows))
        return shown[:SHOWN], metrics

    def _worst(self, pair: int) -> Conditional | None:
        given, column = self._places[pair]
        value, reference = self._apart["value"][pair], self._apart["reference"][pair]
        if not value.size:
            return None
        at = int(np.argmax(value - reference))
        code = int(self._enough[given][at])
        return Conditional(
            given=self._coded.columns[given],
            value=self._coded.label(given, code),
            column=self._coded.columns[column],
            rows=int(self._counts["real"][given][code]),
            tvd=float(value[at]),
            reference=float(reference[at]),
        )

    def group_figures(
        self, limit: float | None, scores: Sequence[GroupScore]
    ) -> tuple[list[GroupQuality], list[Metric]]:
        """A row a group, worst first, and the metrics.

        Args:
            limit: resolution limit in rows.
            scores: what models score on groups, by the names of `members`.
        """
        within = {key: each / np.maximum(self._columns, 1) for key, each in self._within.items()}
        rows = {
            key: np.array([self._shared_rows(key, place)[code] for place, code in self.groups]) for key in COMPARISONS
        }
        by = {
            "group_share_excess": {key: self._share_excess(key) for key in COMPARISONS},
            "group_tvd_mean": {key: _mean(each) for key, each in within.items()},
            "group_tvd_max": {key: _most(each) for key, each in within.items()},
        }
        told = {score.group: score for score in scores}
        shown = [self._group(at, within, limit, told) for at in range(len(self.groups))]
        shown.sort(key=lambda row: row.tvd_reference - row.tvd)
        return shown, [
            *(metric_of(name, "tails", found, shuffled=False) for name, found in by.items()),
            excess_metric("group_target_excess", "tails", self._of_target, rows),
        ]

    def _share_excess(self, key: str) -> float | None:
        """Root mean square over the groups of the error of the share, in its standard errors: 1 is chance."""
        left, right = COMPARISONS[key]
        squares = []
        for place, code in self.groups:
            a, b = (self._counts[table][place] for table in (left, right))
            n, m = int(a.sum()), int(b.sum())
            both = (a[code] + b[code]) / (n + m)
            if 0 < both < 1:  # where all rows are of the group, in both, there is no error
                squares.append(float((a[code] / n - b[code] / m) ** 2 / (both * (1 - both) * (1 / n + 1 / m))))
        return float(np.sqrt(np.mean(squares))) if squares else None

    def _group(
        self, at: int, within: Mapping[str, Floats], limit: float | None, told: Mapping[str, GroupScore]
    ) -> GroupQuality:
        place, code = self.groups[at]
        size = int(self._counts["real"][place][code])
        score = told.get(self._name(self.groups[at]))
        return GroupQuality(
            column=self._coded.columns[place],
            value=self._coded.label(place, code),
            rows=size,
            share=self._share("real", self.groups[at]),
            share_synthetic=self._share("synthetic", self.groups[at]),
            share_reference=self._share("holdout", self.groups[at]),
            unresolved=None if limit is None else size < limit,
            tvd=float(within["matched"][at]),
            tvd_reference=float(within["reference"][at]),
            target_tvd=_number(self._of_target["matched"][at]),
            target_tvd_reference=_number(self._of_target["reference"][at]),
            score=None if score is None else score.score,
            score_reference=None if score is None else score.reference,
        )

    def members(self, table: str) -> dict[str, NDArray[np.bool_]]:
        """Name of each group -> which rows of a table are in it, shape (rows,)."""
        codes = self._coded.tables[table]
        return {self._name(group): codes[group[0]] == group[1] for group in self.groups}

    def _name(self, group: Group) -> str:
        return f"{self._coded.columns[group[0]]}: {self._coded.label(*group)}"

    def _share(self, table: str, group: Group) -> float:
        counts = self._counts[table][group[0]]
        return float(counts[group[1]] / counts.sum())


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def _most(values: Floats) -> float | None:
    some = values[np.isfinite(values)]
    return float(some.max()) if some.size else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
