"""Extreme values of numbers and dates: how far the 0.1, 1, 99 and 99.9 % quantiles are, and what lies beyond them.

    quantile error   |quantile of the synthetic column - of the real one| / real interquartile range
    beyond           sum over tails |share of synthetic rows beyond the real 1 % or 99 % quantile - share of real rows|
                     / sum of the shares of real rows there

    extreme share    root mean square over tails of (share of synthetic rows in the tail - share of real rows) in its
                     standard errors; a tail is the fewest extreme values that hold 2.5 % of the real rows

A clipped tail leaves means and bins alone: 20 bins hold 5 % each. Beyond the real extreme quantile it leaves nothing,
and the second figure is 1. Where half of the values are one value, the range of the middle 98 % stands for the
interquartile one.

>>> errors = quantile_errors(np.arange(1000.0), np.clip(np.arange(1000.0), 20, 979))
>>> [round(float(error), 3) for error in errors]
[0.038, 0.02, 0.02, 0.038]
>>> beyond(np.arange(1000.0), np.clip(np.arange(1000.0), 20, 979))
[(0.01, 0.0), (0.01, 0.0)]

Of a number with few values a clipped quantile may be the very same value, and of a heavy tail its error is as large in
redraws: how far values are off is for reading, and the *share* of rows in the tail is what notices, at any scale and
number of values. Its spread is known to be at most 0.6 (one tail), where eight redraws only guess it; that and 2.5 %
were decided on randhie's first half, networks and mixtures of seeds 100 to 106, before seeds 200 and on were drawn.

>>> [round(z, 1) for z in extremes(np.arange(1000.0), np.clip(np.arange(1000.0), 50, 949))]
[-5.0, -5.1]

A quantile of 0.1 % rests on two of two thousand rows: it is shown beside the holdout's, and counts in the metrics only
where both real tables have five rows beyond it.

Not guaranteed: what lies beyond the quantiles that are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.anchors import COMPARISONS, metric_of
from dpsynth.quality.report import Metric
from dpsynth.quality.sections import QuantileQuality

PROBABILITIES: Final = (0.001, 0.01, 0.99, 0.999)
FEWEST: Final = 5
"""Rows beyond an extreme quantile, below which it says nothing."""
TAIL: Final = 0.025
COMMON: Final = 0.05
"""Share of rows from which on extreme values are no tail."""
ONE_TAIL: Final = math.sqrt(1.0 - 2.0 / math.pi)
"""Standard deviation of |z|: the root mean square of any number of standard normal errors varies at most so."""
Floats = NDArray[np.float64]


def scale_of(values: Floats) -> float:
    """Interquartile range, or that of the middle 98 %, or of all; 0 if the column has one value."""
    q = np.quantile(values, [0.25, 0.75, 0.01, 0.99, 0.0, 1.0])
    return next((float(b - a) for a, b in ((q[0], q[1]), (q[2], q[3]), (q[4], q[5])) if b > a), 0.0)


def quantile_errors(real: Floats, other: Floats) -> Floats:
    """Absolute error at each probability, in units of the real scale; 0 where the real column does not vary."""
    scale = scale_of(real)
    gap = np.abs(np.quantile(other, PROBABILITIES) - np.quantile(real, PROBABILITIES))
    return gap / scale if scale > 0 else np.zeros_like(gap)


def step_sizes(values: Floats) -> Floats:
    """From each extreme quantile to the next value of the column, in units of its scale; shape (probabilities,).

    Of whole numbers a quantile is one of few values: redraws may agree by luck, where the next table is a step away.
    """
    scale = scale_of(values) if values.size else 0.0
    if scale == 0.0:
        return np.zeros(len(PROBABILITIES))
    distinct = np.unique(values)
    at = np.clip(np.searchsorted(distinct, np.quantile(values, PROBABILITIES)), 1, distinct.size - 1)
    return (distinct[at] - distinct[at - 1]) / scale


def beyond(real: Floats, other: Floats) -> list[tuple[float, float]]:
    """Shares of both tables' rows below the real 1 % and above the real 99 % quantile; only where real rows are."""
    low, high = np.quantile(real, [0.01, 0.99])
    out = []
    for ours, theirs in ((real < low, other < low), (real > high, other > high)):
        if ours.sum() >= FEWEST:
            out.append((float(ours.mean()), float(theirs.mean())))
    return out


def extremes(real: Floats, other: Floats) -> list[float]:
    """Of each tail of a column, how far the share of rows there is off, in its standard errors.

    A tail is the fewest extreme values that hold 2.5 % of the real rows; the extreme value itself if it alone does.
    Where they hold more than 5 %, as the only value of a truth value, it is no tail.
    """
    n, m = real.size, other.size
    low, high = np.quantile(real, [TAIL, 1 - TAIL], method="inverted_cdf")
    out: list[float] = []
    for ours, theirs in ((real <= low, other <= low), (real >= high, other >= high)):
        a, b = int(ours.sum()), int(theirs.sum())
        if FEWEST <= a <= COMMON * n:
            both = (a + b) / (n + m)
            out.append(float((b / m - a / n) / np.sqrt(both * (1 - both) * (1 / n + 1 / m))))
    return out


def quantile_figures(
    columns: Sequence[str], numbers: Mapping[str, Floats]
) -> tuple[list[QuantileQuality], list[Metric]]:
    """A row a column and probability, worst first, and the metrics.

    Args:
        columns: names of the columns of numbers and dates.
        numbers: table (redraws too) -> values, NaN for missing, shape (columns, rows).
    """
    held = {
        table: [row[np.isfinite(row)] for row in numbers[table]]
        for table in {table for pair in COMPARISONS.values() for table in pair} - {"shuffled"}
    }
    smaller = [min(one.size, two.size) for one, two in zip(held["real"], held["holdout"], strict=True)]
    judged = [np.array([n * min(p, 1 - p) >= FEWEST for p in PROBABILITIES]) for n in smaller]
    errors: dict[str, list[Floats | None]] = {}
    shares: dict[str, list[tuple[float, float]]] = {}
    tails: dict[str, list[float]] = {}
    for key, (left, right) in COMPARISONS.items():
        if key == "shuffle":
            continue
        sides = list(zip(held[left], held[right], strict=True))
        errors[key] = [quantile_errors(ours, theirs) if ours.size and theirs.size else None for ours, theirs in sides]
        tails[key] = [z for ours, theirs in sides if ours.size and theirs.size for z in extremes(ours, theirs)]
        shares[key] = [one for ours, theirs in sides if ours.size and theirs.size for one in beyond(ours, theirs)]
    flat = {
        key: [float(e) for row, enough in zip(rows, judged, strict=True) if row is not None for e in row[enough]]
        for key, rows in errors.items()
    }
    by = {
        "quantile_error_mean": {key: float(np.mean(some)) if some else None for key, some in flat.items()},
        "quantile_error_max": {key: float(np.max(some)) if some else None for key, some in flat.items()},
        "extreme_share_excess": {key: _rms(some) for key, some in tails.items()},
        "beyond_quantile": {key: _apart(some) for key, some in shares.items()},
    }
    rows = [
        _row(columns[at], place, {key: found[at] for key, found in errors.items()})
        for at in range(len(columns))
        for place in range(len(PROBABILITIES))
        if all(errors[key][at] is not None for key in ("value", "matched", "reference"))
    ]
    rows.sort(key=lambda row: row.reference - row.matched)
    steps = np.array([s for row, enough in zip(held["real"], judged, strict=True) for s in step_sizes(row)[enough]])
    least: dict[str, Callable[[Floats], float]] = {
        "quantile_error_mean": lambda each: float(each.mean()),
        "quantile_error_max": lambda each: float(each.max()),
    }
    metrics = []
    for name, found in by.items():
        metric = metric_of(name, "tails", found)
        if name == "extreme_share_excess" and metric.spread is not None:
            alone = ONE_TAIL / math.sqrt(max(len(tails["reference"]), 1))
            metric = metric.model_copy(update={"spread": min(max(metric.spread, alone), ONE_TAIL)})
        if name in least and steps.size and metric.spread is not None:
            metric = metric.model_copy(update={"spread": max(metric.spread, least[name](steps) / 5)})
        metrics.append(metric)
    return rows, metrics


def _rms(errors: Sequence[float]) -> float | None:
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else None


def _apart(shares: Sequence[tuple[float, float]]) -> float | None:
    """Pooled over the tails of all columns, so that a tail of few rows weighs little."""
    if not shares:
        return None
    return sum(abs(theirs - ours) for ours, theirs in shares) / sum(ours for ours, _ in shares)


def _row(column: str, place: int, errors: Mapping[str, Floats | None]) -> QuantileQuality:
    at = {key: None if error is None else float(error[place]) for key, error in errors.items()}
    return QuantileQuality(
        column=column,
        probability=PROBABILITIES[place],
        error=at["value"] or 0.0,
        matched=at["matched"] or 0.0,
        reference=at["reference"] or 0.0,
        floor=at["floor"],
    )
