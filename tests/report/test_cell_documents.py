"""Cells of a schema, a ledger, a budget: what reports show, never a row or an entry's body; and plain text."""

import re
from pathlib import Path
from typing import Any

import pytest

from accounting.ledger import Ledger, Signer
from accounting.relation import NeighboringRelation, PrivacyUnit
from attacks import AttackReport
from dpsynth.quality import QualityReport
from dpsynth.report.cells import CELLS, attach, cell, install_text, plain
from dpsynth.schema.model import Schema
from tests.report.pages import Page
from tests.report.test_page import CORPUS

SCHEMA = Schema.model_validate({
    "version": 1,
    "columns": {
        "ward": {"kind": "categorical", "values": [f"w{i}" for i in range(12)], "role": "target"},
        "age": {"kind": "integer", "min": 0, "max": 120},
        "note": {"kind": "text"},
        "paid": {"kind": "boolean", "nullable": False},
        "code": {"kind": "categorical", "hierarchy": [3], "missing": ["NA", "?"]},
    },
})  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    opened = Ledger.create(tmp_path / "ledger.db", signer=Signer.generate())
    opened.create_budget(
        dataset="ward <b>7</b>", commitment="ab" * 32, relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
        epsilon="3", delta="1e-5",
    )  # fmt: skip
    return opened


def test_a_schema_shows_what_was_declared_and_counts_long_domains() -> None:
    text = Page(cell(SCHEMA)).text
    assert "Schema of 5 columns" in text
    assert "ward categorical target 12 values: w0, w1, w2, w3, w4, w5, w6, w7 and 4 more" in text
    assert "age integer – from 0 to 120" in text
    assert "note text – nothing beyond its kind" in text
    assert "paid boolean – no cell is missing" in text
    assert "code categorical – hierarchy by the first 3; missing is also NA, ?" in text


def test_a_ledger_shows_balances_and_kinds_and_no_body(ledger: Ledger) -> None:
    with ledger:
        html = cell(ledger)
        bodies = [str(entry.body["nonce"]) for entry in ledger.entries()] + ["ab" * 32]
        (record,) = ledger.budgets()
    found = Page(html)
    assert not found.unbalanced
    assert "ward <b>7</b>, the whole" in found.text and "left 3" in found.text
    assert "budget.create 1" in found.text
    assert not any(secret in html for secret in bodies)
    assert "Granted epsilon 3, delta 1e-5" in Page(cell(record)).text
    assert "<h2>Budget</h2>" in cell(record)


def test_every_class_has_words_for_a_terminal(internal: dict[str, Any], ledger: Ledger) -> None:
    with ledger:
        texts = {
            "schema": plain(SCHEMA),
            "ledger": plain(ledger),
            "budget": plain(ledger.budgets()[0]),
            "attacks": plain(AttackReport.from_json(internal["attacks"])),
            "quality": plain(QualityReport.from_json(internal["quality"])),
        }
    for name, text in texts.items():
        assert 10 < len(text) < 6000, name
        assert "nonce" not in text
    assert texts["schema"].splitlines()[0] == "Schema of 5 columns"
    assert "\x1b" not in plain(Schema.model_validate({"version": 1, "columns": {"a\x1b[31m": {"kind": "integer"}}}))


def test_ipython_prints_the_words_beside_the_cell() -> None:
    from IPython.core.formatters import PlainTextFormatter

    formatter = PlainTextFormatter()
    install_text(formatter)
    assert formatter(SCHEMA) == plain(SCHEMA)
    assert len(formatter.deferred_printers) >= len(CELLS) - 1


def test_without_ipython_every_class_can_be_given_its_cell() -> None:
    class Plain:
        def to_json(self) -> dict[str, str]:
            return {"a": "1"}

    attach(Plain)
    assert "<h2>Plain</h2>" in Plain()._repr_html_()  # type: ignore[attr-defined]


@pytest.mark.parametrize("payload", CORPUS)
def test_hostile_column_names_and_values_stay_text(payload: str) -> None:
    name = payload.replace("\x00", "").replace("\x07", "").replace("\x1b", "")
    hostile = Schema.model_validate(
        {"version": 1, "columns": {name: {"kind": "categorical", "values": [payload, "b"]}}}
    )
    found = Page(cell(hostile))
    assert not found.unbalanced and not {"script", "img", "iframe", "a"} & found.tags
    assert not any(key.startswith("on") for _, attributes in found.elements for key in attributes)
    shown = "".join("\ufffd" if ord(c) < 32 or c == "\u202e" else c for c in payload)
    assert re.sub(r"\s", "", shown) in re.sub(r"\s", "", found.text)


def test_a_data_set_says_where_its_rows_are_and_no_password() -> None:
    from accounting.relation import PrivacyUnit
    from dpsynth.data.engines.sources.urls import parse
    from dpsynth.workspace.registry.datasets import DatasetRecord
    from dpsynth.workspace.registry.places import Place

    place = Place(source=parse("postgresql://ada:secret@db.example/claims", table="health.visits"), row_key="visit")
    drawn = cell(DatasetRecord(name="visits", commitment="ab" * 32, unit=PrivacyUnit(), place=place))
    assert "<h2>Data set</h2>" in drawn and "health.visits" in drawn and "db.example" in drawn and "visit" in drawn
    assert "secret" not in drawn and "ada" not in drawn and "–" not in drawn
    assert "in memory" in plain(DatasetRecord(name="visits", commitment="ab" * 32, unit=PrivacyUnit()))
