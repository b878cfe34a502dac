"""Exact decimal numbers at the seams: what is charged, stored and signed is never a binary float.

>>> decimal_up(0.1, 3), decimal_down(0.1, 3), decimal_up(2 / 3, 4)
(Decimal('0.101'), Decimal('0.1'), Decimal('0.6667'))

The first line shows why: the double 0.1 is slightly above one tenth, so its ceiling is 0.101. Rounding follows the
true value of the double; for noise round a scale up, for a sensitivity round up, for an epsilon round up.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from accounting.errors import EventError, ParameterError

MAX_DIGITS = 60
_GRAMMAR = re.compile(r"(?:0|[1-9][0-9]{0,59})(?:\.[0-9]{1,60})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_LARGEST, _SMALLEST = Decimal("1e30"), Decimal("1e-40")
_EXACT = Context(prec=400)


def decimal_up(value: float, digits: int) -> Decimal:
    """The smallest decimal with `digits` decimals that is >= `value`."""
    return _rounded(value, digits, ROUND_CEILING)


def decimal_down(value: float, digits: int) -> Decimal:
    """The largest decimal with `digits` decimals that is <= `value`."""
    return _rounded(value, digits, ROUND_FLOOR)


def _rounded(value: float, digits: int, rounding: str) -> Decimal:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ParameterError(f"Expected a finite number below 1e30 to round, got {value}.")
    if not 0 <= digits <= MAX_DIGITS:
        raise ParameterError(f"Expected 0 to {MAX_DIGITS} decimals, got {digits}.")
    return Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=rounding, context=_EXACT).normalize(_EXACT)


def read_decimal(value: object, name: str) -> Decimal:
    """A finite, non-negative, exactly written number of bounded size.

    Args:
        value: a Decimal, an int, or a string such as "0.05" or "1e-9".
        name: what to call it in the error.

    Raises:
        EventError: for floats, NaN, infinities, negative or absurdly long or large numbers.
    """
    if isinstance(value, Decimal):
        text = str(value) if value.is_finite() and -200 < value.adjusted() < 200 else ""
    elif type(value) is int:
        text = str(value) if value.bit_length() <= 128 else ""
    elif isinstance(value, str):
        text = value if len(value) <= 2 * MAX_DIGITS + 6 else ""
    else:
        raise EventError(
            f"Expected {name} as a decimal string, got {type(value).__name__}: a binary float is not what was meant.",
            'Write "0.05", not 0.05.',
        )
    if not _GRAMMAR.fullmatch(text):
        raise EventError(
            f"Expected {name} to be a finite, non-negative decimal of at most {MAX_DIGITS} digits each side.",
            'Write it like "10", "0.05" or "1e-9".',
        )
    number = Decimal(text)
    if number and not _SMALLEST <= number <= _LARGEST:
        raise EventError(f"Expected {name} between 1e-40 and 1e30.")
    return number


def read_positive(value: object, name: str) -> Decimal:
    """Like `read_decimal`, and greater than zero."""
    number = read_decimal(value, name)
    if not number:
        raise EventError(f"Expected {name} > 0: zero means either no noise or no access.")
    return number


def decimal_text(value: Decimal) -> str:
    """The one spelling of a number: no trailing zeros, an exponent only below 1e-4 or from 1e16 on.

    >>> decimal_text(Decimal("10.00")), decimal_text(Decimal("0.000000001"))
    ('10', '1e-9')
    """
    number = value.normalize(_EXACT)
    if not number:
        return "0"
    if -4 <= number.adjusted() < 16:
        return format(number, "f")
    digits = "".join(map(str, number.as_tuple().digits))
    fraction = "." + digits[1:] if digits[1:] else ""
    return f"{digits[0]}{fraction}e{number.adjusted()}"
