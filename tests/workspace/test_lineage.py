"""Parents: declared at registration, recorded in every draft, its commit and its card, and judged by the gate."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.cli.app import call
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.release.evidence import LineageFacts
from dpsynth.release.rules import load_rule
from dpsynth.simulation import network
from dpsynth.workspace import Workspace
from dpsynth.workspace.registry.lineage import facts

BUNDLE = Path(__file__).parents[1] / "release" / "bundle_f161650.zip"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    frame: pd.DataFrame = network(columns=3, seed=1).draw(400, seed=0).table.to_pandas()
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    return tmp_path / "mixed.csv"


def test_a_parent_is_known_by_its_statement_or_its_bytes(rows: Path) -> None:
    found = facts([BUNDLE, rows, rows], real_anchor=False)
    assert found is not None
    assert len(found.parents) == 2
    assert hashlib.sha256(rows.read_bytes()).hexdigest() in found.parents
    assert facts([], real_anchor=False) is None
    with pytest.raises(ParameterError, match="Real rows stand beside synthetic ones only where there are any"):
        facts([], real_anchor=True)
    with pytest.raises(DataError, match=r"There is no parent at nowhere\.csv"):
        facts([rows.parent / "nowhere.csv"], real_anchor=False)
    with pytest.raises(DataError, match="no statement can vouch for"):
        facts([rows.parent], real_anchor=False)


@pytest.mark.parametrize("anchored", [False, True])
def test_a_round_on_synthetic_rows_alone_is_recorded_and_refused(rows: Path, tmp_path: Path, anchored: bool) -> None:
    ws = Workspace.init(tmp_path / "vault")
    told = ["budget", "create", str(rows), "--epsilon", "2", "--delta", "1e-5", "--workspace", str(tmp_path / "vault")]
    assert call([*told, "--parents", str(BUNDLE), *(["--real-anchor"] if anchored else [])]) == 0
    ws = Workspace.open(tmp_path / "vault")
    record = ws.find(rows)
    assert record.lineage is not None
    assert record.lineage.real_anchor is anchored
    draft = ws.synthesize(record, "independent", epsilon=1, delta="1e-6", canaries=0)
    assert draft.document.lineage == record.lineage
    assert json.loads((draft.folder / "draft.json").read_text("utf-8"))["lineage"]["real_anchor"] is anchored
    with ws.ledger() as ledger:
        commit = next(e for e in ledger.entries(draft.document.budget_id) if "facts" in e.body)
    assert len(commit.body["facts"]["lineage"]) == 64
    decision = draft.gate()
    (rule,) = [rule for rule in decision.rules if rule.name == "real_anchor"]
    assert (rule.passed, rule.on_fail) == (anchored, "reject")


def test_data_without_parents_is_written_as_before(rows: Path, tmp_path: Path) -> None:
    ws = Workspace.init(tmp_path / "vault")
    record = ws.register(rows)
    assert "lineage" not in record.to_json()
    assert ws.register(rows, parents=[BUNDLE]).lineage is not None
    assert ws.register(rows).lineage is not None  # what was declared stays
    assert load_rule("real_anchor").on_fail == "reject"
    assert "alone" in LineageFacts(parents=("a" * 64,), real_anchor=False).words()
