"""The most budget that a target allows: a monotone search that ends on a cross-checked price.

Renyi accounting is a thousand times cheaper than convolution and follows the same shape. So the search inverts RDP,
prices the result once in full, corrects the target by the ratio of the two and prices again; two or three full
prices are typical. What is returned was priced in full; what lies 0.1 % above it was not allowed.

>>> from accounting.event import Gaussian
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> def build(rho: float) -> EventTree:
...     sigma = decimal_up((2 * rho) ** -0.5, 6)
...     return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                      events=(Gaussian(sigma=sigma, l2_sensitivity="1"),))
>>> rho, guarantee = calibrate(build, epsilon="1", delta="1e-5", bracket=(1e-3, 1.0))
>>> round(rho, 3), 0.999 <= float(guarantee.epsilon) <= 1
(0.036, True)

Not guaranteed: the best plan, only the largest budget of the plans that `build` can make.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from accounting.crosscheck import RDP, price
from accounting.decimals import decimal_text, decimal_up, read_decimal, read_positive
from accounting.errors import CalibrationError, DeltaTooSmallError, ParameterError
from accounting.event import EventTree
from accounting.guarantee import Guarantee

SLACK = Decimal("0.001")
AIM = 0.9998  # inside the accepted window, off its upper edge
WIDEST = 2.0**20  # how far a bracket is widened at each end
KEEP_OFF = 0.01  # of the verified bracket, in logarithms
MAX_PRICES = 60


def calibrate(
    build: Callable[[float], EventTree],
    *,
    epsilon: Decimal | str | int,
    delta: Decimal | str | int,
    bracket: tuple[float, float],
) -> tuple[float, Guarantee]:
    """Largest budget parameter whose priced epsilon does not exceed the target.

    Args:
        build: makes the event tree of a budget parameter > 0; more budget means less noise and a larger epsilon.
        epsilon: target, relation and unit of the trees.
        delta: of the target.
        bracket: two positive budgets to start from; widened if the answer lies outside.

    Returns:
        The parameter and its guarantee, at most 0.1 % below the target. If `build` moves in jumps wider than
        that, the last step below the target.

    Raises:
        ParameterError: if target or bracket are outside their ranges.
        CalibrationError: if no budget within a million times the bracket meets the target, or `build` is not
            monotone.
    """
    target = read_positive(epsilon, "epsilon")
    exact_delta = read_decimal(delta, "delta")
    low, high = bracket
    if not (0 < low <= high < math.inf):
        raise ParameterError(f"Expected a bracket 0 < low <= high of finite budgets, got {bracket}.")
    estimate = _Estimate(build, float(exact_delta))
    budget = estimate.invert(float(target) * AIM, low, high)
    below: tuple[float, Guarantee] | None = None
    above: float | None = None
    for _ in range(MAX_PRICES):
        found = _priced(build, budget, exact_delta)
        if found is not None and found.epsilon <= target:
            if found.epsilon >= target * (1 - SLACK):
                return budget, found
            below = (budget, found)
        else:
            above = budget
        if below and above and below[0] >= above:
            raise CalibrationError("More budget gave a smaller epsilon.", "Make `build` monotone in its budget.")
        if below and above and above <= below[0] * (1 + 1e-9):
            return below
        budget = _next(estimate, budget, found, float(target), below[0] if below else None, above)
    if below:
        return below
    raise CalibrationError(
        f"No budget tried meets epsilon {decimal_text(target)} at delta {decimal_text(exact_delta)}.",
        "Grant more epsilon or delta, or ask for fewer events.",
    )


def _priced(build: Callable[[float], EventTree], budget: float, delta: Decimal) -> Guarantee | None:
    """The price, or None where partition selection alone spends delta: an infinite epsilon."""
    try:
        return price(build(budget), delta)
    except DeltaTooSmallError:
        return None


def _next(
    estimate: _Estimate, budget: float, found: Guarantee | None, target: float, below: float | None, above: float | None
) -> float:
    """Correct the estimate by its ratio at `budget`; halve the verified bracket where that leads outside it."""
    low = below if below is not None else (above or budget) / 4
    high = above if above is not None else (below or budget) * 4
    guess = math.nan
    if found is not None and found.epsilon > 0:
        ratio = float(found.epsilon) / estimate(budget)
        guess = estimate.invert(target * AIM / ratio, low, high, widen=False)
    if not low < guess < high:
        return math.sqrt(low * high)
    # Where rounded noise makes the price jump, the estimate may point at the upper edge for ever: keep off the ends.
    span = high / low
    nearest, furthest = low * math.pow(span, KEEP_OFF), low * math.pow(span, 1 - KEEP_OFF)
    return min(max(guess, nearest), furthest)


class _Estimate:
    """RDP epsilon as a function of the budget; remembers what it has computed."""

    def __init__(self, build: Callable[[float], EventTree], delta: float) -> None:
        self._build, self._delta = build, delta
        self._known: dict[float, float] = {}

    def __call__(self, budget: float) -> float:
        if budget not in self._known:
            try:
                epsilon = RDP.opinion(self._build(budget), self._delta).epsilon
            except DeltaTooSmallError:
                epsilon = math.inf
            self._known[budget] = epsilon
        return self._known[budget]

    def invert(self, target: float, low: float, high: float, *, widen: bool = True) -> float:
        """A budget whose estimate is within 1e-5 of `target`, by false position on logarithms (Illinois rule)."""
        low, high = self._bracketed(target, low, high) if widen else (low, high)
        f_low, f_high = self._gap(low, target), self._gap(high, target)
        if f_low >= 0 or f_high <= 0:
            return low if f_low >= 0 else high
        side = 0
        for _ in range(80):
            weight = f_low / (f_low - f_high) if math.isfinite(f_high) and math.isfinite(f_low) else 0.5
            budget: float = low * (high / low) ** min(max(weight, 0.01), 0.99)
            gap = self._gap(budget, target)
            if abs(gap) < 1e-5 or high <= low * (1 + 1e-12):
                return budget
            if gap < 0:
                low, f_low, f_high = budget, gap, f_high / (2 if side < 0 else 1)
                side = -1
            else:
                high, f_high, f_low = budget, gap, f_low / (2 if side > 0 else 1)
                side = 1
        return low

    def _gap(self, budget: float, target: float) -> float:
        epsilon = self(budget)
        return math.log(epsilon / target) if epsilon > 0 else -math.inf

    def _bracketed(self, target: float, low: float, high: float) -> tuple[float, float]:
        floor, ceiling = low / WIDEST, high * WIDEST
        while self(low) > target and low > floor:
            low, high = low / 2, low
        while self(high) < target and high < ceiling:
            low, high = high, high * 2
        if self(low) > target or self(high) < target:
            raise CalibrationError(
                f"No budget between {low:.3g} and {high:.3g} meets epsilon {decimal_text(decimal_up(target, 6))}.",
                "Check that `build` maps more budget to less noise, and that delta exceeds what thresholds spend.",
            )
        return low, high
