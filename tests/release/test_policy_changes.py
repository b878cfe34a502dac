"""A policy that was changed after the reservation is shown setting by setting, and lets nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.release.policy_changes import kept
from dpsynth.workspace import governance
from dpsynth.workspace.releasing import internal_report
from tests.workspace.governed import Governed, make_governed


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Governed:
    return make_governed(tmp_path_factory.mktemp("changed"))


def test_a_laxer_policy_after_the_reservation_is_a_diff_on_the_report(governed: Governed) -> None:
    path = governed.workspace.layout.policy
    text = path.read_text("utf-8")
    assert governance.governance_document(governed.workspace, governed.name)["policy_changes"] == []
    path.write_text(text.replace("membership.nearest.auc: 0.55", "membership.nearest.auc: 0.75"), "utf-8")
    try:
        found = governance.governance_document(governed.workspace, governed.name)
        changed = [{"path": "attacks: limits: membership.nearest.auc", "before": "0.55", "after": "0.75"}]
        assert found["policy_changes"] == changed
        assert "membership.nearest.auc" in internal_report(governed.draft)
        assert governed.draft.gate().decision == "reject"
    finally:
        path.write_text(text, "utf-8")


def test_a_policy_that_is_not_what_its_digest_says_is_not_believed(governed: Governed, tmp_path: Path) -> None:
    with governed.workspace.ledger(write=True) as ledger:
        ledger.append("policy", {"schema": "dpsynth.policy/1", "digest": "00" * 32, "policy": {"name": "never was"}})
        assert kept(ledger.entries(), "00" * 32) is None
