"""How rows of a bin become one score: integers of which one row moves each by at most its box.

Scores live on a grid of `GRID` units a nat. What a row says is computed in floats from float32 logits, rounded to the
grid, and THEN clipped between integers. So whatever floating point did before, a row's contribution is an integer in
its box, the sum over rows is exact, and it does not depend on the order or the number of the other rows.

    score = public part (public) + sum over rows of contributions, each in [low, low + 2 * units]^V
    token ~ softmax(f(score) / (s * temperature * GRID)),   f public, rising, 1-Lipschitz in each coordinate

One row more or less (add_remove, zero_out: a blank row adds the zero vector) moves the score by a vector of range at
most 2 units; a row replaced by another, by a vector of range at most 4 units. With units <= C * GRID that is the
`PredictionTokens` event of clip C, divisor s, batch "summed". The proof needs nothing of models but that a row's
logits are a function of that row, of public text and of released tokens.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GRID = 1 << 20
FLOOR = -1000.0
"""Public log-probabilities below this many nats are taken for this: scores stay below 2^53 for s <= 2^22."""
LARGEST_CLIP = 500


class Aggregator(Protocol):
    """One bin's rows to one score."""

    @property
    def name(self) -> str:
        """For events' descriptions and cards."""

    def public_part(self, public: NDArray[np.float64]) -> NDArray[np.int64]:
        """What public log-probabilities, shape (V,), contribute."""

    def contributions(self, rows: NDArray[np.float64], public: NDArray[np.float64]) -> NDArray[np.int64]:
        """Sum of the rows' contributions, shape (V,).

        Args:
            rows: log-probabilities of each row (private), shape (n, V); what is not finite contributes its box's zero.
            public: log-probabilities, shape (V,).
        """

    def final(self, score: NDArray[np.int64], public: NDArray[np.float64]) -> NDArray[np.int64]:
        """What the token is drawn by: each coordinate a public function of its score that rises, at most as fast."""


def units_of(clip: Decimal) -> int:
    """Half the width of a row's box on the grid: the largest integer within C."""
    return int(clip * GRID)


def summed(values: NDArray[np.float64], low: int, high: int) -> NDArray[np.int64]:
    """Round nats to the grid, clip to [low, high], add up over rows. Shape (n, V) -> (V,).

    Summands are integers, low and high too, and every partial sum stays below 2^53 for n < 2^23 rows: exact in float64,
    in any order.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        bounded = np.clip(np.rint(values * GRID), low, high)
    bounded[np.isnan(bounded)] = 0.0
    total: NDArray[np.int64] = bounded.sum(axis=0).astype(np.int64)
    return total


def log_softmax(logits: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities in float64, row by row; shape (..., V)."""
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        shifted = wide - wide.max(axis=-1, keepdims=True)
        normalised: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised
