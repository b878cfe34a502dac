"""`audit` and `evaluate` on anybody's files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.cli.app import call


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    people = pd.DataFrame(
        {
            "age": rng.integers(18, 90, 1500),
            "city": rng.choice(["Aach", "Bern", "Cork"], 1500),
            "income": np.round(rng.lognormal(10, 0.5, 1500), 2),
            "target": rng.integers(0, 2, 1500),
        }
    )
    folder = tmp_path_factory.mktemp("files")
    people[:600].to_csv(folder / "train.csv", index=False)
    people[600:1200].to_csv(folder / "holdout.csv", index=False)
    people[600:1200][["target", "income", "city", "age"]].to_csv(folder / "reordered.csv", index=False)
    people[600:1200].drop(columns="city").to_csv(folder / "narrow.csv", index=False)
    pd.concat([people[:150], people[600:1050]]).to_csv(folder / "overlap.csv", index=False)
    people[:600].sample(frac=1, random_state=0).to_csv(folder / "copy.csv", index=False)
    people[:600].assign(income=lambda t: (t.income + 0.01).round(2)).to_csv(folder / "shifted.csv", index=False)
    people[1200:].to_csv(folder / "others.csv", index=False)
    return folder


def audit(
    folder: Path, capsys: pytest.CaptureFixture[str], synthetic: str, holdout: str = "holdout"
) -> tuple[int, dict]:
    paths = [str(folder / f"{name}.csv") for name in ("train", synthetic)]
    capsys.readouterr()
    code = call(["audit", *paths, "--holdout", str(folder / f"{holdout}.csv"), "--suite", "quick", "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("leak", ["copy", "shifted"])
def test_training_rows_and_training_rows_with_a_cent_more_fail(
    files: Path, leak: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = audit(files, capsys, leak)
    assert (code, report["verdict"]) == (4, "fail")


def test_rows_of_others_do_not_fail(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = audit(files, capsys, "others")
    assert (code, report["verdict"]) in {(0, "pass"), (3, "inconclusive")}


def test_columns_in_another_order_are_the_same_columns(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def verdicts(report: dict) -> list:
        return sorted((a["name"], a["endpoint"], a["stratum"], a["verdict"]) for a in report["attacks"])

    assert verdicts(audit(files, capsys, "copy", "reordered")[1]) == verdicts(audit(files, capsys, "copy")[1])


def test_a_holdout_that_lacks_a_column_is_named(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = audit(files, capsys, "copy", "narrow")
    assert code == 1
    assert "'city'" in out["error"]["message"]


def test_a_holdout_that_shares_rows_with_training_voids_the_audit(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = audit(files, capsys, "copy", "overlap")
    assert code == 1
    assert "than duplicates explain" in out["error"]["message"] and "150" not in out["error"]["message"]


def test_evaluate_compares_files_beside_the_real_holdout(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    arguments = [
        f"--{name}={files / file}.csv"
        for name, file in (("real", "train"), ("synthetic", "copy"), ("holdout", "holdout"))
    ]
    assert call(["evaluate", *arguments, "--target", "target", "--json"]) == 0
    metrics = {m["name"]: m for m in json.loads(capsys.readouterr().out)["metrics"]}
    assert metrics["tvd2_mean"]["value"] == 0
    assert metrics["tvd2_mean"]["reference"] > 0


def test_evaluate_needs_a_draft_or_three_files(files: Path) -> None:
    assert call(["evaluate", "--real", str(files / "train.csv")]) == 2


def test_an_anchor_that_is_no_head_is_a_usage_error(tmp_path: Path) -> None:
    assert call(["verify", str(tmp_path), "--key", str(tmp_path / "k"), "--anchor", "nonsense"]) == 2


def test_detection_and_groups_are_asked_for_on_the_command_line(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"real": "train", "synthetic": "others", "holdout": "holdout"}
    paths = [part for name, file in given.items() for part in (f"--{name}", str(files / f"{file}.csv"))]
    capsys.readouterr()
    assert call(["evaluate", *paths, "--detection", "--group", "city", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "detection_auc" in {metric["name"] for metric in report["metrics"]}
    assert call(["evaluate", *paths, "--group", "nobody", "--json"]) == 1
    assert "'nobody'" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_the_table_says_from_which_figure_on_a_metric_notices_and_what_few_rows_cannot_show(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"real": "train", "synthetic": "others", "holdout": "holdout"}
    paths = []
    for name, file in given.items():
        few = files / f"few_{file}.csv"
        few.write_text("".join((files / f"{file}.csv").read_text().splitlines(keepends=True)[:120]))
        paths += [f"--{name}", str(few)]
    capsys.readouterr()
    assert call(["evaluate", *paths]) == 0
    said = "".join(capsys.readouterr())
    assert "notices from" in said and "cannot show" in said
    assert "fewer than a thousand rows" in said
