"""Rows as files: exact, without metadata, harmless in a spreadsheet."""

from __future__ import annotations

import csv
import datetime
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.release.formats import encode_parquet, to_csv

FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1+1",
    "\n=1",
    "|calc",
    "%0A=1",
    "\uff1d1",
]
HARMLESS = ["-5", "+3.5", "-1e-9", "a=b", "", "O'Neil", "1-2", "e@mail.org"]


def read_back(raw):
    return list(csv.reader(io.StringIO(raw.decode())))


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_formula_gets_an_apostrophe(text, kind):
    table = pa.table({"a": pa.array([text, "plain"]).cast(kind)})
    assert read_back(to_csv(encode_parquet(table)))[1] == [f"'{text}"]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_left_alone(text):
    assert read_back(to_csv(encode_parquet(pa.table({"a": [text, "x"]}))))[1] == [text]


def test_headings_are_made_harmless_too():
    assert read_back(to_csv(encode_parquet(pa.table({"=cmd()": [1], "b": [2]}))))[0] == ["'=cmd()", "b"]


def test_missing_cells_stay_missing_and_numbers_stay_numbers():
    table = pa.table({"a": ["x", None], "b": [-1, None], "c": [0.1, -2.5], "d": [datetime.date(2026, 1, 2), None]})
    rows = read_back(to_csv(encode_parquet(table)))
    assert rows[1:] == [["x", "-1", "0.1", "2026-01-02"], ["", "", "-2.5", ""]]


def test_parquet_is_exact_and_bare():
    frame = pa.table({"a": np.array([0.1, np.nan, -0.0]), "b": ["ü", None, "=1"]})
    noisy = frame.replace_schema_metadata({"pandas": "{}", "path": "/home/somebody/real.csv"})
    raw = encode_parquet(noisy)
    assert raw == encode_parquet(frame)
    assert pq.ParquetFile(io.BytesIO(raw)).metadata.metadata is None
    assert b"somebody" not in raw
    back = pq.read_table(io.BytesIO(raw))
    assert back.column("b").to_pylist() == ["ü", None, "=1"]
    np.testing.assert_array_equal(back.column("a").to_numpy(), [0.1, np.nan, -0.0])


def test_no_statistics_that_name_extreme_values():
    raw = encode_parquet(pa.table({"a": ["aardvark", "zebra", "m"]}))
    column = pq.ParquetFile(io.BytesIO(raw)).metadata.row_group(0).column(0)
    assert not column.is_stats_set
