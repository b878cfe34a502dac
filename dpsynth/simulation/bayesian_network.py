"""A Bayesian network of discrete columns: each depends on some before it, and every marginal can be summed exactly.

    p(x) = prod_j p(x_j | x_parents(j))

Rows are drawn column by column (ancestral sampling). A marginal of some columns needs only them and their ancestors,
and is one contraction of their tables (variable elimination; Koller and Friedman 2009, ch. 9): numpy orders it.

>>> import numpy as np
>>> coin = BayesianNetwork(parents=((), (0,)), tables=(np.array([0.25, 0.75]), np.array([[1.0, 0.0], [0.5, 0.5]])))
>>> coin.marginal((1,)).tolist()
[0.625, 0.375]

Not guaranteed: speed for networks whose columns have many wide ancestors; the contraction grows with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError

MOST_ANCESTORS = 50
"""Columns that one contraction can name."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BayesianNetwork:
    """A law of rows of codes.

    Args:
        parents: of each column, columns before it.
        tables: of each column its conditional shares, shape (*sizes of its parents, its own size).
    """

    parents: tuple[tuple[int, ...], ...]
    tables: tuple[NDArray[np.float64], ...]

    def __post_init__(self) -> None:
        if len(self.parents) != len(self.tables) or not self.tables:
            raise ParameterError("Expected one table and one list of parents a column.", "Give both.")
        for column, (above, table) in enumerate(zip(self.parents, self.tables, strict=True)):
            if any(not 0 <= parent < column for parent in above):
                raise ParameterError(
                    f"Column {column} has a parent that does not come before it.", "Order the columns."
                )
            if table.shape[:-1] != tuple(self.tables[parent].shape[-1] for parent in above):
                raise ParameterError(f"The table of column {column} does not fit its parents.", "Correct its shape.")
            if (table < 0).any() or not np.allclose(table.sum(axis=-1), 1.0, atol=1e-9):
                raise ParameterError(f"The shares of column {column} do not add up to 1.", "Normalise its last axis.")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each column."""
        return tuple(table.shape[-1] for table in self.tables)

    def draw(self, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Independent rows of codes, shape (rows, columns)."""
        out = np.empty((rows, len(self.tables)), dtype=np.int64)
        for column, (above, table) in enumerate(zip(self.parents, self.tables, strict=True)):
            shares = table[tuple(out[:, parent] for parent in above)]  # (rows, size), or (size,)
            out[:, column] = inverse(shares, rng.random(rows))
        return out

    def marginal(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Exact shares of all cells of these columns, in this order, shape (their sizes).

        Raises:
            ParameterError: a column is named twice, or has too many ancestors.
        """
        if len(set(columns)) != len(columns):
            raise ParameterError("A marginal names each column once.", "Leave out the repetition.")
        needed = self._with_ancestors(columns)
        if len(needed) > MOST_ANCESTORS:
            raise ParameterError(
                f"A marginal needs {len(needed)} columns with all ancestors; {MOST_ANCESTORS} is the most.",
                "Give columns fewer parents.",
            )
        place = {column: position for position, column in enumerate(needed)}
        operands: list[Any] = []
        for column in needed:
            operands += [self.tables[column], [place[c] for c in (*self.parents[column], column)]]
        out: NDArray[np.float64] = np.einsum(*operands, [place[c] for c in columns], optimize="greedy")
        return out

    def _with_ancestors(self, columns: Sequence[int]) -> list[int]:
        found: set[int] = set()
        left = list(columns)
        while left:
            column = left.pop()
            if column not in found:
                found.add(column)
                left += self.parents[column]
        return sorted(found)


def inverse(shares: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Codes by inversion of the distribution function.

    Args:
        shares: shape (size,), or one line a row, shape (rows, size); each sums to 1.
        uniform: in [0, 1), shape (rows,).
    """
    below = np.cumsum(shares, axis=-1)[..., :-1]  # the last code takes what rounding leaves
    if shares.ndim == 1:
        return np.searchsorted(below, uniform, side="right").astype(np.int64)
    out: NDArray[np.int64] = (below <= uniform[:, None]).sum(axis=1, dtype=np.int64)
    return out
