"""Mean clipping: whole logit vectors, re-centred, cut at a floor and averaged.

Amin et al., Private prediction for large-scale synthetic text generation (2024, arXiv 2407.12108, Algorithm 1):
clip(z)_j = max(-C, z_j - max_k z_k + C), so that the largest logit is C and none is below -C. A whole vector needs a C
of about 10, so batches are large; the test against the public model (`sparse_vector`) makes tokens free on which the
bin agrees with it, which pays off for structured texts.

**Sensitivity.** By `protocol.summed` a contribution is an integer in [-u, u], u = floor(C GRID): as for difference
clipping, 2 C / (s tau) for a row that comes, goes or is blanked to the zero vector, and twice that for one replaced.

One clipped public vector is counted among the rows, so that a bin without rows still prefers public text; being public
it costs nothing. It is one vote of s + 1: such a bin is nearly even over its candidates, so keep `top_k` small.

>>> (MeanClip(units=2 * GRID).contributions(np.log([[0.9, 0.1], [0.5, 0.5]]), np.zeros(2)) / GRID).round(3)
array([4.   , 1.803])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.prediction.aggregators.protocol import GRID, summed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanClip:
    """See the module.

    Attributes:
        units: half the width of a row's box, on the grid.
    """

    name: ClassVar[str] = "mean-clip"

    units: int

    def public_part(self, public: NDArray[np.float64]) -> NDArray[np.int64]:
        """The one public vote, shape (V,)."""
        return self.contributions(public[None], public)

    def contributions(
        self,
        rows: NDArray[np.float64],
        public: NDArray[np.float64],  # noqa: ARG002 - whole vectors, no difference
    ) -> NDArray[np.int64]:
        """Sum of clipped vectors, shape (V,)."""
        with np.errstate(invalid="ignore"):
            centred = rows - rows.max(axis=1, keepdims=True, initial=-np.inf) + self.units / GRID
        return summed(centred, -self.units, self.units)

    def final(self, score: NDArray[np.int64], public: NDArray[np.float64]) -> NDArray[np.int64]:  # noqa: ARG002
        """The score."""
        return score
