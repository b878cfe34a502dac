"""Which tokens need privacy at all: a sparse vector test of the bin against the public model.

Amin et al. 2024 (arXiv 2407.12108): where the bin's averaged next-token distribution is near the public one, the token
is drawn from the public model and costs nothing but the test. Threshold noise is Laplace of scale sigma, drawn anew
after each private token; query noise is Laplace of scale 2 sigma.

**Distance and sensitivity.** q = || (1/s) sum_i p_i - p_0 ||_1 over the per-record distributions p_i of the rows that
are there; a blank row adds the ZERO vector. On a grid: p_i becomes floor(p_i UNIT), a vector of integers whose sum is
at most UNIT (a row for which rounding made it more is taken for blank), and Q = || sum_i P_i - s P_0 ||_1 is an
integer. A row that comes, goes or is blanked moves Q by at most ||P_i||_1 <= UNIT, which is 1/s in q; a row replaced,
by at most 2 UNIT. Padding with the public distribution instead would make it 2/s: the trap that the event names.

Noise is discrete Laplace on the same integers, exact. One run to one positive costs `SparseVector` with one positive
and sensitivity 1 over scales sigma s and 2 sigma s: at most 2 / (s sigma).

>>> test = SparseTest(threshold=Decimal("0.5"), sigma=Decimal("0.3"), batch_size=10)
>>> peaked = np.array([[1.0, 0.0]] * 10)
>>> test.distance(test.contributions(np.log(peaked + 1e-300)), np.log([0.5, 0.5])) / (10 * UNIT)
1.0

Not guaranteed: that agreement is worth its test; for free text private tokens alone are mostly better.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import final

import numpy as np
from numpy.typing import NDArray

from accounting.event import SparseVector
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.discrete_laplace import sample_discrete_laplace
from dpsynth.text.prediction.aggregators.protocol import log_softmax

UNIT = 1 << 24
LARGEST_SCALE = 1 << 14


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SparseTest:
    """See the module.

    Attributes:
        threshold: L1 distance above which a token is private, in (0, 2).
        sigma: scale of the threshold's noise, in units of the distance.
        batch_size: s.
    """

    threshold: Decimal
    sigma: Decimal
    batch_size: int

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 2 or not 0 < self.sigma * self.batch_size < LARGEST_SCALE:
            raise ParameterError(
                f"Expected a threshold in (0, 2), an L1 distance, and 0 < sigma * s < {LARGEST_SCALE}.",
                "Amin et al. use threshold 0.7 and sigma 0.3.",
            )

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Sum of the rows' distributions on the grid, shape (n, V) of log-probabilities -> (V,).

        They may lack a constant, as stretched copies do.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            chances = np.exp(log_softmax(rows))
            scaled = np.clip(np.nan_to_num(np.floor(chances * UNIT), nan=0.0), 0, UNIT).astype(np.int64)
        scaled[scaled.sum(axis=1) > UNIT] = 0
        total: NDArray[np.int64] = scaled.sum(axis=0, dtype=np.int64)
        return total

    def distance(self, total: NDArray[np.int64], public: NDArray[np.float64]) -> int:
        """Q, in units of UNIT s.

        Args:
            total: sum of contributions, shape (V,).
            public: log-probabilities of the public model.
        """
        own = np.floor(np.exp(public) * UNIT).astype(np.int64) * self.batch_size
        return int(np.abs(total - own).sum())

    def noisy_threshold(self, noise: NoiseSource) -> int:
        """To be drawn anew after each positive."""
        return round(self.threshold * self.batch_size * UNIT) + self._laplace(1, noise)

    def above(self, distance: int, noisy_threshold: int, noise: NoiseSource) -> bool:
        """Whether the next token is private."""
        return distance + self._laplace(2, noise) >= noisy_threshold

    def event(self, relation: NeighboringRelation, count: int) -> SparseVector:
        """`count` runs of one positive each, one row a unit."""
        moved = 2 if relation is NeighboringRelation.REPLACE_ONE else 1
        scale = self.sigma * self.batch_size
        return SparseVector(
            threshold_scale=scale,
            query_scale=2 * scale,
            sensitivity=Decimal(moved),
            positives=1,
            monotonic=False,
            count=count,
        )

    def _laplace(self, times: int, noise: NoiseSource) -> int:
        scale = self.sigma * self.batch_size * UNIT * times
        return int(sample_discrete_laplace(1, scale=scale, noise=noise)[0])
