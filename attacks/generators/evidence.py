"""From scores of worlds to effects and to a lower bound on epsilon.

A quarter of the judging worlds places what needs placing (the middle of each target's scores, the cut of a false
positive rate, what a target's hits are expected to be); the others count.

    auc           mean over the stratum's targets of the AUC between worlds with and without them; targets of one world
                  share its release, so the variance is that of worlds (DeLong, clustered after Obuchowski 1997), and
                  never below what it is without a leak: few worlds would else underestimate it and raise false alarms
    tpr_excess    TPR - FPR at that cut: coin by coin, twice the hit with the sign of the coin, less its expectation,
                  has this mean whatever the cut; averaged over a world's targets, worlds are independent: exact
                  (`betting`)

Epsilon is bounded twice and each time at half the level: by all coins of all counted worlds as one audit (Steinke, Nasr
and Jagielski 2023, Theorem 5.2, which holds because the fits together are as private in one coin as a fit is), and by
each target's two worlds (Clopper and Pearson, `dp_audit.two_world`), under Bonferroni over the targets.

Not guaranteed: the AUC's bounds are asymptotic. The others are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.dp_audit.one_run import one_run_bound
from attacks.dp_audit.two_world import MIN_RUNS, two_world_bound
from attacks.evidence import MIN_GROUP
from attacks.generators.betting import BettingMean
from attacks.protocol import Endpoint
from attacks.statistics import Effect, FloatArray, NormalEffect, conservative_cut

Coins = NDArray[np.bool_]
TOO_FEW = 4
"""A target that was in, or out of, fewer judging worlds says nothing about the AUC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowEpsilon:
    """Lower bound on epsilon, add/remove one record, at `delta` with confidence 1 - `alpha`.

    Attributes:
        value: the larger of the two bounds.
        pooled: of all coins together.
        single: of the worst target.
        ceiling: most that the pooled bound could have shown.
        delta: see above.
        alpha: of both together.
        coins: how many were guessed upon.
    """

    value: float
    pooled: float
    single: float
    ceiling: float
    delta: float
    alpha: float
    coins: int


def effect_of(endpoint: Endpoint, scores: FloatArray, coins: Coins, placed: int) -> Effect | None:
    """The endpoint's effect on the targets of its stratum.

    Args:
        endpoint: what is asked.
        scores: shape (worlds, targets), of the stratum's targets in the judging worlds.
        coins: same shape.
        placed: worlds, the first ones, that place the cut.
    """
    if min(int(coins.sum()), int((~coins).sum())) < MIN_GROUP:
        return None
    if endpoint.statistic == "auc":
        return _mean_auc(scores, coins)
    return _tpr_excess(centred(scores, placed), coins, placed, endpoint.fpr or 0.0)


def auc_error(worlds: int, targets: int) -> float:
    """Standard error, without a leak, of the mean AUC of `targets` over so many judging worlds; no estimate of it."""
    return math.sqrt((worlds + 1.0) / 3.0 / worlds / worlds / targets)


def centred(scores: FloatArray, placed: int) -> FloatArray:
    """Scores less the middle of each target's in the worlds that place, whoever is in them."""
    return np.asarray(scores - np.median(scores[:placed], axis=0))


def _mean_auc(scores: FloatArray, coins: Coins) -> Effect | None:
    worlds, influence, aucs = len(scores), np.zeros(len(scores)), []
    for values, inside in zip(scores.T, coins.T, strict=True):
        own, other = values[inside], values[~inside]
        if min(len(own), len(other)) < TOO_FEW:
            continue
        beats = (np.sign(own[:, None] - other[None, :]) + 1.0) / 2.0
        auc = float(beats.mean())
        influence[inside] += (beats.mean(axis=1) - auc) * worlds / len(own)
        influence[~inside] += (beats.mean(axis=0) - auc) * worlds / len(other)
        aucs.append(auc)
    if not aucs:
        return None
    spread = influence / len(aucs)
    error = math.sqrt(float((spread**2).sum()) / (worlds * (worlds - 1.0)))
    estimate = float(np.mean(aucs))
    return NormalEffect(
        estimate=estimate,
        se=max(error, auc_error(worlds, len(aucs))),
        method="delong_clustered",
        smallest=0.0,
        largest=1.0,
    )


def _tpr_excess(scores: FloatArray, coins: Coins, placed: int, fpr: float) -> Effect | None:
    outside = scores[:placed][~coins[:placed]]
    if len(outside) < TOO_FEW:
        return None
    cut = conservative_cut(outside, fpr)
    expected = float((scores[:placed] > cut).mean())
    hits, signs = scores[placed:] > cut, np.where(coins[placed:], 2.0, -2.0)
    most = 2.0 * max(expected, 1.0 - expected)
    return BettingMean(values=(signs * (hits - expected)).mean(axis=1), smallest=-most, largest=most)


def epsilon_of(
    scores: FloatArray,
    coins: Coins,
    placed: int,
    *,
    delta: float,
    alpha: float,
    rng: np.random.Generator,
) -> ShadowEpsilon:
    """Both bounds from the scores of all targets in the judging worlds; arguments as for `effect_of`."""
    middle = centred(scores, placed)
    pooled = one_run_bound(middle[placed:].ravel(), coins[placed:].ravel(), delta=delta, rng=rng, alpha=alpha / 2.0)
    single, level = 0.0, alpha / 2.0 / scores.shape[1]
    for values, inside in zip(scores.T, coins.T, strict=True):
        own, other = values[inside], values[~inside]
        runs = min(len(own), len(other))
        if runs >= MIN_RUNS:
            single = max(single, two_world_bound(other[:runs], own[:runs], delta=delta, alpha=level).epsilon(delta))
    return ShadowEpsilon(
        value=max(pooled.value, single),
        pooled=pooled.value,
        single=single,
        ceiling=pooled.ceiling,
        delta=delta,
        alpha=alpha,
        coins=pooled.m,
    )
