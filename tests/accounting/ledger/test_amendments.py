"""A grant changes in one way only: by the signature of a second person, in the open. There is no other refill."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounting import Gaussian, Ledger, Signer
from accounting.event import EventTree
from accounting.ledger.amendment import approval_message
from accounting.ledger.amounts import Grant
from accounting.ledger.entry import GENESIS_PREV
from accounting.ledger.errors import (
    AmountRefused,
    BudgetExceeded,
    BudgetRefused,
    EntryRefused,
    KeyRefused,
    LedgerError,
    Reason,
    SliceRefused,
)
from accounting.ledger.slice import verify_slice


def _add(ledger: Ledger, key: Signer, role: str = "budget") -> None:
    ledger.append("key.add", {"key_id": key.key_id, "public_key": key.public_bytes.hex(), "role": role})


@pytest.fixture
def approver(ledger: Ledger) -> Signer:
    key = Signer.generate()
    _add(ledger, key)
    return key


def test_an_amendment_is_shown_with_the_original_ever_after(
    ledger: Ledger, signer: Signer, grant: Any, reserve: Any, plan: Any, approver: Signer
) -> None:
    budget = grant(ledger, "1")
    ledger.commit(reserve(ledger, budget, 8).id, plan(8))
    with pytest.raises(BudgetExceeded, match="budget key amend"):
        reserve(ledger, budget, 4)
    ledger.amend(budget, epsilon="1.5", delta="1e-6", reason="a second wave of the study", approver=approver)
    ledger.amend(budget, epsilon="1.3", delta="2e-6", reason="the board asked for less", approver=approver)
    reserve(ledger, budget, 4)
    balance = ledger.balance(budget)
    assert (balance.epsilon.granted, balance.epsilon.left) == (Decimal("1.3"), Decimal("0.1"))
    assert balance.original == Grant(epsilon=Decimal(1), delta=Decimal("1e-6"))
    assert [(item.before.epsilon, item.after.epsilon) for item in balance.amendments] == [
        (Decimal(1), Decimal("1.5")), (Decimal("1.5"), Decimal("1.3")),
    ]  # fmt: skip
    first = balance.amendments[0].to_json()
    assert (first["key_id"], first["reason"], first["key_added"]) == (approver.key_id, "a second wave of the study", 1)
    for word in ("a second wave of the study", approver.key_id, "epsilon 1,"):
        assert word in str(balance)
    facts = verify_slice(ledger.slice(budget), ledger_key=signer.public_bytes)
    assert facts.balances[budget] == balance
    assert facts.budgets[budget].amendments == balance.amendments
    ledger.verify(all_signatures=True)


def test_what_is_held_is_the_least_that_a_grant_can_be(
    ledger: Ledger, grant: Any, reserve: Any, approver: Signer
) -> None:
    budget = grant(ledger, "1")
    reserve(ledger, budget, 6)
    head = ledger.head()
    for epsilon, delta in (("0.5", "1e-6"), ("1", "5e-10")):
        with pytest.raises(BudgetRefused, match="has spent and reserved"):
            ledger.amend(budget, epsilon=epsilon, delta=delta, reason="less", approver=approver)
    assert ledger.head() == head
    ledger.amend(budget, epsilon="0.6", delta="1e-9", reason="no more than was used", approver=approver)
    assert (ledger.balance(budget).epsilon.left, ledger.balance(budget).delta.left) == (0, 0)


def test_a_filters_parameters_stay_frozen_and_its_limit_follows_the_grant(
    ledger: Ledger, terms: dict[str, Any], approver: Signer
) -> None:
    budget = ledger.create_budget(dataset="d", commitment="c", epsilon="2", delta="1e-5", filter="zcdp", **terms)
    before = ledger.balance(budget)
    tree = EventTree(events=(Gaussian(sigma="9", l2_sensitivity="1", count=12),), **terms)
    ledger.reserve(budget, tree, delta="1e-7", run_id="r", purpose="p")
    with pytest.raises(BudgetRefused, match="rho"):
        ledger.amend(budget, epsilon="1.5", delta="1e-5", reason="less", approver=approver)
    ledger.amend(budget, epsilon="3", delta="1e-5", reason="more", approver=approver)
    after = ledger.balance(budget)
    assert after.composition == before.composition
    assert after.loss.granted > before.loss.granted


def test_a_part_is_not_amended_beyond_its_whole(ledger: Ledger, grant: Any, terms: Any, approver: Signer) -> None:
    root = grant(ledger, "1")
    part = ledger.create_budget(dataset="d", parent=root, purpose="p", epsilon="0.5", delta="1e-7", **terms)
    with pytest.raises(BudgetRefused, match="larger than the whole"):
        ledger.amend(part, epsilon="1.5", delta="1e-7", reason="more", approver=approver)
    ledger.amend(part, epsilon="1", delta="1e-7", reason="more", approver=approver)
    assert ledger.balance(root).epsilon.granted == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"reason": ""}, BudgetRefused),
        ({"reason": " \n"}, BudgetRefused),
        ({"epsilon": "1"}, BudgetRefused),  # changes nothing
        ({"epsilon": "-2"}, AmountRefused),
        ({"epsilon": "0"}, AmountRefused),
        ({"epsilon": float("nan")}, AmountRefused),
        ({"epsilon": float("inf")}, AmountRefused),
        ({"epsilon": 5e-324}, AmountRefused),
        ({"epsilon": "1000001"}, AmountRefused),
        ({"delta": "1"}, AmountRefused),
    ],
)
def test_a_malformed_amendment_is_refused_and_nothing_changes(
    ledger: Ledger, grant: Any, approver: Signer, change: dict[str, Any], error: type
) -> None:
    budget = grant(ledger, "1")
    head, before = ledger.head(), ledger.balance(budget)
    with pytest.raises(error):
        ledger.amend(budget, **{"epsilon": "2", "delta": "1e-6", "reason": "more", "approver": approver, **change})
    assert (ledger.head(), ledger.balance(budget)) == (head, before)


def test_only_a_budget_key_in_use_approves(ledger: Ledger, signer: Signer, grant: Any, approver: Signer) -> None:
    budget, stranger, reviewer, revoked = grant(ledger, "1"), Signer.generate(), Signer.generate(), Signer.generate()
    _add(ledger, reviewer, "review")
    _add(ledger, revoked)
    ledger.append("key.revoke", {"key_id": revoked.key_id, "reason": "left"})
    with pytest.raises(EntryRefused):
        _add(ledger, signer)  # the ledger's own key is not a second person
    head = ledger.head()
    for wrong in (signer, stranger, reviewer, revoked):
        with pytest.raises(KeyRefused, match="second person"):
            ledger.amend(budget, epsilon="2", delta="1e-6", reason="more", approver=wrong)
    with pytest.raises(BudgetRefused, match="No such budget"):
        ledger.amend("budget-of-nobody", epsilon="2", delta="1e-6", reason="more", approver=approver)
    assert ledger.head() == head


# What the holder of the ledger's key, without the approver's, may not sign.
def _body(ledger: Ledger, budget: str, key: Signer, **change: Any) -> dict[str, Any]:
    told = {
        "ledger_id": ledger.ledger_id,
        "budget_id": budget,
        "before": Grant(epsilon=Decimal(1), delta=Decimal("1e-6")),
        "after": Grant(epsilon=Decimal(2), delta=Decimal("1e-6")),
        "reason": "more",
        "last_hash": ledger.head().hash,
    }
    signature = key.sign(approval_message(**{**told, **{name: change[name] for name in told.keys() & change.keys()}}))
    return {
        "budget_id": budget,
        "granted": told["after"].to_json(),
        "filter": change.get("filter", "basic"),
        "reason": "more",
        "key_id": change.get("key_id", key.key_id),
        "signature": change.get("signature", signature.hex()),
    }


FORGED: dict[str, tuple[dict[str, Any], Reason]] = {
    "another reason than was signed": ({"reason": "less"}, Reason.SIGNATURE_INVALID),
    "another grant than was signed": (
        {"after": Grant(epsilon=Decimal("1.1"), delta=Decimal("1e-6"))},
        Reason.SIGNATURE_INVALID,
    ),
    "another old grant": ({"before": Grant(epsilon=Decimal(2), delta=Decimal("1e-6"))}, Reason.SIGNATURE_INVALID),
    "a signature for another budget": ({"budget_id": "budget-of-nobody"}, Reason.SIGNATURE_INVALID),
    "a signature for another ledger": ({"ledger_id": "ledger-0"}, Reason.SIGNATURE_INVALID),
    "a signature for another place": ({"last_hash": GENESIS_PREV}, Reason.SIGNATURE_INVALID),
    "no signature": ({"signature": ""}, Reason.RULE_BROKEN),
    "a signature that is no hex": ({"signature": "x" * 128}, Reason.SIGNATURE_INVALID),
    "a filter that nobody knows": ({"filter": "generous"}, Reason.RULE_BROKEN),
    "another filter than the budget's": (
        {"filter": {"name": "zcdp", "conversion_delta": "5e-7", "limit": {"rho": "0.001", "delta": "0"}}},
        Reason.RULE_BROKEN,
    ),
    "an unknown key": ({"key_id": "0" * 32}, Reason.RULE_BROKEN),
}


@pytest.mark.parametrize("case", [None, *FORGED])
def test_the_owner_of_the_ledger_alone_cannot_amend(
    ledger: Ledger, signer: Signer, grant: Any, forger: Any, approver: Signer, case: str | None
) -> None:
    budget = grant(ledger, "1")
    forged = forger(ledger.entries(), signer)
    change, reason = FORGED[case] if case is not None else ({}, None)
    forged.add("budget.amend", **_body(ledger, budget, approver, **change))
    if reason is None:  # the same body with nothing forged is accepted
        facts = verify_slice(forged.slice(budget), ledger_key=signer.public_bytes)
        assert facts.balances[budget].epsilon.granted == 2
        return
    with pytest.raises(SliceRefused) as refused:
        verify_slice(forged.slice(budget), ledger_key=signer.public_bytes)
    assert refused.value.reason is reason


def test_the_ledgers_own_key_cannot_sign_for_the_second_person(
    ledger: Ledger, signer: Signer, grant: Any, forger: Any, approver: Signer
) -> None:
    budget = grant(ledger, "1")
    for key_id in (signer.key_id, approver.key_id):
        forged = forger(ledger.entries(), signer)
        forged.add("budget.amend", **_body(ledger, budget, signer, key_id=key_id))
        with pytest.raises(SliceRefused):
            verify_slice(forged.slice(budget), ledger_key=signer.public_bytes)


def test_an_approval_is_not_good_twice(
    ledger: Ledger, signer: Signer, grant: Any, forger: Any, approver: Signer
) -> None:
    budget = grant(ledger, "1")
    first = ledger.amend(budget, epsilon="2", delta="1e-6", reason="more", approver=approver)
    ledger.amend(budget, epsilon="1", delta="1e-6", reason="back", approver=approver)
    forged = forger(ledger.entries(), signer)
    again = {name: first.body[name] for name in ("budget_id", "granted", "filter", "reason", "key_id", "signature")}
    forged.add("budget.amend", **again)
    with pytest.raises(SliceRefused) as refused:
        verify_slice(forged.slice(budget), ledger_key=signer.public_bytes)
    assert refused.value.reason is Reason.SIGNATURE_INVALID


def test_an_amendment_cannot_be_withheld_nor_dropped(
    ledger: Ledger, signer: Signer, grant: Any, approver: Signer
) -> None:
    budget = grant(ledger, "1")
    ledger.amend(budget, epsilon="2", delta="1e-6", reason="more", approver=approver)
    dropped = ledger.slice(budget)
    del dropped["entries"][-1]
    with pytest.raises(SliceRefused) as refused:
        verify_slice(dropped, ledger_key=signer.public_bytes)
    assert refused.value.reason is Reason.HEAD_MISMATCH


def test_there_is_no_silent_refresh(
    path: Path, ledger: Ledger, signer: Signer, grant: Any, reserve: Any, terms: Any, approver: Signer
) -> None:
    """Every other way to more epsilon on the same data that we could think of; the balance is what it was."""
    budget = grant(ledger, "1")
    reserve(ledger, budget, 10)
    grant_again = {"dataset": "another name", "commitment": "data-1", "epsilon": "1", "delta": "1e-6", **terms}
    part = ledger.create_budget(dataset="d", parent=budget, purpose="p", epsilon="1", delta="1e-6", **terms)
    derived = ledger.create_budget(
        dataset="cleaned", commitment="data-1b", parent=budget, epsilon="1", delta="1e-6", **terms
    )
    other = grant(ledger, "1", commitment="data-2")
    replayed = ledger.entries()[2].body

    def tries(opened: Ledger) -> list[Any]:
        return [
            lambda: opened.create_budget(**grant_again),
            lambda: opened.create_budget(**{**grant_again, "parent": other}),
            lambda: opened.create_budget(**{**grant_again, "parent": part}),
            lambda: opened.create_budget(**{**grant_again, "commitment": "data-1b"}),
            lambda: opened.append("budget.create", dict(replayed)),
            lambda: opened.append("budget.amend", {"budget_id": budget}),
            lambda: opened.append("budget.child", {"budget_id": budget}),
            lambda: opened.amend(budget, epsilon="9", delta="1e-6", reason="more", approver=signer),
            lambda: reserve(opened, part, 1),
            lambda: reserve(opened, derived, 1),
            lambda: reserve(opened, budget, 1),
        ]

    before, head = ledger.balance(budget), ledger.head()
    for attempt in tries(ledger):
        with pytest.raises(LedgerError):
            attempt()
    ledger.close()
    with Ledger.open(path, signer=signer) as reopened:
        for attempt in tries(reopened):
            with pytest.raises(LedgerError):
                attempt()
        assert (reopened.balance(budget), reopened.head()) == (before, head)
        heir = Signer.generate()
        reopened.rotate(heir, "a new key is not a new budget")
        for attempt in tries(reopened):
            with pytest.raises(LedgerError):
                attempt()
        with pytest.raises(KeyRefused):  # neither the old key of the ledger nor the new one is a second person
            reopened.amend(budget, epsilon="9", delta="1e-6", reason="more", approver=heir)
        assert reopened.balance(budget) == before
