"""One-run audit against a whole trade-off curve (Mahloujifar, Melis and Chaudhuri 2024, arXiv 2410.22235).

Canaries, coins and guesses are those of `one_run`. Let N be the number of right guesses among n, on m canaries, and

    R_j = E[N; N >= j] / m       right guess at a random canary, and j or more right in all
    H_j = E[n - N; N >= j] / m   wrong guess there, and j or more right in all.

Fix all coins but one: "right there and j or more in all" and "wrong there and j - 1 or more in all" are one event of
the output, seen with the last coin on either side, so under f-DP  H_(j-1) >= floor(R_j), `floor` being convex. Starting
from P[N >= c] = alpha, R_c >= alpha c / m, the least mass below c follows step by step; if the whole exceeds n / m, c
right guesses have probability below alpha and the curve is refuted. For the curve of (epsilon, delta) this cannot beat
Steinke et al. at delta 0; for Gaussian curves, which fall off faster in the tails, it does.

>>> one_run_mu(m=1000, guesses=100, correct=95, alpha=0.05) > 0.0
True

Not guaranteed: anything of mechanisms outside the family that the curve is taken from, see `curves`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.dp_audit.curves import MU_MAX, Floor, gaussian_epsilon, gaussian_floor
from attacks.dp_audit.one_run import GUESS_SHARES, guess_counts
from attacks.statistics import FloatArray

HALVINGS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRunGaussianBound:
    """`mu`: lower bound for Gaussian trade-off curves, add/remove one canary; `ceiling`: most these canaries show."""

    mu: float
    ceiling: float
    guesses: int
    correct: int
    m: int
    alpha: float
    method: str = "one_run_fdp_2024_gaussian_bonferroni_5"

    def epsilon(self, delta: float) -> float:
        """What `mu` means at `delta`; of mechanisms whose trade-off curve is Gaussian only."""
        return gaussian_epsilon(self.mu, delta=delta) if self.mu > 0 else 0.0


def curve_ruled_out(floor: Floor, *, m: int, guesses: int, correct: int, alpha: float) -> bool:
    """Whether `correct` or more right among `guesses` has probability below `alpha` under the curve.

    Args:
        floor: least probability in one world of an event that has the given one in the other; convex.
        m: canaries, one fair coin each.
        guesses: n, fixed before the coins are seen.
        correct: c.
        alpha: level.
    """
    right = alpha * correct / m
    wrong = alpha * (guesses - correct) / m
    for below in range(correct - 1, -1, -1):
        needed = floor(right)
        if needed <= wrong:
            break  # neither can grow any more
        right += below / (guesses - below) * (needed - wrong)
        wrong = needed
        if right + wrong > guesses / m:
            return True
    return right + wrong > guesses / m


def one_run_mu(*, m: int, guesses: int, correct: int, alpha: float) -> float:
    """Largest mu whose Gaussian curve is ruled out at level `alpha`; 0 if none, at most `MU_MAX`."""

    def ruled_out(mu: float) -> bool:
        return curve_ruled_out(gaussian_floor(mu), m=m, guesses=guesses, correct=correct, alpha=alpha)

    if 2 * correct <= guesses or not ruled_out(0.0):
        return 0.0
    low, high = 0.0, MU_MAX
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low


def one_run_gaussian_bound(
    scores: FloatArray, included: NDArray[np.bool_], *, rng: np.random.Generator, alpha: float = 0.05
) -> OneRunGaussianBound:
    """Lower bound on mu from canary scores; the same ladder of guesses as `one_run_bound`, arguments as there."""
    best, ceiling, level = (0.0, 0, 0), 0.0, alpha / len(GUESS_SHARES)
    for guesses, correct in guess_counts(scores, included, rng=rng):
        value = one_run_mu(m=len(scores), guesses=guesses, correct=correct, alpha=level)
        ceiling = max(ceiling, one_run_mu(m=len(scores), guesses=guesses, correct=guesses, alpha=level))
        if value > best[0] or best[1] == 0:
            best = (value, guesses, correct)
    return OneRunGaussianBound(
        mu=best[0], ceiling=ceiling, guesses=best[1], correct=best[2], m=len(scores), alpha=alpha
    )
