"""Private models on a draft's data: reserved, committed as counted, refused without budget, no attempt."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from accounting.event import EventTree
from accounting.ledger.entry import Kind
from dpsynth.cli.app import call
from dpsynth.core.errors import BudgetRefused, ParameterError
from dpsynth.release.entries import attempts
from dpsynth.workspace.figures.comparators import asked
from tests.workspace.test_unprotected import claims, kinds, workspace


def test_private_models_are_paid_for_and_a_budget_that_is_short_refuses_them(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    draft = ws.synthesize("claims", "independent", epsilon="0.5", delta="1e-6")
    before = ws.balance("claims").epsilon.spent
    with ws.ledger() as ledger:
        tries = attempts(ledger.entries(), draft.name)
    report = draft.evaluate(comparators=asked("0.1", 2, draft))
    assert {one.model for one in report.utility.comparators} == {"logistic", "naive_bayes", "trees"}
    assert float(ws.balance("claims").epsilon.spent - before) == pytest.approx(
        0.6, rel=1e-3
    )  # 3 models, 2 draws of 0.1
    assert kinds(ws)[-4:] == ["reserve", "access", "commit", "quality"]
    with ws.ledger() as ledger:
        assert attempts(ledger.entries(), draft.name) == tries
    reads = len(kinds(ws))
    with pytest.raises(BudgetRefused):
        draft.evaluate(comparators=asked(None, 5, draft))  # 15 times 0.5
    assert len(kinds(ws)) == reads  # not even an access
    assert draft.evaluate().utility.comparators == ()


def test_under_a_filter_the_ledger_charges_the_draws_that_were_counted(tmp_path: Path) -> None:
    ws = workspace(tmp_path, filter="zcdp")
    draft = ws.synthesize("claims", "independent", epsilon="0.5", delta="1e-6")
    wanted = asked("0.1", 2, draft)
    draft.evaluate(comparators=wanted)
    with ws.ledger() as ledger:
        committed = [entry for entry in ledger.entries() if entry.kind is Kind.COMMIT][-1]
    events = EventTree.from_json(committed.body["events"]).events
    assert sum(event.epsilon * event.count for event in events) == pytest.approx(Decimal("0.6"), rel=Decimal("1e-3"))


def test_a_draft_without_a_guarantee_has_no_epsilon_to_compare_at(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    draft = ws.synthesize_unprotected("claims", "sdv-gaussian-copula", rows=200)
    with pytest.raises(ParameterError, match="need an epsilon"):
        asked(None, 2, draft)
    with pytest.raises(ParameterError, match="has a guarantee"):
        draft.evaluate(comparators=asked("1", 2, draft))


def test_files_are_free_if_they_are_public_and_else_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("real", "synthetic", "holdout"):
        (tmp_path / f"{name}.csv").write_text(claims(300).to_csv(index=False), "utf-8")
    files = [part for name in ("real", "synthetic", "holdout") for part in (f"--{name}", str(tmp_path / f"{name}.csv"))]
    asking = ["evaluate", *files, "--target", "died", "--comparators", "--epsilon", "1", "--draws", "2", "--json"]
    assert call(asking) == 2 and "--public" in capsys.readouterr().err
    assert call([*asking, "--public"]) == 0
    assert json.loads(capsys.readouterr().out)["utility"]["comparators"][0]["epsilon"] == "1"
    assert call(["evaluate", *files, "--epsilon", "1"]) == 2
