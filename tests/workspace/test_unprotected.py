"""Baselines on private data: recorded before they read, sealed, judged like others, and never shipped."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from accounting.ledger.errors import CapabilityRefused
from dpsynth.cli.app import call
from dpsynth.core.errors import BudgetRefused, GateRefused, ParameterError
from dpsynth.release.entries import attempts
from dpsynth.release.policy import default_policy
from dpsynth.schema.model import ColumnSpec, Schema
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.private.room import open_source

SCHEMA = Schema(
    columns={
        "age": ColumnSpec(kind="integer", min=0, max=99),
        "town": ColumnSpec(kind="categorical", values=("a", "b", "c")),
        "died": ColumnSpec(kind="boolean", role="target"),
    }
)


def claims(rows: int = 700) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    age = rng.integers(18, 90, rows)
    return pd.DataFrame({"age": age, "town": rng.choice(["a", "b", "c"], rows), "died": rng.random(rows) < age / 120})


def workspace(folder: Path, **terms: str) -> Workspace:
    ws = Workspace.init(folder / "vault")
    (folder / "claims.csv").write_text(claims().to_csv(index=False), "utf-8")
    (folder / "schema.yaml").write_text(SCHEMA.to_yaml(), "utf-8")
    ws.register(folder / "claims.csv", schema=folder / "schema.yaml")
    ws.create_budget("claims", epsilon=3, delta="1e-5", **terms)
    return ws


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Draft]:
    ws = workspace(tmp_path_factory.mktemp("unprotected"))
    return ws, ws.synthesize_unprotected("claims", "sdv-gaussian-copula", rows=400)


@pytest.fixture
def copied(made: tuple[Workspace, Draft], tmp_path: Path) -> Draft:
    """The same workspace in a folder of its own."""
    shutil.copytree(made[0].layout.root, tmp_path / "vault")
    return Workspace.open(tmp_path / "vault").draft(made[1].name)


def kinds(ws: Workspace) -> list[str]:
    with ws.ledger() as ledger:
        return [entry.kind.value for entry in ledger.entries() if entry.budget_id is not None]


def test_the_ledger_says_so_before_a_row_is_read_and_charges_nothing(made: tuple[Workspace, Draft]) -> None:
    ws, draft = made
    assert kinds(ws) == ["budget.create", "unprotected", "attempt"]
    assert ws.balance("claims").epsilon.spent == 0
    with ws.ledger() as ledger:
        entry = next(e for e in ledger.entries() if e.kind == "unprotected")
    assert entry.body["generator"] == "sdv-gaussian-copula"
    assert "without protection" in str(entry) and draft.ledger_entry == f"{entry.seq}:{entry.hash}"


def test_the_draft_states_no_guarantee_and_hides_its_rows(made: tuple[Workspace, Draft]) -> None:
    _, draft = made
    assert draft.guarantee is None and json.loads((draft.folder / "draft.json").read_text())["guarantee"] is None
    assert not hasattr(draft, "to_csv") and "sealed" in repr(draft)
    assert draft.rows().num_rows == 400 and draft.document.canaries.planted > 20
    assert draft.document.generator.third_party and draft.document.generator.version.startswith("sdv 2")
    text = "".join(path.read_text("utf-8") for path in draft.folder.iterdir())
    assert "range_min" not in text and not re.search(r"(?<![0-9a-f])490(?![0-9a-f])", text)  # SDV's metadata, rows


def test_no_policy_lets_it_out(copied: Draft) -> None:
    """The laxest policy that a file can hold, with every report there."""
    copied.attack("quick", seed=1)
    copied.evaluate()
    body = default_policy().model_dump(mode="json")
    body["guarantee"] |= {"max_epsilon_per_release": "1000000", "max_epsilon_total": "1000000", "max_delta": "1",
                          "max_delta_times_rows": "1000000", "allow_seeded_noise": True}  # fmt: skip
    body["attacks"] |= {"limits": dict.fromkeys(body["attacks"]["limits"], "1"), "require_positive_control": False,
                        "require_negative_control": False, "max_canary_share": "1"}  # fmt: skip
    body["quality"] |= {"required": False, "max_tvd2_shortfall": "1000"}
    body["attempts"] |= {"max_attempts": 1000}
    copied.workspace.layout.policy.write_text(json.dumps(body), "utf-8")
    decision = copied.gate()
    assert decision.decision == "reject" and decision.rules[0].name == "guarantee_given"
    assert kinds(copied.workspace)[-1] == "decision"
    with pytest.raises(GateRefused, match="no guarantee"):
        copied.release(copied.workspace.layout.root.parent / "out")
    assert not (copied.workspace.layout.root.parent / "out").exists()
    assert copied.status == "reject"


def test_it_is_attacked_and_evaluated_like_others_and_the_page_says_what_it_is(copied: Draft) -> None:
    from dpsynth.workspace.releasing import internal_report

    report = copied.attack("quick", seed=1)
    assert report.to_json()["attacks"]
    assert copied.evaluate().metric("tvd2_mean").value is not None
    assert "NO guarantee" in internal_report(copied)
    assert kinds(copied.workspace)[-2:] == ["attack", "quality"]


def test_a_draft_that_names_the_commit_of_another_run_does_not_ship_either(copied: Draft) -> None:
    ws = copied.workspace
    paid = ws.synthesize("claims", "independent", epsilon=1, delta="1e-6")
    forged = json.loads((copied.folder / "draft.json").read_text())
    real = paid.document.to_json()
    forged |= {key: real[key] for key in ("guarantee", "events_digest", "reservation_id", "run_id", "generator")}
    (copied.folder / "draft.json").write_text(json.dumps(forged), "utf-8")
    assert ws.draft(copied.name).gate().decision == "reject"


def test_it_counts_as_an_attempt_once_and_a_crashed_one_too(copied: Draft) -> None:
    class Crashing:
        name, version = "sdv-tvae", "sdv 2"

        def fit(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("out of memory")

    ws = copied.workspace
    with ws.ledger() as ledger:
        assert attempts(ledger.entries(), copied.name) == (1, 0)
    with pytest.raises(RuntimeError):
        ws.synthesize_unprotected("claims", Crashing(), rows=10)
    with ws.ledger() as ledger:
        assert attempts(ledger.entries(), "") == (2, 0)
    assert ws.synthesize("claims", "independent", epsilon=1, delta="1e-6").name.endswith("-0002")


def test_a_second_unprotected_run_takes_no_name_that_a_crash_left(copied: Draft) -> None:
    ws = copied.workspace
    with ws.ledger(write=True) as ledger:
        taken = {"run_id": f"{copied.document.dataset}-0007", "read_id": "read-lost", "generator": "sdv-tvae"}
        ledger.append("unprotected", {"budget_id": copied.document.budget_id, **taken, "reason": "x"})
    assert ws.synthesize_unprotected("claims", "sdv-gaussian-copula", rows=5).name.endswith("-0008")


def test_the_door_opens_for_an_entry_without_a_draft_and_for_nothing_else(copied: Draft) -> None:
    ws, facts = copied.workspace, copied.document
    rows = open_source(ws, ws.registry.get(facts.dataset), schema=SCHEMA).rows
    with ws.ledger(write=True) as ledger:
        for read_id in ("read-invented", facts.reservation_id, facts.draft_digest):
            with pytest.raises(CapabilityRefused, match="does not say"):
                rows.to_fit_unprotected(ledger, facts.budget_id, read_id, bound_key=bytes(32))
        other = ledger.create_budget(dataset="o", commitment="00" * 32, epsilon=1, delta="1e-6",
                                     unit=copied.unit, relation="add_remove")  # fmt: skip
        ledger.append("unprotected", {"budget_id": other, "read_id": "read-other", "run_id": "o-1", "reason": "x"})
        with pytest.raises(CapabilityRefused, match="does not say"):
            rows.to_fit_unprotected(ledger, other, "read-other", bound_key=bytes(32))
        with pytest.raises(CapabilityRefused):
            rows.to_compare(ledger, facts.budget_id, "read-invented")


def test_without_a_budget_or_a_public_number_of_rows_nothing_is_read(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    with pytest.raises(ParameterError, match=r"is private.*--rows"):
        ws.synthesize_unprotected("claims", "sdv-ctgan", rows=None)
    with pytest.raises(ParameterError, match="Unknown baseline"):
        ws.synthesize_unprotected("claims", "gibbs", rows=10)
    (tmp_path / "new.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(BudgetRefused):
        ws.synthesize_unprotected(tmp_path / "new.csv", "sdv-ctgan", rows=10)
    assert kinds(ws) == ["budget.create"]


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    code = call([str(word) for word in words])
    out, said = capsys.readouterr()
    return code, json.loads(out) if out.startswith("{") else {}, said


def test_the_command_line_asks_for_the_word_unprotected(
    capsys: pytest.CaptureFixture[str], copied: Draft, tmp_path: Path
) -> None:
    (tmp_path / "claims.csv").write_text(claims().to_csv(index=False), "utf-8")
    base = ("synthesize", tmp_path / "claims.csv", "--workspace", copied.workspace.layout.root, "--json")
    asked = (*base, "--generator", "sdv-gaussian-copula", "--rows", "30")
    code, _, said = run(capsys, *asked)
    assert code == 2 and "--unprotected" in said
    code, _, said = run(capsys, *asked, "--unprotected", "--epsilon", "1")
    assert code == 2 and "--epsilon" in said
    code, _, said = run(capsys, *base, "--generator", "mst", "--epsilon", "1", "--unprotected")
    assert code == 2 and "baselines" in said
    code, _, said = run(capsys, *base, "--generator", "mst")
    assert code == 2 and "--epsilon" in said
    code, body, _ = run(capsys, *asked, "--unprotected")
    assert code == 0 and body["guarantee"] is None and body["rows"] == 30 and body["ledger_entry"]
    code, _, said = run(capsys, "show", "--workspace", copied.workspace.layout.root)
    assert code == 0
    assert run(capsys, "gate", body["draft"], "--workspace", copied.workspace.layout.root)[0] == 4


def test_public_rows_go_to_a_file_and_say_that_nothing_protects_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source, out = tmp_path / "claims.csv", tmp_path / "out.csv"
    source.write_text(claims(120).to_csv(index=False), "utf-8")
    asked = ("synthesize", source, "--public", "--generator", "sdv-gaussian-copula", "-o", out, "--json")
    code, body, said = run(capsys, *asked)
    assert code == 0 and body["guarantee"] is None and body["rows"] == 120 and "No guarantee" in said
    assert pd.read_csv(out)["died"].dtype == bool
    assert run(capsys, *asked, "--epsilon", "1")[0] == 2
    assert run(capsys, *asked, "--save-model", tmp_path / "m")[0] == 2
