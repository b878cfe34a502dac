"""Exact amounts: what is granted as (epsilon, delta), and what is charged in a filter's currency.

A budget is money: 0.1 three times fits into 0.3, and nothing else does. Amounts are therefore decimals with a
bounded number of digits, added without rounding; only prices from an accountant, which may carry any number
of digits, are rounded, and always up. A Python float is read as the shortest decimal that prints it, because
that is what the person typed.

What a sum of charges proves depends on the filter: `accounting.ledger.composition`.

>>> tenth = Charge(loss=parse_epsilon(0.1), delta=parse_delta("1e-9"))
>>> print(tenth.plus(tenth).plus(tenth))
epsilon 0.3 delta 3e-9
"""

from __future__ import annotations

import decimal
import math
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from accounting.decimals import decimal_text
from accounting.ledger.errors import AmountRefused

MAX_DIGITS = 34
MAX_PLACES = 40
MAX_EPSILON = Decimal(1_000_000)
PRICE_PLACES = Decimal("1e-12")

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


class Currency(StrEnum):
    """What adds up under a composition filter, beside delta."""

    EPSILON = "epsilon"  # basic composition
    RHO = "rho"  # zero-concentrated DP
    DIVERGENCE = "divergence"  # Renyi divergence of one fixed order, in nats


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a person allows: (epsilon, delta) over all runs, in the unit and relation of the budget."""

    epsilon: Decimal
    delta: Decimal

    @staticmethod
    def from_json(data: object) -> Grant:
        """Read `{"epsilon": "…", "delta": "…"}`.

        Raises:
            AmountRefused: another shape, or amounts that cannot be granted.
        """
        charge = Charge.from_json(data)
        return Grant(epsilon=charge.loss, delta=charge.delta)

    def to_json(self) -> dict[str, str]:
        """`{"epsilon": "…", "delta": "…"}`."""
        return {"epsilon": decimal_text(self.epsilon), "delta": decimal_text(self.delta)}

    def __str__(self) -> str:
        return f"epsilon {decimal_text(self.epsilon)}, delta {decimal_text(self.delta)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What is held or spent, in the currency of the budget's filter, unit and relation.

    Attributes:
        loss: epsilon, rho or divergence.
        delta: mass of the events that the filter cannot bound; with epsilon, the whole delta of the run.
    """

    loss: Decimal
    delta: Decimal
    currency: Currency = Currency.EPSILON

    @staticmethod
    def from_json(data: object, currency: Currency = Currency.EPSILON) -> Charge:
        """Read `{"epsilon": "…", "delta": "…"}`, or with rho or divergence in place of epsilon.

        Raises:
            AmountRefused: another shape, or amounts that cannot be charged.
        """
        if not isinstance(data, dict) or len(data) != 2 or currency not in data or "delta" not in data:
            raise AmountRefused(f"Expected a charge of exactly {currency.value} and delta.")
        loss, delta = data[currency], data["delta"]
        if type(loss) is not str or type(delta) is not str:
            raise AmountRefused("Expected amounts in the chain to be decimal strings.")
        return _charge(loss, delta, currency)

    def to_json(self) -> dict[str, str]:
        """`{"epsilon": "…", "delta": "…"}`, or with rho or divergence in place of epsilon."""
        return {self.currency.value: decimal_text(self.loss), "delta": decimal_text(self.delta)}

    def plus(self, other: Charge) -> Charge:
        """The exact sum, in the currency of both."""
        loss, delta = _EXACT.add(self.loss, other.loss), _EXACT.add(self.delta, other.delta)
        return Charge(loss=loss, delta=delta, currency=self.currency)

    def minus(self, other: Charge) -> Charge:
        """The exact difference, in the currency of both."""
        loss, delta = subtract(self.loss, other.loss), subtract(self.delta, other.delta)
        return Charge(loss=loss, delta=delta, currency=self.currency)

    def covers(self, other: Charge) -> bool:
        """Whether `other` is of the same currency and at most this in both quantities."""
        return other.currency is self.currency and other.loss <= self.loss and other.delta <= self.delta

    def covers_sum(self, first: Charge, second: Charge) -> bool:
        """`covers(first.plus(second))`, for each entry of a long ledger."""
        return (
            first.currency is self.currency
            and _EXACT.add(first.loss, second.loss) <= self.loss
            and _EXACT.add(first.delta, second.delta) <= self.delta
        )

    def holds(self, other: Charge) -> int:
        """How many times `other`, which is above zero, fits into this: in both quantities."""
        parts = ((self.loss, other.loss), (self.delta, other.delta))
        return min(max(0, Fraction(room) // Fraction(price)) for room, price in parts if price)

    def __str__(self) -> str:
        data = self.to_json()
        return f"{self.currency.value} {data[self.currency.value]} delta {data['delta']}"


def nothing(currency: Currency) -> Charge:
    """A charge of zero."""
    return Charge(loss=Decimal(0), delta=Decimal(0), currency=currency)


@lru_cache(maxsize=4096)
def delta_in_chain(text: str) -> Decimal:
    """`parse_delta` of text, remembered: a long ledger holds few different ones."""
    return parse_delta(text)


@lru_cache(maxsize=4096)
def _charge(loss: str, delta: str, currency: Currency) -> Charge:
    # Beside rho or a divergence, delta is what the filter cannot bound: often nothing.
    free = currency is not Currency.EPSILON and delta == "0"
    return Charge(
        loss=parse_epsilon(loss, name=currency.value),
        delta=Decimal(0) if free else parse_delta(delta),
        currency=currency,
    )
