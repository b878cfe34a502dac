"""Votes of private units as integers, and what one unit can change.

Unit u casts c_uj votes for candidate j, all of its texts together. It enters the histogram as

    q_uj = floor(G c_uj / ||c_u||) = isqrt(G^2 c_uj^2 // ||c_u||^2),    G = 1024,

in integers throughout, so ||q_u||^2 <= G^2 whatever its texts are and however many: no bound on rows is needed, and no
rounding error either. Adding or removing a unit changes the histogram by q_u, of L2 norm at most G. Replacing one
changes it by q - q', and since both are >= 0, ||q - q'||^2 <= ||q||^2 + ||q'||^2 <= 2 G^2. Lin et al. (2024) divide
by the same norm, in floats.

>>> votes = Votes(rows=np.array([0, 0, 1]), candidates=np.array([0, 1, 1]))
>>> histogram(votes, 3, units=np.array([0, 1])).tolist()             # unit 0 votes for two, unit 1 for one
[724, 1748, 0]
>>> histogram(votes, 3, units=np.array([0, 0])).tolist()             # the same texts of one unit: norm 1024
[457, 915, 0]

Not guaranteed: privacy. The histogram is exact; `noisy_histogram` adds the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import final

import numpy as np
from numpy.typing import NDArray

from accounting.decimals import decimal_up
from accounting.event import DiscreteGaussian
from accounting.relation import NeighboringRelation
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian

Counts = NDArray[np.int64]
GRID = 1 << 10
"""G: one vote. A unit whose votes are spread over m candidates loses at most sqrt(m) / G of its weight to rounding."""
MOST = 1 << 20
"""Votes of one unit for one candidate beyond this count no more, so that squares stay below 2^63."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Votes:
    """Who votes for what (private): text `rows[i]` for candidate `candidates[i]`, int64, shape (votes,)."""

    rows: NDArray[np.int64]
    candidates: NDArray[np.int64]


def sensitivity(relation: NeighboringRelation) -> Decimal:
    """L2 change of the histogram between neighbours, in grid units; see the module."""
    return Decimal(GRID) if relation is NeighboringRelation.ADD_REMOVE else decimal_up(GRID * math.sqrt(2), 12)


def histogram(votes: Votes, candidates: int, *, units: NDArray[np.int64]) -> Counts:
    """Exact histogram (private) in units of 1/G, int64, shape (candidates,).

    Args:
        votes: of all texts.
        candidates: how many there are.
        units: number of each text's unit, shape (texts,).
    """
    pairs, cast = np.unique(units[votes.rows] * candidates + votes.candidates, return_counts=True)
    counts = np.minimum(cast, MOST)
    owner, chosen = pairs // max(candidates, 1), pairs % max(candidates, 1)
    squares = np.zeros(int(units.max()) + 1 if len(units) else 0, dtype=np.int64)
    np.add.at(squares, owner, counts**2)
    total = np.zeros(candidates, dtype=np.int64)
    np.add.at(total, chosen, isqrt((GRID * counts) ** 2 // np.maximum(squares[owner], 1)))
    return total


def isqrt(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Integer square roots of 0 … 2^50, rounded down, exact."""
    roots = np.sqrt(values.astype(np.float64)).astype(np.int64)
    roots -= roots * roots > values
    return np.asarray(roots + ((roots + 1) ** 2 <= values), dtype=np.int64)


def noisy_histogram(
    exact: Counts, *, sigma: Decimal, relation: NeighboringRelation, noise: NoiseSource
) -> tuple[Counts, DiscreteGaussian]:
    """The histogram with noise, int64, and its event: one discrete Gaussian for all candidates together.

    Args:
        exact: of `histogram`.
        sigma: standard deviation in grid units: G times that in votes.
        relation: of neighbours.
        noise: uniform words.
    """
    return discrete_gaussian(exact, sigma=sigma, noise=noise, l2_sensitivity=sensitivity(relation))
