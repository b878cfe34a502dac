"""Adaptively composed exponential mechanisms, exactly: the block profile on a certified grid.

A mechanism of bounded range eta moves the likelihood ratio of any two outcomes by at most e^eta. At worst its loss
takes two values, t and t - eta, for a t in [0, eta] that the adversary picks knowing the past. One more such step
turns a bound V on the profile delta(eps), as a function of gamma = e^eps, into

    (T V)(gamma) = max_t  p_t V(gamma e^-t) + (1 - p_t) V(gamma e^(eta - t)),   p_t = (e^eta - e^t) / (e^eta - 1).

T_1 ... T_k applied to max(0, 1 - gamma), the last event first, is the optimal bound (recursion of Dong, Durfee and
Rogers 2020, arXiv 1909.13830). It is a valid profile and dominates in any interleaving with other mechanisms once
these are convolved on top of it, because T_eta G V <= G T_eta V (max of a mean <= mean of a max).

The grid holds V at multiples of h and joins the points linearly in gamma. Chords of a convex function lie above it,
and on them the inner maximum is a closed form: an upper bound. Only grid t and grid values: a lower bound that an
explicit adversary attains.

>>> profile = block_profile((1.0, 1.0), resolution=200)
>>> [round(float(d), 5) for d in profile.bracket(0.5)]
[0.15245, 0.15245]

Not guaranteed: anything if eta itself was chosen from outputs; then only zCDP adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from accounting.errors import ParameterError

Array = NDArray[np.float64]
ROUNDING = 4e-15  # per step; each step averages values in [0, 1] with a few rounding errors
MAX_STEPS_TIMES_RESOLUTION = 20_000
Step = float | tuple[float, float]
MAX_CELLS = 1 << 17  # of one array operation: a megabyte


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockProfile:
    """delta(eps) of a block of bounded-range steps at eps = j h, |j| <= (len - 1) / 2.

    Args:
        step: h, in units of privacy loss.
        upper: certified upper bounds, shape (2 n + 1,), non-increasing.
        lower: values that an explicit adversary attains, same shape.
    """

    step: float
    upper: Array
    lower: Array

    @property
    def reach(self) -> int:
        """n: beyond n h the loss cannot go."""
        return (len(self.upper) - 1) // 2

    def deltas(self, epsilons: Array) -> Array:
        """Certified upper bounds at any epsilons: chords in gamma, exact continuation outside the grid."""
        position = epsilons / self.step
        left = np.clip(np.floor(position).astype(np.int64), -self.reach, self.reach - 1)
        share = np.expm1((position - left) * self.step) / math.expm1(self.step)
        inner = self.upper[left + self.reach]
        inner = inner + share * (self.upper[left + self.reach + 1] - inner)
        inner = np.where(epsilons < -self.reach * self.step, -np.expm1(epsilons) + self.upper[-1], inner)
        return np.clip(np.where(epsilons > self.reach * self.step, self.upper[-1], inner), 0.0, 1.0)

    def atoms(self) -> tuple[Array, Array, float]:
        """The certified profile as a loss distribution: losses j h, their masses, and the mass at infinity.

        Joining the dots of a convex profile linearly in gamma is a distribution on the dots (Doroshenko et al. 2022).
        """
        falls = np.diff(self.upper)
        masses = np.empty(len(self.upper))
        masses[0] = 1 - self.upper[0] + falls[0] / math.expm1(self.step)
        masses[1:-1] = (falls[1:] - falls[:-1] * math.exp(self.step)) / math.expm1(self.step)
        masses[-1] = falls[-1] / math.expm1(-self.step)
        losses: Array = np.arange(-self.reach, self.reach + 1, dtype=np.float64) * self.step
        return losses, np.maximum(masses, 0.0), float(self.upper[-1])

    def bracket(self, epsilon: float) -> tuple[float, float]:
        """(attained, certified) delta at the grid points around `epsilon`."""
        above = min(max(math.ceil(epsilon / self.step - 1e-9), -self.reach), self.reach)
        return float(self.lower[above + self.reach]), float(self.deltas(np.array([epsilon]))[0])

    def epsilon_at_most(self, delta: float) -> float:
        """Smallest epsilon >= 0 that the certified bound allows at `delta`: read on its chords, infinite below them."""
        if self.upper[-1] > delta:
            return math.inf
        falling = self.upper[self.reach :]
        right = int(np.argmax(falling <= delta))
        if right == 0:
            return 0.0
        share = (falling[right - 1] - delta) / (falling[right - 1] - falling[right])
        return (right - 1) * self.step + math.log1p(share * math.expm1(self.step))

    def epsilon_at_least(self, delta: float) -> float:
        """Largest grid epsilon >= 0 that the explicit adversary violates at `delta`: no bound may be smaller."""
        violated = np.flatnonzero(self.lower[self.reach :] > delta)
        return float(violated[-1]) * self.step if len(violated) else 0.0


@lru_cache(maxsize=32)
def block_profile(etas: tuple[Step, ...], *, resolution: int, attained: bool = True) -> BlockProfile:
    """Profile of bounded-range steps in time order.

    Args:
        etas: bounded range of each step, > 0, in the order in which the steps ran; or (range, top) for a step whose
            losses lie in [top - range, top], or with the tables exchanged: then t is `top` or range - `top`.
        resolution: grid points per largest eta; the excess falls with its square.
        attained: whether to find the lower bound too; without it, and in steps with a top, the adversary does nothing.

    Returns:
        Upper and attained lower bounds, for the relation and unit of the etas; symmetric in the two tables.

    Raises:
        ParameterError: if there are no steps or the grid would be too large.
    """
    spans = ranges(etas)
    if not etas or min(spans) <= 0 or resolution < 1:
        raise ParameterError("Expected at least one bounded range > 0 and a resolution >= 1.")
    step, above, below = _common_grid(spans, resolution)
    if sum(above) > MAX_STEPS_TIMES_RESOLUTION:
        raise ParameterError(f"The block's grid would exceed {MAX_STEPS_TIMES_RESOLUTION} points.", "Split the block.")
    reach = sum(above) + 1
    upper = np.maximum(0.0, -np.expm1(np.arange(-reach, reach + 1) * step))
    lower = upper.copy()
    up, down = 0, 0
    for eta, wide, narrow in zip(reversed(etas), reversed(above), reversed(below), strict=True):
        up, down = up + wide, down + narrow
        # The class of adversaries is the same with the tables exchanged, which maps V(gamma) to gamma V(1 / gamma)
        # + 1 - gamma and chords to chords: half the grid is enough.
        if isinstance(eta, tuple):
            right = np.maximum(*(_two_point_step(upper, up, eta[0], t, step) for t in (eta[1], eta[0] - eta[1])))
        else:
            right = _certified_step(upper, up, wide, step)
        upper[reach : reach + up + 1] = right
        shrink = np.exp(-np.arange(up, 0, -1) * step)
        upper[reach - up : reach] = 1 - shrink + shrink * right[:0:-1]
        if attained and not isinstance(eta, tuple):
            lower[reach - down : reach + down + 1] = _attained_step(lower, down, narrow, step)
    return BlockProfile(step=step, upper=np.minimum(upper + ROUNDING * len(etas), 1.0), lower=lower)


def ranges(etas: tuple[Step, ...]) -> tuple[float, ...]:
    """The bounded range of each step."""
    return tuple(eta[0] if isinstance(eta, tuple) else eta for eta in etas)


def _two_point_step(upper: Array, support: int, eta: float, t: float, step: float) -> Array:
    """T with this one t, on chords of `upper`: new values at 0 <= j <= support. Shape (support + 1,)."""
    p = -math.expm1(t - eta) / -math.expm1(-eta)
    value = np.zeros(support + 1)
    for weight, shift in ((p, -t), (1 - p, eta - t)):
        whole = math.floor(shift / step)
        share = math.expm1(shift - whole * step) / math.expm1(step)
        left, right = (_take(upper, (len(upper) - 1) // 2 + whole + i, support + 1, step) for i in (0, 1))
        value += weight * ((1 - share) * left + share * right)
    return value


def _common_grid(etas: tuple[float, ...], resolution: int) -> tuple[float, list[int], list[int]]:
    """A step h, and each eta in steps, rounded up for the upper bound and down for the attained one."""
    distinct = sorted(set(etas))
    best_step, best_waste = 0.0, math.inf
    for points in range(resolution, 2 * resolution + 1):
        step = distinct[-1] / points
        waste = sum(math.ceil(eta / step - 1e-12) * step / eta for eta in distinct)
        if waste < best_waste - 1e-9:
            best_step, best_waste = step, waste
    # Commensurable etas must not lose a step to the last bit of a quotient: 1e-12 of an eta is given back here.
    best_step *= 1 + 2e-12
    above = [max(1, math.ceil(eta / best_step)) for eta in etas]
    return best_step, above, [math.floor(eta / best_step * (1 + 4e-12)) for eta in etas]


def _attained_step(lower: Array, support: int, width: int, step: float) -> Array:
    """T with t on the grid: each value is the profile of an explicit adversary. Shape (2 support + 1,)."""
    first = (len(lower) - 1) // 2 - support
    best = np.zeros(2 * support + 1)
    for j in range(width + 1):
        q = math.expm1(j * step) / math.expm1(width * step) if width else 0.0
        stays, rises = _take(lower, first - j, len(best), step), _take(lower, first - j + width, len(best), step)
        np.maximum(best, (1 - q) * stays + q * rises, out=best)
    return best


def _certified_step(upper: Array, support: int, width: int, step: float) -> Array:
    """T with every t on the chords of `upper`: new values at 0 <= j <= support. Shape (support + 1,).

    On [t_j, t_{j+1}] both V(gamma e^-t) and V(gamma e^(eta - t)) are linear in y = e^-t, so that the objective is
    const + c1 y + c0 / y with its only interior maximum at y = sqrt(c0 / c1) when both are negative. It is evaluated
    as (1 - q) a + q b, a mean of values in [0, 1], so that rounding stays at a few units in the last place.
    """
    size = support + 1
    growth = math.expm1(width * step)
    around = _take(upper, (len(upper) - 1) // 2 - width, size + 2 * width, step)
    windows = np.lib.stride_tricks.sliding_window_view(around, size)  # row r: values from grid index r - width on
    # Largest over t on the grid, then over the inside of its intervals, some rows (values of j) at a time.
    best = np.zeros(size)
    rows = max(1, MAX_CELLS // size)
    for start in range(0, width + 1, rows):
        j = np.arange(start, min(start + rows, width + 1))
        a, b = windows[width - j], windows[2 * width - j]
        rise = np.expm1(j * step)[:, None]
        q = rise / growth
        np.maximum(best, ((1 - q) * a + q * b).max(axis=0), out=best)
        if j[-1] == width:
            j, a, b, rise = j[:-1], a[:-1], b[:-1], rise[:-1]
        if len(j):
            between = _inner_maxima(a, b, windows[width - j - 1], windows[2 * width - j - 1], rise, growth, step)
            np.maximum(best, between, out=best)
    return best


def _inner_maxima(a: Array, b: Array, next_a: Array, next_b: Array, rise: Array, growth: float, step: float) -> Array:
    """Largest interior stationary value over the rows, 0 where there is none. Shape (columns,)."""
    shrink = -math.expm1(-step)  # 1 - y_{j+1} / y_j
    slope_a, slope_b = next_a - a, next_b - b
    c0 = shrink * (b - a) + slope_b - slope_a
    c1 = slope_b - (1 + growth) * slope_a
    # y = y_j r is stationary at r^2 = (c0 / c1) e^{t_j}; both c carry the same factor shrink. Only 1 - shrink < r < 1
    # lies inside; elsewhere the interval's largest value is at an end.
    reached = c0 * (1 + rise)
    row, column = np.nonzero((c1 < 0) & (reached > c1) & (reached < c1 * (1 - shrink) ** 2))
    height = rise[row, 0]
    ratio = np.sqrt(c0[row, column] / c1[row, column] * (1 + height))
    share = np.clip((1 - ratio) / shrink, 0.0, 1.0)
    q = (height + share * shrink) / (1 - share * shrink) / growth
    value = (1 - q) * (a[row, column] + share * slope_a[row, column])
    value += q * (b[row, column] + share * slope_b[row, column])
    best = np.zeros(a.shape[1])
    np.maximum.at(best, column, value)
    return best


def _take(values: Array, first: int, size: int, step: float) -> Array:
    """`values[first : first + size]`, continued by 1 - gamma on the left and 0 on the right."""
    length = len(values)
    if first >= 0 and first + size <= length:
        return values[first : first + size]
    taken = np.zeros(size)
    low, high = max(first, 0), min(first + size, length)
    if low < high:
        taken[low - first : high - first] = values[low:high]
    outside = np.arange(first, min(0, first + size)) - length // 2
    taken[: len(outside)] = -np.expm1(outside * step)
    return taken
