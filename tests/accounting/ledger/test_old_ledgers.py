"""A ledger that the first release wrote (commit f161650) opens, verifies and goes on, byte for byte.

`ledger_f161650.json` holds the rows that the code of that commit wrote, the balances that it gave, a slice that it
made, and the ledger's key, a test key that protects nothing.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounting import Ledger, Signer
from accounting.ledger.entry import Row
from accounting.ledger.errors import BudgetExceeded, BudgetRefused
from accounting.ledger.evidence.replay import Outcome, replay
from accounting.ledger.slice import verify_slice
from accounting.ledger.store import Store

OLD: dict[str, Any] = json.loads(Path(__file__).with_name("ledger_f161650.json").read_text("utf-8"))


@pytest.fixture
def old_signer() -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(OLD["private_key"])))


@pytest.fixture
def old(location: Path | str, old_signer: Signer) -> Any:
    """The rows as they stand, in a store of today."""
    rows = [Row(**row) for row in OLD["rows"]]
    store = Store.create(location, rows[0], timeout_s=5)
    with store.writing() as transaction:
        for row in rows[1:]:
            transaction.append(row)
    store.close()
    with Ledger.open(location, signer=old_signer) as ledger:
        yield ledger


def test_an_old_ledger_verifies_and_its_balances_are_what_they_were(old: Ledger) -> None:
    old.verify(all_signatures=True)
    for budget, amounts in OLD["balances"].items():
        now = old.balance(budget).to_json()
        assert {name: now[name] for name in amounts} == amounts
        assert (now["filter"], now["amendments"], now["loss"]["currency"]) == ("basic composition", [], "epsilon")
        assert now["original"] == {name: amounts[name]["granted"] for name in ("epsilon", "delta")}
    assert {item.outcome for item in replay(old.entries(), "rdp")} == {Outcome.HOLDS}


def test_an_old_slice_is_made_again_and_verifies(old: Ledger, old_signer: Signer) -> None:
    assert old.slice(OLD["budget"]) == OLD["slice_of_budget"]
    facts = verify_slice(OLD["slice_of_budget"], ledger_key=old_signer.public_bytes)
    assert facts.root.budget_id == facts.budget_id == OLD["budget"]
    assert list(facts.balances) == [OLD["budget"]]


def test_an_old_ledger_goes_on(old: Ledger, old_signer: Signer, plan: Any, terms: dict[str, Any]) -> None:
    budget, open_run = OLD["budget"], OLD["open"]
    old.check_token(open_run["reservation"], open_run["token"])
    old.commit(open_run["reservation"], plan(2))
    with pytest.raises(BudgetRefused, match="has a budget already"):
        old.create_budget(dataset="again", commitment="data-1", epsilon="1", delta="1e-6", **terms)
    share = old.create_budget(dataset="d", parent=budget, purpose="teaching", epsilon="0.5", delta="1e-7", **terms)
    approver = Signer.generate()
    old.append("key.add", {"key_id": approver.key_id, "public_key": approver.public_bytes.hex(), "role": "budget"})
    left = old.balance(budget).epsilon.left
    with pytest.raises(BudgetExceeded):
        old.reserve(share, plan(5), delta="1e-9", run_id="r", purpose="p")
    old.amend(budget, epsilon="2", delta="1e-6", reason="a second year", approver=approver)
    old.reserve(share, plan(5), delta="1e-9", run_id="r", purpose="p")
    assert old.balance(budget).epsilon.left == left + 1 - Decimal("0.5")
    facts = verify_slice(old.slice(share), ledger_key=old_signer.public_bytes)
    assert facts.balances[budget] == old.balance(budget)
    old.verify(all_signatures=True)
