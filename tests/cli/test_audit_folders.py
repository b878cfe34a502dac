"""`dpsynth audit` on folders of Parquet: read in blocks, with the verdicts that the same rows have in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attacks import released, search
from attacks.neighbours import TILE_ROWS
from attacks.released import Released
from dpsynth.cli.app import call
from dpsynth.cli.commands import streams
from tests.attacks.worlds import independent, people, split

ROWS = 2 * TILE_ROWS + 900


@pytest.fixture(scope="module", autouse=True)
def short_blocks():
    """Blocks of one tile, and a sample that is not all of the release."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SPAN", TILE_ROWS)
        patch.setattr(released, "SPAN", TILE_ROWS)
        for name, value in (("block", TILE_ROWS), ("sample", 1000)):
            patch.setitem(Released.of.__func__.__kwdefaults__, name, value)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Members, holdout and a release with copies, as files and as folders; moments, truth values and gaps in them."""
    rng = np.random.default_rng(3)
    root = tmp_path_factory.mktemp("world")
    table = people(2400, rng)
    table["seen"] = pd.to_datetime("2021-03-04") + pd.to_timedelta(rng.integers(0, 400, len(table)), unit="D")
    table["member"] = pd.array(np.where(rng.random(len(table)) < 0.1, None, rng.random(len(table)) < 0.5), "boolean")
    members, holdout = split(table, rng, (0.6, 0.4))
    release = pd.concat([independent(members, ROWS - 300, rng), members[:300]], ignore_index=True)
    release = release.sample(frac=1, random_state=4).reset_index(drop=True)
    for name, frame in (("train", members), ("holdout", holdout), ("synthetic", release)):
        frame.to_parquet(root / f"{name}.parquet")
        (root / name).mkdir()
        for at, rows in enumerate(np.array_split(np.arange(len(frame)), 3)):
            frame.iloc[rows].to_parquet(root / name / f"part-{at}.parquet", row_group_size=3000)
    return root


@pytest.fixture
def audit(world: Path, capsys: pytest.CaptureFixture[str]):
    def run(train: str, synthetic: str, holdout: str, *options: str) -> tuple[int, dict, str]:
        capsys.readouterr()
        code = call(["audit", str(world / train), str(world / synthetic), "--holdout", str(world / holdout), "--json",
                     *(options or ("--suite", "quick"))])  # fmt: skip
        said = capsys.readouterr()
        return code, json.loads(said.out), said.err

    return run


def figures(document: dict) -> list:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in document["attacks"]]


def test_a_folder_has_the_verdicts_of_the_same_rows_in_memory(audit, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory the file is read whole and held whole; a folder and a pattern are gone through in blocks."""
    options = ("--suite", "standard", "--sensitive", "job", "--seed", "3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "PARQUET", ())
        patch.setitem(Released.of.__func__.__kwdefaults__, "sample", ROWS)
        code, plain, _ = audit("train.parquet", "synthetic.parquet", "holdout.parquet", *options)
    assert code == 4 and "sampling" not in plain
    opened = []
    monkeypatch.setattr(streams, "opened", lambda *a, f=streams.opened: (opened.append(a[0]), f(*a))[1])
    for synthetic in ("synthetic", "synthetic/part-*.parquet", "synthetic.parquet"):
        found, document, said = audit("train.parquet", synthetic, "holdout.parquet", *options)
        assert found == code and figures(document) == figures(plain)
        told = document["sampling"]
        assert (told["release_rows"], told["learned_rows"], told["targets"]) == (ROWS, 1000, None)
        assert "rows of the release ..." in said and "rows of the release: done in" in said
    assert opened == ["synthetic"] * 3


def test_real_sides_are_folders_too_and_people_are_drawn_from_them(audit) -> None:
    files = audit("train.parquet", "synthetic", "holdout.parquet", "--suite", "quick", "--targets", "500")
    folders = audit("train", "synthetic", "holdout/*.parquet", "--suite", "quick", "--targets", "500")
    assert figures(files[1]) == figures(folders[1])
    assert {row["n_targets"] for row in folders[1]["attacks"] if row["stratum"] == "all"} == {500}
    assert audit("train", "synthetic", "holdout")[1]["sampling"]["targets"] == 20_000


def test_the_page_tells_how_many_files_and_rows(audit, world: Path) -> None:
    page = world / "page.html"
    assert audit("train", "synthetic", "holdout.parquet", "--suite", "quick", "--html", str(page))[0] == 4
    assert f"synthetic, 3 files, {ROWS:,} rows, SHA-256" in page.read_text("utf-8")


def test_columns_of_a_folder_are_matched_by_name_and_others_left_out(audit, world: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(world / "synthetic.parquet").assign(row_id=1)
    table["age"] = table["age"].astype(float)
    table[table.columns[::-1]].to_parquet(tmp_path / "a.parquet")
    code, document, said = audit("train", str(tmp_path), "holdout")
    assert code == 4 and "'row_id' is not in the real file" in said and "decimals in another" in said
    plain = audit("train", "synthetic", "holdout")[1]
    assert [row["estimate"] for row in figures(document)] == [row["estimate"] for row in figures(plain)]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda folder, _: None, "There is no Parquet file at"),
        (lambda folder, t: t.to_csv(folder / "a.csv"), "The files are CSV"),
        (lambda folder, t: (t.to_parquet(folder / "a.parquet"), t.assign(age="x").to_parquet(folder / "b.parquet")),
         "The files of the synthetic table differ in column 'age'"),
        (lambda folder, t: (t.to_parquet(folder / "a.parquet"), t.drop(columns="age").to_parquet(folder / "b.parquet")),
         "The files of the synthetic table differ in column 'age'"),
        (lambda folder, t: (folder / "a.parquet").write_bytes(b"PAR1 no"), "cannot be read as Parquet"),
        (lambda folder, t: t.drop(columns="age").to_parquet(folder / "a.parquet"), "lacks the column 'age'"),
        (lambda folder, t: t.assign(age="about-4711").to_parquet(folder / "a.parquet"), "'age'"),
        (lambda folder, t: ((folder / "year=1").mkdir(), t.to_parquet(folder / "year=1" / "a.parquet")), "key=value"),
        (lambda folder, t: t.iloc[:0].to_parquet(folder / "a.parquet"), "no rows"),
    ],
)  # fmt: skip
def test_folders_that_are_no_table_are_refused_without_their_cells(audit, world, tmp_path, broken, words) -> None:
    broken(tmp_path, pd.read_parquet(world / "synthetic.parquet")[:500])
    code, document, _ = audit("train", str(tmp_path), "holdout")
    assert code == 1 and words in document["error"]["message"] and document["error"]["remedy"]
    assert "4711" not in json.dumps(document) and str(tmp_path) not in document["error"]["message"]


def test_texts_are_not_read_from_folders(audit) -> None:
    code, document, _ = audit("train", "synthetic", "holdout", "--text-column", "city")
    assert code == 2 and "one file" in document["error"]["message"]
