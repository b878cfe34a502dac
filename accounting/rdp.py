"""Renyi DP: the second opinion, own numpy code that shares nothing with dp-accounting.

Each event gives an upper bound on the Renyi divergence D_alpha at every order alpha > 1; bounds at one order add up,
also under adaptive choice (Mironov 2017). Epsilon is the best order's conversion (Canonne, Kamath and Steinke 2020,
Proposition 12):

    eps = D_alpha + (log(1/delta) + (alpha - 1) log(1 - 1/alpha) - log alpha) / (alpha - 1)

Where a loss is tiny the logarithm of a mean near one cancels: every curve is raised by its rounding, and is never above
zCDP's line alpha rho, which is as good there. Poisson sampling follows Mironov, Talwar and Zhang 2019: the binomial sum
at integer orders, quadrature of the same integral between them. Partition selection is approximate DP: its atom is
taken from delta first.

>>> from accounting.relation import PrivacyUnit
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Exponential(bounded_range="0.05", count=50),))
>>> round(RDPAccountant().opinion(tree, 1e-5).epsilon, 4)
0.6875

Not guaranteed: tightness. This bound may exceed the truth by a tenth; it is never below.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from accounting.accountant import Opinion, split_delta
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
from accounting.relation import NeighboringRelation
from accounting.zcdp import total_atoms

Array = NDArray[np.float64]

_CLOSED_ORDERS = 1 + np.logspace(-3, 7, 241)
_SAMPLED_ORDERS = np.concatenate([1 + np.logspace(-2, 1, 46), np.arange(12.0, 256.0), np.arange(256.0, 2049.0, 64.0)])
_NARROW_ORDER = 40.0  # from here on integer orders are dense enough
_MAX_LATTICE_SHIFT = 4096
_ROUNDING = 2e-15  # of the logarithm of a mean, for each nat of its largest exponent and one more


class RDPAccountant:
    """Sums Renyi divergences order by order."""

    name = "rdp/own-1"

    def opinion(self, tree: EventTree, delta: float) -> Opinion:
        """See `accounting.accountant.Accountant`."""
        if not tree.events:
            return Opinion(epsilon=0.0)
        if delta <= 0:
            return Opinion(epsilon=float(divergence(tree, np.array([math.inf]))[0]))
        rest = split_delta(delta, total_atoms(tree))
        sampled = any(isinstance(event, PoissonSampled) for event in tree.events)
        orders = _SAMPLED_ORDERS if sampled else _CLOSED_ORDERS
        epsilons = _convert(divergence(tree, orders), orders, rest)
        while True:
            best = int(np.argmin(epsilons))
            low, high = orders[max(best - 1, 0)], orders[min(best + 1, len(orders) - 1)]
            if high - low <= (1e-2 if sampled else 1e-4) * (high - 1) or (sampled and low > _NARROW_ORDER):
                break
            orders = 1 + np.geomspace(low - 1, high - 1, 17 if sampled else 33)
            epsilons = _convert(divergence(tree, orders), orders, rest)
        return Opinion(epsilon=max(0.0, float(epsilons.min())))


def divergence(tree: EventTree, orders: Array) -> Array:
    """Upper bound on D_alpha of the whole tree, atoms of partition selection apart.

    Args:
        tree: events; each is added `count` times.
        orders: alpha > 1, shape (n,); infinity allowed.

    Returns:
        Divergence in nats, shape (n,), relation and unit of the tree.
    """
    total = np.zeros(len(orders))
    for event in tree.events:
        total += event.count * _curve(event, tree.relation, orders)
    return total


def attained_divergence(tree: EventTree, order: float) -> float:
    """D_alpha that some pair of neighbours really attains: a floor for every other accountant's loss distribution."""
    total = 0.0
    for event in tree.events:
        match event:
            case DiscreteGaussian() | PartitionSelection():
                # One count that changes by one is always a possible neighbour.
                total += event.count * _discrete_gaussian_exact(float(event.sigma), order)
            case DiscreteLaplace() if event.change > _MAX_LATTICE_SHIFT:
                continue
            case SparseVector():
                total += event.count * _one_question(event, order)
            case _:
                total += event.count * float(_curve(event, tree.relation, np.array([order]))[0])
    return total


def _curve(event: Event, relation: NeighboringRelation, orders: Array) -> Array:
    match event:
        case Gaussian():
            return orders * float(event.l2_sensitivity / event.sigma) ** 2 / 2
        case DiscreteGaussian() | PartitionSelection():
            return orders * event.squared_change / (2 * float(event.sigma) ** 2)
        case Laplace():
            return _laplace(float(event.l1_sensitivity / event.scale), orders)
        case DiscreteLaplace():
            return _discrete_laplace(float(event.scale), event.change, orders)
        case PureDP() | ApproxDP():
            return _randomized_response(float(event.epsilon), orders)
        case Exponential() | PredictionTokens():
            return _bounded_range(float(event.bounded_range), orders)
        case SparseVector():
            return _two_ends(float(event.epsilon), float(event.bounded_range), orders)
        case ZCDPFilter():
            return orders * float(event.rho)  # attained by one continuous Gaussian of mu^2 = 2 rho
        case PoissonSampled():
            if relation is NeighboringRelation.REPLACE_ONE:
                raise UnsupportedEventError(
                    "Poisson sampling under replace_one has no accountant here: its loss is not that of add_remove.",
                    "State the run under add_remove or zero_out, with the sensitivity of that relation.",
                )
            return _sampled(float(event.probability), float(event.event.l2_sensitivity / event.event.sigma), orders)


def _convert(divergences: Array, orders: Array, delta: float) -> Array:
    excess = orders - 1
    converted: Array = divergences + (-math.log(delta) + excess * np.log1p(-1 / orders) - np.log(orders)) / excess
    return converted


def _raised(divergences: Array, orders: Array, largest: float, rho: float) -> Array:
    """A computed curve with its rounding on top, or zCDP's line where that is lower; losses are at most `largest`."""
    finite = np.where(np.isinf(orders), 2.0, orders)
    rounding = _ROUNDING * (1 / (finite - 1) + largest)
    return np.asarray(np.where(np.isinf(orders), divergences, np.minimum(divergences + rounding, orders * rho)))


def _power_sum(log_p: Array, losses: Array, orders: Array) -> Array:
    """D_alpha of a pair with losses of probability exp(log_p): log E[exp((alpha - 1) L)] / (alpha - 1)."""
    finite = np.where(np.isinf(orders), 2.0, orders)  # D_infinity is the largest loss, put in at the end
    exponents = log_p[None, :] + (finite - 1)[:, None] * losses[None, :]
    peak = exponents.max(axis=1)
    divergences = (peak + np.log(np.exp(exponents - peak[:, None]).sum(axis=1))) / (finite - 1)
    return np.asarray(np.where(np.isinf(orders), losses.max(), divergences))


def _laplace(eps: float, orders: Array) -> Array:
    """Mironov 2017, Proposition 6: density losses integrate to the two exponentials."""
    finite = np.where(np.isinf(orders), 2.0, orders)
    first = np.log(finite / (2 * finite - 1)) + (finite - 1) * eps
    second = np.log((finite - 1) / (2 * finite - 1)) - finite * eps
    curve = np.where(np.isinf(orders), eps, np.logaddexp(first, second) / (finite - 1))
    return _raised(curve, orders, eps, eps**2 / 2)


def _discrete_laplace(scale: float, change: int, orders: Array) -> Array:
    """Losses (change - 2 x) / scale: one shifted coordinate dominates any vector of the same L1 norm."""
    if change > _MAX_LATTICE_SHIFT:
        return _randomized_response(change / scale, orders)
    x: Array = np.arange(change + 1, dtype=np.float64)
    log_q = -1 / scale
    log_p = x * log_q - math.log1p(math.exp(log_q))
    log_p[1:-1] += math.log(-math.expm1(log_q))
    largest = change / scale
    return _raised(_power_sum(log_p, (change - 2.0 * x) / scale, orders), orders, largest, largest**2 / 2)


def _randomized_response(eps: float, orders: Array) -> Array:
    log_yes = -math.log1p(math.exp(-eps))
    curve = _power_sum(np.array([log_yes, log_yes - eps]), np.array([eps, -eps]), orders)
    return _raised(curve, orders, eps, eps**2 / 2)


def _two_ends(eps: float, span: float, orders: Array) -> Array:
    """Losses of one pair lie in [eps - span, eps], or with the tables exchanged; at worst at both ends of it.

    By the chord of y^(1 - alpha) on [e^-high, e^-low], with E[y] = 1: Pr[high] = (1 - e^low) / (1 - e^(low - high)).
    """
    worst = np.zeros(len(orders))
    for high, low in ((eps, eps - span), (span - eps, -eps)):
        span_log = math.log(-math.expm1(low - high))
        log_p = np.array([math.log(-math.expm1(low)), low + math.log(-math.expm1(-high))]) - span_log
        worst = np.maximum(worst, _power_sum(log_p, np.array([high, low]), orders))
    return _raised(worst, orders, eps, min(span**2 / 8, eps**2 / 2))


def _one_question(event: SparseVector, order: float) -> float:
    """What one query on the threshold reveals: "above" with Pr[nu - rho >= 0] or, a sensitivity lower, >= d."""
    first, second, d = float(event.threshold_scale), float(event.query_scale), float(event.sensitivity)
    if abs(first - second) < 1e-6 * second:
        above = (2 + d / second) * math.exp(-d / second) / 4
    else:
        squares = second**2 * math.exp(-d / second) - first**2 * math.exp(-d / first)
        above = squares / (2 * (second**2 - first**2))
    log_p, log_q = np.log([0.5, 0.5]), np.log([above, 1 - above])
    return max(
        float(_power_sum(log_p, log_p - log_q, np.array([order]))[0]),
        float(_power_sum(log_q, log_q - log_p, np.array([order]))[0]),
    )


def _bounded_range(eta: float, orders: Array) -> Array:
    """Maximum over t of the divergence of the two-point pair with losses t and t - eta, at its stationary t."""
    finite = np.where(np.isinf(orders), 2.0, orders)
    s = finite - 1
    # e^t = s (e^eta - e^{-s eta}) / ((s + 1)(1 - e^{-s eta})), kept as logs so that large s eta cannot overflow.
    t = eta + np.log(-np.expm1(-(s + 1) * eta)) + np.log(s / (s + 1)) - np.log(-np.expm1(-s * eta))
    t = np.clip(t, 0.0, eta)
    q = np.expm1(t - eta) / math.expm1(-eta)  # p_t = (e^eta - e^t) / (e^eta - 1), divided by e^eta
    with np.errstate(divide="ignore"):
        value = np.logaddexp(np.log(q) + s * t, np.log1p(-q) + s * (t - eta))
    return _raised(np.where(np.isinf(orders), eta, value / s), orders, eta, eta**2 / 8)


def _discrete_gaussian_exact(sigma: float, order: float) -> float:
    """D_alpha of a unit shift: alpha / (2 sigma^2) + log(theta(alpha) / theta(0)) / (alpha - 1); theta sums the pmf."""
    if sigma > 4:  # theta is constant to one part in 1e100
        return order / (2 * sigma**2)
    grid = np.arange(-200, 201)
    offset = order - round(order)
    theta, centred = (float(np.exp(-0.5 * ((grid - c) / sigma) ** 2).sum()) for c in (offset, 0.0))
    return order / (2 * sigma**2) + math.log(theta / centred) / (order - 1)


def _sampled(q: float, mu: float, orders: Array) -> Array:
    return np.array([_sampled_at(q, mu, float(order)) for order in orders])


@lru_cache(maxsize=8192)
def _sampled_at(q: float, mu: float, order: float) -> float:
    """D_alpha of (1 - q) N(0, 1) + q N(mu, 1) against N(0, 1): the larger direction (Mironov et al., Theorem 5)."""
    if math.isinf(order):
        return math.inf
    if q == 1:
        return order * mu**2 / 2
    if order == int(order):
        k = np.arange(int(order) + 1)
        terms = _log_binomial(int(order)) + k * math.log(q) + (order - k) * math.log1p(-q) + k * (k - 1) * mu**2 / 2
    else:
        step = 0.05 / max(1.0, mu)
        x = np.arange(-14.0, order * mu + 14.0, step)
        ratio = np.logaddexp(math.log1p(-q), math.log(q) + mu * x - mu**2 / 2)
        terms = order * ratio - x**2 / 2 + math.log(step / math.sqrt(2 * math.pi))
    peak = float(terms.max())
    # Near one the logarithm cancels: 1e-13 covers the rounding of the sum, upwards.
    total = peak + math.log(float(np.exp(terms - peak).sum())) + 1e-13
    return max(0.0, total) / (order - 1)


@lru_cache(maxsize=512)
def _log_binomial(n: int) -> Array:
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    binomial: Array = log_factorial[-1] - log_factorial - log_factorial[::-1]
    return binomial
