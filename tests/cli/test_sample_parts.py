"""`dpsynth sample --to`: public models stream into parts; a private draft stays sealed, and stays small."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.schema.model import Schema
from dpsynth.tabular import save
from dpsynth.workspace.runs import sealed_size
from dpsynth.workspace.runs.sealed_size import MOST_CELLS, check_rows, most_rows
from tests.cli.test_commands import call, grant, run, vault  # noqa: F401
from tests.tabular.streams import worlds


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(worlds.chain(), tmp_path / "town.dpmodel")
    return tmp_path / "town.dpmodel"


def test_a_public_model_streams_into_parts_and_finishes_what_was_begun(model: Path, capsys) -> None:
    out = model.parent / "out"
    asked = ("sample", model, "--public", "--rows", "5000", "--to", out, "--partitions", "3")
    code, made = run(capsys, *asked)
    assert code == 0 and (made["rows"], made["parts"], made["parts_drawn"]) == (5000, 3, 3)
    assert made["public"] and made["output"] == str(out) and made["guarantee"]["epsilon"]
    assert len(pq.read_table(out)) == 5000
    lost = out / "part-00001.parquet"
    before = lost.read_bytes()
    lost.unlink()
    code, again = run(capsys, *asked)
    assert code == 0 and again["parts_drawn"] == 1 and lost.read_bytes() == before
    code, _ = run(capsys, *asked[:4], "4999", *asked[5:])
    assert code != 0 and lost.read_bytes() == before


def test_a_condition_holds_in_every_part(model: Path, capsys) -> None:
    out = model.parent / "out"
    code, made = run(capsys, "sample", model, "--public", "--rows", "900", "--to", out, "--where", "town=a")
    assert code == 0 and made["parts"] == 1
    assert set(pq.read_table(out).column("town").to_pylist()) == {"a"}


@pytest.mark.parametrize(
    "asked",
    [
        ("claims-0001", "--to", "out"),
        ("m.dpmodel", "--public"),
        ("m.dpmodel", "--public", "--to", "out", "-o", "rows.csv"),
        ("m.dpmodel", "--public", "--to", "out", "--balance", "town"),
        ("m.dpmodel", "--public", "-o", "rows.csv", "--partitions", "2"),
        ("m.dpmodel", "--public", "-o", "rows.csv", "--workers", "2"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(asked: tuple[str, ...], capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "sample", *asked)[0] == 2 and not list(tmp_path.iterdir())


def test_a_sealed_draft_ends_where_it_can_no_longer_be_judged_as_one_table() -> None:
    check_rows(None, 15)
    check_rows(most_rows(15), 15)
    assert most_rows(15) * 15 <= MOST_CELLS < (most_rows(15) + 1) * 15
    with pytest.raises(ParameterError, match="100,000,000 rows of 15 columns") as refused:
        check_rows(100_000_000, 15)
    assert "6,666,666" in refused.value.remedy
    with pytest.raises(ParameterError):
        check_rows(0, 15)


def test_a_fit_that_stands_for_more_rows_than_a_draft_holds_draws_what_it_holds_and_says_so(
    vault: Path,  # noqa: F811
    capsys,
    monkeypatch,
) -> None:
    assert grant(vault) == 0
    monkeypatch.setattr(sealed_size, "MOST_CELLS", 600)
    code, _ = run(capsys, "synthesize", "data", "-e", "1", "-w", vault, "--rows", "601")
    assert code == 1 and not list((vault / "drafts").glob("data-*"))
    capsys.readouterr()
    assert call(["synthesize", "data", "-e", "1", "-w", str(vault), "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads((vault / "drafts" / "data-0001" / "draft.json").read_text())
    assert document["rows"] == most_rows(len(Schema.from_yaml(vault.parent / "schema.yaml").modelled))
    assert document["rows"] < document["row_total"] and "as many as a sealed draft holds" in told.err
