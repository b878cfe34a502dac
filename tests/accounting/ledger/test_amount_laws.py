"""Charges are an ordered group, exactly: what fits, how often, and what is written down and read back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accounting.ledger.amounts import (
    MAX_EPSILON,
    Charge,
    Currency,
    Grant,
    nothing,
    parse_delta,
    parse_epsilon,
    price_up,
)
from accounting.ledger.errors import AmountRefused

LOSSES = st.decimals("0", "1000", places=6)
DELTAS = st.decimals("0", "0.001", places=9)
CURRENCIES = st.sampled_from(Currency)
CHARGES = st.builds(Charge, loss=LOSSES, delta=DELTAS)


@given(CHARGES, CHARGES, CHARGES)
def test_a_sum_fits_where_its_parts_do_one_after_the_other(granted: Charge, first: Charge, second: Charge) -> None:
    both = first.plus(second)
    assert (both.loss, both.delta) == (first.loss + second.loss, first.delta + second.delta)
    assert both.minus(second) == first
    assert granted.covers_sum(first, second) == granted.covers(both)
    assert granted.covers(both) == (both.loss <= granted.loss and both.delta <= granted.delta)
    assert granted.covers(granted) and granted.covers_sum(granted, nothing(Currency.EPSILON))


@given(CHARGES, CHARGES)
def test_what_holds_a_price_so_often_holds_it_no_oftener(granted: Charge, price: Charge) -> None:
    assume(price.loss or price.delta)
    times = granted.holds(price)
    assert times >= 0
    assert granted.covers(Charge(loss=price.loss * times, delta=price.delta * times))
    assert not granted.covers(Charge(loss=price.loss * (times + 1), delta=price.delta * (times + 1)))
    assert Charge(loss=-granted.loss, delta=-granted.delta).holds(price) == 0


@given(CHARGES, CURRENCIES, CURRENCIES)
def test_one_currency_never_covers_another(charge: Charge, ours: Currency, theirs: Currency) -> None:
    mine = Charge(loss=charge.loss, delta=charge.delta, currency=ours)
    other = Charge(loss=charge.loss, delta=charge.delta, currency=theirs)
    assert mine.covers(other) == mine.covers_sum(other, nothing(theirs)) == (ours is theirs)
    assert mine.plus(nothing(ours)) == mine.minus(nothing(ours)) == mine


@given(st.decimals("0.000001", "1000", places=6), st.decimals("1e-9", "0.5", places=9), CURRENCIES)
def test_an_amount_is_read_back_as_it_was_written(loss: Decimal, delta: Decimal, currency: Currency) -> None:
    charge = Charge(loss=loss, delta=delta, currency=currency)
    body = charge.to_json()
    assert set(body) == {currency.value, "delta"} and Charge.from_json(body, currency) == charge
    grant = Grant(epsilon=loss, delta=delta)
    assert Grant.from_json(grant.to_json()) == grant and set(grant.to_json()) == {"epsilon", "delta"}
    free = {currency.value: body[currency.value], "delta": "0"}
    if currency is Currency.EPSILON:
        with pytest.raises(AmountRefused):
            Charge.from_json(free, currency)
    else:
        assert Charge.from_json(free, currency).delta == 0


@pytest.mark.parametrize("currency", Currency)
@pytest.mark.parametrize(
    "change",
    [
        lambda body, name: body | {"more": "1"},
        lambda body, name: {"delta": body["delta"]},
        lambda body, name: {name: body[name]},
        lambda body, name: {name: body[name], "other": "0.1"},
        lambda body, name: {"other": "1", "delta": body["delta"]},
        lambda body, name: body | {name: 1},
        lambda body, name: body | {"delta": 0.1},
        lambda body, name: body | {name: None},
        lambda body, name: list(body),
    ],
)
def test_a_charge_of_any_other_shape_is_refused(currency: Currency, change: Any) -> None:
    with pytest.raises(AmountRefused):
        Charge.from_json(change({currency.value: "1", "delta": "0.1"}, currency.value), currency)
    others = {one.value: "1" for one in Currency if one is not currency}
    for other in others:
        with pytest.raises(AmountRefused):
            Charge.from_json({other: "1", "delta": "0.1"}, currency)


@given(st.decimals("0", "1000", places=15))
def test_a_price_is_rounded_up_by_less_than_its_last_place(price: Decimal) -> None:
    rounded = price_up(price)
    assert rounded >= Decimal("1e-12") and rounded % Decimal("1e-12") == 0
    assert price <= rounded and (rounded - price < Decimal("1e-12") or rounded == Decimal("1e-12"))


@pytest.mark.parametrize("text", ["1." + "1" * 33, "1e-40", "0." + "0" * 39 + "1", "1000000", "1E6", "0.5e-1"])
def test_amounts_at_the_limits_are_taken_as_they_are(text: str) -> None:
    assert parse_epsilon(text) == Decimal(text)
    if Decimal(text) < 1:
        assert parse_delta(text) == Decimal(text)


@pytest.mark.parametrize("text", ["1." + "1" * 34, "1." + "1" * 33 + "e-8", "1e-41", "1000000.000001", "1e7"])
def test_amounts_beyond_the_limits_are_refused(text: str) -> None:
    with pytest.raises(AmountRefused, match="epsilon"):
        parse_epsilon(text)
    assert parse_epsilon(MAX_EPSILON) == 10**6
    assert parse_delta("0." + "9" * 30) < 1
