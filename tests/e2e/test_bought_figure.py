"""A figure is bought on the command line and stands, with its cost, in the report and bundle that anybody verifies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounting.ledger.entry import Kind
from dpsynth.cli.app import call
from dpsynth.workspace import Draft, Workspace
from tests.e2e.conftest import make


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, fair: tuple[Path, Path]) -> Draft:
    """A draft that the gate ships; one in thirty asks for another."""
    ws, record = make(tmp_path_factory.mktemp("bought") / "vault", fair)
    for _ in range(3):
        draft = ws.synthesize(record, "mst", epsilon=1, delta="1e-6")
        draft.attack()
        draft.evaluate()
        if draft.gate().decision == "ship":
            break
    return draft


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = call([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_figure_is_bought_charged_shown_and_verified(
    shipped: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = shipped.workspace.layout.root
    runs = sum(e.kind is Kind.ATTACK for e in _entries(home, shipped))
    code, bought = answer(capsys, "attack", shipped.name, "--publish-attacks", "epsilon=0.1", "-w", home)
    assert code == 0
    figure = bought["published"]
    assert sum(e.kind is Kind.ATTACK for e in _entries(home, shipped)) == runs, "attacked already: no second attempt"
    assert figure["epsilon"] in ("0.1", "0.100000") or float(figure["epsilon"]) == pytest.approx(0.1, abs=1e-4)
    people = sum(figure["counts"])
    assert abs(people - 6366) < 400  # rows of the table, and six noises of scale 10
    exact = figure["excess"]["exact"]
    assert exact["ci_low"] < 0.02, "a DP draft repeats nobody beyond the holdout's rate"
    assert exact["ci_high"] - exact["ci_low"] < 0.06
    code, released = answer(capsys, "release", shipped.name, "-o", tmp_path / "out", "-w", home)
    assert code == 0
    code, verified = answer(capsys, "verify", released["bundle"], "--key", released["public_key"])
    assert code == 0 and any("rows and figures together cost epsilon 1." in note for note in verified["warnings"])
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Copied rows" in page and figure["commit"][:16] in page
    assert "rows and figures together cost epsilon 1." in page


@pytest.mark.slow
def test_quality_is_bought_with_the_release_once_and_shown_with_its_price(
    shipped: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = shipped.workspace.layout.root
    assert (
        call(["release", shipped.name, "-o", str(tmp_path / "q"), "--publish-quality", "delta=1", "-w", str(home)]) == 2
    )
    code, released = answer(
        capsys, "release", shipped.name, "-o", tmp_path / "q", "--publish-quality", "epsilon=0.5", "-w", home
    )
    assert code == 0
    figure = released["published_quality"]
    assert float(figure["epsilon"]) == pytest.approx(0.5, abs=1e-4)
    columns = figure["quality"]["columns"]
    assert 0.0 <= columns["ci_low"] <= columns["ci_high"] < 0.2
    code, verified = answer(capsys, "verify", released["bundle"], "--key", released["public_key"])
    assert code == 0 and any("table of how near the fitted rows are" in note for note in verified["warnings"])
    page = (tmp_path / "q" / "report.html").read_text("utf-8")
    assert "mean distance of fitted from released rows" in page and figure["commit"][:16] in page
    before = len(_entries(home, shipped))
    code, again = answer(capsys, "release", shipped.name, "-o", tmp_path / "r", "--publish-quality", "0.5", "-w", home)
    assert code == 0 and again["published_quality"] == figure, "bought once, shown in every release of the draft"
    assert not any(e.kind is Kind.RESERVE for e in _entries(home, shipped)[before:])


@pytest.mark.slow
def test_a_wrong_price_is_a_usage_error_or_refused(shipped: Draft, capsys: pytest.CaptureFixture[str]) -> None:
    home = shipped.workspace.layout.root
    before = len(_entries(home, shipped))
    assert call(["attack", shipped.name, "--publish-attacks", "delta=1", "-w", str(home)]) == 2
    assert answer(capsys, "attack", shipped.name, "--publish-attacks", "epsilon=9", "-w", home)[0] == 6
    assert len(_entries(home, shipped)) == before


def _entries(home: Path, draft: Draft) -> list:
    with Workspace.open(home).ledger() as ledger:
        return list(ledger.entries(draft.document.budget_id))
