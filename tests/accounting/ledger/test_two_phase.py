"""Reserve, read, commit or abort: what is granted is counted, whatever happens next."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounting import EventTree, Gaussian, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer
from accounting.ledger.entry import Kind
from accounting.ledger.errors import (
    AmountRefused,
    BudgetExceeded,
    BudgetRefused,
    EntryRefused,
    KeyRefused,
    LedgerReadOnly,
    PlanExceeded,
    ReservationRefused,
)

Made = Callable[..., Any]


def test_a_reservation_counts_until_it_is_closed_and_then_as_spent(
    ledger: Ledger, grant: Made, reserve: Made, plan: Made
) -> None:
    budget = grant(ledger, "1")
    run = reserve(ledger, budget, 4)
    assert ledger.balance(budget).epsilon.reserved == Decimal("0.4")
    ledger.check_token(run.id, run.token)
    entry = ledger.commit(run.id, plan(4), facts={"rows": "100"})
    balance = ledger.balance(budget)
    assert (balance.epsilon.spent, balance.epsilon.reserved, balance.epsilon.left) == (
        Decimal("0.4"),
        0,
        Decimal("0.6"),
    )
    assert balance.delta.spent == Decimal("1e-9")
    assert entry.kind is Kind.COMMIT
    assert entry.body["facts"] == {"rows": "100"}


TERMS: dict[str, Any] = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}


def test_a_run_that_stops_early_is_committed_as_its_plan_where_epsilons_add_up(ledger: Ledger) -> None:
    """Stopping may follow from what was seen: ten Gaussians reserved, one committed, would else cost a third."""
    budget = ledger.create_budget(dataset="d", commitment="c", epsilon="20", delta="1e-4", **TERMS)
    run = ledger.reserve(budget, _gaussians(10), delta="1e-6", run_id="r", purpose="p")
    entry = ledger.commit(run.id, _gaussians(1))
    assert ledger.balance(budget).epsilon.spent == run.guarantee.epsilon
    assert entry.body["events"] == _gaussians(10).to_json()
    assert entry.body["guarantee"] == run.guarantee.to_json()


def test_a_run_that_stops_early_costs_what_ran_where_rhos_add_up(ledger: Ledger) -> None:
    budget = ledger.create_budget(dataset="d", commitment="c", epsilon="20", delta="1e-4", filter="zcdp", **TERMS)
    run = ledger.reserve(budget, _gaussians(10), delta="1e-6", run_id="r", purpose="p")
    held = ledger.balance(budget).loss.reserved
    entry = ledger.commit(run.id, _gaussians(1))
    assert ledger.balance(budget).loss.spent == held / 10
    assert entry.body["events"] == _gaussians(1).to_json()


def _gaussians(count: int) -> EventTree:
    return EventTree(events=(Gaussian(sigma="2", l2_sensitivity="1", count=count),), **TERMS)


def test_the_tenth_tenth_of_one_fits_and_the_eleventh_does_not(ledger: Ledger, grant: Made, reserve: Made) -> None:
    budget = grant(ledger, "1")
    for _ in range(10):
        reserve(ledger, budget, 1)
    with pytest.raises(BudgetExceeded, match="spent 0, reserved 1") as refused:
        reserve(ledger, budget, 1)
    assert (refused.value.quantity, refused.value.asked, refused.value.limit) == ("epsilon", Decimal("0.1"), 1)
    assert refused.value.left == 0


def test_a_refusal_names_spent_asked_limit_and_the_next_allowed_action_and_writes_nothing(
    ledger: Ledger, grant: Made, reserve: Made, plan: Made
) -> None:
    budget = grant(ledger, "0.5")
    run = reserve(ledger, budget, 2)
    ledger.commit(run.id, plan(2))
    head = ledger.head()
    with pytest.raises(BudgetExceeded, match=r"0\.4 .*0\.3 left.*limit 0\.5, spent 0\.2.*at most epsilon 0\.3"):
        reserve(ledger, budget, 4)
    assert ledger.head() == head


def test_delta_is_a_budget_of_its_own(ledger: Ledger, grant: Made, plan: Made) -> None:
    budget = grant(ledger, "100", delta="3e-9")
    for _ in range(3):
        ledger.reserve(budget, plan(1), delta="1e-9", run_id="r", purpose="p")
    with pytest.raises(BudgetExceeded, match="Expected delta 1e-9 to fit into the 0 left") as refused:
        ledger.reserve(budget, plan(1), delta="1e-9", run_id="r", purpose="p")
    assert refused.value.quantity == "delta"


def test_an_abort_before_the_read_is_free_and_after_it_costs_the_plan(
    ledger: Ledger, grant: Made, reserve: Made
) -> None:
    budget = grant(ledger)
    ledger.abort(reserve(ledger, budget, 2).id, "bad config", data_was_read=False)
    assert ledger.balance(budget).epsilon.left == 1
    ledger.abort(reserve(ledger, budget, 2).id, "crash", data_was_read=True)
    assert ledger.balance(budget).epsilon.spent == Decimal("0.2")
    assert ledger.balance(budget).delta.spent == Decimal("1e-9")


def test_no_refund_once_the_token_was_used(ledger: Ledger, grant: Made, reserve: Made) -> None:
    budget = grant(ledger)
    run = reserve(ledger, budget)
    ledger.check_token(run.id, run.token)
    with pytest.raises(ReservationRefused, match="no refund"):
        ledger.abort(run.id, "never mind", data_was_read=False)
    assert ledger.balance(budget).epsilon.reserved == Decimal("0.1")
    ledger.abort(run.id, "never mind", data_was_read=True)
    assert ledger.balance(budget).epsilon.spent == Decimal("0.1")


def test_an_expiry_is_a_persons_act_with_a_reason_and_without_a_refund(
    ledger: Ledger, grant: Made, reserve: Made
) -> None:
    budget = grant(ledger)
    run = reserve(ledger, budget)
    with pytest.raises(EntryRefused, match="needs a reason"):
        ledger.expire(run.id, "  ")
    ledger.expire(run.id, "machine died")
    assert ledger.balance(budget).epsilon.spent == Decimal("0.1")
    assert [str(item.status) for item in ledger.reservations(budget)] == ["forfeited"]


def test_a_token_opens_the_data_once(ledger: Ledger, grant: Made, reserve: Made) -> None:
    budget = grant(ledger)
    first, second = reserve(ledger, budget), reserve(ledger, budget)
    for wrong in ("", "x", second.token, first.token[:-1]):
        with pytest.raises(ReservationRefused, match="does not belong"):
            ledger.check_token(first.id, wrong)
    ledger.check_token(first.id, first.token)
    with pytest.raises(ReservationRefused, match="used already"):
        ledger.check_token(first.id, first.token)


def test_a_token_of_a_closed_or_unknown_reservation_opens_nothing(
    ledger: Ledger, grant: Made, reserve: Made, plan: Made
) -> None:
    run = reserve(ledger, grant(ledger))
    ledger.commit(run.id, plan())
    with pytest.raises(ReservationRefused, match="closed"):
        ledger.check_token(run.id, run.token)
    with pytest.raises(ReservationRefused, match="No such reservation"):
        ledger.check_token("run-0", run.token)


def test_the_token_is_stored_nowhere(ledger: Ledger, grant: Made, reserve: Made, path: Path) -> None:
    run = reserve(ledger, grant(ledger))
    ledger.close()
    assert run.token.encode() not in path.read_bytes()
    assert run.token not in repr(run)


@pytest.mark.parametrize("closing", ["commit", "abort", "expire"])
def test_a_reservation_is_closed_once(ledger: Ledger, grant: Made, reserve: Made, plan: Made, closing: str) -> None:
    run = reserve(ledger, grant(ledger))
    close = {
        "commit": lambda: ledger.commit(run.id, plan()),
        "abort": lambda: ledger.abort(run.id, "x", data_was_read=True),
        "expire": lambda: ledger.expire(run.id, "x"),
    }
    close[closing]()
    for again in close.values():
        with pytest.raises(ReservationRefused, match="closed"):
            again()


def test_events_beyond_the_plan_are_refused_and_the_reservation_keeps_counting(
    ledger: Ledger, grant: Made, reserve: Made, plan: Made, terms: Any
) -> None:
    budget = grant(ledger)
    run = reserve(ledger, budget, 2)
    other = EventTree(events=(Gaussian(sigma="1000", l2_sensitivity="1"),), **terms)
    for events in (plan(3), other):
        with pytest.raises(PlanExceeded, match="not covered"):
            ledger.commit(run.id, events)
    assert ledger.balance(budget).epsilon.reserved == Decimal("0.2")


def test_relation_and_unit_of_plan_and_events_are_the_budgets(
    ledger: Ledger, grant: Made, reserve: Made, terms: Any
) -> None:
    budget = grant(ledger)
    events = (PureDP(epsilon="0.1"),)
    other = EventTree(events=events, **(terms | {"relation": NeighboringRelation.REPLACE_ONE}))
    user = EventTree(events=events, **(terms | {"unit": PrivacyUnit(kind="user", column="patient", max_records=3)}))
    run = reserve(ledger, budget)
    for tree in (other, user):
        with pytest.raises(BudgetRefused, match="do not add up"):
            ledger.reserve(budget, tree, delta="1e-9", run_id="r", purpose="p")
        with pytest.raises(BudgetRefused, match="do not add up"):
            ledger.commit(run.id, tree)


def test_a_second_budget_on_the_same_data_is_refused(ledger: Ledger, grant: Made) -> None:
    budget = grant(ledger)
    assert ledger.find_budget("data-1") == budget
    assert ledger.find_budget("data-2") is None
    with pytest.raises(BudgetRefused, match="a second would refill the first"):
        grant(ledger, "5")


@pytest.mark.parametrize("bad", ["0", "-1", "NaN", float("inf"), 5e-324, True])
def test_a_malformed_grant_or_share_leaves_the_ledger_as_it_was(
    ledger: Ledger, grant: Made, plan: Made, bad: Any
) -> None:
    budget = grant(ledger)
    head = ledger.head()
    with pytest.raises(AmountRefused, match="Expected epsilon"):
        grant(ledger, bad, commitment="other")
    with pytest.raises(AmountRefused, match="Expected delta"):
        grant(ledger, commitment="other", delta=bad)
    with pytest.raises(AmountRefused, match="Expected delta"):
        ledger.reserve(budget, plan(), delta=bad, run_id="r", purpose="p")
    assert ledger.head() == head


def test_unknown_budgets_are_refused(ledger: Ledger, reserve: Made) -> None:
    for call in (
        lambda: reserve(ledger, "budget-0"),
        lambda: ledger.balance("budget-0"),
        lambda: ledger.budget("budget-0"),
        lambda: ledger.reservations("budget-0"),
        lambda: ledger.slice("budget-0"),
        lambda: ledger.append("attempt", {"budget_id": "budget-0"}),
        lambda: ledger.append("release", {}),
    ):
        with pytest.raises(BudgetRefused, match="No such budget"):
            call()


def test_everything_survives_reopening(
    ledger: Ledger, grant: Made, reserve: Made, plan: Made, path: Path, signer: Signer
) -> None:
    budget = grant(ledger)
    ledger.commit(reserve(ledger, budget, 2).id, plan(2))
    run = reserve(ledger, budget, 3)
    before = (ledger.balance(budget), ledger.head(), ledger.ledger_id)
    ledger.close()
    with Ledger.open(f"sqlite:///{path}", signer=signer) as again:
        assert (again.balance(budget), again.head(), again.ledger_id) == before
        again.check_token(run.id, run.token)
        again.commit(run.id, plan(3))
        again.verify(all_signatures=True)


def test_two_handles_see_each_others_spends(
    ledger: Ledger, grant: Made, reserve: Made, path: Path, signer: Signer
) -> None:
    budget = grant(ledger, "0.3")
    with Ledger.open(path, signer=signer) as other:
        reserve(other, budget, 2)
        with pytest.raises(BudgetExceeded, match=r"reserved 0\.2"):
            reserve(ledger, budget, 2)
        reserve(ledger, budget, 1)
        assert other.balance(budget) == ledger.balance(budget)


def test_without_a_signer_nothing_is_written(ledger: Ledger, grant: Made, reserve: Made, path: Path) -> None:
    budget = grant(ledger)
    with Ledger.open(path) as reader:
        assert reader.balance(budget).epsilon.left == 1
        with pytest.raises(LedgerReadOnly, match="without a signer"):
            reserve(reader, budget)


def test_another_key_does_not_open_the_ledger_for_writing(ledger: Ledger, path: Path) -> None:
    with pytest.raises(KeyRefused, match="did not create"):
        Ledger.open(path, signer=Signer.generate())


@pytest.mark.parametrize(
    "kind", ["reserve", "commit", "abort", "expire", "access", "budget.create", "ledger.create", "x"]
)
def test_what_moves_a_budget_is_not_appended_by_hand(ledger: Ledger, kind: str) -> None:
    with pytest.raises(EntryRefused, match="not appended by hand"):
        ledger.append(kind, {})


@pytest.mark.parametrize(
    "body",
    [
        {"x": 0.5},
        {"x": float("nan")},
        {"x": 2**60},
        {"x": "\ud800"},
        {"x": b"raw"},
        {"x": "y" * 300_000},
        {"kind": "release"},
        {"nonce": "0"},
        {"time": "yesterday"},
        {1: "x"},
        {"budget_id": "budget-0"},
    ],
    ids=["float", "nan", "integer", "surrogate", "bytes", "large", "kind", "nonce", "time", "key", "budget"],
)
def test_bodies_that_have_no_canonical_form_are_refused(ledger: Ledger, body: Any) -> None:
    head = ledger.head()
    with pytest.raises(EntryRefused):
        ledger.append("policy", body)
    assert ledger.head() == head


def test_a_deep_body_is_refused_before_it_recurses(ledger: Ledger) -> None:
    body: Any = {}
    for _ in range(100_000):
        body = {"x": body}
    with pytest.raises(EntryRefused, match="nested"):
        ledger.append("policy", body)
    while body:
        body = body["x"]


def test_keys_are_added_once_under_their_own_id_and_revoked_once(ledger: Ledger) -> None:
    key = Signer.generate()
    entry = {"key_id": key.key_id, "public_key": key.public_bytes.hex(), "role": "release"}
    for bad in ({**entry, "role": "ledger"}, {**entry, "key_id": "0" * 32}, {**entry, "public_key": "00"}):
        with pytest.raises(EntryRefused, match="rules refuse"):
            ledger.append("key.add", bad)
    ledger.append("key.add", entry)
    with pytest.raises(EntryRefused, match="added twice"):
        ledger.append("key.add", entry)
    ledger.append("key.revoke", {"key_id": key.key_id, "reason": "laptop lost"})
    with pytest.raises(EntryRefused, match="not in use"):
        ledger.append("key.revoke", {"key_id": key.key_id, "reason": "again"})
    record = ledger.keys()[key.key_id]
    assert (record.role, record.added, record.revoked) == ("release", 1, 2)


def test_an_entry_and_a_balance_read_well(ledger: Ledger, grant: Made, reserve: Made) -> None:
    budget = grant(ledger)
    reserve(ledger, budget, 3)
    assert str(ledger.balance(budget)).startswith("epsilon: 0.7 left of 1 (spent 0, reserved 0.3)")
    assert "reserve (epsilon 0.3, delta 1e-9) test" in str(ledger.entries(budget)[-1])
    assert ledger.balance(budget).to_json()["epsilon"] == {
        "granted": "1",
        "spent": "0",
        "reserved": "0.3",
        "left": "0.7",
    }
