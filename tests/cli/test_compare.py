"""`dpsynth compare` as a script sees it: fields, exit codes, the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpsynth.cli.app import call
from dpsynth.simulation import network
from dpsynth.tabular import GENERATORS

FIELDS = {
    "schema", "data", "data_sha256", "schema_sha256", "simulated", "rows", "columns", "target", "unit", "delta",
    "split", "score", "confidentiality", "version", "budget", "failed", "reference", "cells", "html",
}  # fmt: skip
CELL = {
    "key", "generator", "epsilon", "seed", "status", "figures", "cpu_s", "wall_s", "peak_mib", "guarantee", "chosen",
}  # fmt: skip
FIGURES = {"tvd1", "tvd2", "tvd3", "tstr", "kept", "invented"}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = call([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_public_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = network(columns=3, seed=1).draw(400, seed=0)
    data, schema, page = tmp_path / "people.csv", tmp_path / "people.yaml", tmp_path / "page.html"
    drawn.table.to_pandas().to_csv(data, index=False)
    schema.write_text(drawn.schema.to_yaml())
    code, found = run(
        capsys, "compare", data, "--public", "--schema", schema, "-g", "independent", "-e", "1,10", "--seeds", "1",
        "--workers", "1", "--html", page, "--folder", tmp_path / "runs",
    )  # fmt: skip
    assert code == 0
    assert set(found) == FIELDS
    assert found["schema"] == "dpsynth.comparison/1"
    assert (found["confidentiality"], found["failed"], found["score"]) == ("public", 0, "auc")
    assert [(c["generator"], c["epsilon"], c["seed"]) for c in found["cells"]] == [
        ("independent", "1", 0),
        ("independent", "10", 0),
    ]
    assert all(set(c) == CELL and set(c["figures"]) == FIGURES for c in found["cells"])
    assert set(found["reference"]) == FIGURES
    assert "Generators compared on people.csv" in page.read_text()
    code = call(
        ["compare", str(data), "--public", "--schema", str(schema), "-g", "independent", "-e", "1",
         "--seeds", "1", "--folder", str(tmp_path / "runs"), "--workers", "1"]
    )  # fmt: skip
    assert code == 0
    assert "real rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("simulated:network", "-g", "nobody"), 1, "Unknown generator"),
        (("simulated:mars", "-g", "mst"), 1, "Unknown population"),
        (("simulated:network", "-g", "mst", "-e", "1,,1"), 1, "named twice"),
        (("simulated:network", "-g", "mst", "-e", ","), 1, "is empty"),
        (("simulated:network", "-g", "mst", "--rows", "110", "--holdout", "0.1"), 1, "to measure on"),
        (("simulated:network", "-g", "mst", "--target", "c99"), 1, "c99"),
        (("simulated:network", "-g", "mst", "--purpose", "x"), 2, "--purpose"),
        (("simulated:network",), 2, "generator"),
        (("data.csv", "-g", "mst", "--folder", "x"), 2, "--folder"),
    ],
)
def test_bad_requests_say_what_is_wrong(arguments, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    left, found = run(capsys, "compare", *arguments)
    assert left == code
    assert message in found["error"]["message"]


def test_private_data_without_the_budget_is_exit_code_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, vault = tmp_path / "people.csv", tmp_path / "vault"
    network(columns=3, seed=1).draw(300, seed=0).table.to_pandas().to_csv(data, index=False)
    assert call(["init", str(vault)]) == 0
    options = ("-g", "independent", "-e", "0.5,1", "--workspace", vault)
    code, found = run(capsys, "compare", data, *options)
    assert (code, found["error"]["type"]) == (6, "BudgetRefused")
    assert call(["budget", "create", str(data), "-e", "2", "-d", "1e-5", "-w", str(vault)]) == 0
    code, found = run(capsys, "compare", data, *options)
    assert (code, found["error"]["type"]) == (6, "SweepRefused")
    assert {"runs", "cost", "left", "filter", "would_fit", "budget_id", "node"} <= set(found["error"])
    code, found = run(capsys, "compare", data, *options, "--seeds", "1", "-e", "0.5")
    assert (code, found["confidentiality"], found["rows"]) == (0, "internal", None)
    assert set(found["cells"][0]) == CELL | {"draft", "ledger_entry"}
    assert (found["budget"]["runs"], found["budget"]["currency"]) == (1, "epsilon")


@pytest.mark.slow  # as tests/comparison/test_public.py, through the command line
def test_a_run_that_failed_is_exit_code_1_and_the_rest_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "comparison"))
    monkeypatch.setitem(GENERATORS, "broken", "broken_generators:Broken")
    code, found = run(
        capsys, "compare", "simulated:mixture", "-g", "broken", "-g", "independent", "-e", "1", "--seeds", "1",
        "--rows", "300", "--columns", "3", "--workers", "1",
    )  # fmt: skip
    assert (code, found["failed"]) == (1, 1)
    assert [c["status"] for c in found["cells"]] == ["failed", "done"]
    assert found["cells"][0]["error"] == {"type": "ValueError", "message": "the cell '4711' is odd"}
