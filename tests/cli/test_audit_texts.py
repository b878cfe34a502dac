"""`dpsynth audit` on texts: lines, JSON lines, and a text column beside a table, in one report with one exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.text.paraphrase import paraphrase
from dpsynth.cli.app import call
from tests.attacks.text.worlds import parts

TEXTS = 150


@pytest.fixture(scope="module")
def world() -> dict[str, list[str]]:
    return dict(zip(("train", "holdout", "others"), parts(TEXTS, TEXTS, TEXTS, seed=3), strict=True))


class Files:
    """Files of texts in a folder, and the command on them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def write(self, kind: str, **texts: list[str]) -> None:
        for name, own in texts.items():
            path = self.folder / f"{name}.{kind}"
            if kind == "txt":
                path.write_text("\n".join(own) + "\n\n", "utf-8")
            elif kind == "jsonl":
                path.write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in enumerate(own)), "utf-8")
            else:
                rng = np.random.default_rng(len(name))
                frame = pd.DataFrame({"age": rng.integers(18, 90, len(own)), "city": rng.choice(["A", "B"], len(own))})
                frame = frame.assign(text=own)
                frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)

    def audit(self, kind: str, *options: str, synthetic: str = "synthetic") -> tuple[int, dict, str]:
        self.capsys.readouterr()
        paths = [str(self.folder / f"{name}.{kind}") for name in ("train", synthetic, "holdout")]
        code = call(["audit", *paths[:2], "--holdout", paths[2], "--json", *options])
        said = self.capsys.readouterr()
        return code, json.loads(said.out), said.err


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Files:
    return Files(tmp_path, capsys)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("txt", ()), ("jsonl", ("--text-column", "text"))],
)
def test_texts_of_training_fail_and_others_do_not(files: Files, world: dict, kind: str, options: tuple) -> None:
    files.write(kind, train=world["train"], holdout=world["holdout"], synthetic=world["train"], fair=world["others"])
    code, report, _ = files.audit(kind, *options)
    assert (code, report["verdict"], report["suite"]) == (4, "fail", "text")
    assert {row["name"] for row in report["attacks"]} >= {"text_ngram", "text_embedding", "text_verbatim"}
    assert files.audit(kind, *options, synthetic="fair")[0] in (0, 3)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_with_texts_gives_one_report_of_both(files: Files, world: dict, kind: str) -> None:
    files.write(kind, train=world["train"], holdout=world["holdout"], synthetic=world["train"][:200])
    page = files.folder / "audit.html"
    code, report, _ = files.audit(
        kind, "--text-column", "text", "--suite", "quick", "--sensitive", "city", "--html", str(page)
    )
    assert (code, report["suite"]) == (4, "quick and text")
    names = {row["name"] for row in report["attacks"]}
    assert {"verbatim", "nearest_neighbour", "text_ngram", "text_verbatim"} <= names
    assert attacks.AttackReport.from_json(report).worst_first[0].verdict == "fail"
    assert "Membership by meaning" in page.read_text("utf-8") and world["train"][0] not in page.read_text("utf-8")


def test_benchmark_items_and_canaries_are_asked_if_they_are_given(files: Files, world: dict) -> None:
    rng = np.random.default_rng(1)
    planted = attacks.make_text_canaries(world["others"], 100, rng=rng, prefix_words=5, suffix_words=5)
    attacks.write_canaries(planted, files.folder / "canaries.json")
    synthetic = [*world["others"], *planted.inserted(), *(paraphrase(t, rng) for t in world["holdout"][:20])]
    files.write("txt", train=world["train"], holdout=world["holdout"], synthetic=synthetic, items=world["holdout"][:40])
    code, report, _ = files.audit(
        "txt",
        "--benchmark", str(files.folder / "items.txt"),
        "--canaries", str(files.folder / "canaries.json"),
    )  # fmt: skip
    found = {row["name"]: row for row in report["attacks"]}
    assert code == 4 and found["contamination"]["verdict"] == "fail" and found["canary"]["verdict"] == "fail"
    assert report["epsilon_lower_bound"]["value"] > 1.0
    with pytest.raises(attacks.AttackInputError, match="not overwritten"):
        attacks.write_canaries(planted, files.folder / "canaries.json")


BROKEN = {
    "not json": ("jsonl", "{oops\n", "Line 1 of the synthetic file is not JSON"),
    "a number": ("jsonl", '{"text": 5}\n', "something else than text"),
    "no field": ("jsonl", '{"other": "secret words"}\n', "lacks the text field"),
    "empty": ("jsonl", "", "no synthetic text"),
    "other bytes": ("txt", b"\xff\xfe\x00a", "not UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_hold_no_texts_are_refused_without_a_cell(files: Files, world: dict, name: str) -> None:
    kind, content, message = BROKEN[name]
    files.write(kind, train=world["train"], holdout=world["holdout"])
    path = files.folder / f"synthetic.{kind}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, answer, _ = files.audit(kind, *(("--text-column", "text") if kind == "jsonl" else ()))
    assert code == 1 and message in answer["error"]["message"] and answer["error"]["remedy"]
    assert "secret words" not in json.dumps(answer)


def test_a_text_column_that_is_not_there_and_items_without_texts_are_refused(files: Files, world: dict) -> None:
    files.write("csv", train=world["train"], holdout=world["holdout"], synthetic=world["others"])
    code, answer, _ = files.audit("csv", "--text-column", "story")
    assert code == 1 and "'story'" in answer["error"]["message"]
    assert files.audit("csv", "--benchmark", str(files.folder / "train.csv"))[0] == 2
    (files.folder / "train.txt").write_text("{}", "utf-8")
    with pytest.raises(attacks.AttackInputError, match="no file of text canaries"):
        attacks.read_canaries(files.folder / "train.txt")
