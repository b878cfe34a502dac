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

Not guaranteed: adaptively chosen parameters (a filter is refused). Convolutions by FFT cannot resolve delta below
1e-11.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from accounting.accountant import Opinion, split_delta
from accounting.block import block_profile
from accounting.errors import UnsupportedEventError
from accounting.event import (
    ApproxDP,
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
    ZCDPFilter,
)
from accounting.gaussian import composed_mu
from accounting.losses import convolve, from_block, power, single
from accounting.rdp import RDPAccountant
from accounting.relation import NeighboringRelation
from accounting.threshold import selection_delta

SMALLEST_DELTA = 1e-11
LARGEST_EPSILON = 300.0
MAX_SQUARED_CHANGE = 36
MAX_DISCRETE_SIGMA = 20_000.0
MAX_DISTINCT = 400
MAX_REPEATS = 1_000_000
BLOCK_STEPS = 120
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
    repeats = [*groups.values(), *blocks.values()]
    noise = math.fsum(repeats) * _FFT_NOISE
    if max(repeats, default=0) > MAX_REPEATS or noise > delta / 4:
        raise UnsupportedEventError(f"{max(repeats)} repeats of one event are beyond the accuracy of convolution.")
    scale = RDPAccountant().opinion(tree, delta).epsilon  # sets the grid, not the result
    if scale > LARGEST_EPSILON:
        raise UnsupportedEventError(f"Epsilon above {LARGEST_EPSILON} is not resolved by convolution.")
    grid = _interval(scale, groups)
    parts = [power(single(event, grid), times) for event, times in groups.items()]
    for etas, times in blocks.items():
        parts.append(power(from_block(block_profile(etas, resolution=_resolution(len(etas))), grid), times))
    log_safe = math.fsum(
        event.count * math.log1p(-_atom(event))
        for event in tree.events
        if isinstance(event, (PartitionSelection, ApproxDP))
    )
    return LossDistribution(convolve(parts), -math.expm1(log_safe), noise, sum(blocks.values()) <= 1)


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
            case PureDP() | ApproxDP():
                groups[PureDP(epsilon=event.epsilon)] += event.count
            case ZCDPFilter():
                raise UnsupportedEventError("Steps chosen from earlier outputs have no common loss distribution.")
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


def _atom(event: PartitionSelection | ApproxDP) -> float:
    """Mass at infinity of one event; for a selection from the library's own discrete Gaussian."""
    if isinstance(event, ApproxDP):
        return math.nextafter(float(event.delta), 1.0)
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
