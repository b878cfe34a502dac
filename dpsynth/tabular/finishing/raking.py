"""Rows weighted until their tables are the released ones, then drawn by weight: iterative proportional fitting.

Each table's cells are scaled in turn by `released / weighted count` (Deming and Stephan 1940), a factor between 0.1 and
10 a turn, so a row that the model hardly ever makes cannot take over. The product of all factors that a row's cells
have collected is its weight; the factors are kept, so rows drawn later start from them. Rows are then drawn
systematically (Madow 1949): each appears `weight` times, rounded up or down.

Codes are one or two bytes a cell and tables are visited one by one, so a pool of P rows takes P (columns + 16) bytes.

Not guaranteed: convergence, if tables contradict each other; the last ones visited are then met best. Rows of large
weight repeat: numbers are drawn anew inside their codes, but rows of categories alone do show repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError

Codes = NDArray[np.unsignedinteger[Any]]
SWEEPS = 25
LEAST, MOST = 0.1, 10.0
FARTHEST = 1e6
"""A cell's factors multiply to at most this, and at least its inverse."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RakedTable:
    """One released table, and the factors that led the fitted rows to it.

    Attributes:
        columns: one or two column numbers.
        shares: share of all rows in each cell, float64, sums to 1, shape of the columns' sizes.
        factors: product of the factors of each cell, float64, same shape.
    """

    columns: tuple[int, ...]
    shares: NDArray[np.float64]
    factors: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.shares.shape != self.factors.shape or len(self.columns) != self.shares.ndim:
            raise ParameterError("A raked table's shares and factors are of different columns.")

    def cells(self, codes: Codes) -> NDArray[np.int64]:
        """Number of each row's cell, shape (rows,)."""
        flat = codes[:, self.columns[0]].astype(np.int64)
        for at, size in zip(self.columns[1:], self.shares.shape[1:], strict=True):
            flat = flat * size + codes[:, at]
        return flat


def log_factors(codes: Codes, tables: Sequence[RakedTable]) -> NDArray[np.float64]:
    """Logarithm of each row's product of factors, shape (rows,)."""
    total = np.zeros(len(codes))
    for table in tables:
        total += np.log(table.factors).ravel()[table.cells(codes)]
    return total


def raked(
    codes: Codes, tables: Sequence[RakedTable], *, weights: NDArray[np.float64] | None = None, sweeps: int = SWEEPS
) -> tuple[NDArray[np.float64], tuple[RakedTable, ...]]:
    """Weights of rows, and the tables with the factors that gave them.

    Args:
        codes: the pool, shape (rows, columns), at least one row.
        tables: shares to meet.
        weights: where to start, beside the tables' factors; equal if left out.
        sweeps: turns over all tables.

    Returns:
        Weights that sum to 1, shape (rows,), and tables in the same order.
    """
    log_weights = log_factors(codes, tables) + (0.0 if weights is None else np.log(np.maximum(weights, 1e-300)))
    own = np.exp(log_weights - log_weights.max())
    own /= own.sum()
    if not sweeps:
        return own, tuple(tables)
    cells = [table.cells(codes).astype(np.min_scalar_type(table.shares.size)) for table in tables]
    grown = [table.factors.ravel().copy() for table in tables]
    for _ in range(sweeps):
        for at, table in enumerate(tables):
            held = np.bincount(cells[at], weights=own, minlength=table.shares.size)
            ratio = np.where(held > 0, table.shares.ravel() / np.maximum(held, 1e-300), 1.0)
            further = np.clip(grown[at] * np.clip(ratio, LEAST, MOST), 1 / FARTHEST, FARTHEST)
            own *= (further / grown[at])[cells[at]]
            grown[at] = further
            own /= own.sum()
    made = (
        RakedTable(columns=table.columns, shares=table.shares, factors=factors.reshape(table.shares.shape))
        for table, factors in zip(tables, grown, strict=True)
    )
    return own, tuple(made)


def drawn_by_weight(weights: NDArray[np.float64], rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`rows` positions, each `rows * weight` times up to rounding, in random order."""
    order = rng.permutation(len(weights))
    upper = np.cumsum(weights[order])
    points = (np.arange(rows) + rng.random()) / max(rows, 1) * upper[-1]
    at = np.minimum(np.searchsorted(upper, points, side="right"), len(weights) - 1)
    return rng.permutation(order[at])
