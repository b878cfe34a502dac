"""What a figure is held against: other rows put in the place of the synthetic table.

    value      real against synthetic           matched    real against as many synthetic rows as the holdout has
    reference  real against the holdout         floor      one random half of the real table against the other
    shuffle    real against itself with every column permuted independently
    redraw     training and holdout rows mixed and split anew, 8 times: the reference of a table like this one

The standard deviation over redraws is the *spread* of a metric: what chance alone makes of the reference. It serves
metrics that have no formula for an interval, such as a maximum over pairs or the share of cells kept. A permutation
of two samples of one law changes nothing about them (Fisher 1935), so the redraws are exchangeable with the reference.

>>> chosen = Anchors.draw(real=6, synthetic=9, holdout=3, columns=2, rng=np.random.default_rng(0))
>>> chosen.rows["half"][1].size, chosen.rows["matched"][1].size, len(chosen.redraws), chosen.redraws[0].size
(3, 3, 8, 3)

Not guaranteed: rows of one person are no independent rows; the spread is then too small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.coding import Coded
from dpsynth.quality.report import Confidentiality, Group, Metric

REDRAWS: Final = 8
AGAINST: Final[Mapping[str, tuple[str, str]]] = {
    "value": ("real", "synthetic"),
    "reference": ("real", "holdout"),
    "matched": ("real", "matched"),
    "floor": ("half", "other_half"),
    "shuffle": ("real", "shuffled"),
}
COMPARISONS: Final[Mapping[str, tuple[str, str]]] = {
    **AGAINST,
    **{f"redraw{number}": (f"real~{number}", f"holdout~{number}") for number in range(REDRAWS)},
}
"""Name of a comparison -> the table that is taken as real, and the one that is judged."""
Positions = NDArray[np.int64]
HALF: Final = 0.5
"""Standard deviation of the largest of some ten to a hundred normal values, over that of one (0.59 to 0.43)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Anchors:
    """Which rows make each anchor.

    Attributes:
        rows: `half`, `other_half`, `matched` -> the table that they are of, and positions of its rows.
        shuffled: positions in the real table, a permutation a column, shape (columns, rows).
        redraws: of each, positions of its holdout among the real rows followed by the holdout's.
        sizes: rows of `real` and of `holdout`.
    """

    rows: Mapping[str, tuple[str, Positions]]
    shuffled: Positions
    redraws: tuple[Positions, ...]
    sizes: tuple[int, int]

    @classmethod
    def draw(cls, *, real: int, synthetic: int, holdout: int, columns: int, rng: np.random.Generator) -> Anchors:
        """Draw them, for tables of so many rows."""
        order = rng.permutation(real)
        fewer = min(synthetic, holdout)
        each = np.broadcast_to(np.arange(real), (columns, real))
        shuffled = rng.permuted(each, axis=1)[:, :fewer]
        rows = {
            "half": ("real", order[: max(real // 2, 1)]),
            "other_half": ("real", order[real // 2 :]),
            "matched": ("synthetic", rng.permutation(synthetic)[:fewer]),
        }
        redraws = tuple(rng.permutation(real + holdout)[:holdout] for _ in range(REDRAWS))
        return cls(rows=rows, shuffled=shuffled, redraws=redraws, sizes=(real, holdout))

    def tables(self, tables: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Those of arrays of shape (columns, rows); `shuffled` if they have all the columns."""
        out = {name: tables[source][:, at] for name, (source, at) in self.rows.items()}
        if len(tables["real"]) == len(self.shuffled):
            out["shuffled"] = np.take_along_axis(tables["real"], self.shuffled, axis=1)
        return out

    def coded(self, coded: Coded) -> Coded:
        """The coded tables with the anchors beside them."""
        return coded.with_tables({name: codes.astype(np.int64) for name, codes in self.tables(coded.tables).items()})

    def redrawn(self, number: int) -> tuple[Positions, Positions]:
        """Positions, among real rows followed by the holdout's, of a redraw's training rows and of its holdout."""
        held = self.redraws[number]
        mask = np.ones(sum(self.sizes), dtype=bool)
        mask[held] = False
        return np.flatnonzero(mask), held


def redraws_of(by: Mapping[str, float | None]) -> tuple[float | None, float | None]:
    """Mean and standard deviation over redraws; None where fewer than half of them have the figure."""
    seen = [value for key, value in by.items() if key.startswith("redraw") and value is not None]
    return (float(np.mean(seen)), float(np.std(seen, ddof=1))) if len(seen) >= REDRAWS // 2 else (None, None)


def metric_of(
    name: str,
    group: Group,
    by: Mapping[str, float | None],
    *,
    better: str = "low",
    confidentiality: Confidentiality = "internal",
    shuffled: bool = True,
    bounds: Mapping[str, float | None] | None = None,
) -> Metric:
    """A metric from the figure of each comparison.

    Args:
        name: of the metric; must not depend on private rows.
        group: see `Metric`.
        by: comparison -> figure, None where it has none.
        better: low or high.
        confidentiality: see `Metric`.
        shuffled: whether the shuffled table is an anchor of it: not of what one column alone shows.
        bounds: `ci_low`, `ci_high`, `reference_low`, `reference_high` where there is an interval.
    """
    redrawn, spread = redraws_of(by)
    return Metric(
        name=name,
        group=group,
        value=by.get("value"),
        reference=by.get("reference"),
        matched=by.get("matched"),
        floor=by.get("floor"),
        shuffle=by.get("shuffle") if shuffled else None,
        better="high" if better == "high" else "low",
        confidentiality=confidentiality,
        spread=spread,
        redrawn=redrawn,
        **(bounds or {}),
    )


def excess_metric(
    name: str,
    group: Group,
    found: Mapping[str, NDArray[np.float64]],
    rows: Mapping[str, NDArray[np.float64]] | None = None,
    shuffled: bool = True,
) -> Metric:
    """The worst excess over what redraws of real rows expect, of many distances at once.

    Each distance is large by chance alone, by an amount that grows with its cells: the largest is that of most cells
    and not the one that is off. What is left after each one's own mean over redraws is taken off varies alike for all,
    if all rest on the same rows; else times the root of its rows. A redraw is held against the mean of the others.

    Eight redraws of a maximum may agree by luck. All distances of all redraws say better how much one varies; the
    maximum of a hundred varies by some half of that, and its spread is taken to be at least so much.

    Args:
        name: of the metric.
        group: see `Metric`.
        found: comparison -> distances, NaN where there is none, shape (distances,).
        rows: comparison -> half the harmonic mean of both tables' rows that each rests on, same shape; None: all alike.
        shuffled: see `metric_of`.
    """
    redraws = [key for key in found if key.startswith("redraw")]
    out: dict[str, float | None] = {}
    chance = []
    for key, distances in found.items():
        others = [found[other] for other in redraws if other != key]
        beyond = distances - np.mean(others, axis=0)
        if rows is not None:
            beyond = beyond * np.sqrt(rows[key])
        some = beyond[np.isfinite(beyond)]
        out[key] = float(some.max()) if some.size and key != "floor" else None
        if key.startswith("redraw"):
            chance.append(some)
    metric = metric_of(name, group, out, shuffled=shuffled)
    if metric.spread is None:
        return metric
    least = HALF * float(np.sqrt(np.mean(np.concatenate(chance) ** 2)))
    return metric.model_copy(update={"spread": max(metric.spread, least)})


def each(
    figure: Callable[[str, str], float | None], comparisons: Mapping[str, tuple[str, str]]
) -> dict[str, float | None]:
    """The figure of each comparison, from the names of its two tables."""
    return {key: figure(left, right) for key, (left, right) in comparisons.items()}
