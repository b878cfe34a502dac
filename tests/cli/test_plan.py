"""`dpsynth plan` on the command line: what people read and what scripts read is one plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpsynth.cli.app import call
from dpsynth.demo import write

FIELDS = {
    "schema", "source", "engine", "generator", "guarantee", "columns", "rows", "figures_for_rows", "known",
    "open_columns", "steps", "totals", "noise", "limits", "time", "read",
    "publish_quality",
}  # fmt: skip


def test_people_and_scripts_read_one_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, schema = write("fair", tmp_path)
    words = [
        "plan",
        "postgresql://ann:hunter2@host/c",
        "--table",
        "a.b",
        "--schema",
        str(schema),
        "-e",
        "1",
        "-g",
        "mst",
    ]
    assert call([*words, "--rows", "1000000", "--json"]) == 0
    heard = capsys.readouterr()
    found = json.loads(heard.out)
    assert set(found) == FIELDS and found["rows"] == 1_000_000
    assert found["source"] == "postgresql://host:5432/c/a.b"
    assert call([*words, "--rows", "1000000"]) == 0
    text = capsys.readouterr().out
    for step in found["steps"]:
        assert step["step"] in text
    assert f"{found['totals']['statements']:,} statements" in text and "Nothing was counted" in text
    assert "hunter2" not in text + heard.out + heard.err and found["publish_quality"] is None
    assert call([*words, "--publish-quality", "epsilon=0.1"]) == 0
    more = " ".join(capsys.readouterr().out.split())
    assert "quality: count" in more and "Quality: epsilon 0.1 more for 17 columns and pairs" in more
    assert call([*words, "--publish-quality", "delta=1"]) == 2


def test_without_rows_figures_are_said_to_be_for_a_million(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, schema = write("fair", tmp_path)
    assert call(["plan", str(table), "--schema", str(schema), "-e", "1", "-g", "pategan"]) == 0
    text = capsys.readouterr().out
    assert "figures for 1,000,000 rows (--rows is not given)" in text
    assert "does not say what it asks" in text and "unknown" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rows", "0"], "Expected rows=0 between 1 and"),
        (["--table", "x"], "Files have no table"),
        (["--row-key", "x"], "tells rows apart that stay in an engine"),
        (["--draw", "100000000000"], "more than a sealed draft holds"),
        (["-g", "nobody"], "Unknown generator 'nobody'"),
    ],
)
def test_nonsense_leaves_with_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    table, schema = write("fair", tmp_path)
    assert call(["plan", str(table), "--schema", str(schema), "-e", "1", *words]) == 1
    assert said in capsys.readouterr().err
