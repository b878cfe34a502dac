"""Money does not round in anybody's favour but the data subjects'."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounting.ledger.amounts import Charge, parse_delta, parse_epsilon, price_up
from accounting.ledger.composition import Composition
from accounting.ledger.errors import AmountRefused

MALFORMED = {
    "negative": "-1",
    "negative-float": -0.5,
    "zero": "0",
    "zero-float": 0.0,
    "negative-zero": "-0.0",
    "zero-with-exponent": "0e5",
    "nan": float("nan"),
    "nan-text": "NaN",
    "signalling-nan": Decimal("sNaN"),
    "infinite": float("inf"),
    "infinite-text": "Infinity",
    "minus-infinite": Decimal("-Infinity"),
    "subnormal": 5e-324,
    "subnormal-negative": -1e-310,
    "empty": "",
    "blank": " ",
    "words": "one",
    "hex": "0x10",
    "underscores": "1_000",
    "comma": "1,5",
    "arabic-digits": "\u0661",
    "fraction": "1/2",
    "plus-sign": "+1",
    "newline": "1\n",
    "none": None,
    "true": True,
    "list": ["1"],
    "complex": 1j,
    "bytes": b"1",
    "too-many-digits": "1." + "1" * 39,
    "too-many-digits-decimal": Decimal("0." + "3" * 39),
    "too-long": "1" * 200,
    "tiny-exponent": "1e-41",
    "absurd-exponent": "1e-999",
    "absurd-exponent-decimal": Decimal("1e-999999"),
    "huge-int": 10**5000,
    "too-large": "1000001",
    "huge-exponent": "1e300",
}


@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_epsilon_is_refused(value: object) -> None:
    with pytest.raises(AmountRefused, match="Expected epsilon"):
        parse_epsilon(value)


@pytest.mark.parametrize(
    "value", [*MALFORMED.values(), "1", 1, 1.0, "1.5"], ids=[*MALFORMED, "one", "int", "float", "above-one"]
)
def test_malformed_delta_is_refused(value: object) -> None:
    with pytest.raises(AmountRefused, match="Expected delta"):
        parse_delta(value)


@pytest.mark.parametrize(
    ("value", "exact"),
    [("1", "1"), (1, "1"), (0.1, "0.1"), (1e-9, "1e-9"), ("1E-9", "1e-9"), (Decimal("2.50"), "2.5"), ("3e2", "300")],
)
def test_what_a_person_typed_is_what_is_charged(value: object, exact: str) -> None:
    assert parse_epsilon(value) == Decimal(exact)


def _charge(epsilon: object) -> Charge:
    return Charge(loss=Decimal(epsilon), delta=Decimal("1e-9"))


def test_three_tenths_fit_into_three_tenths_and_nothing_more() -> None:
    tenth = Charge(loss=parse_epsilon(0.1), delta=parse_delta("1e-9"))
    spent = tenth.plus(tenth).plus(tenth)
    granted = Charge(loss=parse_epsilon("0.3"), delta=parse_delta("3e-9"))
    assert granted.covers(spent)
    assert not granted.covers(spent.plus(Charge(loss=Decimal("1e-40"), delta=Decimal(0))))
    assert not granted.covers(spent.plus(Charge(loss=Decimal(0), delta=Decimal("1e-40"))))


def test_amounts_add_up_exactly_however_different() -> None:
    held = _charge(0)
    for _ in range(1000):
        held = held.plus(_charge("1e-40")).plus(_charge(10**6))
    for _ in range(1000):
        held = held.minus(_charge(10**6))
    assert held.loss == Decimal("1e-37")


def test_prices_are_rounded_up_and_never_to_zero() -> None:
    assert price_up(Decimal("0.1234567890123")) == Decimal("0.123456789013")
    assert price_up(Decimal("0.1")) == Decimal("0.1")
    assert price_up(Decimal(0)) > 0


@pytest.mark.parametrize("data", [{}, {"epsilon": "1"}, {"epsilon": 1, "delta": "0.1"}, ["1", "0.1"], None])
def test_a_charge_in_the_chain_is_two_decimal_strings(data: object) -> None:
    with pytest.raises(AmountRefused, match="Expected"):
        Charge.from_json(data)


@pytest.mark.parametrize("order", ["NaN", "sNaN", "Infinity", "-Infinity", "1", "0.5", "-2", "4096.001"])
def test_an_order_that_proves_nothing_is_refused(order: str) -> None:
    with pytest.raises(AmountRefused, match="order"):
        Composition.rdp(order=Decimal(order), conversion_delta=Decimal("1e-6"))


@pytest.mark.parametrize("order", ["1.001", "2", "4096"])
def test_orders_above_one_are_taken_as_they_are(order: str) -> None:
    assert Composition.rdp(order=Decimal(order), conversion_delta=Decimal("1e-6")).order == Decimal(order)
