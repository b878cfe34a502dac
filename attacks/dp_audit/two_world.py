"""Empirical epsilon from many runs in two worlds: without a person, and with them.

Run a mechanism, or fit a generator, T times on each of two neighbouring tables and reduce every output to one number.
Differential privacy bounds how much more often any event may happen in one world than in the other. The first quarter
of the runs chooses the event, a threshold and its side; the rest counts it. Clopper and Pearson (1934) at alpha / 2 a
side turn the counts into a rate `low` that one world reaches and a rate `high` that the other does not exceed, and

    epsilon(delta) >= log((low - delta) / high)        for every delta at once, since the event is one and the same

(Jagielski, Ullman and Oprea 2020; Nasr et al. 2021). For a mechanism with a Gaussian trade-off curve the same two rates
bound its mu (Nasr et al. 2023), which reaches further on few runs.

>>> rng = np.random.default_rng(0)
>>> bound = two_world(lambda mean: rng.laplace(mean), 0.0, 1.0, runs=4000, delta=0.0)       # epsilon is 1
>>> round(bound.epsilon(0.0), 2), round(bound.ceiling(0.0), 2)
(0.95, 6.7)

Not guaranteed: an epsilon above the bound. The pair of tables, the score and T limit what can be seen; `ceiling` says
how much T alone could have shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import ndtri

from attacks.errors import AttackParameterError
from attacks.generators.backends import in_order, running_on
from attacks.statistics import FloatArray, clopper_pearson_lower, clopper_pearson_upper

World = TypeVar("World")
SELECTION = 0.25
MIN_RUNS = 8
MAX_CUTS = 200
CHOICE_LEVEL = 0.002
"""Rare events look best by luck; at this level (a side) luck pays. 0.3 to 0.0002 tried on Laplace, Gauss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWorldBound:
    """An event, and how often it happened in either world among the runs that did not choose it.

    Attributes:
        hits: in the world that the event speaks for.
        false_hits: in the other world.
        runs: counted runs, the same in both worlds.
        alpha: one minus the confidence of `low` and `high` together.
        joined: True if the event speaks for the world with the person.
        above: True if the event is a score of at least `cut`, False if it is a score below.
        cut: the threshold.
    """

    hits: int
    false_hits: int
    runs: int
    alpha: float
    joined: bool
    above: bool
    cut: float
    method: str = "two_world_clopper_pearson_split"

    @property
    def low(self) -> float:
        """The event's rate is at least this in the world that it speaks for."""
        return clopper_pearson_lower(self.hits, self.runs, alpha=self.alpha / 2)

    @property
    def high(self) -> float:
        """The event's rate is at most this in the other world."""
        return clopper_pearson_upper(self.false_hits, self.runs, alpha=self.alpha / 2)

    def epsilon(self, delta: float) -> float:
        """Lower bound on epsilon at `delta`, relation and unit of the pair; simultaneous over all deltas."""
        return _epsilon(self.low, self.high, delta)

    def ceiling(self, delta: float) -> float:
        """What a perfect distinguisher would have shown with as many runs."""
        always = clopper_pearson_lower(self.runs, self.runs, alpha=self.alpha / 2)
        return _epsilon(always, clopper_pearson_upper(0, self.runs, alpha=self.alpha / 2), delta)

    @property
    def mu(self) -> float:
        """Lower bound on mu, if the mechanism's trade-off curve is Gaussian; it says nothing of others."""
        return max(0.0, float(ndtri(self.low)) - float(ndtri(self.high))) if self.low > 0 and self.high < 1 else 0.0


def two_world(
    run: Callable[..., float],
    without: World,
    joined: World,
    *,
    runs: int,
    delta: float,
    alpha: float = 0.05,
    backend: str | None = None,
    jobs: int | None = None,
    address: str | None = None,
) -> TwoWorldBound:
    """Run both worlds and bound epsilon.

    Args:
        run: one run of what is audited on a table, and the score of its output; its noise must be fresh each time.
            The score may use all that an adversary knows: both tables, and everything that is released.
        without: the table without the person.
        joined: the neighbouring table.
        runs: T, in each world.
        delta: where the bound is to be large; it holds at every delta.
        alpha: one minus the confidence.
        backend: where runs run, see `attacks.generators.backends`; None for here. `run` then travels to the workers and
            is called with a table and the number of the run, another for each of both worlds: a seeded generator that
            it carried along would give every worker the same noise, so one is to be made from the number.
        jobs: workers; None for one a core, or all of a cluster.
        address: of a running cluster, for `dask` and `ray`.

    Raises:
        AttackParameterError: a backend that does not exist or is not installed; see `two_world_bound`.
    """
    worlds = [without] * runs + [joined] * runs
    if backend is None:
        scores = [float(run(world)) for world in worlds]
    else:
        with running_on(backend, jobs=jobs, address=address):
            scores = in_order(run, lambda: zip(worlds, range(2 * runs), strict=True))
    found = np.array(scores, dtype=np.float64)
    return two_world_bound(found[:runs], found[runs:], delta=delta, alpha=alpha)


def two_world_bound(without: FloatArray, joined: FloatArray, *, delta: float, alpha: float = 0.05) -> TwoWorldBound:
    """Bound epsilon from scores, shape (runs,) each, in the order in which they were made.

    Raises:
        AttackParameterError: fewer than eight runs, worlds of unequal size, a score that is no number, or delta or
            alpha outside its range.
    """
    runs = len(joined)
    if runs < MIN_RUNS or len(without) != runs or np.isnan(without).any() or np.isnan(joined).any():
        raise AttackParameterError(
            f"Expected {MIN_RUNS} scores or more, as many in each world, none missing; got {len(without)} and {runs}."
        )
    if not (0.0 <= delta < 1.0 and 0.0 < alpha < 1.0):
        raise AttackParameterError(f"Expected delta in [0, 1) and alpha in (0, 1), got {delta} and {alpha}.")
    chosen = max(MIN_RUNS // 4, round(SELECTION * runs))
    joins, above, cut = _event(without[:chosen], joined[:chosen], delta)
    own, other = (joined, without) if joins else (without, joined)
    return TwoWorldBound(
        hits=_count(own[chosen:], cut, above=above),
        false_hits=_count(other[chosen:], cut, above=above),
        runs=runs - chosen,
        alpha=alpha,
        joined=joins,
        above=above,
        cut=cut,
    )


def _event(without: FloatArray, joined: FloatArray, delta: float) -> tuple[bool, bool, float]:
    """World, side and threshold whose own bound, on the runs that choose, is largest."""
    runs, known = len(joined), np.unique(np.concatenate([without, joined]))
    cuts = known[np.unique(np.linspace(0, len(known) - 1, min(MAX_CUTS, len(known))).astype(int))]
    best, event = -math.inf, (True, True, float(cuts[0]))
    for joins in (True, False):
        own, other = (joined, without) if joins else (without, joined)
        for above in (True, False):
            for cut in cuts.tolist():
                low = clopper_pearson_lower(_count(own, cut, above=above), runs, alpha=CHOICE_LEVEL)
                high = clopper_pearson_upper(_count(other, cut, above=above), runs, alpha=CHOICE_LEVEL)
                promise = math.log(max(low - delta, 1e-300) / high)
                if promise > best:
                    best, event = promise, (joins, above, cut)
    return event


def _count(scores: FloatArray, cut: float, *, above: bool) -> int:
    return int(((scores >= cut) == above).sum())


def _epsilon(low: float, high: float, delta: float) -> float:
    return max(0.0, math.log((low - delta) / high)) if low > delta else 0.0
