"""The exponential mechanism, sampled exactly: P(i) proportional to b_i exp(c u_i).

McSherry and Talwar (2007). What it costs is its bounded range (Dong, Durfee and Rogers 2020): with R the largest
spread `max_i d_i - min_i d_i` of the score change d between neighbours it is c R-bounded-range, hence c R-DP
and (c R)^2 / 8-zCDP (Cesar and Rogers 2021). R is 1 for counts under add/remove (all scores move one way) and up to
2 for a general score of sensitivity 1: the caller states it, and its own docstring proves it.

Scores are integers (or Fractions) and c a decimal, so every weight is `exp` of a rational; the draw goes through
`inversion` and has no floating-point caveat. Gumbel noise in floats is not used.

>>> from dpsynth.core.noise import unsafe_SeededNoise
>>> choice, event = exponential([0, 40, 3], coefficient="0.5", score_range=1, noise=unsafe_SeededNoise(1))
>>> choice, event.to_json()["bounded_range"]
(1, '0.5')
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np

from accounting.event import Exponential
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.mechanisms.inversion import ExactInversion

_EXACT = Context(prec=200)


def exponential(
    scores: Sequence[int | Fraction],
    *,
    coefficient: Decimal | str,
    score_range: Decimal | str | int,
    noise: NoiseSource,
    base: Sequence[int] | None = None,
) -> tuple[int, Exponential]:
    """Choose one candidate.

    Args:
        scores: Python integers or Fractions, one per candidate; the candidate list itself is public.
        coefficient: c, the inverse temperature, a positive decimal.
        score_range: R, the largest spread of the score change between neighbours (relation and unit of the tree).
        noise: uniform words; its `kind` enters the event.
        base: b, positive public integers (for example the ticks that a candidate stands for); 1 if left out.

    Returns:
        The index of the choice and the event with `bounded_range` c R.

    Raises:
        ParameterError: no candidate, or a parameter that is not positive.
    """
    factor, spread = Decimal(coefficient), Decimal(score_range)
    if not scores or factor <= 0 or spread <= 0:
        raise ParameterError(
            f"Expected candidates, coefficient={coefficient} > 0 and score_range={score_range} > 0 "
            "(exponential mechanism)."
        )
    if base is not None and (len(base) != len(scores) or min(base) < 1):
        raise ParameterError("Expected one positive integer base weight per candidate (exponential mechanism).")
    event = Exponential(bounded_range=_EXACT.multiply(factor, spread), count=1, noise=noise.kind)
    rate = Fraction(factor)
    exact = [rate * Fraction(u) for u in scores]
    top = max(exact)
    gaps = [top - x for x in exact]
    floats = np.array([float(gap) for gap in gaps])
    table = ExactInversion(floats, lambda at: gaps[at], bounded=True, base=base)
    return int(table.draw(1, noise)[0]), event
