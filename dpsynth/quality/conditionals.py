"""What each value says of the other columns: distributions given a value, and within the smallest groups.

For every value that enough real rows have, and every other column, the distance between that column's distribution
among the real rows with the value and among the other table's. A generator that keeps every pair nearly right may
still be wrong about 3 % of the people in all their columns: their rows weigh 3 % in a pair, and everything here.

A value counts if a table as large as the holdout has some 100 rows of it. *Groups* are smaller (20 real rows), chosen
beforehand; of them, mean distance over the other columns, the target's distance and the error of their share.

Not guaranteed: values given by two columns; those are the triples' cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.anchors import COMPARISONS, metric_of
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
"""Groups a column."""
MOST: Final = 30
SHOWN: Final = 50
Group = tuple[int, int]
"""Position of the column, and code."""


def smallest_groups(counts: Histograms, columns: Sequence[int]) -> list[Group]:
    """The smallest values of each of these columns that have 20 real rows; at most 3 a column and 30 in all."""
    found: list[tuple[int, Group]] = []
    for place in columns:
        sizes = counts["real"][place][:-1]
        some = [int(code) for code in np.argsort(sizes, kind="stable") if sizes[code] >= LEAST]
        found += [(int(sizes[code]), (place, code)) for code in some[:EACH]]
    return [group for _, group in sorted(found)[:MOST]]


def distances_given(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Total variation between the rows of two tables of counts, shape (values,); 1 where one table lacks the value."""
    ours, theirs = (side.sum(axis=1, keepdims=True) for side in (left, right))
    apart = 0.5 * np.abs(left / np.maximum(ours, 1) - right / np.maximum(theirs, 1)).sum(axis=1)
    return np.where((ours > 0).ravel() & (theirs > 0).ravel(), apart, 1.0)


@dataclass(slots=True, repr=False)
class _Seen:
    """Of one comparison: sum, number and maximum over values; and per group sum over columns, and the target's."""

    groups: int
    total: float = 0.0
    number: int = 0
    worst: float = 0.0
    within: NDArray[np.float64] = field(init=False)
    target: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.within, self.target = np.zeros(self.groups), np.full(self.groups, np.nan)


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
        self._seen = {key: _Seen(groups=len(self.groups)) for key in COMPARISONS}
        self._columns = np.zeros(len(self.groups))
        self._rows: list[Conditional] = []

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
            found = {}
            for key, pair in COMPARISONS.items():
                left, right = (joint.counts[table].reshape(joint.shape) for table in pair)
                apart = distances_given(left, right) if given == joint.i else distances_given(left.T, right.T)
                seen, found[key] = self._seen[key], apart[values]
                if values.size:
                    seen.total += float(apart[values].sum())
                    seen.number += values.size
                    seen.worst = max(seen.worst, float(apart[values].max()))
                for at in groups:
                    seen.within[at] += apart[self.groups[at][1]]
                    if column == self._target:
                        seen.target[at] = apart[self.groups[at][1]]
            self._keep(given, column, found["value"], found["reference"])

    def _keep(self, given: int, column: int, value: NDArray[np.float64], reference: NDArray[np.float64]) -> None:
        """Remember the value of this pair that is furthest beyond the holdout."""
        if not value.size:
            return
        at = int(np.argmax(value - reference))
        code = int(self._enough[given][at])
        row = Conditional(
            given=self._coded.columns[given],
            value=self._coded.label(given, code),
            column=self._coded.columns[column],
            rows=int(self._counts["real"][given][code]),
            tvd=float(value[at]),
            reference=float(reference[at]),
        )
        self._rows.append(row)

    def figures(self) -> tuple[list[Conditional], list[Metric]]:
        """Of each two columns the worst value, worst first; mean and maximum over all values."""
        number = self._seen["value"].number
        by: dict[str, dict[str, float | None]] = {
            "conditional_mean": {key: seen.total / number if number else None for key, seen in self._seen.items()},
            "conditional_max": {key: seen.worst if number else None for key, seen in self._seen.items()},
        }
        self._rows.sort(key=lambda row: row.reference - row.tvd)
        return self._rows[:SHOWN], [metric_of(name, "fidelity", found) for name, found in by.items()]

    def group_figures(
        self, limit: float | None, scores: Sequence[GroupScore]
    ) -> tuple[list[GroupQuality], list[Metric]]:
        """A row a group, worst first, and the metrics.

        Args:
            limit: resolution limit in rows.
            scores: what models score on groups, by the names of `members`.
        """
        within = {key: seen.within / np.maximum(self._columns, 1) for key, seen in self._seen.items()}
        target = {key: seen.target for key, seen in self._seen.items()}
        shares = {key: [self._share(table, group) for group in self.groups] for key, (_, table) in COMPARISONS.items()}
        ours = {key: [self._share(table, group) for group in self.groups] for key, (table, _) in COMPARISONS.items()}
        by = {
            "group_share_error_mean": {
                key: _mean([abs(q / p - 1) for p, q in zip(ours[key], shares[key], strict=True) if p > 0])
                for key in COMPARISONS
            },
            "group_tvd_mean": {key: _mean(list(each)) for key, each in within.items()},
            "group_tvd_max": {key: _most(each) for key, each in within.items()},
            "group_target_max": {key: _most(each) for key, each in target.items()},
        }
        rows, told = [], {score.group: score for score in scores}
        for at, (place, code) in enumerate(self.groups):
            score = told.get(self._name((place, code)))
            rows.append(
                GroupQuality(
                    column=self._coded.columns[place],
                    value=self._coded.label(place, code),
                    rows=int(self._counts["real"][place][code]),
                    share=ours["value"][at],
                    share_synthetic=shares["value"][at],
                    share_reference=shares["reference"][at],
                    unresolved=None if limit is None else bool(self._counts["real"][place][code] < limit),
                    tvd=float(within["matched"][at]),
                    tvd_reference=float(within["reference"][at]),
                    target_tvd=_number(target["matched"][at]),
                    target_tvd_reference=_number(target["reference"][at]),
                    score=None if score is None else score.score,
                    score_reference=None if score is None else score.reference,
                )
            )
        rows.sort(key=lambda row: row.tvd_reference - row.tvd)
        return rows, [metric_of(name, "tails", found, shuffled=False) for name, found in by.items()]

    def members(self, table: str) -> dict[str, NDArray[np.bool_]]:
        """Name of each group -> which rows of a table are in it, shape (rows,)."""
        codes = self._coded.tables[table]
        return {self._name(group): codes[group[0]] == group[1] for group in self.groups}

    def _name(self, group: Group) -> str:
        return f"{self._coded.columns[group[0]]}: {self._coded.label(*group)}"

    def _share(self, table: str, group: Group) -> float:
        counts = self._counts[table][group[0]]
        return float(counts[group[1]] / counts.sum())


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _most(values: NDArray[np.float64]) -> float | None:
    some = values[np.isfinite(values)]
    return float(some.max()) if some.size else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
