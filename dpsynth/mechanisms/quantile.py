"""A quantile of a column on a public grid, by the exponential mechanism.

Smith (2011): every cell of the grid is a candidate; its score is minus the distance, in rows, of the target rank
`q n` from the ranks that the cell covers, `-max(0, L - q n, q n - L - c)`, L the rows in earlier cells and c its own.

One row more moves the target rank by q and L by 0 or 1, so each score moves by at most max(q, 1 - q), in both
directions at once: the score range is R = 2 max(q, 1 - q) <= 2 under add/remove of one row, times k for a unit of at
most k rows. Scores are compared exactly, as integers over q's denominator.

Not guaranteed: the right cell. Cells within about (2 / c) ln(cells) ranks of the target are likely.

>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> counts = np.array([0, 50, 400, 50, 0])
>>> quantile(counts, q=Fraction(1, 2), coefficient="0.5", noise=unsafe_SeededNoise(1))[0]
2
"""

from __future__ import annotations

import itertools
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accounting.event import Exponential
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.exponential import exponential

_EXACT = Context(prec=200)


def quantile(
    counts: NDArray[np.int64], *, q: Fraction, coefficient: Decimal | str, noise: NoiseSource, max_records: int = 1
) -> tuple[int, Exponential]:
    """The grid cell that holds the q-quantile.

    Args:
        counts: rows per grid cell in ascending order of value, int64, shape (cells,); the grid is public.
        q: 0 < q < 1 as a Fraction whose denominator divides a power of ten (it enters the event as a decimal).
        coefficient: c, per row of rank error; the choice is c R-bounded-range with R = 2 max(q, 1 - q) max_records.
        noise: uniform words; its `kind` enters the event.
        max_records: k, the most rows of one unit.

    Returns:
        Index of the chosen cell, and the event (add/remove of one unit).

    Raises:
        ParameterError: q outside (0, 1), or not a finite decimal.
    """
    if not 0 < q < 1:
        raise ParameterError(f"Expected 0 < q={q} < 1 (quantile).")
    spread = 2 * max(q, 1 - q) * max_records
    score_range = _EXACT.divide(Decimal(spread.numerator), Decimal(spread.denominator))
    if Fraction(score_range) != spread:
        raise ParameterError(f"Expected q={q} to be a finite decimal (quantile).", "Use for example Fraction('0.333').")
    before = np.concatenate([[0], np.cumsum(counts)]).tolist()
    target = q * before[-1]
    scores = [-max(Fraction(0), lower - target, target - upper) for lower, upper in itertools.pairwise(before)]
    return exponential(scores, coefficient=coefficient, score_range=score_range, noise=noise)
