"""Exact amounts of epsilon and delta.

A budget is money: 0.1 three times fits into 0.3, and nothing else does. Amounts are therefore decimals with a
bounded number of digits, added without rounding; only prices from an accountant, which may carry any number
of digits, are rounded, and always up. A Python float is read as the shortest decimal that prints it, because
that is what the person typed.

Sums are the basic composition filter: for adaptively chosen runs with (epsilon_i, delta_i) fixed before each
run, stopping while sum epsilon_i <= epsilon and sum delta_i <= delta keeps the whole (epsilon, delta)-DP
(Dwork et al. 2006; as a filter: Rogers, Roth, Ullman, Vadhan 2016).

>>> tenth = Charge(epsilon=parse_epsilon(0.1), delta=parse_delta("1e-9"))
>>> print(tenth.plus(tenth).plus(tenth).epsilon)
0.3

Not guaranteed: tightness. Sums across runs over-state the loss; they never under-state it.
"""

from __future__ import annotations

import decimal
import math
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from accounting.decimals import decimal_text
from accounting.ledger.errors import AmountRefused

MAX_DIGITS = 34
MAX_PLACES = 40
MAX_EPSILON = Decimal(1_000_000)
PRICE_PLACES = Decimal("1e-12")

_QUANTITIES = frozenset({"epsilon", "delta"})
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
# Wide enough for 10^9 summands of the widest amount: an inexact sum is a bug and raises.
_EXACT = decimal.Context(prec=120, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow])


def parse_epsilon(value: str | int | float | Decimal, *, name: str = "epsilon") -> Decimal:
    """An epsilon that can be granted or charged: 0 < epsilon <= 1,000,000.

    Raises:
        AmountRefused: not a number, not positive, infinite, subnormal, or with too many digits.
    """
    amount = _parse(value, name)
    if amount > MAX_EPSILON:
        raise AmountRefused(f"Expected {name}={amount} <= {MAX_EPSILON}: more protects nobody.", "Lower it.")
    return amount


def parse_delta(value: str | int | float | Decimal, *, name: str = "delta") -> Decimal:
    """A delta that can be granted or charged: 0 < delta < 1.

    Raises:
        AmountRefused: as `parse_epsilon`, or delta >= 1, which permits publishing everything.
    """
    amount = _parse(value, name)
    if amount >= 1:
        raise AmountRefused(f"Expected {name}={amount} < 1: delta 1 permits publishing everything.", "Lower it.")
    return amount


def price_up(value: Decimal) -> Decimal:
    """A price from an accountant, rounded up to 12 places where it has more, and never zero."""
    with decimal.localcontext(prec=200):
        rounded = value.quantize(PRICE_PLACES, rounding=decimal.ROUND_CEILING)
    return max(value if rounded == value else rounded, PRICE_PLACES)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """The exact difference."""
    return _EXACT.subtract(left, right)


def _parse(value: str | int | float | Decimal, name: str) -> Decimal:
    text = value if isinstance(value, str) else _text(value, name)
    # Never echo unbounded text; the sign is looked at apart so that -1 is told from garbage.
    if len(text) > 100 or not _NUMBER.fullmatch(text):
        raise AmountRefused(f"Expected {name} to be a finite decimal number.", f'Write {name}="1.0".')
    amount = Decimal(text)
    if amount <= 0:
        raise AmountRefused(f"Expected {name}={text} > 0: nothing private costs nothing.", "Raise it.")
    if len(text) > MAX_DIGITS or "e" in text or "E" in text:
        _, digits, exponent = amount.normalize(decimal.Context(prec=100)).as_tuple()
        if len(digits) > MAX_DIGITS or not isinstance(exponent, int) or -exponent > MAX_PLACES:
            raise AmountRefused(
                f"Expected {name} with at most {MAX_DIGITS} digits and {MAX_PLACES} decimal places.",
                "Round it up.",
            )
    return amount


def _text(value: int | float | Decimal, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise AmountRefused(f"Expected {name} to be a decimal number.", f'Write {name}="1.0".')
    if isinstance(value, float):
        if not math.isfinite(value) or 0 < abs(value) < sys.float_info.min:
            raise AmountRefused(f"Expected {name} to be a finite, normal number.", f'Write {name}="1.0".')
        return float.__repr__(value)
    return str(value) if isinstance(value, Decimal) or abs(value) < 10**40 else "too long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A pair (epsilon, delta) that is granted, held or spent, in the unit and relation of its budget."""

    epsilon: Decimal
    delta: Decimal

    @staticmethod
    def from_json(data: object) -> Charge:
        """Read `{"epsilon": "…", "delta": "…"}`.

        Raises:
            AmountRefused: another shape, or amounts that cannot be charged.
        """
        if not isinstance(data, dict) or data.keys() != _QUANTITIES:
            raise AmountRefused("Expected a charge of exactly epsilon and delta.")
        epsilon, delta = data["epsilon"], data["delta"]
        if type(epsilon) is not str or type(delta) is not str:
            raise AmountRefused("Expected amounts in the chain to be decimal strings.")
        return _charge(epsilon, delta)

    def to_json(self) -> dict[str, str]:
        """`{"epsilon": "…", "delta": "…"}`."""
        return {"epsilon": decimal_text(self.epsilon), "delta": decimal_text(self.delta)}

    def plus(self, other: Charge) -> Charge:
        """The exact sum."""
        return Charge(epsilon=_EXACT.add(self.epsilon, other.epsilon), delta=_EXACT.add(self.delta, other.delta))

    def minus(self, other: Charge) -> Charge:
        """The exact difference."""
        return Charge(epsilon=subtract(self.epsilon, other.epsilon), delta=subtract(self.delta, other.delta))

    def covers(self, other: Charge) -> bool:
        """Whether `other` is at most this in both quantities."""
        return other.epsilon <= self.epsilon and other.delta <= self.delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """One quantity of one budget: granted = spent + reserved + left."""

    granted: Decimal
    spent: Decimal
    reserved: Decimal

    @property
    def left(self) -> Decimal:
        """What a new plan may cost; never negative in a ledger that verifies."""
        return subtract(subtract(self.granted, self.spent), self.reserved)

    def to_json(self) -> dict[str, str]:
        """Decimal strings under granted, spent, reserved, left."""
        names = ("granted", "spent", "reserved", "left")
        return {name: decimal_text(getattr(self, name)) for name in names}

    def __str__(self) -> str:
        data = self.to_json()
        return f"{data['left']} left of {data['granted']} (spent {data['spent']}, reserved {data['reserved']})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Where a budget stands, in its own unit and relation."""

    epsilon: Amounts
    delta: Amounts

    def to_json(self) -> dict[str, dict[str, str]]:
        """The object of `budget show --json`."""
        return {"epsilon": self.epsilon.to_json(), "delta": self.delta.to_json()}

    def __str__(self) -> str:
        return f"epsilon: {self.epsilon}\ndelta:   {self.delta}"


@lru_cache(maxsize=4096)
def _charge(epsilon: str, delta: str) -> Charge:
    return Charge(epsilon=parse_epsilon(epsilon), delta=parse_delta(delta))


NOTHING = Charge(epsilon=Decimal(0), delta=Decimal(0))
