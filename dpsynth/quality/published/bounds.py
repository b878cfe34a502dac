"""What noisy counts say of a distance: bounds that hold for every table, and how far noise alone can push a figure.

Let c be the exact counts of a marginal in C cells, N their sum, q the released shares, and x = c + z with independent
discrete Laplace noise of scale b. The figure is T = 1/2 sum |c_i / N - q_i|: the total variation between the private
rows that were counted and the released rows. Known: x. With d_i = c_i - N q_i and S = 1/2 sum |x_i - N q_i|:

1. h(u) = E|u + z| >= u + 2 r^(u+1) / (1 - r^2), r = exp(-1/b), convex and increasing in u >= 0; and h(u) <= u + E|z|.
2. S lies within `deviation` of its mean: a term is 1/2-Lipschitz in z_i, so its centred moment generating function is
   at most M(t/2)^2 (compare with an independent copy), and Chernoff's bound is minimised over t.
3. Upper: 1/2 sum h(|d_i|) <= S + deviation, and by Jensen sum |d_i| <= C h^-1(2 (S + deviation) / C).
   Lower: 1/2 sum |d_i| >= S - deviation - C E|z| / 2.
4. N is estimated by the mean of all marginals' sums; its error, bounded likewise, is added to both sides.

The same holds for the mean over several marginals, whose terms are all independent.

>>> noisy_distance(np.array([500, 500, 0]), np.array([[52, 48, 0]]), scale=2.0, sizes=[3], alpha=0.05)[0].words
'0.000 to 0.042'

Not guaranteed: anything about other people than those counted; T itself is exact for them, no sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

ALPHA: Final = 0.05
_STEPS: Final = 200
_HALVINGS: Final = 80


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A noisy share or distance with bounds at a stated level, each within [0, 1].

    Attributes:
        noisy: the figure as computed from noisy counts.
        low: lower bound.
        high: upper bound.
        bias: by how much noise raises `noisy` at most, on average; 0 for a plain share.
        floor: mean of the same distance between two samples of the released distribution of these sizes; None for
            a share.
    """

    noisy: float
    low: float
    high: float
    bias: float = 0.0
    floor: float | None = None

    @property
    def words(self) -> str:
        """The bounds, as a card says them."""
        return f"{self.low:.3f} to {self.high:.3f}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Discrete Laplace noise of a scale."""

    scale: float

    @property
    def mean_size(self) -> float:
        """E|z|."""
        r = math.exp(-1.0 / self.scale)
        return -2.0 * r / math.expm1(-2.0 / self.scale)

    def log_mgf(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of E exp(t z) for |t| < 1/scale."""
        r = 1.0 / self.scale
        whole = 2.0 * math.log(-math.expm1(-r))
        value: NDArray[np.float64] = whole - np.log(-np.expm1(t - r)) - np.log(-np.expm1(-t - r))
        return value

    def deviation(self, cells: int, alpha: float) -> float:
        """Bound at level `alpha` of a sum of `cells` terms |z + d| / 2 minus its mean, and of the mean minus it."""
        t = np.arange(1, _STEPS) / _STEPS * 2.0 / self.scale
        return float(((2.0 * cells * self.log_mgf(t / 2.0) - math.log(alpha)) / t).min())

    def sum_deviation(self, cells: int, alpha: float) -> float:
        """Bound at level `alpha`, on one side, of a sum of `cells` draws."""
        t = np.arange(1, _STEPS) / _STEPS / self.scale
        return float(((cells * self.log_mgf(t) - math.log(alpha)) / t).min())

    def size_at_most(self, mean: float) -> float:
        """Largest u with E|u + z| <= `mean`, at most; 0 if even u = 0 has more."""
        low, high = 0.0, max(mean, 0.0)
        for _ in range(_HALVINGS):
            u = (low + high) / 2
            low, high = (u, high) if u + self.mean_size * math.exp(-u / self.scale) <= mean else (low, u)
        return high if high > 1e-9 else 0.0


def people(counts: NDArray[np.int64], sizes: Sequence[int], noise: Noise, alpha: float) -> tuple[float, float]:
    """The number of rows counted, from all marginals, and how far it may be off on either side at `alpha` each."""
    return float(counts.sum()) / len(sizes), noise.sum_deviation(int(sum(sizes)), alpha) / len(sizes)


def noisy_distance(
    counts: NDArray[np.int64],
    released: NDArray[np.int64],
    *,
    scale: float,
    sizes: Sequence[int],
    alpha: float = ALPHA,
    chosen: Sequence[int] | None = None,
) -> tuple[Interval, float]:
    """Mean total variation of some marginals to the released rows, and the estimated number of rows.

    Args:
        counts: noisy, of all marginals one after the other.
        released: of the released rows, in the same cells.
        scale: of the noise.
        sizes: cells of each marginal.
        alpha: of the interval, both sides together.
        chosen: numbers of the marginals that are averaged; default all.
    """
    noise, some = Noise(scale=scale), list(range(len(sizes))) if chosen is None else list(chosen)
    flat = np.asarray(released).reshape(-1)
    total, off = people(counts, sizes, noise, alpha / 4)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    at = np.concatenate([np.arange(starts[m], starts[m + 1]) for m in some])
    rows = int(flat[starts[0] : starts[1]].sum())
    share = flat[at] / max(rows, 1)
    if total - off <= 0 or rows == 0:
        return Interval(noisy=0.0, low=0.0, high=1.0, bias=1.0), total
    cells, size = len(at), float(np.abs(counts[at] - total * share).sum()) / 2
    reach, blur = noise.deviation(cells, alpha / 4), len(some) * off / 2
    most = cells * noise.size_at_most(2 * (size + blur + reach) / cells) / 2
    bias = cells * noise.mean_size / 2
    least = max(size - blur - reach - bias, 0.0)
    drawn = np.sqrt(2 / math.pi * share * (1 - share) * (1 / total + 1 / rows)).sum() / 2
    return Interval(
        noisy=_within(size / total / len(some)),
        low=_within(least / (total + off) / len(some)),
        high=_within(most / (total - off) / len(some)),
        bias=_within(bias / total / len(some)),
        floor=_within(float(drawn) / len(some)),
    ), total


def noisy_share(
    counts: NDArray[np.int64], *, scale: float, sizes: Sequence[int], cells: Sequence[int], alpha: float = ALPHA
) -> Interval:
    """Mean share of rows in some cells, one of each of as many marginals."""
    noise = Noise(scale=scale)
    total, off = people(counts, sizes, noise, alpha / 4)
    if total - off <= 0:
        return Interval(noisy=0.0, low=0.0, high=1.0)
    size, reach = float(counts[list(cells)].sum()), noise.sum_deviation(len(cells), alpha / 4)
    return Interval(
        noisy=_within(size / total / len(cells)),
        low=_within((size - reach) / (total + off) / len(cells)),
        high=_within((size + reach) / (total - off) / len(cells)),
    )


def _within(value: float) -> float:
    return min(max(value, 0.0), 1.0)
