"""What an explicit adversary achieves against an event tree, by brute force: a floor for every accountant.

For each event one pair of neighbours is written out as two laws on finitely many outcomes (noise is sorted into bins,
which is post-processing); laws are multiplied out, and outcomes of nearly equal loss are merged, which is
post-processing too. So the divergence of the result is attained up to float rounding, whatever the accountants say.
Exponential mechanisms are adaptive: the two outcomes' odds are chosen by the loss so far.

Nothing here is imported from the accountants: only the fields of the events are read.
"""

import math
from dataclasses import dataclass

import numpy as np

from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    DiscreteLaplace,
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

BINS = 500


@dataclass(frozen=True)
class Pair:
    """Laws of the outcome on two neighbouring tables, shape (n,) each."""

    p: np.ndarray
    q: np.ndarray

    def losses(self):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(self.p) - np.log(self.q)

    def delta(self, epsilon):
        """The larger of both directions."""
        return max(np.maximum(a - math.exp(epsilon) * b, 0).sum() for a, b in ((self.p, self.q), (self.q, self.p)))

    def epsilon(self, delta):
        """Smallest epsilon >= 0 that both directions meet at `delta`: max over thresholds of log((P - delta) / Q)."""
        best = 0.0
        for a, b in ((self.p, self.q), (self.q, self.p)):
            order = np.argsort(-(Pair(a, b).losses()))
            above, below = np.cumsum(a[order]), np.cumsum(b[order])
            over = above > delta
            with np.errstate(divide="ignore"):
                best = max(best, float(np.log((above[over] - delta) / below[over]).max(initial=0.0)))
        return best


def product(first, second):
    return merged(Pair(np.outer(first.p, second.p).ravel(), np.outer(first.q, second.q).ravel()))


def power(pair, times):
    result = Pair(np.ones(1), np.ones(1))
    while times:
        if times & 1:
            result = product(result, pair)
        times >>= 1
        if times:
            pair = product(pair, pair)
    return result


def merged(pair, bins=BINS):
    """Outcomes whose losses share a bin become one outcome."""
    if len(pair.p) <= bins:
        return pair
    real = (pair.p > 1e-250) | (pair.q > 1e-250)
    pair = Pair(pair.p[real], pair.q[real])
    losses = pair.losses()
    finite = np.isfinite(losses) & (pair.p > 1e-13)
    low, high = losses[finite].min(), losses[finite].max()
    width = max(high - low, 1e-12) / (bins - 3)
    at = np.floor(np.clip((losses - low) / width + 1, 0, bins - 2))
    index = np.where(pair.q == 0, bins - 1, at).astype(int)
    p, q = np.bincount(index, pair.p, bins), np.bincount(index, pair.q, bins)
    kept = (p > 0) | (q > 0)
    return Pair(p[kept], q[kept])


def normal(mu, probability=1.0, cells=96):
    """(1 - s) N(0, 1) + s N(mu, 1) against N(0, 1), sorted into cells."""
    edges = np.linspace(-7.0, 7.0 + mu, cells)

    def law(centre):
        # Differences of the nearer tail, so that neither end cancels.
        tail = np.array([0.5 * math.erfc(abs(x - centre) / math.sqrt(2)) for x in edges])
        right = edges >= centre
        above = np.where(right, tail, 1 - tail)
        inner = np.where(right[1:] & right[:-1], above[:-1] - above[1:], 0.0)
        below = np.where(right, 1 - tail, tail)
        inner = np.where(~right[1:] | ~right[:-1], below[1:] - below[:-1], inner)
        return np.concatenate([[below[0]], inner, [above[-1]]])

    base = law(0.0)
    return Pair((1 - probability) * base + probability * law(mu), base)


def discrete_normal(sigma, change):
    reach = math.ceil(9 * sigma) + change
    j = np.arange(-reach, reach + 1)
    p, q = (np.exp(-0.5 * ((j - c) / sigma) ** 2) for c in (change, 0))
    return merged(Pair(p / p.sum(), q / q.sum()))


def squares(total):
    """Some integer vector of that squared norm, its largest entries first."""
    while total:
        yield math.isqrt(total)
        total -= math.isqrt(total) ** 2


def double_exponential(change, cells=64):
    """Laplace noise of scale one against the same shifted by `change`: losses run from -change to change."""
    edges = np.linspace(0.0, change, cells)
    left, right = np.exp(-edges) / 2, np.exp(-(change - edges)) / 2  # tails of q beyond, of p before each edge
    inner_q, inner_p = -np.diff(left), np.diff(right)
    return Pair(np.concatenate([[right[0]], inner_p, [0.5]]), np.concatenate([[0.5], inner_q, [left[-1]]]))


def discrete_double_exponential(scale, change):
    x = np.arange(change + 1)
    decay = math.exp(-1 / scale)
    q = decay**x * (1 - decay) / (1 + decay)
    q[0], q[-1] = 1 / (1 + decay), decay**change / (1 + decay)
    return Pair(q[::-1].copy(), q)


def response(epsilon):
    yes = 1 / (1 + math.exp(-epsilon))
    return Pair(np.array([yes, 1 - yes]), np.array([1 - yes, yes]))


def first_question(event):
    """A run that asks one query, a sensitivity below the threshold in one table and on it in the other."""
    first, second, d = (float(x) for x in (event.threshold_scale, event.query_scale, event.sensitivity))
    z = np.linspace(-40 * first, 40 * first, 80_001)
    weights = np.exp(-np.abs(z) / first)
    gap = z[None, :] + np.array([[0.0], [d]])
    above = np.where(gap > 0, 0.5 * np.exp(-np.abs(gap) / second), 1 - 0.5 * np.exp(-np.abs(gap) / second))
    yes, less = above @ weights / weights.sum()
    return Pair(np.array([yes, 1 - yes]), np.array([less, 1 - less]))


def own_key(event):
    """A key that only this unit holds: released, it gives the unit away."""
    weight = math.isqrt(event.squared_change)
    sigma, start = float(event.sigma), math.ceil(event.threshold - weight)
    j = np.arange(-math.ceil(12 * sigma), math.ceil(12 * sigma) + 1)
    law = np.exp(-0.5 * (j / sigma) ** 2)
    chance = float(law[j >= start].sum() / law.sum())
    return Pair(np.array([chance, 1 - chance]), np.array([0.0, 1.0]))


def of_event(event, lonely=False):
    """One use of an event that is not an exponential mechanism; `lonely` attacks a selection by a key of one's own."""
    match event:
        case Gaussian():
            return normal(float(event.l2_sensitivity / event.sigma))
        case ZCDPFilter():
            return normal(math.sqrt(2 * float(event.rho)))
        case PoissonSampled():
            return normal(float(event.event.l2_sensitivity / event.event.sigma), float(event.probability))
        case DiscreteGaussian():
            parts = [discrete_normal(float(event.sigma), v) for v in squares(event.squared_change)]
            return parts[0] if len(parts) == 1 else product(*parts[:2])
        case Laplace():
            return double_exponential(float(event.l1_sensitivity / event.scale))
        case DiscreteLaplace():
            return discrete_double_exponential(float(event.scale), event.change)
        case PureDP():
            return response(float(event.epsilon))
        case SparseVector():
            return first_question(event)
        case ApproxDP():
            inner, lost = response(float(event.epsilon)), float(event.delta)
            return Pair(np.append(inner.p * (1 - lost), lost), np.append(inner.q * (1 - lost), 0.0))
        case PartitionSelection() if lonely:
            return own_key(event)
        case PartitionSelection():  # a key that many hold is released either way
            return discrete_normal(float(event.sigma), math.isqrt(event.squared_change))
        case _:
            raise TypeError(type(event).__name__)


def selected(pair, eta, aim, left):
    """One exponential mechanism after `pair`: its two outcomes' losses t and t - eta, t chosen by the loss so far.

    The last step's best t against epsilon = `aim` is (eta + aim - loss) / 2; with `left` steps to go, each takes its
    share of the way. Any t is a legitimate choice.
    """
    t = np.nan_to_num(np.clip(eta / 2 + (aim - pair.losses()) / (2 * left), 0.0, eta))
    p = (math.exp(eta) - np.exp(t)) / math.expm1(eta)
    q = p * np.exp(-t)
    return merged(Pair(np.concatenate([pair.p * p, pair.p * (1 - p)]), np.concatenate([pair.q * q, pair.q * (1 - q)])))


def floor(tree, delta, aims=(0.5, 1.0, 2.0), lonely=False):
    """Epsilon that the best of some adversaries reaches at `delta`: fixed pairs first, selections last.

    Args:
        tree: events.
        delta: at which epsilon is read.
        aims: epsilons that the adaptive choices steer for, one adversary each.
        lonely: attack partition selections by keys that nobody else holds.
    """
    fixed = Pair(np.ones(1), np.ones(1))
    etas = []
    for event in tree.events:
        if isinstance(event, (Exponential, PredictionTokens)):
            etas += [float(event.bounded_range)] * event.count
        else:
            fixed = product(fixed, power(of_event(event, lonely), event.count))
    best = fixed.epsilon(delta)
    for aim in aims if etas else ():
        pair = fixed
        for done, eta in enumerate(etas):
            pair = selected(pair, eta, aim, len(etas) - done)
        best = max(best, pair.epsilon(delta))
    return best
