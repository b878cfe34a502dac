"""Privacy loss distributions through dp-accounting: the tight accountant.

Every event becomes a pessimistic discrete loss distribution (connect the dots, Doroshenko et al. 2022) on one grid;
distributions convolve; epsilon is read off the result. What this file decides:

* counts are multiplied out here, because released versions of the library lose them for some events;
* continuous Gaussians are one mu, sqrt(sum of mu^2). Discrete ones join them, a provable hair wider
  (`accounting.fold`), where that costs less than `FOLD_SLACK` of the variance or where the change has too many shapes.
  Otherwise they keep their own probabilities, since the continuous curve is below theirs (1.2 % of epsilon at sigma 1,
  delta 1e-5), and |v|^2 <= N > 1 takes the pointwise maximum over all ways to write N as squares;
* exponential mechanisms enter as one block profile (`accounting.block`), convolved with all the rest;
* the grid is a fixed fraction of epsilon, coarse where everything in it is smooth, so that cost hardly depends on the
  budget.

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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from accounting.accountant import Opinion, split_delta
from accounting.block import Step, block_profile, ranges
from accounting.convolution import Losses, convolve
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
    PredictionTokens,
    PureDP,
    SparseVector,
    ZCDPFilter,
)
from accounting.fold import ONE_SHAPE, fold, smoothing, smoothing_width
from accounting.gaussian import composed_mu, discrete_gaussian_tail
from accounting.losses import from_block, gaussian, single
from accounting.rdp import RDPAccountant, divergence
from accounting.relation import NeighboringRelation
from accounting.threshold import selection_delta

SMALLEST_DELTA = 1e-11
LARGEST_EPSILON = 300.0
MAX_SQUARED_CHANGE = 36  # of a discrete Gaussian that keeps its own probabilities: more have too many shapes
MAX_DISCRETE_SIGMA = 20_000.0  # likewise: more are too many points
FOLD_SLACK = 4e-5  # of the variance of all losses, which is half as much of epsilon
FOLD_ATOM = 1e-6  # of delta
MAX_DISTINCT = 400
MAX_REPEATS = 1_000_000
BLOCK_STEPS = 120
_FFT_NOISE = 1e-15  # absolute error of one convolution, summed over the tail


@dataclass(frozen=True, slots=True, eq=False)
class LossDistribution:
    """The composed loss of a tree, atoms of partition selection apart.

    Args:
        pld: on the grid, or None for a tree without events.
        atoms: mass at infinite loss of the partition selections and of folding.
        noise: bound on the rounding of all convolutions, in units of delta.
        tight: False if accuracy was given away: several blocks of bounded-range steps, sparse vectors, a wide fold.
    """

    pld: Losses | None
    atoms: float
    noise: float
    tight: bool

    def epsilon(self, delta: float) -> float:
        """Upper bound at `delta`, relation and unit of the tree."""
        rest = split_delta(delta, self.atoms)
        if rest < SMALLEST_DELTA or self.noise > rest / 2:
            raise UnsupportedEventError("The convolution's rounding is not small against this delta.")
        return 0.0 if self.pld is None else self.pld.get_epsilon_for_delta(rest - self.noise)

    def divergence(self, order: float) -> float:
        """Renyi divergence of the finite part at `order` > 1, the larger of both directions."""
        return 0.0 if self.pld is None else self.pld.divergence(order)


class PLDAccountant:
    """Convolves loss distributions."""

    @cached_property
    def name(self) -> str:
        """Method, library and its version."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"pld/own-2+dp-accounting-{version('dp-accounting')}"
        except PackageNotFoundError:
            return "pld/own-2"

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
    groups, blocks = _groups(tree), _blocks(tree)
    if len(groups) + len(blocks) > MAX_DISTINCT:
        raise UnsupportedEventError(f"More than {MAX_DISTINCT} distinct events are not convolved.")
    scale = RDPAccountant().opinion(tree, delta).epsilon  # sets grid and slack, not the result
    if scale > LARGEST_EPSILON:
        raise UnsupportedEventError(f"Epsilon above {LARGEST_EPSILON} is not resolved by convolution.")
    variance = float(divergence(tree, np.array([2.0]))[0])
    smooth = composed_mu(tree) ** 2
    folding = _to_fold(groups, smooth, variance, FOLD_ATOM * delta)
    joint = fold(folding, atom=FOLD_ATOM * delta, smooth=smooth)
    alone = {event: times for event, times in groups.items() if (event, times) not in folding}
    repeats = [1, *alone.values(), *blocks.values()]
    noise = math.fsum(repeats) * _FFT_NOISE
    if max(repeats) > MAX_REPEATS or noise > delta / 4:
        raise UnsupportedEventError(f"{max(repeats)} repeats of one event are beyond the accuracy of convolution.")
    grid = _interval(scale, alone)
    parts = [(single(event, grid), times) for event, times in alone.items()]
    if joint.mu_squared > 0:
        parts.append((gaussian(math.sqrt(joint.mu_squared), grid), 1))
    for etas, times in blocks.items():
        spans = ranges(etas)
        share = min(1.0, times * math.fsum(eta**2 for eta in spans) / 4 / variance) if variance > 0 else 1.0
        profile = block_profile(etas, resolution=_resolution(etas, share), attained=False)
        parts.append((from_block(profile, grid), times))
    log_safe = math.fsum(
        event.count * math.log1p(-_atom(event))
        for event in tree.events
        if isinstance(event, (PartitionSelection, ApproxDP))
    )
    losses = convolve([part for part, _ in parts], [times for _, times in parts]) if parts else None
    return LossDistribution(
        losses,
        joint.atom - math.expm1(log_safe),
        noise,
        sum(blocks.values()) <= 1 and not _rounded(blocks) and joint.smoothing <= 25 * FOLD_SLACK * variance,
    )


def _to_fold(groups: Counter[Event], smooth: float, variance: float, atom: float) -> list[tuple[DiscreteGaussian, int]]:
    """Discrete Gaussians to treat as continuous: where that is next to free, and where there is no other way."""
    discrete = [(event, times) for event, times in groups.items() if isinstance(event, DiscreteGaussian)]
    s_squared = smoothing_width(discrete, atom)
    slack = FOLD_SLACK * variance
    return [
        (event, times)
        for event, times in discrete
        if event.squared_change > MAX_SQUARED_CHANGE
        or event.sigma > MAX_DISCRETE_SIGMA
        or smoothing(event, s_squared) <= (max(smooth, slack) if event.squared_change <= ONE_SHAPE else slack)
    ]


def _groups(tree: EventTree) -> Counter[Event]:
    """Equal events with their total counts, but for Gaussians and exponentials; selections by their noise."""
    groups: Counter[Event] = Counter()
    for event in tree.events:
        match event:
            case Gaussian() | Exponential() | PredictionTokens():
                continue
            case SparseVector():
                if not event.monotonic:
                    groups[PureDP(epsilon=event.epsilon)] += event.count
            case DiscreteGaussian() | PartitionSelection():
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


def _blocks(tree: EventTree) -> Counter[tuple[Step, ...]]:
    """Bounded ranges in time order, cut into blocks of at most `BLOCK_STEPS`; equal blocks are counted."""
    blocks: Counter[tuple[Step, ...]] = Counter()
    open_block: list[Step] = []
    for event in tree.events:
        if not isinstance(event, (Exponential, PredictionTokens, SparseVector)):
            continue
        if isinstance(event, SparseVector) and not event.monotonic:
            continue
        left, eta = event.count, _step(event)
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


def _step(event: Exponential | PredictionTokens | SparseVector) -> Step:
    if isinstance(event, SparseVector):
        return float(event.bounded_range), float(event.epsilon)
    return float(event.bounded_range)


def _rounded(blocks: Mapping[tuple[Step, ...], int]) -> bool:
    """Steps whose two losses fall between grid points: their certified curve may exceed what RDP proves."""
    return any(isinstance(step, tuple) for steps in blocks for step in steps)


def _resolution(steps: tuple[Step, ...], share: float) -> int:
    """Points per largest range. The excess over the truth is about 0.4 share / points^2 of epsilon, 1e-4 at most.

    But at small delta a block nearly alone comes near the sum of its ranges, where the certified curve is off by up to
    one cell. Cells of (1 + sum) / 2000 keep that within half of what `accounting.crosscheck` calls a contradiction.
    """
    etas = ranges(steps)
    if all(isinstance(step, tuple) for step in steps):  # two losses between grid points; such steps cost little
        return max(20, min(1600, 8000 // len(steps)))
    if any(isinstance(step, tuple) for step in steps):
        return max(20, min(400, 4000 // len(steps)))
    smooth = min(100, 2000 // len(etas), math.ceil(200 * share**0.75))
    return int(max(12, smooth, math.ceil(2000 * share * max(etas) / (1 + math.fsum(etas)))))


def _interval(scale: float, alone: Mapping[Event, int]) -> float:
    """Grid step, 1, 2 or 5 times a power of ten.

    1/20,000 of epsilon; 1/10,000 with discrete Gaussians alone, and fine against the narrowest; 1/2,500 where only one
    Gaussian and blocks are left. Connecting the dots adds at most a quarter of a squared step to the variance of each.
    """
    widths = [1 / float(e.sigma) for e in alone if isinstance(e, DiscreteGaussian)]
    wanted = max(scale, 1e-6) * (4e-4 if not alone else 1e-4 if len(widths) == len(alone) else 5e-5)
    if widths:
        wanted = max(min(wanted, 0.05 * min(widths)), wanted / 20)
    power = math.floor(math.log10(wanted))
    mantissa = wanted / 10**power
    return float(f"{5 if mantissa >= 5 else 2 if mantissa >= 2 else 1}e{power}")


def _atom(event: PartitionSelection | ApproxDP) -> float:
    """Mass at infinity of one event; for a selection from the library's own discrete Gaussian."""
    if isinstance(event, ApproxDP):
        return math.nextafter(float(event.delta), 1.0)
    sigma = float(event.sigma)

    def tail(_: float, start: int) -> float:
        library = None if sigma > MAX_DISCRETE_SIGMA else _noise(sigma)
        if library is None:
            return discrete_gaussian_tail(sigma, start)
        # The library cuts the noise at 11.6 sigma, where 1e-29 is left.
        return float(library.noise_cdf(-start)) * (1 + 1e-9) + 1e-29

    return selection_delta(
        sigma=sigma,
        threshold=float(event.threshold),
        squared_change=event.squared_change,
        max_keys=event.max_keys,
        tail=tail,
    )


@lru_cache(maxsize=64)
def _noise(sigma: float) -> Any:
    """The library's own discrete Gaussian; None where it is not installed."""
    try:
        from dp_accounting.pld import privacy_loss_mechanism
    except ModuleNotFoundError:
        return None
    return privacy_loss_mechanism.DiscreteGaussianPrivacyLoss(sigma)
