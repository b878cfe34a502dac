"""Difference clipping: only what a row says beyond the public model is clipped and averaged.

Vinod, Pillutla and Thakurta, InvisibleInk (NeurIPS 2025, arXiv 2507.02974): z_0 + (1/s) sum_i clip(z_i - z_0, -C, C).
Most of a logit vector is shared with the public model, so that a C ten times smaller than for whole vectors is enough.

Two choices differ from the paper and cost nothing, because softmax does not see a constant added to all coordinates:
logits are normalised first, so that no row wastes its box on a shift; and experts whose difference is never negative,
such as copies, get the box [0, 2 C] instead of [-C, C], of the same width.

**Sensitivity.** By `protocol.summed` a contribution is an integer in [-u, u], or in [0, 2 u], with u = floor(C GRID).
A row that comes or goes (add_remove), or is blanked to the zero vector (zero_out), moves the sum by a vector in such a
box, of range at most 2 u; the scaled score by 2 C / (s tau). A row replaced by another (replace_one) moves it by a
difference of two such vectors, range at most 4 u. Float32 logits enter before the clip and change nothing of this. A
ceiling, min(score, max(public part, ceiling)), rises with each coordinate and at most as fast: each coordinate's change
keeps its sign and does not grow, so the ranges stand.

Top-k+ candidates (`candidates`) are chosen from public logits alone, hence free.

>>> tight = DifferenceClip(units=GRID // 2, batch_size=2, one_sided=False)
>>> tight.contributions(np.log([[0.98, 0.02], [0.5, 0.5]]), np.log([0.5, 0.5])) / GRID
array([ 0.5, -0.5])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.prediction.aggregators.protocol import FLOOR, GRID, summed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceClip:
    """See the module.

    Attributes:
        units: half the width of a row's box, on the grid.
        batch_size: s, the constant divisor.
        one_sided: whether the box is [0, 2 units] instead of [-units, units].
        ceiling: log-probability up to which records may lift a token, public; None for any.
    """

    name: ClassVar[str] = "difference-clip"

    units: int
    batch_size: int
    one_sided: bool
    ceiling: float | None = None

    def public_part(self, public: NDArray[np.float64]) -> NDArray[np.int64]:
        """S times the public log-probabilities on the grid, shape (V,)."""
        scaled: NDArray[np.int64] = np.rint(np.maximum(public, FLOOR) * GRID).astype(np.int64) * self.batch_size
        return scaled

    def contributions(self, rows: NDArray[np.float64], public: NDArray[np.float64]) -> NDArray[np.int64]:
        """Sum of clipped differences, shape (V,)."""
        low = 0 if self.one_sided else -self.units
        return summed(rows - public, low, low + 2 * self.units)

    def final(self, score: NDArray[np.int64], public: NDArray[np.float64]) -> NDArray[np.int64]:
        """The score, but no higher than the ceiling or, where that is higher, the public part; shape (V,)."""
        if self.ceiling is None:
            return score
        return np.minimum(score, np.maximum(self.public_part(public), round(self.ceiling * GRID) * self.batch_size))


def candidates(public: NDArray[np.float64], top_k: int | None, margin: float) -> NDArray[np.int64]:
    """Top-k+ of the paper: tokens whose public logit is at least the k-th largest less `margin` = 2 C / s.

    Args:
        public: log-probabilities, shape (V,).
        top_k: k; None for all tokens.
        margin: nats, public.

    Returns:
        Token ids in ascending order.
    """
    if top_k is None or top_k >= len(public):
        return np.arange(len(public))
    kth = np.partition(public, len(public) - top_k)[len(public) - top_k]
    return np.flatnonzero(public >= kth - margin)
