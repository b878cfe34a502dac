"""`dpsynth evaluate` on anybody's texts: lines, JSON lines, and a text column beside a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.cli.app import call
from tests.attacks.text.worlds import parts

NAMES = ("real", "synthetic", "holdout")


def written(folder: Path, kind: str) -> list[str]:
    paths = []
    for at, (name, texts) in enumerate(zip(NAMES, parts(90, 90, 90, seed=5), strict=True)):
        path = folder / f"{name}.{kind}"
        rng = np.random.default_rng(at)
        if kind == "txt":
            path.write_text("\n".join(texts), "utf-8")
        elif kind == "jsonl":
            path.write_text("".join(json.dumps({"story": t}) + "\n" for t in texts), "utf-8")
        else:
            frame = pd.DataFrame({"story": texts, "age": rng.integers(18, 60, 90), "city": rng.choice(["A", "B"], 90)})
            frame.to_csv(path, index=False)
        paths.append(str(path))
    return ["--real", paths[0], "--synthetic", paths[1], "--holdout", paths[2]]


@pytest.mark.parametrize(
    ("kind", "options", "groups"),
    [
        ("txt", (), {"text"}),
        ("jsonl", ("--text-column", "story"), {"text"}),
        ("csv", ("--text-column", "story", "--label-column", "city"), {"text", "fidelity"}),
    ],
)
def test_texts_are_measured_and_other_columns_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, options: tuple[str, ...], groups: set[str]
) -> None:
    assert call(["evaluate", *written(tmp_path, kind), "--json", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert groups <= {metric["group"] for metric in document["metrics"]}
    names = {metric["name"] for metric in document["metrics"]}
    assert {"text_js2", "text_coverage", "text_self_bleu4"} <= names
    assert ("text_tstr_linear" in names) == ("--label-column" in options)
    assert document["text"]["embedding"].startswith("latent semantic")


def test_options_that_do_not_go_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = written(tmp_path, "csv")
    for wrong in (("--text-column", "nothing"), ("--label-column", "city"), ("--text-column", "story", "--ablation"),
                  ("--text-column", "story", "--label-column", "nothing")):  # fmt: skip
        assert call(["evaluate", *files, *wrong]) != 0
    assert call(["evaluate", *written(tmp_path, "txt"), "--label-column", "city"]) != 0


def test_a_public_model_measures_perplexity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["evaluate", *written(tmp_path, "txt"), "--model", "ngram", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    gap = next(metric for metric in document["metrics"] if metric["name"] == "text_perplexity_gap")
    assert gap["value"] is not None and gap["reference"] is not None and gap["floor"] is not None
    assert document["text"]["scored_by"].startswith("ngram (SHA-256 ")


def test_a_model_without_texts_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    files = written(tmp_path, "csv")
    assert call(["evaluate", *files, "--model", "ngram"]) == 2
    assert call(["evaluate", *files, "--text-column", "story", "--model", str(tmp_path / "none")]) == 1


def test_mixes_of_texts_teach_learners_that_read_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The label stands in the text: whoever reads texts predicts it, and the columns beside say nothing."""
    rng = np.random.default_rng(2)
    for name in NAMES:
        labels = rng.choice(["loan", "card"], 120)
        words = rng.choice(["the", "bank", "asked", "me", "again", "and", "wrote"], (120, 8))
        texts = [" ".join([*line, "late payment" if label == "loan" else "stolen number"])
                 for line, label in zip(words, labels, strict=True)]  # fmt: skip
        pd.DataFrame({"story": texts, "kind": labels, "age": rng.integers(18, 60, 120)}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    files = [word for name in NAMES for word in (f"--{name}", str(tmp_path / f"{name}.csv"))]
    asked = ["--text-column", "story", "--label-column", "kind", "--ablation", "--learner", "linear", "--json"]
    assert call(["evaluate", *files, *asked]) == 0
    found = json.loads(capsys.readouterr().out)["ablation"]
    assert found["target"] == "kind" and found["learners"] == ["linear"]
    fixed = [m for m in found["mixes"] if m["mode"] == "fixed" and m["score"] == found["primary"]]
    assert {m["share"] for m in fixed} >= {0, 0.5, 1}
    assert all(m["value"] > 0.9 for m in fixed), "TSTR, TRTR and the mixes between"
    assert call(["evaluate", *files, "--text-column", "story", "--ablation"]) == 1  # predicts what?
