"""Seeded event trees over every kind of event: what the laws of accounting are held to.

Parameters are drawn on a logarithmic scale to three digits, so hardly two trees share one. Add a new kind of event as
one entry of `KINDS`; `tests/accounting/test_random_trees.py` fails while the closed set has a kind that is not here.
"""

import math
from decimal import Decimal

import numpy as np

from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    DiscreteLaplace,
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
from accounting.relation import NeighboringRelation, PrivacyUnit


def between(rng, low, high):
    """Three digits, uniform in the logarithm."""
    return Decimal(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.3g}")


def one_of(rng, *values):
    return values[int(rng.integers(len(values)))]


def few(rng):
    return int(rng.integers(1, 7))


def _gaussian(rng):
    return Gaussian(sigma=between(rng, 1, 40), l2_sensitivity=between(rng, 0.3, 3), count=few(rng))


def _discrete_gaussian(rng):
    change = one_of(rng, "1", "1", "1", "1.414214", "2")
    return DiscreteGaussian(sigma=between(rng, 1, 20), l2_sensitivity=change, count=few(rng))


def _laplace(rng):
    return Laplace(scale=between(rng, 0.8, 50), l1_sensitivity=between(rng, 0.3, 2), count=few(rng))


def _discrete_laplace(rng):
    return DiscreteLaplace(scale=between(rng, 0.8, 50), l1_sensitivity=one_of(rng, "1", "2", "3"), count=few(rng))


def _exponential(rng):
    return Exponential(bounded_range=between(rng, 0.02, 1.5), count=few(rng))


def _pure(rng):
    return PureDP(epsilon=between(rng, 0.02, 1), count=few(rng))


def _approx(rng):
    return ApproxDP(epsilon=between(rng, 0.02, 1), delta=between(rng, 1e-13, 3e-9), count=few(rng))


def _selection(rng):
    sigma = between(rng, 3, 12)
    return PartitionSelection(
        sigma=sigma,
        threshold=Decimal(int(sigma * one_of(rng, 7, 8, 9))),
        l2_sensitivity=one_of(rng, "1", "2"),
        max_keys=int(rng.integers(1, 5)),
        count=few(rng),
    )


def _sampled(rng):
    inner = Gaussian(sigma=between(rng, 0.8, 6), l2_sensitivity=one_of(rng, "1", "0.5"))
    return PoissonSampled(probability=one_of(rng, "0.01", "0.05", "0.3"), event=inner, count=few(rng))


def _filter(rng):
    return ZCDPFilter(rho=between(rng, 1e-4, 0.4), count=int(rng.integers(1, 3)))


def _sparse(rng):
    return SparseVector(
        threshold_scale=between(rng, 3, 60),
        query_scale=between(rng, 6, 120),
        sensitivity=between(rng, 0.3, 1),
        positives=int(rng.integers(1, 4)),
        monotonic=bool(rng.integers(2)),
        count=few(rng),
    )


def _tokens(rng):
    return PredictionTokens(
        relation=NeighboringRelation.ADD_REMOVE,
        clip=between(rng, 0.1, 1),
        batch_size=int(rng.integers(4, 40)),
        temperature=between(rng, 0.8, 1.5),
        batch="summed",  # the law that blanking costs what adding costs holds for these alone
        rows_per_unit=1,
        count=few(rng),
    )


KINDS = {
    Gaussian: _gaussian,
    DiscreteGaussian: _discrete_gaussian,
    Laplace: _laplace,
    DiscreteLaplace: _discrete_laplace,
    Exponential: _exponential,
    PureDP: _pure,
    ApproxDP: _approx,
    PartitionSelection: _selection,
    PoissonSampled: _sampled,
    ZCDPFilter: _filter,
    SparseVector: _sparse,
    PredictionTokens: _tokens,
}
RARE = {PoissonSampled: 0.15, ZCDPFilter: 0.5}  # the first is slow to price, the second silences the loss distributions


def tree(*events, relation=NeighboringRelation.ADD_REMOVE, unit=None):
    return EventTree(relation=relation, unit=unit or PrivacyUnit(), events=events)


def random_trees(number, seed, kinds=tuple(KINDS)):
    """`number` distinct trees of one to four events."""
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = np.array([RARE.get(kind, 1.0) for kind in kinds])
    found = {}
    while len(found) < number:
        size = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))
        drawn = rng.choice(len(kinds), size=size, p=weights / weights.sum())
        made = tree(*(KINDS[kinds[at]](rng) for at in drawn))
        found.setdefault(made.digest(), made)
    return list(found.values())
