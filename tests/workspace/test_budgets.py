"""Budgets from Python: parts of a family, who pays, and names that must mean one budget."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from accounting.ledger import Signer
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import BudgetRefused, ParameterError
from dpsynth.workspace import Workspace
from dpsynth.workspace.budgets import BudgetExceeded, family
from dpsynth.workspace.keys import add_key
from dpsynth.workspace.registry.datasets import DatasetRecord


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "vault")


def table(extra: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"age": [18 + i % 60 for i in range(300 + extra)], "sex": ["f", "m"] * ((300 + extra) // 2)})


@pytest.fixture
def claims(ws: Workspace) -> DatasetRecord:
    record = ws.register("claims", table())
    ws.create_budget(record, epsilon=3, delta="1e-5", filter="zcdp", conversion_delta="8e-6")
    return record


def test_a_frame_is_a_version_of_another_and_both_pay_together(ws: Workspace, claims: DatasetRecord) -> None:
    later = ws.register("claims 2025", table(extra=2))
    ws.create_budget(later, epsilon=2, delta="1e-5", parent=claims)
    draft = ws.synthesize(later, "independent", epsilon=1, delta="1e-6", canaries=0)
    assert draft.budget.dataset == "claims-2025"
    root, part = ws.budgets(claims)
    assert (root.depth, part.depth, part.record.parent) == (0, 1, root.record.budget_id)
    assert root.balance.loss.spent == part.balance.loss.spent > 0
    assert ws.budgets(later) == ws.budgets(claims)


def test_a_share_pays_by_its_purpose_and_by_its_id(ws: Workspace, claims: DatasetRecord) -> None:
    ws.create_budget(claims, epsilon=2, delta="5e-6", purpose="teaching")
    share = ws.budgets(claims)[1].record
    for name in ("teaching", share.budget_id):
        draft = ws.synthesize(claims, "independent", epsilon="0.3", delta="1e-6", canaries=0, budget=name)
        assert draft.budget == share
    whole = ws.budgets(claims)[0].record
    own = ws.synthesize(claims, "independent", epsilon="0.3", delta="1e-6", canaries=0, budget=whole.budget_id)
    assert own.budget.purpose is None


def test_a_purpose_that_means_two_budgets_pays_for_nothing_until_one_is_named(
    ws: Workspace, claims: DatasetRecord
) -> None:
    """A team's ledger may hold what this workspace would not have written."""
    with ws.ledger(write=True) as ledger:
        whole = ws.budget_id(ledger, claims)
        ids = [
            ledger.create_budget(
                dataset="claims", unit=claims.unit, relation=NeighboringRelation.ADD_REMOVE, epsilon="1", delta="1e-6",
                conversion_delta="9e-7", parent=whole, purpose="teaching",
            )
            for _ in range(2)
        ]  # fmt: skip
    with pytest.raises(BudgetRefused, match="several shares") as refused:
        ws.synthesize(claims, "independent", epsilon="0.3", delta="1e-6", canaries=0, budget="teaching")
    assert all(one in refused.value.remedy for one in ids)
    assert ws.balance(claims, purpose=ids[1]).epsilon.spent == 0


def test_a_budget_of_other_data_pays_for_no_run_on_this(ws: Workspace, claims: DatasetRecord) -> None:
    other = ws.register("other", table(extra=4))
    ws.create_budget(other, epsilon=3, delta="1e-5")
    ws.create_budget(other, epsilon=1, delta="1e-6", purpose="teaching")
    for node in ws.budgets(other):
        with pytest.raises(BudgetRefused, match="has no share for"):
            ws.synthesize(claims, "independent", epsilon="0.3", delta="1e-6", canaries=0, budget=node.record.budget_id)
    version = ws.register("version", table(extra=6))
    ws.create_budget(version, epsilon=1, delta="5e-6", parent=claims)
    with ws.ledger() as ledger, pytest.raises(BudgetRefused, match="has no share for"):
        ws.budget_id(ledger, claims, ws.budget_id(ledger, version))


def test_a_refusal_carries_its_numbers_in_the_currency_of_the_filter(ws: Workspace, claims: DatasetRecord) -> None:
    ws.create_budget(claims, epsilon=1, delta="5e-6", purpose="teaching")
    with pytest.raises(BudgetExceeded) as refused:
        ws.synthesize(claims, "independent", epsilon=2, delta="1e-6", canaries=0, budget="teaching")
    assert refused.value.facts["quantity"] == "rho"
    assert refused.value.facts["budget_id"] == ws.budgets(claims)[1].record.budget_id
    assert refused.value.exit_code == 6


def test_an_amendment_is_a_second_persons_act(ws: Workspace, claims: DatasetRecord) -> None:
    boss, own = Signer.generate(), Signer.load(ws.layout.ledger_key)
    for signer in (boss, own, Signer.load(ws.layout.release_key)):
        with pytest.raises(BudgetRefused, match="a second person"):
            ws.amend_budget(claims, epsilon=4, reason="why", approver=signer)
    add_key(ws, boss.public_bytes, "budget")
    balance = ws.amend_budget(claims, epsilon=4, reason="why", approver=boss)
    assert (balance.epsilon.granted, balance.original.epsilon) == (4, 3)
    assert [change.reason for change in ws.budgets(claims)[0].balance.amendments] == ["why"]


def test_a_share_needs_a_name(ws: Workspace, claims: DatasetRecord) -> None:
    with pytest.raises(ParameterError, match="needs a name"):
        ws.create_budget(claims, epsilon=1, delta="1e-6", recipient="public")


def test_a_family_is_listed_as_a_tree_whatever_the_order_of_its_grants(ws: Workspace, claims: DatasetRecord) -> None:
    for purpose, parent in (("a", None), ("b", None), ("c", "a"), ("d", "b"), ("e", "c")):
        ws.create_budget(claims, epsilon=1, delta="1e-6", purpose=purpose, parent=parent)
    nodes = ws.budgets(claims)
    assert [(node.record.purpose, node.depth) for node in nodes] == [
        (None, 0), ("a", 1), ("c", 2), ("e", 3), ("b", 1), ("d", 2),
    ]  # fmt: skip
    with ws.ledger() as ledger:
        assert family(ledger, nodes[3].record.budget_id) == nodes


def test_an_epsilon_that_the_policy_rejects_is_said_before_the_rows_are_read(ws: Workspace) -> None:
    record = ws.register("claims", table())
    ws.create_budget(record, epsilon=30, delta="1e-5")
    limit = ws.policy().guarantee.max_epsilon_per_release
    said: list[str] = []
    ws.synthesize(record, "independent", epsilon=limit, delta="1e-6", canaries=0, warn=said.append)
    assert not any("cannot ship" in one for one in said)
    before = ws.budgets(record)[0].balance

    def stop(warning: str) -> None:
        raise KeyboardInterrupt(warning)

    with pytest.raises(KeyboardInterrupt, match=f"above {limit}"):
        ws.synthesize(record, "independent", epsilon=limit + 1, delta="1e-6", canaries=0, warn=stop)
    assert ws.budgets(record)[0].balance == before
