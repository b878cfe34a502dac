"""Loss distributions on a grid, and their convolution: one Fourier transform for each, one back for all.

A `GridLosses` holds what one table of a dominating pair says: masses of the privacy loss at multiples of a step, and
the mass at infinite loss. Losses of composed mechanisms add up, so distributions convolve and spectra multiply, each to
the power of its count. The circle on which that happens is as long as Chernoff's bound says that the sum reaches:

    Pr[sum > hi] <= exp(sum_i n_i K_i(s) - s hi),   K_i(s) = log E[exp(s L_i)],   at any s > 0.

What lies above the circle would wrap around to small losses, so its bound is added to the mass at infinity; what lies
below wraps around to large ones, which errs on the dearer side.

>>> coin = symmetric(GridLosses(grid=0.5, low=-1, masses=np.array([0.3775406688, 0.0, 0.6224593312]), infinite=0.0))
>>> round(power(coin, 10).get_epsilon_for_delta(1e-5), 3)
4.999

Not guaranteed: rounding. Each transform carries errors near 1e-16 of the total mass, for which `accounting.pld` sets a
part of delta aside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TAIL = 1e-15
"""Mass above the circle, moved to infinite loss by each convolution."""
_ORDERS = (1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02, 0.01)  # of Chernoff's bound, times the normal best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridLosses:
    """The loss under one of the two tables.

    Args:
        grid: step between losses, > 0.
        low: index of the smallest loss, which is `low * grid`.
        masses: probabilities of `(low + i) * grid`, shape (n,), >= 0.
        infinite: probability of infinite loss.
    """

    grid: float
    low: int
    masses: Array
    infinite: float

    @property
    def losses(self) -> Array:
        """Shape (n,), ascending."""
        return np.asarray((np.arange(len(self.masses)) + self.low) * self.grid, dtype=np.float64)

    def deltas(self, epsilons: Array) -> Array:
        """Delta at any epsilons: mass above, weighted with 1 - e^(epsilon - loss)."""
        kept = self.masses > 0
        losses, masses = self.losses[kept], self.masses[kept]
        # Suffix sums of m and of m e^-(loss - top), which stay finite; one entry more for "nothing above".
        top = float(losses[-1]) if len(losses) else 0.0
        above = _suffix_sums(masses)
        with np.errstate(over="ignore"):
            weighted = _suffix_sums(masses * np.exp(np.minimum(top - losses, 700.0)))
        first = np.searchsorted(losses, epsilons, side="right")
        shrink = np.exp(np.clip(epsilons - top, -745.0, 0.0))
        return np.asarray(self.infinite + np.maximum(above[first] - shrink * weighted[first], 0.0))

    def epsilon(self, delta: float) -> float:
        """Smallest epsilon >= 0 at which delta suffices; infinite if the mass at infinity alone exceeds it."""
        if self.infinite > delta:
            return math.inf
        start = max(0, -self.low)
        masses, losses = self.masses[start:], self.losses[start:]
        above = self.infinite + _suffix_sums(masses)[:-1]
        weighted = _suffix_sums(masses * np.exp(-losses))[:-1]
        # Between two grid points delta(eps) = above - e^eps weighted: the solution that lies below its own point.
        enough = np.flatnonzero(above - np.exp(losses) * weighted > delta)
        at = int(enough[-1]) + 1 if len(enough) else 0
        if at >= len(masses):
            return float(losses[-1]) if len(losses) else 0.0
        excess = above[at] - delta
        return max(0.0, math.log(excess / weighted[at])) if excess > 0 else 0.0

    def divergence(self, order: float) -> float:
        """Renyi divergence of the finite part at `order` > 1."""
        exponents = (order - 1) * self.losses
        peak = float(exponents.max())
        return (peak + math.log(float(np.dot(self.masses, np.exp(exponents - peak))))) / (order - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Losses:
    """Both directions of a dominating pair; the same object twice where they agree."""

    remove: GridLosses
    add: GridLosses

    @property
    def sides(self) -> tuple[GridLosses, ...]:
        """The distinct directions."""
        return (self.remove,) if self.remove is self.add else (self.remove, self.add)

    def get_epsilon_for_delta(self, delta: float) -> float:
        """Of the dearer direction; named as in dp-accounting."""
        return max(side.epsilon(delta) for side in self.sides)

    def get_delta_for_epsilon(self, epsilon: float) -> float:
        """Of the dearer direction; named as in dp-accounting."""
        return max(float(side.deltas(np.array([epsilon]))[0]) for side in self.sides)

    def divergence(self, order: float) -> float:
        """Of the dearer direction."""
        return max(side.divergence(order) for side in self.sides)


def symmetric(side: GridLosses) -> Losses:
    """A pair whose two directions have one distribution."""
    return Losses(remove=side, add=side)


def power(losses: Losses, times: int) -> Losses:
    """`times`-fold composition of one distribution with itself."""
    return convolve([losses], [times])


def convolve(parts: Sequence[Losses], times: Sequence[int] | None = None) -> Losses:
    """The composition of all parts, each as often as `times` says (once, if absent).

    Args:
        parts: at least one; all on one grid.
        times: counts >= 1.
    """
    counts = list(times) if times is not None else [1] * len(parts)
    if len(parts) == 1 and counts == [1]:
        return parts[0]
    remove = _convolve_side([part.remove for part in parts], counts)
    if all(part.remove is part.add for part in parts):
        return symmetric(remove)
    return Losses(remove=remove, add=_convolve_side([part.add for part in parts], counts))


def _convolve_side(parts: list[GridLosses], counts: list[int]) -> GridLosses:
    from scipy.fft import irfft, next_fast_len, rfft

    grid = parts[0].grid
    low, high = _reach(parts, counts)
    size = next_fast_len(high - low + 1, real=True)
    product = np.ones(size // 2 + 1, dtype=np.complex128)
    for part, n in zip(parts, counts, strict=True):
        spectrum = rfft(_on_circle(part.masses, size))
        product *= spectrum if n == 1 else spectrum**n
    start = sum(n * part.low for part, n in zip(parts, counts, strict=True))
    masses = np.roll(irfft(product, size), (start - low) % size)
    log_finite = math.fsum(n * math.log1p(-part.infinite) for part, n in zip(parts, counts, strict=True))
    return GridLosses(
        grid=grid, low=low, masses=np.maximum(masses, 0.0), infinite=min(1.0, TAIL - math.expm1(log_finite))
    )


def _reach(parts: list[GridLosses], counts: list[int]) -> tuple[int, int]:
    """Lowest and highest grid index that the sum reaches but for `TAIL` of its mass on either side."""
    low = sum(n * part.low for part, n in zip(parts, counts, strict=True))
    high = sum(n * (part.low + len(part.masses) - 1) for part, n in zip(parts, counts, strict=True))
    losses = [part.losses for part in parts]
    variance = 0.0
    for part, values, n in zip(parts, losses, counts, strict=True):
        mean = float(np.dot(part.masses, values))
        variance += n * float(np.dot(part.masses, (values - mean) ** 2))
    if variance <= 0:
        return low, high
    grid, log_tail = parts[0].grid, -math.log(TAIL)
    best = math.sqrt(2 * log_tail / variance)

    def bound(order: float) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            sums = [float(np.dot(p.masses, np.exp(order * values))) for p, values in zip(parts, losses, strict=True)]
        if not all(0 < total < math.inf for total in sums):
            return math.copysign(math.inf, order)
        return (math.fsum(n * math.log(total) for total, n in zip(sums, counts, strict=True)) + log_tail) / order / grid

    reached = []
    for sign in (-1.0, 1.0):
        # The bound has one minimum in the order, at `best` for a normal sum and below for a heavy tail.
        nearest = math.inf
        for share in _ORDERS:
            found = sign * bound(sign * share * best)
            if found > nearest:
                break
            nearest = min(nearest, found)
        reached.append(nearest)
    low = max(low, math.floor(-reached[0])) if math.isfinite(reached[0]) else low
    high = min(high, math.ceil(reached[1])) if math.isfinite(reached[1]) else high
    return low, max(high, low)


def _on_circle(masses: Array, size: int) -> Array:
    """The masses wound around a circle of `size` points."""
    if len(masses) <= size:
        return np.concatenate([masses, np.zeros(size - len(masses))])
    rounds = -(-len(masses) // size)
    wound: Array = np.concatenate([masses, np.zeros(rounds * size - len(masses))]).reshape(rounds, size).sum(axis=0)
    return wound


def _suffix_sums(values: Array) -> Array:
    """Sums from each position to the end, and a zero behind them; shape (n + 1,)."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
