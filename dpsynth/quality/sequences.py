"""People and not rows: how many rows each has, what follows what, and whether the constant stays constant.

    rows per person     distance between the shares of people with 1, 2, 3, … rows; relative error of their mean
    transitions         for every column that may change: distance between the tables of its cell at a person's row and
                        at the next, over all pairs of consecutive rows
    constant kept       share of people in whom no constant column changes

Anchors are those of the report: the real holdout, two random halves of the real *people*, and, for transitions, the
real table with next cells permuted among the pairs (no dependence left).

>>> real = pd.DataFrame({"who": [1, 1, 2], "at": [1, 2, 1], "x": ["a", "b", "a"]})
>>> metrics = sequence_metrics({"real": real, "synthetic": real, "holdout": real}, People(unit="who", order="at"))
>>> [metric.value for metric in metrics]
[0.0, 0.0]

Not guaranteed: dependence between different columns of consecutive rows, or over more than one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.core.errors import SchemaError
from dpsynth.quality.coding import Coded, code_tables
from dpsynth.quality.report import Metric

LEFT, RIGHT = "left_half", "right_half"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Which columns say whose a row is and which of that person's rows comes first.

    Attributes:
        unit: the column of people.
        order: the column of places.
        constant: columns that are the same in all rows of a person.
        declared: column -> kind, as in a schema.
    """

    unit: str
    order: str
    constant: tuple[str, ...] = ()
    declared: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transition:
    """One column: distances between tables of consecutive cells, and the share of pairs that stay as they were."""

    column: str
    tvd: float
    reference: float
    floor: float
    shuffle: float
    stays_real: float
    stays_synthetic: float


def without_people(frame: pd.DataFrame, people: People) -> pd.DataFrame:
    """The columns that are modelled."""
    return frame.drop(columns=[people.unit, people.order])


def sequence_metrics(
    frames: Mapping[str, pd.DataFrame], people: People, *, rng: np.random.Generator | None = None
) -> list[Metric]:
    """Metrics of people, for the report.

    Args:
        frames: `real`, `synthetic` and `holdout`, with the columns of `people`.
        people: whose rows, in which order.
        rng: of halves and permutations.

    Raises:
        SchemaError: a table lacks one of the columns.
    """
    rng = rng or np.random.default_rng(0)
    found = {name: rows_per_person(frame, people) for name, frame in frames.items()}
    left, right = _halves(frames["real"], people, rng)
    halves = [rows_per_person(half, people) for half in (left, right)]
    real, synthetic, holdout = found["real"], found["synthetic"], found["holdout"]
    metrics = [
        Metric(
            name="rows_per_person_tvd",
            group="fidelity",
            value=_shares_apart(real, synthetic),
            reference=_shares_apart(real, holdout),
            floor=_shares_apart(*halves),
            better="low",
        ),
        Metric(
            name="rows_per_person_mean_error",
            group="fidelity",
            value=_mean_apart(real, synthetic),
            reference=_mean_apart(real, holdout),
            floor=_mean_apart(*halves),
            better="low",
        ),
    ]
    if rows := transitions(frames, people, rng=rng):
        for name, summary in (("transition_tvd_mean", np.mean), ("transition_tvd_max", np.max)):
            metrics.append(
                Metric(
                    name=name,
                    group="fidelity",
                    value=float(summary([row.tvd for row in rows])),
                    reference=float(summary([row.reference for row in rows])),
                    floor=float(summary([row.floor for row in rows])),
                    shuffle=float(summary([row.shuffle for row in rows])),
                    better="low",
                )
            )
    if people.constant:
        metrics.append(
            Metric(
                name="constant_kept",
                group="fidelity",
                value=constant_kept(frames["synthetic"], people),
                reference=constant_kept(frames["holdout"], people),
                floor=constant_kept(left, people),
                better="high",
            )
        )
    return metrics


def rows_per_person(frame: pd.DataFrame, people: People) -> NDArray[np.int64]:
    """Number of rows of each person, shape (people,)."""
    _require(frame, people)
    counts: NDArray[np.int64] = frame.groupby(people.unit, sort=False).size().to_numpy()
    return counts


def transitions(
    frames: Mapping[str, pd.DataFrame], people: People, *, rng: np.random.Generator
) -> tuple[Transition, ...]:
    """One entry for each column that may change, worst first; none where nobody in a table has a second row."""
    left, right = _halves(frames["real"], people, rng)
    ordered = {name: _ordered(frame, people) for name, frame in {**frames, LEFT: left, RIGHT: right}.items()}
    coded = code_tables(
        {name: without_people(frame, people) for name, frame in ordered.items()}, declared=people.declared
    )
    follows = {name: _follows(frame, people) for name, frame in ordered.items()}
    if not all(len(places) for places in follows.values()):
        return ()
    made = []
    for at, column in enumerate(coded.columns):
        if column in people.constant:
            continue
        tables = {name: _pairs(coded, name, at, places) for name, places in follows.items()}
        before, after = (coded.tables["real"][at][follows["real"] - shift] for shift in (1, 0))
        size = coded.sizes[at]
        mixed = np.bincount(before * size + rng.permutation(after), minlength=size**2) / len(after)
        made.append(
            Transition(
                column=column,
                tvd=_apart(tables["real"], tables["synthetic"]),
                reference=_apart(tables["real"], tables["holdout"]),
                floor=_apart(tables[LEFT], tables[RIGHT]),
                shuffle=_apart(tables["real"], mixed),
                stays_real=float(tables["real"].reshape(size, size).trace()),
                stays_synthetic=float(tables["synthetic"].reshape(size, size).trace()),
            )
        )
    return tuple(sorted(made, key=lambda row: -row.tvd))


def constant_kept(frame: pd.DataFrame, people: People) -> float:
    """Share of people in whom no constant column changes; missing is a value."""
    _require(frame, people)
    found = frame.groupby(people.unit, sort=False)[list(people.constant)].nunique(dropna=False)
    return float((found <= 1).all(axis=1).mean())


def _require(frame: pd.DataFrame, people: People) -> None:
    absent = [name for name in (people.unit, people.order) if name not in frame.columns]
    if absent:
        raise SchemaError(f"A table has no column {absent[0]!r}, so its rows belong to nobody.", "Name another column.")


def _ordered(frame: pd.DataFrame, people: People) -> pd.DataFrame:
    return frame.sort_values([people.unit, people.order], kind="stable")


def _follows(frame: pd.DataFrame, people: People) -> NDArray[np.int64]:
    """Positions of rows that have a row of the same person before them."""
    who = frame[people.unit].to_numpy()
    return np.flatnonzero(who[1:] == who[:-1]) + 1


def _pairs(coded: Coded, table: str, at: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
    codes, size = coded.tables[table][at], coded.sizes[at]
    return np.bincount(codes[places - 1] * size + codes[places], minlength=size**2) / len(places)


def _halves(frame: pd.DataFrame, people: People, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two random halves of the people; both the whole table if there is one person."""
    _require(frame, people)
    names = frame[people.unit].unique()
    if len(names) < 2:
        return frame, frame
    one = frame[people.unit].isin(names[rng.permutation(len(names))[: len(names) // 2]])
    return frame[one], frame[~one]


def _shares_apart(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    most = int(max(one.max(), other.max())) + 1
    return _apart(*(np.bincount(counts, minlength=most) / len(counts) for counts in (one, other)))


def _mean_apart(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    return float(abs(other.mean() / one.mean() - 1.0))


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).sum() / 2)
