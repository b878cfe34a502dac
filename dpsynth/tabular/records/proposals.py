"""Densities from which codes are proposed, drawn in constant time.

A density is held as a pool: each cell as often as it is to be proposed, at least once. Picking from the pool is one
random integer, whatever the number of cells. What is drawn from is the pool, so the moves weigh by the pool's own
density: rounding costs no exactness.

The moves (`kernels`) draw candidates y_1..y_C from q, and then one of {current, y_1..y_C} in proportion to pi / q. For
independent proposals this leaves pi invariant: pi(x) q(y_1)..q(y_C) is pi(x) / q(x) times the product of q over all
C + 1 states, which tells them apart by pi / q alone, so redrawing which of them is x in that proportion changes nothing
(Tjelmeland 2004; the iterated sampling-importance-resampling kernel of Andrieu, Lee and Vihola 2018).

>>> pool = Pool.of(np.array([0.75, 0.25, 0.0]))
>>> bool(abs(np.exp(pool.log_density[0]) - 0.75) < 1e-4), len(set(pool.codes[0].tolist()))
(True, 3)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.forests.tree import Vector
from dpsynth.tabular.records.residuals import Columns

POOL = 2**15
"""Cells of a pool, about: 64 kB for the codes of one column."""

EXPLORED = 0.03
"""Part of a joint proposal that is uniform, so that every cell stays reachable."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """Cells to pick from.

    Attributes:
        codes: for each axis of the density the codes of the pool's cells, int16; each cell at least once.
        log_density: log of each cell's part of the pool, float32, in the shape of the density.
    """

    codes: tuple[NDArray[np.int16], ...]
    log_density: NDArray[np.float32]

    @classmethod
    def of(cls, density: Vector) -> Pool:
        """In proportion to a density, up to 1 / POOL a cell."""
        often = np.maximum(np.rint(density / density.sum() * POOL), 1.0).astype(np.int64)
        cells = np.repeat(np.arange(often.size), often.ravel())
        return cls(
            codes=tuple(codes.astype(np.int16) for codes in np.unravel_index(cells, often.shape)),
            log_density=np.log(often / often.sum()).astype(np.float32),
        )

    def picks(self, moves: int, candidates: int, rng: np.random.Generator) -> NDArray[np.uint32]:
        """Uniform indices into the pool, shape (moves, candidates)."""
        return rng.integers(0, len(self.codes[0]), (moves, candidates), dtype=np.uint32)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointProposal:
    """A density over two columns' codes from which both are proposed at once.

    Attributes:
        columns: the two columns.
        pool: of the density, shape (codes of the first, codes of the second).
    """

    columns: Columns
    pool: Pool

    @classmethod
    def of(cls, columns: Columns, table: Vector) -> JointProposal:
        """In proportion to a non-negative table, with a small uniform part."""
        return cls(columns=columns, pool=Pool.of((1 - EXPLORED) * table / table.sum() + EXPLORED / table.size))
