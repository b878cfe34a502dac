"""`dpsynth evaluate --ablation`, `--later` and `--time-column`, on files and on a draft."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.cli.app import call
from dpsynth.simulation import network

OWN = """
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

numbers = make_column_selector(dtype_include="number")
model = make_pipeline(make_column_transformer(("passthrough", numbers)), GaussianNB())
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tables")
    law = network(columns=4, seed=1)
    names = ("real", "synthetic", "holdout", "later")
    for seed, name in enumerate(names):
        frame: pd.DataFrame = law.draw(300, seed=seed).table.to_pandas()
        frame.assign(year=[2000 + place % 20 for place in range(300)]).to_csv(folder / f"{name}.csv", index=False)
    return {name: str(folder / f"{name}.csv") for name in names}


def evaluate(files: dict[str, str], capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict, str]:
    three = [part for name in ("real", "synthetic", "holdout") for part in (f"--{name}", files[name])]
    capsys.readouterr()
    code = call(["evaluate", *three, "--target", "target", *more, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_a_learner_of_the_users_runs_and_that_is_said(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_learner_of_issue_8.py").write_text(OWN, "utf-8")
    monkeypatch.chdir(tmp_path)
    asked = ("--ablation", "--learner", "linear", "--learner", "my_learner_of_issue_8:model", "--task", "open_text")
    code, report, said = evaluate(files, capsys, *asked, "--later", files["later"])
    assert code == 0
    assert report["ablation"]["learners"] == ["linear", "GaussianNB"]
    assert {answer["test"] for answer in report["ablation"]["answers"]} == {"holdout", "later"}
    assert "Running your code: model of module my_learner_of_issue_8" in said
    assert "Do synthetic rows beat none at all, on the later rows?" in said
    assert "published range for open text" in said
    assert {m["name"] for m in report["metrics"]} >= {"later_tstr_auc", "later_tvd2_mean", "tstr_auc"}


def test_bad_learners_and_times_are_refused_before_a_row_is_read(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for learner in ("forest", "no_such_module_of_mine:model", "json:absent", "json:loads"):
        code, out, _ = evaluate(files, capsys, "--ablation", "--learner", learner)
        assert (code, out["error"]["type"]) == (1, "ParameterError"), learner
    assert evaluate(files, capsys, "--learner", "linear")[0] == 2
    assert evaluate(files, capsys, "--since", "2010")[0] == 2
    code, out, _ = evaluate(files, capsys, "--time-column", "c1")
    assert code == 1
    assert "The time column 'c1'" in out["error"]["message"]


def test_a_column_of_time_gives_figures_of_a_later_time(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, report, _ = evaluate(files, capsys, "--time-column", "year", "--since", "2015")
    assert code == 0
    assert report["rows"]["later"] == 75
    assert any("has seen the time that it is tested on" in warning for warning in report["warnings"])


def test_a_draft_is_evaluated_with_mixes_and_a_later_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame: pd.DataFrame = network(columns=3, seed=1).draw(600, seed=0).table.to_pandas()
    frame.assign(year=[2000 + place % 20 for place in range(600)]).to_csv(tmp_path / "rows.csv", index=False)
    where = ("--workspace", str(tmp_path / "vault"))
    assert call(["init", str(tmp_path / "vault")]) == 0
    assert call(["budget", "create", str(tmp_path / "rows.csv"), "--epsilon", "2", "--delta", "1e-5", *where]) == 0
    asked = ["synthesize", str(tmp_path / "rows.csv"), "-g", "independent", "-e", "1", "--target", "target"]
    assert call([*asked, "--canaries", "0", *where]) == 0
    capsys.readouterr()
    more = ("--ablation", "--learner", "linear", "--time-column", "year", "--since", "2015", "--json")
    assert call(["evaluate", "rows-0001", *more, *where]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [answer["test"] for answer in report["ablation"]["answers"]] == ["holdout", "later"]
    assert report["ablation"]["confidentiality"] == "internal"
    assert call(["evaluate", "rows-0001", "--later", str(tmp_path / "rows.csv"), *where]) == 2
