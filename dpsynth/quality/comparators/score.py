"""Several draws of each model on the real rows at one epsilon, scored on the holdout.

Each draw is a release: on private data `plan` is what a ledger reserves, and `spent` what it commits, read from
diffprivlib's own accountant by `accounting.adapters`. A figure of one draw says little, for the spread is wide: all
draws are kept, with a Student interval of their mean.

Not guaranteed: that these are the best private models; they are those of one library with settings that nobody tuned.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from accounting.adapters import from_diffprivlib
from accounting.event import EventTree, PureDP
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.quality.coding import Kind
from dpsynth.quality.comparators.features import Encoding
from dpsynth.quality.comparators.models import PADDED, STEPS, accountant, check_installed, fitted
from dpsynth.quality.report import Comparator

DRAWS = 5
_SLACK = 1e-9  # what rounding to fifteen decimals may add stays inside the plan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparators:
    """What is asked.

    Args:
        epsilon: of each draw of each model; add/remove one `unit`.
        models: keys of `STEPS`.
        draws: how many of each.
        unit: whose data; at most `max_records` rows of one.
        rows: about how many rows the trained table has: a released number; None on public data, for its own.
        train: rows to train on, each unit bounded; None for the real table.
        bounds: column -> declared minimum and maximum, as numbers (dates: days since 1970).
        accountants: filled by `run`: model -> diffprivlib's accountant.
    """

    epsilon: Decimal
    models: tuple[str, ...] = tuple(STEPS)
    draws: int = DRAWS
    unit: PrivacyUnit = field(default_factory=PrivacyUnit)
    rows: int | None = None
    train: pd.DataFrame | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    accountants: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.models if name not in STEPS]
        if unknown or not self.models:
            raise ParameterError(f"Unknown comparator {(unknown or ['none'])[0]!r}.", f"Use {', '.join(STEPS)}.")
        if not self.epsilon.is_finite() or not 0 < self.epsilon <= 100 or self.draws < 1:
            raise ParameterError("Expected 0 < epsilon <= 100 and draws >= 1 (add/remove one unit).")

    @property
    def plan(self) -> EventTree:
        """Every draw of every model, before any: what a ledger reserves."""
        check_installed()
        events = tuple(PureDP(epsilon=self.epsilon, count=self.draws) for _ in self.models)
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=self.unit, events=events)

    @property
    def spent(self) -> EventTree:
        """What diffprivlib's accountants have counted, as events of `unit`."""
        found = []
        for name, counted in self.accountants.items():
            found += from_diffprivlib(
                counted, relation=NeighboringRelation.ADD_REMOVE, unit=self.unit, steps=self._steps(name)
            ).events
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=self.unit, events=tuple(found))

    def run(
        self,
        frames: Mapping[str, pd.DataFrame],
        *,
        kinds: Mapping[str, Kind],
        target: str,
        classes: NDArray[Any],
        scored: Callable[[NDArray[np.float64]], Mapping[str, float]],
    ) -> tuple[Comparator, ...]:
        """Train and score.

        Args:
            frames: `real`, `synthetic` (released rows) and `holdout`.
            kinds: column -> how it is read, target left out.
            target: the column to predict.
            classes: its values in the order that `scored` wants.
            scored: (holdout rows, classes) shares -> score by name.
        """
        released = frames["synthetic"].loc[frames["synthetic"][target].notna().to_numpy()]
        known = pd.Index(released[target].astype(object).unique())
        if len(known) < 2:
            raise ParameterError(f"The synthetic rows show one value of {target!r}.", "Compare another target.")
        encoding = Encoding.of(released, kinds, target=target, bounds=self.bounds)
        train = frames["real"] if self.train is None else self.train
        train = train.loc[train[target].astype(object).isin(known).to_numpy()]
        first = released.loc[~released[target].astype(object).duplicated().to_numpy()]
        size = len(train) if self.rows is None else max(round(self.rows * len(released) / len(frames["synthetic"])), 1)
        place = pd.Index(classes).get_indexer(known)
        found = []
        for name in self.models:
            encode = encoding.wide if name == "logistic" else encoding.narrow
            test, counted, figures = encode(frames["holdout"]), accountant(), []
            self.accountants[name] = counted
            epsilon = float(self.epsilon) / self._steps(name) * (1 - _SLACK)
            for _ in range(self.draws):
                rows = pd.concat([first, _sized(train, released, size)]) if name in PADDED else train
                y = known.get_indexer(rows[target].astype(object)).astype(np.int64)
                shares = np.zeros((len(test), len(classes)))
                predict = fitted(name, encode(rows), y, len(known), epsilon=epsilon, accountant=counted)
                shares[:, place[place >= 0]] = predict(test)[:, place >= 0]
                figures.append(scored(shares))
            found += [_summary(name, self, score, [one[score] for one in figures]) for score in figures[0]]
        return tuple(found)

    def _steps(self, name: str) -> int:
        return STEPS[name] * self.unit.max_records


def _sized(train: pd.DataFrame, released: pd.DataFrame, size: int) -> pd.DataFrame:
    """Exactly `size` rows: a random part of the real ones, or all with released ones; one more row replaces one."""
    rng = np.random.Generator(np.random.PCG64(secrets.randbits(128)))
    kept = train.iloc[rng.permutation(len(train))[:size]]
    return pd.concat([kept, released.iloc[rng.integers(0, len(released), size - len(kept))]])


def _summary(name: str, asked: Comparators, score: str, values: list[float]) -> Comparator:
    from scipy.stats import t

    mean = float(np.mean(values))
    wide = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))) if values[1:] else None
    return Comparator(
        model=name,
        score=score,
        epsilon=str(asked.epsilon),
        relation="add_remove",
        draws=tuple(map(float, values)),
        mean=mean,
        ci_low=None if wide is None else mean - wide,
        ci_high=None if wide is None else mean + wide,
    )
