"""Between (epsilon, delta) and the two currencies that add up under adaptive choice, in exact decimals.

A lifetime budget is granted as (epsilon, delta), because people read that, and spent in zCDP's rho or in the Renyi
divergence D of one fixed order alpha, because those add up whatever is chosen next. At one order, D gives
(Canonne, Kamath and Steinke 2020, Proposition 12)

    epsilon = D + c(alpha, delta),   c = (log(1/delta) + (alpha - 1) log(1 - 1/alpha) - log alpha) / (alpha - 1)

and rho-zCDP is D <= alpha rho at every order, so that any alpha gives a valid epsilon and the best is looked for. What
is granted is rounded down, what is spent up, with decimals of 50 digits: two machines never disagree about a limit.
Standard library only: a receiver computes it again.

>>> zcdp_limit(Decimal(3), Decimal("5e-6")), zcdp_epsilon_up(Decimal("0.157"), Decimal("5e-6"))
(Decimal('0.210876536429'), Decimal('2.546318399150'))
>>> rdp_limit(Decimal(3), Decimal(8), Decimal("5e-6"))
Decimal('1.686869806360')

Not guaranteed: that the order was a good choice; `accounting.lifetime` looks for one.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

PLACES = Decimal("1e-12")
_WIDE = decimal.Context(prec=50, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow])
_SLACK = Decimal("1e-30")  # far above the error of a dozen operations with 50 digits, far below a place
_STEPS = 44
_GOLDEN = Decimal("0.61803398874989484820458683436563811772")


def penalty(order: Decimal, delta: Decimal) -> Decimal:
    """c(alpha, delta): what the conversion of a divergence of this order costs in epsilon; not rounded.

    Args:
        order: alpha > 1.
        delta: in (0, 1).
    """
    with decimal.localcontext(_WIDE):
        excess = order - 1
        return (-delta.ln() + excess * (excess / order).ln() - order.ln()) / excess


def rdp_epsilon_up(divergence: Decimal, order: Decimal, delta: Decimal) -> Decimal:
    """Epsilon, rounded up to twelve places, of a Renyi divergence of this order at `delta`; 0 for divergence 0."""
    if not divergence:
        return Decimal(0)
    with decimal.localcontext(_WIDE):
        return _up(divergence + penalty(order, delta))


def rdp_limit(epsilon: Decimal, order: Decimal, delta: Decimal) -> Decimal:
    """The largest divergence of this order that is (epsilon, delta)-DP, rounded down; not positive if there is none."""
    with decimal.localcontext(_WIDE):
        return (epsilon - penalty(order, delta) - _SLACK).quantize(PLACES, rounding=decimal.ROUND_FLOOR)


@lru_cache(maxsize=4096)
def zcdp_epsilon_up(rho: Decimal, delta: Decimal) -> Decimal:
    """Epsilon, rounded up to twelve places, of rho-zCDP at `delta`; 0 for rho 0."""
    if not rho:
        return Decimal(0)
    with decimal.localcontext(_WIDE):
        start = (-delta.ln() / rho).sqrt()
        return _up(-_largest(lambda order: -(order * rho + penalty(order, delta)), start))


@lru_cache(maxsize=1024)
def zcdp_limit(epsilon: Decimal, delta: Decimal) -> Decimal:
    """The largest rho that is (epsilon, delta)-DP, rounded down."""
    with decimal.localcontext(_WIDE):
        log = -delta.ln()
        rho_about = ((log + epsilon).sqrt() - log.sqrt()) ** 2  # from epsilon = rho + 2 sqrt(rho log(1/delta))
        start = (log / rho_about).sqrt()
        best = _largest(lambda order: (epsilon - penalty(order, delta)) / order, start)
        limit = (best - _SLACK).quantize(PLACES, rounding=decimal.ROUND_FLOOR)
    while limit > 0 and zcdp_epsilon_up(limit, delta) > epsilon:  # the two searches stop at neighbouring orders
        limit -= PLACES
    return limit


def _largest(value: Callable[[Decimal], Decimal], start: Decimal) -> Decimal:
    """The value of a unimodal function of alpha near its maximum: golden section in log(alpha - 1) around `start`."""
    centre = start.ln()
    low, high = centre - 4, centre + 4
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = value(1 + left.exp()), value(1 + right.exp())
    for _ in range(_STEPS):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = value(1 + left.exp())
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = value(1 + right.exp())
    return max(at_left, at_right)


def _up(epsilon: Decimal) -> Decimal:
    return max(Decimal(0), (epsilon + _SLACK).quantize(PLACES, rounding=decimal.ROUND_CEILING))
