"""What chance alone does to a figure of several tables: random complementary halves of all of them.

A figure x (a score, or a gain of one mix over another) depends on the training rows, the synthetic rows, the test rows
and the learner's own chance. Cut every table at random into two halves and compute it on either: x and x' are
independent draws at half the size, so (x - x')^2 / 2 estimates Var_half without bias, and a figure whose variance falls
as 1/n has, at full size, the standard error

    se(x_full) = sqrt(Var_half / 2) = sqrt(mean over J cuts of (x_j - x'_j)^2) / 2

(balanced half-samples: McCarthy 1969; Wolter 2007, ch. 3). For a linear figure the J differences are independent given
the rows, so x / se is held against Student's t with J degrees of freedom. Falling faster than 1/n makes it cautious.

>>> halves = np.array([[1.0, 3.0], [2.0, 2.0]])        # two cuts, both halves
>>> standard_error(halves)
0.7071067811865476

Not guaranteed: several rows of one person count as independent rows; another run of the generator is not covered.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def standard_error(halves: Floats) -> float:
    """Of a figure at full size; `halves` has shape (cuts, 2), NaN where a half could not be scored."""
    difference = halves[:, 0] - halves[:, 1]
    seen = difference[~np.isnan(difference)]
    return float(np.sqrt(np.mean(seen**2)) / 2) if seen.size else float("nan")


def interval(value: float, halves: Floats) -> tuple[float, float] | None:
    """95 % interval of one figure; None if fewer than three cuts could be scored, or none of them varied."""
    cuts, error = _cuts(halves), standard_error(halves)
    if cuts < 3 or not np.isfinite(value) or error == 0.0:
        return None
    from scipy.stats import t

    half = float(t.ppf(0.975, cuts)) * error
    return value - half, value + half


def p_above_zero(value: float, halves: Floats) -> float | None:
    """One-sided p-value of "the figure is at most 0"; None as in `interval`."""
    cuts, error = _cuts(halves), standard_error(halves)
    if cuts < 3 or not np.isfinite(value):
        return None
    if error == 0.0:  # two models that say the same of every row
        return 1.0
    from scipy.stats import t

    return float(t.sf(value / error, cuts))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values over a family (Holm 1979); what was not measured is no member.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    out: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for rank, (p, place) in enumerate(known):
        worst = max(worst, min(1.0, p * (len(known) - rank)))
        out[place] = worst
    return out


def _cuts(halves: Floats) -> int:
    return int((~np.isnan(halves).any(axis=1)).sum())
