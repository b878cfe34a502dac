"""The privacy loss distribution of one event, pessimistic on a given grid.

Where dp-accounting is tight and the curve has no closed form it is used as it is (sampled Gaussian). Built here:

* Gaussian: the profile at the grid points, in one array operation instead of a loop;
* discrete Gaussian: the library rounds each loss up, half a grid step on average, 1.5 % of epsilon over 105 tables;
  an integer change vector with |v|^2 = N > 1 takes the pointwise worst profile over all ways to write N as squares;
* Laplace, continuous and discrete: the closed form and the atoms themselves;
* pure epsilon: the library rounds both losses up, 0.1 % of epsilon over 100 uses;
* bounded-range blocks, which no library has (`accounting.block`).

An atom between two grid points is split so that both tables keep their mass: that is connect the dots (Doroshenko,
Ghazi, Kamath, Kumar and Manurangsi 2022, arXiv 2207.04380) for discrete losses, and never optimistic.

>>> from accounting.event import Laplace
>>> losses = single(Laplace(scale="1", l1_sensitivity="1"), 1e-4)
>>> round(losses.get_delta_for_epsilon(0.5), 6)
0.221199

Not guaranteed: anything about events whose loss distribution depends on the relation; `accounting.pld` refuses those.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from accounting.block import BlockProfile
from accounting.convolution import TAIL, Array, GridLosses, Losses, convolve, power, symmetric
from accounting.errors import UnsupportedEventError
from accounting.event import DiscreteGaussian, DiscreteLaplace, Event, Gaussian, Laplace, PoissonSampled, PureDP

__all__ = ["can_sample", "convolve", "from_block", "from_library", "gaussian", "power", "single"]

MAX_LATTICE_CHANGE = 1_000
TRUNCATED = 1e-20  # more than a discrete Gaussian holds beyond 10 sigma


@lru_cache(maxsize=512)
def single(event: Event, grid: float) -> Losses:
    """Loss distribution of one use of `event` on multiples of `grid`, relation and unit of its sensitivity.

    Raises:
        UnsupportedEventError: for events that enter as a block or as parts.
    """
    match event:
        case Gaussian():
            return gaussian(float(event.l2_sensitivity / event.sigma), grid)
        case DiscreteGaussian():
            return _discrete_gaussian(float(event.sigma), event.squared_change, grid)
        case Laplace():
            return _laplace(float(event.l1_sensitivity / event.scale), grid)
        case DiscreteLaplace():
            return _discrete_laplace(float(event.scale), event.change, grid)
        case PureDP():
            return _randomized_response(float(event.epsilon), grid)
        case PoissonSampled():
            library = _library()
            sigma = float(event.event.sigma / event.event.l2_sensitivity)
            q = float(event.probability)
            return from_library(
                library.from_gaussian_mechanism(sigma, value_discretization_interval=grid, sampling_prob=q)
            )
        case _:
            raise UnsupportedEventError("This event has no loss distribution of its own.")


def can_sample() -> bool:
    """Whether sampled steps have a loss distribution here: whether dp-accounting is installed."""
    try:
        _library()
    except UnsupportedEventError:
        return False
    return True


def _library() -> Any:
    """The part of dp-accounting that is used; without it what needs it has no loss distribution."""
    try:
        from dp_accounting.pld import privacy_loss_distribution as library
    except ModuleNotFoundError:
        raise UnsupportedEventError("Sampled noise needs dp-accounting, which is not installed.") from None
    return library


def from_library(pld: Any) -> Losses:
    """A distribution of dp-accounting as ours; pinned below 0.7, as the library has no public view of its masses."""
    sides = [
        GridLosses(
            grid=float(dense._discretization),
            low=int(dense._lower_loss),
            masses=np.maximum(np.asarray(dense._probs, dtype=np.float64), 0.0),
            infinite=float(dense._infinity_mass),
        )
        for dense in (pld._pmf_remove.to_dense_pmf(), pld._pmf_add.to_dense_pmf())
    ]
    return symmetric(sides[0]) if pld._pmf_remove is pld._pmf_add else Losses(remove=sides[0], add=sides[1])


def gaussian(mu: float, grid: float) -> Losses:
    """Continuous noise of `mu` standard deviations: the profile's dots at losses >= 0, the rest by symmetry.

    Exchanging the tables maps the mass at -l to e^-l times the mass at l. Beyond 9.4 standard deviations less than
    1e-20 is left.
    """
    from scipy.special import log_ndtr, ndtr

    losses = np.arange(max(2, math.ceil((mu**2 / 2 + 9.4 * mu) / grid)) + 1) * grid
    deltas = ndtr(mu / 2 - losses / mu) - np.exp(losses + log_ndtr(-mu / 2 - losses / mu))
    deltas = np.minimum.accumulate(np.maximum(deltas, 0.0))
    before = -math.expm1(-grid) + math.exp(-grid) * deltas[1]  # the profile one step below zero
    masses = _masses(np.concatenate([[before], deltas]), grid)[1:]
    mirrored = (masses * np.exp(-losses))[:0:-1]
    infinite = float(deltas[-1]) + 1e-15
    return symmetric(
        GridLosses(grid=grid, low=1 - len(losses), masses=np.concatenate([mirrored, masses]), infinite=infinite)
    )


def _randomized_response(epsilon: float, grid: float) -> Losses:
    """Losses epsilon and -epsilon: dominates everything epsilon-DP (Kairouz, Oh and Viswanath 2015)."""
    losses = np.array([-epsilon, epsilon])
    return _from_atoms(losses, 1 / (1 + np.exp(-losses)), 0.0, grid)


def _laplace(epsilon: float, grid: float) -> Losses:
    """Continuous noise of scale 1/epsilon a change: delta(eps) = 1 - e^((eps - epsilon) / 2) within epsilon of zero."""
    low = -math.ceil(epsilon / grid) - 1
    losses = np.arange(low, 1 - low) * grid
    inner = -np.expm1((np.minimum(losses, epsilon) - epsilon) / 2)
    return _from_profile(grid, low, np.where(losses < -epsilon, -np.expm1(losses), inner))


def _discrete_laplace(scale: float, change: int, grid: float) -> Losses:
    """One count that changes by `change`: losses (change - 2 x) / scale; of very large ones randomized response."""
    if change > MAX_LATTICE_CHANGE:
        return _randomized_response(change / scale, grid)
    x = np.arange(change + 1) * 1.0
    masses = np.exp(-x / scale) / (1 + math.exp(-1 / scale))
    masses[1:-1] = masses[1:-1] * -math.expm1(-1 / scale)
    losses = np.asarray((change - 2.0 * x) / scale, dtype=np.float64)
    return _from_atoms(losses, masses, 0.0, grid)


def _discrete_gaussian(sigma: float, squared_change: int, grid: float) -> Losses:
    """Pointwise worst profile over integer vectors of squared norm `squared_change`, which dominate shorter ones.

    The loss of vector v is the sum over its coordinates; for each v it has mean |v|^2 / (2 sigma^2) and is sub-Gaussian
    with |v| / sigma, so that one circular convolution on 10 standard deviations either side serves all vectors; what
    wraps around is below 1e-21.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    shapes = _sums_of_squares(squared_change)
    if len(shapes) == 1 and squared_change == 1:
        return _from_atoms(*_coordinate(sigma, 1), TRUNCATED, grid)
    mean, spread = squared_change / (2 * sigma**2), math.sqrt(squared_change) / sigma
    low = math.floor((mean - 10 * spread) / grid) - squared_change
    size = next_fast_len(2 * math.ceil(10 * spread / grid) + 2 * squared_change + 2, real=True)
    spectra = {}
    for v in range(1, math.isqrt(squared_change) + 1):
        start, masses = _split(*_coordinate(sigma, v), grid)
        circle = np.bincount((np.arange(len(masses)) + start) % size, masses, minlength=size)
        spectra[v] = rfft(circle)
    worst = np.zeros(size)
    for shape in shapes:
        spectrum = math.prod(spectra[v] ** shape.count(v) for v in set(shape))
        np.maximum(worst, _deltas(np.roll(irfft(spectrum, size), -low), grid), out=worst)
    beyond = squared_change * TRUNCATED + TAIL
    return _from_profile(grid, low, worst + beyond)


def _coordinate(sigma: float, change: int) -> tuple[Array, Array]:
    """Losses (change^2 + 2 change j) / (2 sigma^2) of one count that changes by `change`, and their Pr[j].

    The library's constructor would round every loss up, half a grid step on average; splitting atoms does not.
    """
    furthest = math.ceil(10 * sigma) + change + 1
    j = np.arange(-furthest, furthest + 1, dtype=np.float64)
    masses = np.exp(-0.5 * (j / sigma) ** 2)
    return (change**2 + 2 * change * j) / (2 * sigma**2), masses / masses.sum()


def _sums_of_squares(total: int, largest: int | None = None) -> list[tuple[int, ...]]:
    """All multisets of positive integers whose squares sum to `total`.

    >>> _sums_of_squares(5)
    [(2, 1), (1, 1, 1, 1, 1)]
    """
    if total == 0:
        return [()]
    top = min(math.isqrt(total), largest or total)
    return [(v, *rest) for v in range(top, 0, -1) for rest in _sums_of_squares(total - v * v, v)]


def _deltas(masses: Array, grid: float) -> Array:
    """Delta at each of the masses' own losses: sum of masses above times 1 - e^(eps - loss), no subtraction."""
    from scipy.signal import lfilter

    weights = lfilter([1.0], [1.0, -math.exp(-grid)], np.maximum(masses[::-1], 0.0))
    above = np.concatenate([[0.0], np.cumsum(weights)[:-1]])[::-1]
    return np.asarray(-math.expm1(-grid) * above)


def from_block(profile: BlockProfile, grid: float) -> Losses:
    """The certified profile's chords are themselves a loss distribution, with atoms at multiples of its own step."""
    losses, masses, beyond = profile.atoms()
    kept = np.flatnonzero(masses > 1e-18)
    return _from_atoms(losses[kept], masses[kept], beyond + 1e-18 * len(losses), grid)


def _from_atoms(losses: Array, masses: Array, beyond: float, grid: float) -> Losses:
    """Distribution of atoms on the grid, with `beyond` at infinity."""
    low, split = _split(losses, masses, grid)
    return symmetric(GridLosses(grid=grid, low=low, masses=split, infinite=beyond))


def _split(losses: Array, masses: Array, grid: float) -> tuple[int, Array]:
    """Connect the dots for atoms: each goes to its two grid neighbours so that both tables keep their mass.

    With share x at the upper neighbour, x e^-high + (1 - x) e^-low = e^-loss. Returns the lowest grid index and the
    masses from there on.
    """
    below = np.floor(losses / grid)
    share = np.clip(np.expm1(below * grid - losses) / math.expm1(-grid), 0.0, 1.0)
    index = (below - below.min()).astype(np.int64)
    split: Array = np.bincount(index, masses * (1 - share), minlength=int(index.max()) + 2).astype(np.float64)
    return int(below.min()), split + np.bincount(index + 1, masses * share, minlength=len(split))


def _from_profile(grid: float, low: int, deltas: Array) -> Losses:
    """Connect the dots: delta at consecutive multiples of `grid` from `low` on, joined linearly in e^epsilon."""
    falling = np.clip(np.minimum.accumulate(deltas), 0.0, 1.0)
    masses = _masses(falling, grid)
    masses[0] = max(0.0, 1 - float(falling[-1]) - float(masses[1:].sum()))
    return symmetric(GridLosses(grid=grid, low=low, masses=masses, infinite=float(falling[-1])))


def _masses(deltas: Array, grid: float) -> Array:
    """Mass of each dot but the first, from the change of slope there. Shape as `deltas`, the first entry 0."""
    falls = np.diff(deltas)
    masses = np.zeros(len(deltas))
    masses[1:-1] = (falls[1:] - falls[:-1] * math.exp(grid)) / math.expm1(grid)
    masses[-1] = falls[-1] / math.expm1(-grid)
    return np.maximum(masses, 0.0)
