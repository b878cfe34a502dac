"""Chains outlive programs: a ledger with every kind of entry reads as it read when it was written, and is still written
so (`tests.accounting.ledger.life`). What a word, a field or a context of a signature is called is part of that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger
from accounting.ledger.entry import Kind
from accounting.ledger.evidence.checkpoint import Checkpoint
from accounting.ledger.evidence.export import export_lines, read_export
from accounting.ledger.store import Store
from tests.accounting.ledger.life import KNOWN, live, reading, rows_of, shape, signer


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return json.loads(KNOWN.read_text("utf-8"))


@pytest.fixture(scope="module")
def path(known: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The known chain in a store of today."""
    place = tmp_path_factory.mktemp("known") / "life.db"
    first, *rows = rows_of(known)
    store = Store.create(place, first, timeout_s=5)
    with store.writing() as transaction:
        for row in rows:
            transaction.append(row)
    store.close()
    return place


def test_every_kind_of_entry_is_in_it(known: dict[str, Any]) -> None:
    assert set(known["reading"]["kinds"]) == {kind.value for kind in Kind}


def test_a_known_ledger_reads_as_it_read_when_it_was_written(known: dict[str, Any], path: Path) -> None:
    found = reading(path, known)
    assert found.keys() == known["reading"].keys()
    for name, value in found.items():
        assert value == known["reading"][name], name


def test_a_known_ledger_goes_on_under_its_last_key(path: Path, tmp_path: Path) -> None:
    copy = shutil.copy(path, tmp_path / "copy.db")
    with Ledger.open(copy, signer=signer(3)) as ledger:
        head = ledger.head()
        ledger.append("policy", {"digest": "0"})
        assert ledger.head().seq == head.seq + 1


def test_an_export_of_a_known_ledger_has_the_lines_that_were_written(known: dict[str, Any], path: Path) -> None:
    with Ledger.open(path) as ledger:
        entries = ledger.entries()
        lines = list(export_lines(entries, ledger.ledger_id, signer(1).public_bytes))
    head = {"seq": entries[-1].seq, "hash": entries[-1].hash}
    first = {"schema": "dpsynth.ledger-export/1", "ledger_id": entries[0].body["ledger_id"],
             "public_key": signer(1).public_bytes.hex(), "head": head}  # fmt: skip
    assert json.loads(lines[0]) == first
    assert [json.loads(line) for line in lines[1:]] == [
        {**row, "body": json.loads(row["body"])} for row in known["rows"]
    ]
    back = read_export(lines, ledger_key=signer(1).public_bytes)
    assert (back.entries, back.head) == (tuple(entries), (entries[-1].seq, entries[-1].hash))


def test_a_known_checkpoint_holds_for_the_ledger_key_and_the_witness(known: dict[str, Any]) -> None:
    kept = Checkpoint.from_json(known["checkpoint"])
    kept.check(signer(3).public_bytes, witness_key=signer(4).public_bytes)
    assert kept.to_json() == known["checkpoint"]


def test_the_same_life_is_written_in_the_same_shapes_today(known: dict[str, Any], tmp_path: Path) -> None:
    for then, now in zip(shape(known), shape(live(tmp_path / "life.db")), strict=True):
        assert now == then
