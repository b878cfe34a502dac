"""The delta of partition selection: a key that only one unit holds may appear, and then it gives the unit away.

A unit holds w_i rows of key i, sum w_i^2 <= N, at most kappa keys. A key of its own is released with probability
p(w) = Pr[w + Z >= tau]; with f = -log(1 - p) the chance that any of them appears is 1 - exp(-sum f(w_i)), and

    sum f(w_i) <= min(kappa f(W), N max_w f(w) / w^2),   W = floor(sqrt N).

The first bound counts keys, the second gives each key its share of N. For one row a key this is
1 - (1 - p)^kappa. The released count itself is discrete Gaussian noise and is priced apart.

>>> from accounting.gaussian import discrete_gaussian_tail
>>> f"{selection_delta(sigma=10, threshold=60, squared_change=1, max_keys=1, tail=discrete_gaussian_tail):.3e}"
'2.422e-09'

Not guaranteed: anything if keys with a true count of zero are examined, or if the bounds are not enforced.
"""

from __future__ import annotations

import math
from collections.abc import Callable

MAX_WEIGHT = 4096


def selection_delta(
    *, sigma: float, threshold: float, squared_change: int, max_keys: int, tail: Callable[[float, int], float]
) -> float:
    """Mass at infinite loss of one partition selection.

    Args:
        sigma: of the discrete Gaussian noise on each key's count.
        threshold: noisy counts below it are withheld.
        squared_change: N, largest squared L2 norm of a unit's counts over keys.
        max_keys: kappa, largest number of keys of a unit (of both neighbours, under replace_one).
        tail: Pr[Z >= j] of the noise, never below the true value.

    Returns:
        An upper bound on the delta, relation and unit of the event.
    """
    widest = math.isqrt(squared_change)
    if widest > MAX_WEIGHT:  # f increases, so the first bound alone is valid and needs one tail only
        return -math.expm1(-min(max_keys, squared_change) * _hazard(sigma, threshold, widest, tail))
    hazards = [_hazard(sigma, threshold, w, tail) for w in range(1, widest + 1)]
    by_keys = min(max_keys, squared_change) * hazards[-1]
    by_share = squared_change * max(f / w**2 for w, f in enumerate(hazards, start=1))
    return -math.expm1(-min(by_keys, by_share))


def _hazard(sigma: float, threshold: float, weight: int, tail: Callable[[float, int], float]) -> float:
    p = tail(sigma, math.ceil(threshold - weight))
    return -math.log1p(-p) if p < 1 else math.inf
