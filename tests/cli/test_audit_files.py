"""`dpsynth audit` on files as people have them: a bad input is an error that names it, or a verdict with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attacks import AttackReport
from dpsynth.cli.app import call

ROWS = 500


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, 3 * ROWS),
            "city": rng.choice(["Aach", "Bern", "Cork"], 3 * ROWS),
            "income": np.round(rng.lognormal(10, 0.5, 3 * ROWS), 2),
            "job": rng.choice(["clerk", "nurse", "smith"], 3 * ROWS),
        }
    )


class Folder:
    """Three files, of which a test replaces some, and the command on them."""

    def __init__(self, path: Path, people: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self.capsys = path, capsys
        self.train, self.holdout, self.others = (people[i * ROWS : (i + 1) * ROWS] for i in range(3))
        self.write(train=self.train, holdout=self.holdout, synthetic=self.others)

    def write(self, **tables: pd.DataFrame) -> None:
        for name, table in tables.items():
            table.to_csv(self.path / f"{name}.csv", index=False)

    def audit(self, *options: str) -> tuple[int, dict, str]:
        self.capsys.readouterr()
        files = [str(self.path / f"{name}.csv") for name in ("train", "synthetic", "holdout")]
        code = call(["audit", *files[:2], "--holdout", files[2], "--suite", "quick", "--json", *options])
        said = self.capsys.readouterr()
        return code, json.loads(said.out), said.err


@pytest.fixture
def folder(tmp_path: Path, people: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, people, capsys)


def refused(outcome: tuple[int, dict, str]) -> str:
    code, document, _ = outcome
    assert code == 1
    assert document["error"]["remedy"]
    return document["error"]["message"]


def test_disjoint_columns_are_refused(folder: Folder) -> None:
    folder.write(synthetic=folder.others.rename(columns=lambda name: f"x_{name}"))
    assert "no column in common" in refused(folder.audit())


@pytest.mark.parametrize("which", ["synthetic", "holdout"])
def test_a_missing_column_is_named(folder: Folder, which: str) -> None:
    folder.write(**{which: folder.holdout.drop(columns="city")})
    message = refused(folder.audit())
    assert which in message and "'city'" in message


def test_an_extra_column_is_left_out_and_said(folder: Folder) -> None:
    folder.write(synthetic=folder.others.assign(row_id=range(ROWS)))
    code, document, warnings = folder.audit()
    assert code in (0, 3) and document["attacks"]
    assert "'row_id' is not in the real file and was left out" in warnings


def test_reordered_columns_give_the_same_figures(folder: Folder) -> None:
    def figures() -> list:
        return [(row["endpoint"], row["estimate"]) for row in folder.audit()[1]["attacks"]]

    straight = figures()
    folder.write(synthetic=folder.others[folder.others.columns[::-1]])
    assert figures() == straight


def test_text_in_a_column_of_numbers_is_refused_by_name_without_its_cells(folder: Folder) -> None:
    folder.write(synthetic=folder.others.assign(age="about-4711"))
    message = refused(folder.audit())
    assert "'age'" in message and "4711" not in message


def test_a_synthesizer_that_writes_decimals_for_whole_numbers_is_attacked(folder: Folder) -> None:
    folder.write(synthetic=folder.train.assign(age=folder.train["age"] + 0.0, income=folder.train["income"] * 1.0))
    assert folder.audit()[0] == 4  # a copy is a copy however its numbers are written
    folder.write(synthetic=folder.others.assign(age=folder.others["age"] + 0.25))
    code, _, warnings = folder.audit()
    assert code in (0, 3)
    assert "'age' holds whole numbers in one file and decimals in another" in warnings


@pytest.mark.parametrize("which", ["train", "synthetic", "holdout"])
def test_one_row_is_inconclusive(folder: Folder, which: str) -> None:
    folder.write(**{which: {"train": folder.train, "synthetic": folder.others, "holdout": folder.holdout}[which][:1]})
    code, document, _ = folder.audit()
    assert (code, document["verdict"]) == (3, "inconclusive")


@pytest.mark.parametrize("which", ["train", "synthetic", "holdout"])
def test_no_row_is_refused(folder: Folder, which: str) -> None:
    folder.write(**{which: folder.train[:0]})
    assert refused(folder.audit())


def test_all_missing_columns_are_no_obstacle(folder: Folder) -> None:
    empty = {"train": folder.train, "holdout": folder.holdout, "synthetic": folder.others}
    folder.write(**{name: table.assign(note=None) for name, table in empty.items()})
    assert folder.audit()[0] in (0, 3)
    folder.write(synthetic=folder.train.assign(note=None))
    assert folder.audit()[0] == 4


def test_a_column_that_is_all_missing_in_the_synthetic_file_only_is_no_obstacle(folder: Folder) -> None:
    folder.write(synthetic=folder.others.assign(income=None))
    assert folder.audit()[0] in (0, 3)


def test_the_training_file_as_synthetic_file_fails_in_every_question(folder: Folder) -> None:
    folder.write(synthetic=folder.train)
    code, document, _ = folder.audit()
    assert code == 4
    assert {row["verdict"] for row in document["attacks"] if row["stratum"] == "all"} == {"fail"}


def test_a_holdout_that_overlaps_training_is_refused_without_a_count(folder: Folder) -> None:
    folder.write(holdout=pd.concat([folder.train[:137], folder.holdout[137:]]))
    message = refused(folder.audit())
    assert "the split is broken" in message and "137" not in message


def test_the_training_file_as_holdout_is_refused(folder: Folder) -> None:
    folder.write(holdout=folder.train)
    assert "the split is broken" in refused(folder.audit())


def test_more_targets_than_rows_attacks_the_rows_that_there_are(folder: Folder) -> None:
    folder.write(synthetic=folder.others[:40])
    code, document, _ = folder.audit()
    assert code in (0, 3)
    assert {row["n_targets"] for row in document["attacks"] if row["stratum"] == "all"} == {ROWS}


def test_without_a_sensitive_column_attribute_inference_is_listed_as_not_run(folder: Folder) -> None:
    _, document, _ = folder.audit("--suite", "standard")
    absent = {item["name"]: item["reason"] for item in document["not_applicable"]}
    assert "No sensitive column is declared" in absent["attribute_inference"]
    assert document["verdict"] == "inconclusive" or all(row["verdict"] == "pass" for row in document["attacks"])


def test_a_sensitive_column_that_does_not_exist_is_named(folder: Folder) -> None:
    assert "'salary'" in refused(folder.audit("--sensitive", "salary"))


def test_people_with_several_rows_are_attacked_once_and_may_not_stand_on_both_sides(folder: Folder) -> None:
    folder.write(
        train=folder.train.assign(person=np.arange(ROWS) // 5),
        holdout=folder.holdout.assign(person=ROWS + np.arange(ROWS) // 5),
    )
    _, document, _ = folder.audit("--unit", "person")
    assert {row["n_targets"] for row in document["attacks"] if row["stratum"] == "all"} == {ROWS // 5}
    folder.write(holdout=folder.holdout.assign(person=np.arange(ROWS) // 5))
    assert "the split is broken" in refused(folder.audit("--unit", "person"))
    assert "'nobody'" in refused(folder.audit("--unit", "nobody"))


def test_an_unknown_suite_or_tier_is_refused_with_what_there_is(folder: Folder) -> None:
    code, document, _ = folder.audit("--tier", "secret")
    assert code == 1 and "public, restricted" in document["error"]["remedy"]
    assert "There is no suite 'all'" in refused(folder.audit("--suite", "all"))


def test_a_looser_tier_has_looser_limits_and_quasi_identifiers_name_the_groups(folder: Folder) -> None:
    strict, loose = (
        {row["limit_id"]: row["limit"] for row in folder.audit("--tier", tier)[1]["attacks"]}
        for tier in ("public", "restricted")
    )
    assert all(loose[key] > value for key, value in strict.items())
    assert folder.audit("--quasi-identifier", "city", "--quasi-identifier", "age")[0] in (0, 3)


def test_the_page_names_files_by_digest_and_json_stays_one_report(folder: Folder) -> None:
    page = folder.path / "audit.html"
    code, document, said = folder.audit("--html", str(page), "--sensitive", "job", "--suite", "standard")
    assert code in (0, 3)
    assert AttackReport.from_json(document).suite == "standard"
    html = page.read_text("utf-8")
    for shown in ("internal, not for release", "train.csv, 500 rows, SHA-256", "Attribute inference: job", "MiB"):
        assert shown in html, shown
    assert "internal: keep it where the real rows are" in said
    for cells in folder.train["income"].head(20):
        assert str(cells) not in html


def test_a_page_in_a_folder_that_does_not_exist_is_a_usage_error_before_any_attack(folder: Folder) -> None:
    code, document, said = folder.audit("--html", str(folder.path / "nowhere" / "audit.html"))
    assert code == 2 and "there is no folder" in document["error"]["message"]
    assert "verbatim" not in said


def test_targets_are_so_many_people_of_either_file_and_the_report_says_so(folder: Folder) -> None:
    folder.write(synthetic=folder.train)
    code, document, _ = folder.audit("--targets", "200")
    assert code == 4 and document["sampling"]["targets"] == 200
    assert {row["n_targets"] for row in document["attacks"] if row["stratum"] == "all"} == {200}
    assert "sampling" not in folder.audit()[1]
