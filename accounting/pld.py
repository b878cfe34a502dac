"""Privacy loss distributions through dp-accounting: the tight accountant.

Every event becomes a pessimistic discrete loss distribution (connect the dots, Doroshenko et al. 2022) on one grid;
distributions convolve; epsilon is read off the result. What this file adds to the library:

* counts are multiplied out here, because released versions lose them for some events;
* continuous Gaussians fold into one mu, sqrt(sum of mu^2); discrete ones keep their own probabilities, since the
  continuous curve is below theirs (1.2 % of epsilon at sigma 1, delta 1e-5);
* an integer change vector with |v|^2 <= N > 1 takes the pointwise maximum over all ways to write N as squares;
* exponential mechanisms enter as one block profile (`accounting.block`), convolved with all the rest;
* the grid is a fixed fraction of epsilon, so that cost hardly depends on the budget.

>>> from accounting.event import DiscreteGaussian
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(DiscreteGaussian(sigma="1", l2_sensitivity="1"),))
>>> round(PLDAccountant().opinion(tree, 1e-5).epsilon, 4)
4.4302

Not guaranteed: adaptively chosen parameters; and convolutions by FFT cannot resolve delta below 1e-11.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting.accountant import Opinion, split_delta
from accounting.block import BlockProfile, block_profile
from accounting.errors import UnsupportedEventError
from accounting.event import (
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PureDP,
)
from accounting.gaussian import composed_mu
from accounting.rdp import RDPAccountant
from accounting.relation import NeighboringRelation
from accounting.threshold import selection_delta

Array = NDArray[np.float64]

SMALLEST_DELTA = 1e-11
LARGEST_EPSILON = 300.0
MAX_SQUARED_CHANGE = 36
MAX_DISCRETE_SIGMA = 20_000.0
MAX_LATTICE_CHANGE = 1_000
MAX_DISTINCT = 400
BLOCK_STEPS = 120
_TAIL = 1e-15  # mass moved to infinity by each convolution
_FFT_NOISE = 1e-15  # absolute error of one convolution, summed over the tail


@dataclass(frozen=True, slots=True, eq=False)
class LossDistribution:
    """The composed loss of a tree, atoms of partition selection apart.

    Args:
        pld: dp-accounting's distribution, or None for a tree without events.
        atoms: mass at infinite loss of the partition selections.
        noise: bound on the rounding of all convolutions, in units of delta.
        tight: False if the bounded-range steps were split into several blocks.
    """

    pld: Any
    atoms: float
    noise: float
    tight: bool

    def epsilon(self, delta: float) -> float:
        """Upper bound at `delta`, relation and unit of the tree."""
        rest = split_delta(delta, self.atoms)
        if rest < SMALLEST_DELTA or self.noise > rest / 2:
            raise UnsupportedEventError("The convolution's rounding is not small against this delta.")
        return 0.0 if self.pld is None else float(self.pld.get_epsilon_for_delta(rest - self.noise))

    def divergence(self, order: float) -> float:
        """Renyi divergence of the finite part at `order` > 1, the larger of both directions."""
        if self.pld is None:
            return 0.0
        # Pinned to dp-accounting < 0.7: the library offers no public view of the probabilities.
        sides = [self.pld._pmf_remove, self.pld._pmf_add]
        return max(_pmf_divergence(side.to_dense_pmf(), order) for side in sides)


class PLDAccountant:
    """Convolves loss distributions."""

    @cached_property
    def name(self) -> str:
        """Method, library and its version."""
        from importlib.metadata import version

        return f"pld/dp-accounting-{version('dp-accounting')}"

    def opinion(self, tree: EventTree, delta: float) -> Opinion:
        """See `accounting.accountant.Accountant`."""
        losses = compose(tree, delta)
        return Opinion(epsilon=losses.epsilon(delta), tight=losses.tight)


@lru_cache(maxsize=4)
def compose(tree: EventTree, delta: float) -> LossDistribution:
    """Loss distribution of `tree` on a grid fit for reading epsilon at `delta`.

    Raises:
        UnsupportedEventError: if an event, the delta or the size is outside what convolution can prove.
        DeltaTooSmallError: if partition selection alone spends `delta`.
    """
    if delta < SMALLEST_DELTA:
        raise UnsupportedEventError(f"Convolution by FFT cannot resolve delta below {SMALLEST_DELTA}.")
    groups = _groups(tree)
    blocks = _blocks(tree)
    if len(groups) + len(blocks) > MAX_DISTINCT:
        raise UnsupportedEventError(f"More than {MAX_DISTINCT} distinct events are not convolved.")
    scale = RDPAccountant().opinion(tree, delta).epsilon  # sets the grid, not the result
    if scale > LARGEST_EPSILON:
        raise UnsupportedEventError(f"Epsilon above {LARGEST_EPSILON} is not resolved by convolution.")
    grid = _interval(scale, groups)
    parts: list[Any] = []
    noise = 0.0
    for event, times in groups.items():
        parts.append(_power(_single(event, tree.relation, grid), times))
        noise += times * _FFT_NOISE
    for etas, times in blocks.items():
        parts.append(_power(_from_block(block_profile(etas, resolution=_resolution(len(etas))), grid), times))
        noise += times * _FFT_NOISE
    log_safe = math.fsum(
        event.count * math.log1p(-_atom(event)) for event in tree.events if isinstance(event, PartitionSelection)
    )
    return LossDistribution(_convolve(parts), -math.expm1(log_safe), noise, sum(blocks.values()) <= 1)


def _groups(tree: EventTree) -> Counter[Event]:
    """Equal events with their total counts; one Gaussian for all; no exponentials; selections by their noise."""
    groups: Counter[Event] = Counter()
    mu = composed_mu(tree)
    if mu:
        groups[_gaussian_of(mu)] = 1
    for event in tree.events:
        match event:
            case Gaussian() | Exponential():
                continue
            case DiscreteGaussian() | PartitionSelection():
                _check_discrete(event)
                groups[DiscreteGaussian(sigma=event.sigma, l2_sensitivity=event.l2_sensitivity)] += event.count
            case Laplace():
                groups[Laplace(scale=event.scale, l1_sensitivity=event.l1_sensitivity)] += event.count
            case DiscreteLaplace():
                groups[DiscreteLaplace(scale=event.scale, l1_sensitivity=event.l1_sensitivity)] += event.count
            case PureDP():
                groups[PureDP(epsilon=event.epsilon)] += event.count
            case PoissonSampled():
                if tree.relation is NeighboringRelation.REPLACE_ONE:
                    raise UnsupportedEventError("Poisson sampling is accounted under add_remove and zero_out only.")
                groups[PoissonSampled(probability=event.probability, event=event.event)] += event.count
    return groups


def _blocks(tree: EventTree) -> Counter[tuple[float, ...]]:
    """Bounded ranges in time order, cut into blocks of at most `BLOCK_STEPS`; equal blocks are counted."""
    blocks: Counter[tuple[float, ...]] = Counter()
    open_block: list[float] = []
    for event in tree.events:
        if not isinstance(event, Exponential):
            continue
        left, eta = event.count, float(event.bounded_range)
        while left:
            if not open_block and left >= BLOCK_STEPS:
                blocks[(eta,) * BLOCK_STEPS] += left // BLOCK_STEPS
                left %= BLOCK_STEPS
                continue
            taken = min(left, BLOCK_STEPS - len(open_block))
            open_block.extend([eta] * taken)
            left -= taken
            if len(open_block) == BLOCK_STEPS:
                blocks[tuple(open_block)] += 1
                open_block = []
    if open_block:
        blocks[tuple(open_block)] += 1
    return blocks


def _resolution(steps: int) -> int:
    return max(16, min(100, 2000 // steps))


def _interval(scale: float, groups: Counter[Event]) -> float:
    """Grid step: 1/20,000 of epsilon, and fine against the narrowest Gaussian loss; 1, 2 or 5 times a power of ten."""
    wanted = max(scale, 1e-6) * 5e-5
    widths = [1 / float(e.sigma) for e in groups if isinstance(e, DiscreteGaussian)]
    if widths:
        wanted = max(min(wanted, 0.1 * min(widths)), wanted / 10)
    power = math.floor(math.log10(wanted))
    mantissa = wanted / 10**power
    return float(f"{5 if mantissa >= 5 else 2 if mantissa >= 2 else 1}e{power}")


def _gaussian_of(mu: float) -> Gaussian:
    from accounting.decimals import decimal_up

    return Gaussian(sigma=1, l2_sensitivity=decimal_up(mu, 40))  # type: ignore[arg-type]


def _check_discrete(event: DiscreteGaussian | PartitionSelection) -> None:
    if event.squared_change > MAX_SQUARED_CHANGE:
        raise UnsupportedEventError(f"Squared changes above {MAX_SQUARED_CHANGE} are left to zCDP: too many shapes.")
    if event.sigma > MAX_DISCRETE_SIGMA:
        raise UnsupportedEventError(f"Discrete Gaussians above sigma {MAX_DISCRETE_SIGMA} are left to zCDP.")


@lru_cache(maxsize=512)
def _single(event: Event, relation: NeighboringRelation, grid: float) -> Any:
    """Loss distribution of one use of `event`; `relation` is part of the key, sensitivities already speak of it."""
    from dp_accounting.pld import common
    from dp_accounting.pld import privacy_loss_distribution as library

    del relation
    match event:
        case Gaussian():
            mu = float(event.l2_sensitivity / event.sigma)
            return library.from_gaussian_mechanism(1 / mu, value_discretization_interval=grid)
        case DiscreteGaussian():
            return _discrete_gaussian(float(event.sigma), event.squared_change, grid)
        case Laplace():
            scale = float(event.scale / event.l1_sensitivity)
            return library.from_laplace_mechanism(scale, value_discretization_interval=grid)
        case DiscreteLaplace():
            return _discrete_laplace(float(event.scale), event.change, grid)
        case PureDP():
            loss = common.DifferentialPrivacyParameters(float(event.epsilon), 0.0)
            return library.from_privacy_parameters(loss, value_discretization_interval=grid)
        case PoissonSampled():
            sigma = float(event.event.sigma / event.event.l2_sensitivity)
            return library.from_gaussian_mechanism(
                sigma, value_discretization_interval=grid, sampling_prob=float(event.probability)
            )
        case _:
            raise UnsupportedEventError("This event has no loss distribution of its own.")


def _discrete_laplace(scale: float, change: int, grid: float) -> Any:
    """One count that changes by `change`; very large changes by randomized response, which dominates."""
    from dp_accounting.pld import common
    from dp_accounting.pld import privacy_loss_distribution as library

    if change > MAX_LATTICE_CHANGE:
        loss = common.DifferentialPrivacyParameters(change / scale, 0.0)
        return library.from_privacy_parameters(loss, value_discretization_interval=grid)
    return library.from_discrete_laplace_mechanism(
        1 / scale, change, value_discretization_interval=grid, use_connect_dots=True
    )


def _discrete_gaussian(sigma: float, squared_change: int, grid: float) -> Any:
    """Pointwise worst profile over integer vectors with squared norm `squared_change`, smaller ones being dominated."""
    shapes = _sums_of_squares(squared_change)
    coordinates = {v: _one_coordinate(sigma, v, grid) for v in range(1, math.isqrt(squared_change) + 1)}
    plds = [_convolve([_power(coordinates[v], shape.count(v)) for v in sorted(set(shape))]) for shape in shapes]
    if len(plds) == 1:
        return plds[0]
    dense = [pld._pmf_remove.to_dense_pmf() for pld in plds]
    low = min(pmf._lower_loss for pmf in dense)
    high = max(pmf._lower_loss + pmf.size - 1 for pmf in dense)
    return _from_profile(grid, low, np.max([_profile(pmf, grid, low, high) for pmf in dense], axis=0))


def _one_coordinate(sigma: float, change: int, grid: float) -> Any:
    """One count that changes by `change`: loss (change^2 + 2 change j) / (2 sigma^2) with the noise's own Pr[j].

    The library's constructor rounds every loss up, half a grid step on average; the split below does not.
    """
    furthest = math.ceil(9.5 * sigma) + change + 1
    j = np.arange(-furthest, furthest + 1, dtype=np.float64)
    masses = np.exp(-0.5 * (j / sigma) ** 2)
    masses /= masses.sum()
    return _from_atoms((change**2 + 2 * change * j) / (2 * sigma**2), masses, 1e-20, grid)


def _sums_of_squares(total: int, largest: int | None = None) -> list[tuple[int, ...]]:
    """All multisets of positive integers whose squares sum to `total`.

    >>> _sums_of_squares(5)
    [(2, 1), (1, 1, 1, 1, 1)]
    """
    if total == 0:
        return [()]
    top = min(math.isqrt(total), largest or total)
    return [(v, *rest) for v in range(top, 0, -1) for rest in _sums_of_squares(total - v * v, v)]


def _profile(pmf: Any, grid: float, low: int, high: int) -> Array:
    """delta at each grid epsilon low..high: sum of masses above it times 1 - e^(eps - loss), positive terms only."""
    from scipy.signal import lfilter

    masses = np.zeros(high - low + 1)
    start = pmf._lower_loss - low
    masses[start : start + pmf.size] = np.maximum(pmf._probs, 0.0)
    weights = lfilter([1.0], [1.0, -math.exp(-grid)], masses[::-1])
    above = np.concatenate([[0.0], np.cumsum(weights)[:-1]])[::-1]
    return float(pmf._infinity_mass) - math.expm1(-grid) * above


def _from_block(profile: BlockProfile, grid: float) -> Any:
    """The certified profile's chords are themselves a loss distribution, with atoms at multiples of its own step."""
    losses, masses, beyond = profile.atoms()
    kept = np.flatnonzero(masses > 1e-18)
    return _from_atoms(losses[kept], masses[kept], beyond + 1e-18 * len(losses), grid)


def _from_atoms(losses: Array, masses: Array, beyond: float, grid: float) -> Any:
    """Connect the dots for atoms: each is split between its grid neighbours so that its mass under both tables stays.

    With share x at the upper neighbour, x e^-high + (1 - x) e^-low = e^-loss; `beyond` is the mass at infinity.
    """
    from dp_accounting.pld import pld_pmf, privacy_loss_distribution

    below = np.floor(losses / grid)
    share = np.clip(np.expm1(below * grid - losses) / math.expm1(-grid), 0.0, 1.0)
    index = (below - below.min()).astype(np.int64)
    probabilities = np.bincount(index, masses * (1 - share), minlength=int(index.max()) + 2)
    probabilities += np.bincount(index + 1, masses * share, minlength=len(probabilities))
    pmf = pld_pmf.DensePLDPmf(grid, int(below.min()), probabilities, beyond, True)
    return privacy_loss_distribution.PrivacyLossDistribution(pmf)


def _from_profile(grid: float, low: int, deltas: Array) -> Any:
    from dp_accounting.pld import pld_pmf, privacy_loss_distribution

    falling = np.clip(np.minimum.accumulate(deltas), 0.0, 1.0)
    pmf = pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(grid, low, low + len(falling) - 1, falling)
    return privacy_loss_distribution.PrivacyLossDistribution(pmf)


def _power(pld: Any, times: int) -> Any:
    return pld if times == 1 else pld.self_compose(times, _TAIL)


def _convolve(parts: list[Any]) -> Any:
    """Smallest first, as in a Huffman tree, so that the long distributions are touched least."""
    order = count()
    queue = [(part._pmf_remove.size, next(order), part) for part in parts]
    heapq.heapify(queue)
    while len(queue) > 1:
        first, second = heapq.heappop(queue)[2], heapq.heappop(queue)[2]
        joined = first.compose(second, _TAIL)
        heapq.heappush(queue, (joined._pmf_remove.size, next(order), joined))
    return queue[0][2] if queue else None


def _atom(event: PartitionSelection) -> float:
    """Mass at infinity of one selection, from the library's own discrete Gaussian."""
    sigma = float(event.sigma)

    def tail(_: float, start: int) -> float:
        # The library cuts the noise at 11.6 sigma, where 1e-29 is left.
        return float(_noise(sigma).noise_cdf(-start)) * (1 + 1e-9) + 1e-29

    return selection_delta(
        sigma=sigma,
        threshold=float(event.threshold),
        squared_change=event.squared_change,
        max_keys=event.max_keys,
        tail=tail,
    )


@lru_cache(maxsize=64)
def _noise(sigma: float) -> Any:
    from dp_accounting.pld import privacy_loss_mechanism

    return privacy_loss_mechanism.DiscreteGaussianPrivacyLoss(sigma)


def _pmf_divergence(pmf: Any, order: float) -> float:
    losses = (np.arange(pmf.size) + pmf._lower_loss) * pmf._discretization
    exponents = (order - 1) * losses
    peak = float(exponents.max())
    return (peak + math.log(float(np.dot(np.maximum(pmf._probs, 0.0), np.exp(exponents - peak))))) / (order - 1)
