"""`dpsynth text`: what a budget buys, texts of public data, and what is refused before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.cli.app import call
from dpsynth.demo.texts import private_records


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "records.csv"
    private_records().to_pandas().head(900).to_csv(path, index=False)
    return path


def _said(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_plan_says_what_a_budget_buys_and_touches_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    clips = []
    for epsilon in ("1", "8"):
        words = ["--set", "tokens=40", "--set", "batch_size=63"]
        assert call(["text", "plan", "-e", epsilon, "--model", "ngram", *words, "--json"]) == 0
        told = _said(capsys)
        assert told["events"][-1]["type"] == "prediction_tokens" and told["bought"]["batch_size"] == 63
        clips.append(float(told["bought"]["clip"]))
    assert clips[0] < clips[1]


def test_texts_of_public_data_are_written_with_their_column(
    records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    words = [
        "--model",
        "ngram",
        "--set",
        "tokens=20",
        "--set",
        "batch_size=60",
        "--beside",
        "topic",
        "--target",
        "topic",
    ]
    code = call(
        ["text", "synthesize", str(records), "-t", "text", "-e", "8", *words, "--public", "-o", str(out), "--json"]
    )
    told = _said(capsys)
    assert code == 0 and told["generator"] == "private-prediction" and told["public"] is True
    made = pd.read_csv(out)
    assert list(made.columns) == ["text", "topic"] and len(made) == told["rows"] > 10
    assert made["topic"].nunique() > 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-t", "absent"], "no column 'absent'"),
        (["-t", "text", "--set", "token=5"], "Did you mean 'tokens'"),
        (["-t", "text", "--model", "ollama:llama3"], "gives no logits"),
        (["-t", "text", "--method", "gan"], "Unknown method 'gan'"),
        (["-t", "text", "--filter", "lenght:min_words=2"], "length"),
        (["-t", "text", "--set", "tokens=0"], "less than one text"),
        (["-t", "text", "--method", "dpsgd"], "no weights"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    model = [] if "--model" in words else ["--model", "ngram"]
    out = tmp_path / "out.csv"
    code = call(["text", "synthesize", str(records), "-e", "3", *model, *words, "--public", "-o", str(out)])
    told = capsys.readouterr().err
    assert code == 1 and says in told and "Traceback" not in told and not out.exists()


def test_a_setting_without_a_value_is_bad_usage(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["text", "synthesize", str(records), "-t", "text", "-e", "3", "--set", "tokens"]) == 2
    assert "name=value" in capsys.readouterr().err
