"""Floats of other libraries as exact decimals, each rounded to the side that costs more.

>>> scale_of(0.1, "scale"), share_of(0.1, "rate"), loss_of(0.1, "epsilon")
(Decimal('0.1'), Decimal('0.100000000000001'), Decimal('0.100000000000001'))

Fifteen decimals: what is given away is one part in 1e15, or where a number is smaller than that an `EventError`.
"""

from __future__ import annotations

import math
import numbers
from decimal import Decimal

from accounting.decimals import decimal_down, decimal_up
from accounting.errors import EventError

DIGITS = 15
LARGEST = 1e15


def scale_of(value: object, name: str) -> Decimal:
    """Noise, rounded down: less noise costs more."""
    scale = decimal_down(_number(value, name), DIGITS)
    if not scale:
        raise EventError(f"Expected {name} > 1e-{DIGITS}: without noise nothing is private.")
    return scale


def loss_of(value: object, name: str) -> Decimal:
    """An epsilon, a delta or a sensitivity, rounded up; for a delta below 1e-15 further digits are kept."""
    number = _number(value, name)
    return decimal_up(number, DIGITS if number >= 1e-3 else 40)


def share_of(value: object, name: str) -> Decimal:
    """A probability, rounded up and at most one."""
    share = loss_of(value, name)
    if share > 1 and float(share) > 1 + 1e-9:
        raise EventError(f"Expected {name} <= 1.")
    return min(share, Decimal(1))


def times_of(value: object, name: str) -> int:
    """A positive count."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise EventError(f"Expected {name} to be an integer >= 1.")
    return int(value)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise EventError(f"Expected {name} to be a finite number.")
    number = float(value)
    if not 0 < number <= LARGEST:
        raise EventError(f"Expected 0 < {name} <= {LARGEST:g}.", "Zero means either no noise or no access.")
    return number
