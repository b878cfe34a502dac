"""Prose is refused with a pointer; codes, names, numbers and dates are not."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import SchemaError
from dpsynth.data.free_text import is_free_text
from dpsynth.data.read import read
from dpsynth.data.table import Table
from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
NO_DATA = "the shared data are not there: set DPSYNTH_SHARED"
TABLES = {
    "adult/adult.csv.gz",
    "berka/client.csv.gz",
    "berka/loan.csv.gz",
    "berka/order.csv.gz",
    "berka/trans.csv.gz",
    "coil2000_caravan/caravan.csv.gz",
    "communities_crime/communities_crime.csv.gz",
    "credit_default/credit_default.csv.gz",
    "diabetes130/diabetic_data.parquet",
    "kdd99/kdd99_10pct_train.parquet",
    "nist_acs/national2019.csv.gz",
}
WORDS = ("patient seen today", "with mild pain", "after surgery", "and no fever", "treatment goes on")


def notes(rows, parts=6, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, parts)) for _ in range(rows)]


def column(cells):
    return pa.chunked_array([pa.array(cells, pa.string())])


def test_free_text_is_refused_and_the_message_says_what_exists_and_what_to_do():
    table = Table.from_arrow(pa.table({"note": notes(300), "sex": ["f", "m", "m"] * 100}))
    with pytest.raises(
        SchemaError, match=r"Column 'note' holds free text.*drop: true.*kind: text.*text synthesize"
    ) as found:
        prepare(table)
    assert "patient" not in str(found.value) and "300" not in str(found.value)
    dropped = Schema.from_dict(
        {"columns": {"note": {"kind": "categorical", "drop": True}, "sex": {"kind": "categorical"}}}
    )
    assert prepare(table, dropped).table.columns == ("sex",)


def test_missing_cells_do_not_hide_free_text():
    assert is_free_text(column(notes(50) + [None] * 500))


def test_a_declared_list_of_long_answers_is_a_category():
    answers = notes(5)
    table = Table.from_arrow(pa.table({"answer": answers * 60, "sex": ["f", "m", "m"] * 100}))
    prepare(table)  # five values repeat: also as an open set
    of = {"answer": {"kind": "categorical", "values": answers}, "sex": {"kind": "categorical"}}
    prepare(table, Schema.from_dict({"columns": of}))


def test_identifiers_are_refused_as_identifiers():
    table = Table.from_arrow(
        pa.table({"code": [f"A-{i:06d}-{i * 7919 % 1000:03d}-LONG-CODE-WITHOUT-BLANKS" for i in range(300)]})
    )
    with pytest.raises(SchemaError, match="looks like an identifier"):
        prepare(table)


@pytest.mark.parametrize(
    "cells",
    [
        [f"{i / 7:.20f}" for i in range(300)],
        [f"2024-01-{i % 28 + 1:02d} 10:{i % 60:02d}:00.000000 +01:00 UTC" for i in range(300)],
        [f"Maria {'abcdefghij'[i % 10]}. Lopez Garcia de la Torre" for i in range(10)] * 30,
        [f"{i} Longstreetname Avenue" for i in range(300)],
        [None] * 300,
        [],
    ],
    ids=["numbers", "moments", "names", "addresses", "nothing", "no rows"],
)
def test_other_text_is_no_free_text(cells):
    assert not is_free_text(column(cells))


@pytest.mark.skipif(not SHARED.exists(), reason=NO_DATA)
@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_column_of_a_real_table_is_taken_for_free_text(name):
    table = read(SHARED / "tabular" / name)
    texts = [held for held in table.columns if table.types[held] == "string"]
    assert [held for held in texts if is_free_text(table.column(held))] == []


@pytest.mark.skipif(not SHARED.exists(), reason=NO_DATA)
def test_real_messages_and_reviews_are_free_text_and_their_other_columns_are_not():
    lines = (SHARED / "text" / "SMSSpamCollection.tsv").read_text("utf-8").splitlines()
    assert is_free_text(column([line.split("\t", 1)[1] for line in lines if "\t" in line]))
    with (SHARED / "text" / "womens_clothing_reviews_sample.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    found = [name for name in rows[0] if is_free_text(column([row[name] or None for row in rows]))]
    assert found == ["Review Text"]
