"""A mixture of products: groups of people, and within a group columns that know nothing of each other.

    p(x) = sum_k w_k prod_j p_k(x_j)

All dependence goes through the hidden group, so every pair of columns depends a little, and a marginal of any columns
is a sum of outer products.

>>> import numpy as np
>>> two = ProductMixture(weights=np.array([0.5, 0.5]), tables=(np.eye(2), np.array([[0.8, 0.2], [0.2, 0.8]])))
>>> two.marginal((0, 1)).tolist()
[[0.4, 0.1], [0.1, 0.4]]

Not guaranteed: dependence of one pair alone; for that take a Bayesian network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.simulation.bayesian_network import inverse


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProductMixture:
    """A law of rows of codes.

    Args:
        weights: share of each group, shape (groups,).
        tables: of each column its shares in each group, shape (groups, size).
    """

    weights: NDArray[np.float64]
    tables: tuple[NDArray[np.float64], ...]

    def __post_init__(self) -> None:
        for shares in (self.weights[None], *self.tables):
            if (shares < 0).any() or not np.allclose(shares.sum(axis=-1), 1.0, atol=1e-9):
                raise ParameterError("Shares of a mixture do not add up to 1.", "Normalise the last axis.")
        if any(table.shape[0] != self.weights.size for table in self.tables) or not self.tables:
            raise ParameterError("Expected one line a group in each column's table.", "Correct the shapes.")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each column."""
        return tuple(table.shape[1] for table in self.tables)

    def draw(self, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Independent rows of codes, shape (rows, columns)."""
        group = inverse(self.weights, rng.random(rows))
        drawn = [inverse(table[group], rng.random(rows)) for table in self.tables]
        return np.stack(drawn, axis=1)

    def marginal(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Exact shares of all cells of these columns, in this order, shape (their sizes)."""
        if len(set(columns)) != len(columns):
            raise ParameterError("A marginal names each column once.", "Leave out the repetition.")
        operands: list[Any] = [self.weights, [0]]
        for position, column in enumerate(columns, start=1):
            operands += [self.tables[column], [0, position]]
        out: NDArray[np.float64] = np.einsum(*operands, list(range(1, len(columns) + 1)), optimize="greedy")
        return out
