"""Tables of the benchmarks: public schemas that fit, splits by unit, and a form for the scorer that loses nothing."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    return importlib.import_module("tables")


@pytest.mark.parametrize("name", ["anes96", "fair", "randhie", "digits", "cancer"])
def test_an_embedded_table_fits_its_public_schema(tables, tmp_path, name):
    table = tables.load(name, tmp_path)
    found = prepare(table.train, table.schema)
    assert found.schema.target == table.target
    meta = json.loads((table.scored / f"{name}.json").read_text("utf-8"))
    assert list(meta["columns"]) == list(table.schema.modelled)


def test_what_the_scorer_reads_is_what_a_perfect_copy_would_give(tables, tmp_path):
    table = tables.load("fair", tmp_path)
    copy = table.to_scored(tables.read_text(table.train))
    scored = pd.read_csv(table.scored / "fair_train.csv.gz", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(copy, scored, check_dtype=False)


def test_a_second_load_writes_nothing_until_the_schema_changes(tables, tmp_path, monkeypatch):
    first = tables.load("anes96", tmp_path)
    written = first.train.stat().st_mtime_ns
    assert tables.load("anes96", tmp_path).train.stat().st_mtime_ns == written
    wider = first.schema.with_columns(age={"max": 120})
    monkeypatch.setattr(tables, "_schema", lambda name, columns: wider)
    assert tables.load("anes96", tmp_path).schema == wider


def test_no_unit_is_on_both_sides_of_a_split(tables):
    patients = pd.Series([1, 1, 2, 3, 3, 3, 4, 5, 6, 6] * 20)
    chosen = tables._chosen(patients)
    assert not set(patients[chosen]) & set(patients[~chosen])
    assert 0 < chosen.mean() < 1 and chosen.equals(tables._chosen(patients))


def test_the_scorers_form_keeps_zeros_dates_and_gaps(tables):
    schema = Schema.from_dict(
        {
            "columns": {
                "state": {"kind": "categorical", "values": ["01", "02"]},
                "died": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31", "missing": ["9999-99-99"]},
                "beds": {"kind": "integer", "min": 0, "max": 9},
                "ill": {"kind": "categorical", "values": [0, 1], "role": "target"},
            }
        }
    )
    cells = pd.DataFrame(
        {
            "state": ["01", "02", ""],
            "died": ["1970-01-02", "9999-99-99", "2020-02-01"],
            "beds": ["3", "", "0"],
            "ill": ["1", "0", "1"],
        }
    )
    meta = tables._scorer_meta("credit", schema, cells, cells)
    scored = tables.scored_frame(schema, cells, meta)
    assert scored["state"].tolist() == ["v:01", "v:02", "v:missing"]
    assert scored["died"].tolist() == [1, meta["columns"]["died"]["min"], 18293]
    assert meta["columns"]["died"]["min"] == 18262 - 1
    assert scored["beds"].tolist() == [3, -1, 0]
    assert scored["ill"].tolist() == ["v:yes", "v:no", "v:yes"]


def test_a_goal_is_met_from_its_own_side(tables):
    tabular = importlib.import_module("tabular")
    assert tabular.meets("auc", 0.91, 0.90) and not tabular.meets("auc", 0.89, 0.90)
    assert tabular.meets("tvd2", 0.02, 0.03) and not tabular.meets("tvd2", 0.04, 0.03)


def test_a_run_that_fails_or_takes_too_long_says_so(tables, tmp_path):
    import sys

    tabular = importlib.import_module("tabular")
    failed = tabular.measured([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "a", 5)
    assert failed["status"] == "no such thing"
    endless = tabular.measured([sys.executable, "-c", "while True: pass"], tmp_path / "b", 1)
    assert endless["status"] == "not finished in 1 CPU s"
