"""Parts of a body are what a rule takes them for, or the entry is refused by its number and a typed reason."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from accounting.ledger import shape
from accounting.ledger.amounts import Charge, Currency
from accounting.ledger.errors import AmountRefused, LedgerTampered, Reason

TREE = {"schema": "dpsynth.events/1", "relation": "add_remove", "unit": "record", "events": [{"type": "laplace"}]}
NO_TEXT = [None, 5, 0, True, "", [], ["a"], {}, {"a": 1}]


def _refused(call: Callable[[], Any], reason: Reason = Reason.RULE_BROKEN) -> None:
    with pytest.raises(LedgerTampered) as refused:
        call()
    assert (refused.value.reason, refused.value.seq) == (reason, 7)
    assert "Entry 7" in str(refused.value)


@pytest.mark.parametrize("value", NO_TEXT)
def test_what_is_no_text_is_refused(value: Any) -> None:
    _refused(lambda: shape.text(7, {"name": value}, "name"))
    if value is None:
        assert shape.optional_text(7, {"name": value}, "name") is None
    else:
        _refused(lambda: shape.optional_text(7, {"name": value}, "name"))
    _refused(lambda: shape.key_bytes(7, {"public_key": value}))


def test_text_is_taken_as_it_is() -> None:
    assert shape.text(7, {"name": " a"}, "name") == shape.optional_text(7, {"name": " a"}, "name") == " a"
    assert shape.key_bytes(7, {"public_key": "0a" * 32}) == b"\x0a" * 32
    for wrong in ("0a" * 31, "0a" * 33, "0A" * 32, "zz" * 32, "0a" * 32 + "\n"):
        _refused(lambda wrong=wrong: shape.key_bytes(7, {"public_key": wrong}))


@pytest.mark.parametrize("part", list(TREE))
@pytest.mark.parametrize("value", [None, 5, "other", [], [1], {}, "absent"])
def test_an_event_tree_is_of_its_budget(part: str, value: Any) -> None:
    tree = {name: one for name, one in TREE.items() if (name, value) != (part, "absent")}
    if value != "absent":
        tree[part] = value
    if (part, value) == ("events", []):
        assert shape.events_in(shape.event_tree(7, tree, relation="add_remove", unit="record")) == []
        return
    reason = Reason.UNKNOWN_SCHEMA if part == "schema" and value != "absent" else Reason.RULE_BROKEN
    _refused(lambda: shape.event_tree(7, tree, relation="add_remove", unit="record"), reason)


def test_a_tree_is_read_whole_and_no_field_more() -> None:
    assert shape.event_tree(7, TREE, relation="add_remove", unit="record") == TREE
    assert shape.events_in(TREE) == [{"type": "laplace"}]
    assert shape.events_in({"events": 5}) == []
    for wrong in (None, [], 5, TREE | {"more": 1}):
        _refused(lambda wrong=wrong: shape.event_tree(7, wrong, relation="add_remove", unit="record"))


@pytest.mark.parametrize("guarantee", [None, [], "1", {}, {"delta": 1e-9}, {"delta": None}])
def test_a_guarantee_states_its_delta(guarantee: Any) -> None:
    _refused(lambda: shape.guarantee_delta(7, {"guarantee": guarantee}))
    assert shape.guarantee_delta(7, {"guarantee": {"delta": "1e-9"}}) == Decimal("1e-9")


def _body(epsilon: str, stated: str, delta: str = "1e-9") -> dict[str, Any]:
    return {"charge": {"epsilon": epsilon, "delta": delta}, "guarantee": {"epsilon": stated, "delta": "1e-9"}}


def test_a_charge_covers_the_guarantee_that_it_stands_for() -> None:
    for epsilon, stated in (("0.5", "0.5"), ("0.6", "0.5"), ("1e-12", "0"), ("0.000000000001", "0")):
        found = shape.priced(7, _body(epsilon, stated), Currency.EPSILON)
        assert found == Charge(loss=Decimal(epsilon), delta=Decimal("1e-9"))
    for epsilon, stated, delta in (("0.4", "0.5", "1e-9"), ("0.5", "0.5", "1e-10"), ("1e-13", "0", "1e-9")):
        _refused(lambda e=epsilon, s=stated, d=delta: shape.priced(7, _body(e, s, d), Currency.EPSILON))
    for guarantee in (None, [], "0.5"):
        _refused(lambda g=guarantee: shape.priced(7, _body("1", "1") | {"guarantee": g}, Currency.EPSILON))
    with pytest.raises(AmountRefused):
        shape.priced(7, _body("1", "one"), Currency.EPSILON)


def test_a_charge_in_another_currency_is_held_against_no_epsilon() -> None:
    body = {"charge": {"rho": "0.001", "delta": "0"}, "guarantee": {"epsilon": "5", "delta": "1e-9"}}
    assert shape.priced(7, body, Currency.RHO).loss == Decimal("0.001")
    _refused(lambda: shape.priced(7, body | {"guarantee": None}, Currency.RHO))
