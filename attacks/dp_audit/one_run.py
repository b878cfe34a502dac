"""Empirical epsilon from one training run (Steinke, Nasr and Jagielski 2023, arXiv 2305.08846, Theorem 5.2).

Each of m canaries joins the training data by its own fair coin. From the output the auditor guesses the coins of r of
them and abstains on the rest. If training is (epsilon, delta)-DP under add/remove of one canary, the number of right
guesses is dominated by Binomial(r, e^eps / (1 + e^eps)) up to a term in m delta. Many right guesses therefore rule
small epsilons out. How many guesses to make cannot be known beforehand, so a fixed ladder of r is tried and the level
shared equally (Bonferroni).

>>> bound = one_run_bound(np.arange(100.0), np.arange(100) >= 50, delta=0.0, rng=np.random.default_rng(0))
>>> round(bound.value, 2) == round(bound.ceiling, 2) > 2.5     # every guess right: as much as 100 canaries can show
True

Not guaranteed: an epsilon above the bound. A bound of 0 says that this attack on these canaries saw nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln

from attacks.errors import AttackParameterError
from attacks.statistics import FloatArray

GUESS_SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
EPSILON_MAX = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRunBound:
    """`value`: lower bound on epsilon at `delta`, add/remove one canary; `ceiling`: most these canaries can show."""

    value: float
    ceiling: float
    guesses: int
    correct: int
    m: int
    delta: float
    alpha: float
    method: str = "one_run_steinke_2023_bonferroni_5"


def one_run_p_value(*, m: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Chance bound of at least `correct` right among `guesses` under (epsilon, delta)-DP, add/remove one canary.

    Beta is the binomial tail; the delta term is 2 m delta max_i (P[correct > W >= correct - i]) / i.
    """
    if correct <= 0:
        return 1.0
    right = 1.0 / (1.0 + math.exp(-epsilon))
    tail = float(bdtrc(correct - 1, guesses, right)) if correct <= guesses else 0.0
    if delta == 0.0:
        return min(1.0, tail)
    below = np.arange(correct - 1, -1, -1)
    log_mass = (
        gammaln(guesses + 1)
        - gammaln(below + 1)
        - gammaln(guesses - below + 1)
        + below * math.log(right)
        + (guesses - below) * math.log1p(-right)
    )
    steepest = float((np.cumsum(np.exp(log_mass)) / np.arange(1, correct + 1)).max())
    return min(1.0, tail + 2.0 * m * delta * steepest)


def one_run_epsilon(*, m: int, guesses: int, correct: int, delta: float, alpha: float) -> float:
    """Largest epsilon that `correct` of `guesses` rules out at level `alpha`; 0 if none."""

    def ruled_out(epsilon: float) -> bool:
        return one_run_p_value(m=m, guesses=guesses, correct=correct, epsilon=epsilon, delta=delta) <= alpha

    if not ruled_out(0.0):
        return 0.0
    low, high = 0.0, EPSILON_MAX
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low


def one_run_bound(
    scores: FloatArray,
    included: NDArray[np.bool_],
    *,
    delta: float,
    rng: np.random.Generator,
    alpha: float = 0.05,
) -> OneRunBound:
    """Lower bound on epsilon from canary scores.

    Args:
        scores: shape (m,), larger means "rather included"; computed without the coins.
        included: the coins.
        delta: the delta at which epsilon is bounded.
        rng: breaks ties between equal scores; independent of the coins.
        alpha: one minus the confidence.
    """
    if not 0.0 <= delta < 1.0:
        raise AttackParameterError(f"Expected delta in [0, 1), got {delta}.")
    m = len(scores)
    best = (0.0, 0, 0)
    ceiling, level = 0.0, alpha / len(GUESS_SHARES)
    for guesses, correct in guess_counts(scores, included, rng=rng):
        value = one_run_epsilon(m=m, guesses=guesses, correct=correct, delta=delta, alpha=level)
        ceiling = max(ceiling, one_run_epsilon(m=m, guesses=guesses, correct=guesses, delta=delta, alpha=level))
        if value > best[0] or best[1] == 0:
            best = (value, guesses, correct)
    return OneRunBound(value=best[0], ceiling=ceiling, guesses=best[1], correct=best[2], m=m, delta=delta, alpha=alpha)


def guess_counts(scores: FloatArray, included: NDArray[np.bool_], *, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(guesses, correct) on each rung of the ladder: the r / 2 highest scores are called in, the r / 2 lowest out.

    Raises:
        AttackParameterError: fewer than two canaries.
    """
    m = len(scores)
    if m < 2:
        raise AttackParameterError(f"Expected at least two canaries, got {m}.")
    ranked = np.asarray(included, dtype=bool)[np.lexsort((rng.random(m), scores))]
    halves = [guesses // 2 for guesses in ladder(m)]
    return [(2 * half, int(ranked[m - half :].sum() + (~ranked[:half]).sum())) for half in halves]


def ladder(m: int) -> list[int]:
    """Even numbers of guesses that are tried on m canaries."""
    return [2 * min(max(1, round(share * m / 2.0)), m // 2) for share in GUESS_SHARES]
