"""`dpsynth report`: a draft inside, a draft for the public, and a whole workspace, as pages and as PDF."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpsynth.cli.app import call
from dpsynth.core.errors import DataError, GateRefused
from dpsynth.report.statement import Statement
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.governance import governance_document
from dpsynth.workspace.portfolio import portfolio_document
from dpsynth.workspace.registry.datasets import DatasetRecord
from dpsynth.workspace.releasing import internal_model, public_model
from dpsynth.workspace.stating import stated_by

Made = tuple[Workspace, DatasetRecord]


def test_a_draft_has_a_page_inside_and_a_page_for_the_public(
    judged: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("typst", reason="the extra pdf is not installed")
    where = ["--workspace", str(judged.workspace.layout.root), "--json"]
    inside = [str(tmp_path / "in.html"), "--pdf", str(tmp_path / "in.pdf")]
    assert call(["report", judged.name, "-o", *inside, *where]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "edition": "internal", "pdf": str(tmp_path / "in.pdf"), "report": str(tmp_path / "in.html"),
    }  # fmt: skip
    assert call(["report", judged.name, "--public", "--pdf", str(tmp_path / "out.pdf"), *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"edition": "public", "pdf": str(tmp_path / "out.pdf")}
    assert "internal, not for release" in (tmp_path / "in.html").read_text("utf-8")
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")


def test_the_public_page_of_the_command_says_what_that_of_the_bundle_says(judged: Draft, tmp_path: Path) -> None:
    from dpsynth.report import render_public

    bundle = judged.release(tmp_path / "bundle").bundle
    asked = render_public(public_model(judged))
    said = (bundle / "report.html").read_text("utf-8")
    for first, last in (
        ("<h2>Criteria", "<h2>State and"),
        ("<h2>Statement", "<h2>Rules"),
        ("<h2>Events", "<h2>Twenty"),
    ):
        assert asked.partition(first)[2].partition(last)[0] == said.partition(first)[2].partition(last)[0] != ""
    assert "State <b>approved</b>" in said and "policy <b>public release</b>" in said
    assert not any("internal" in path.name for path in bundle.iterdir())
    assert all(b"not for release" not in path.read_bytes() for path in bundle.iterdir())


def test_without_a_decision_to_ship_there_is_no_public_page(workspace: Made, tmp_path: Path) -> None:
    ws, record = workspace
    draft = ws.synthesize(record, epsilon=1, delta="1e-6", canaries=0)
    with pytest.raises(GateRefused):
        public_model(draft)
    assert governance_document(ws, draft.name)["state"] == "sealed"
    assert internal_model(draft).governance.state == "sealed"


def test_a_public_page_needs_a_draft_and_a_place(judged: Draft, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--workspace", str(judged.workspace.layout.root)]
    assert call(["report", judged.name, "--public", *where]) == 2
    assert call(["report", "--public", *where]) == 2
    assert "name a draft" in capsys.readouterr().err


def test_what_the_workspace_states_is_printed_and_nonsense_is_refused(workspace: Made) -> None:
    ws, record = workspace
    assert stated_by(ws) == Statement()
    ws.layout.statement.write_text("version: 1\npurpose: Teaching <b>\n", "utf-8")
    draft = ws.synthesize(record, epsilon=1, delta="1e-6", canaries=0)
    assert internal_model(draft).statement.purpose == "Teaching <b>"
    ws.layout.statement.write_text("version: 1\nbogus: 1\n", "utf-8")
    with pytest.raises(DataError, match="bogus"):
        internal_model(draft)
    ws.layout.statement.unlink()
    assert internal_model(draft).statement == Statement()


def test_another_policy_than_at_the_reserve_shows_as_a_change(workspace: Made) -> None:
    ws, record = workspace
    draft = ws.synthesize(record, epsilon=1, delta="1e-6", canaries=0)
    assert governance_document(ws, draft.name)["policy_changes"] == []
    text = ws.layout.policy.read_text("utf-8").replace("max_attempts: 5", "max_attempts: 4")
    ws.layout.policy.write_text(text, "utf-8")
    changes = internal_model(draft).governance.policy_changes
    assert len(changes) >= 1


def test_the_portfolio_counts_what_the_ledger_holds(
    judged: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged.release(tmp_path / "bundle")
    ws = judged.workspace
    document = portfolio_document(ws)
    assert {row["draft"] for row in document["drafts"]} == {draft.name for draft in ws.drafts()}
    with ws.ledger() as ledger:
        kinds = [entry.kind.value for entry in ledger.entries()]
    assert len(document["releases"]) == kinds.count("release") >= 1
    assert sum(row["attacks"] for row in document["drafts"]) == kinds.count("attack")
    assert len(document["spending"]) == kinds.count("commit")
    exact = json.loads((judged.folder / "attack.json").read_text("utf-8"))["report"]["attacks"][0]["estimate"]
    assert str(exact) not in json.dumps(document)  # names, amounts and dates, no figure of an attack
    page = tmp_path / "all.html"
    assert call(["report", "-o", str(page), "--workspace", str(ws.layout.root)]) == 0
    assert f"Portfolio of {ws.layout.root.name}" in page.read_text("utf-8")
    assert "internal" in capsys.readouterr().out
