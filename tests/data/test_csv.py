"""CSV: what is written comes back, types are strict, and each accident names its line and never its content."""

from __future__ import annotations

import csv
import gzip
import io
import string
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import DataError
from dpsynth.data.csv_source import parse
from dpsynth.data.csv_text import Records
from dpsynth.data.options import ColumnOptions, ReadOptions
from dpsynth.data.read import read
from dpsynth.data.table import Table

DEFAULT = ReadOptions()
TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=8
)
CELLS = {
    "string": TEXT,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "date": st.dates(),
    "datetime": st.datetimes(),
}
WRITE = {
    "string": str,
    "integer": str,
    "float": repr,
    "boolean": lambda v: "true" if v else "false",
    "date": date.isoformat,
    "datetime": datetime.isoformat,
}


def column(text: str, options: ColumnOptions | None = None) -> Table:
    return parse(f"x,y\n{text}".encode(), ReadOptions(columns={"x": options or ColumnOptions()}))


def inferred(*cells: str) -> tuple[str, list[object], list[str]]:
    table = parse(("x,y\n" + "".join(f"{c},1\n" for c in cells)).encode(), DEFAULT)
    return table.types["x"], table.to_arrow()["x"].to_pylist(), [w.code for w in table.warnings if w.column == "x"]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[str], list[list[object]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    names = draw(st.lists(TEXT.filter(str.strip), min_size=len(kinds), max_size=len(kinds), unique=True))
    rows = draw(st.lists(st.tuples(*(st.none() | CELLS[k] for k in kinds)), min_size=1, max_size=12))
    return names, kinds, [list(r) for r in rows]


@settings(max_examples=200, deadline=None)
@given(tables(), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_table_survives_a_csv_round_trip(
    made: tuple[list[str], list[str], list[list[object]]], delimiter: str, ending: str
) -> None:
    names, kinds, rows = made
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    for row in rows:
        writer.writerow(["" if v is None else WRITE[k](v) for v, k in zip(row, kinds, strict=True)])
    if names in rows and len(names) > 1:
        return
    options = ReadOptions(
        delimiter=delimiter,
        columns={n: ColumnOptions(type=k) for n, k in zip(names, kinds, strict=True)},
    )
    back = parse(out.getvalue().encode(), options).to_arrow()
    assert back.column_names == names
    assert [list(r.values()) for r in back.to_pylist()] == rows


@settings(max_examples=100, deadline=None)
@given(tables())
def test_inference_never_loses_a_cell(made: tuple[list[str], list[str], list[list[object]]]) -> None:
    """Whatever the types found: a cell is missing if and only if it was written empty."""
    names, kinds, rows = made
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    for row in rows:
        writer.writerow(["" if v is None else WRITE[k](v) for v, k in zip(row, kinds, strict=True)])
    if names in rows and len(names) > 1:
        return
    back = parse(out.getvalue().encode(), ReadOptions(delimiter=",")).to_arrow().to_pylist()
    assert [[v is None for v in r.values()] for r in back] == [[v is None for v in r] for r in rows]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (("1", "-2", ""), "integer", [1, -2, None]),
        (("9223372036854775807",), "integer", [2**63 - 1]),
        (("00042", "00043"), "string", ["00042", "00043"]),
        (("0", "007"), "string", ["0", "007"]),
        (("1.50", "2", "-3e2", ".5"), "float", [1.5, 2.0, -300.0, 0.5]),
        (("true", "false", ""), "boolean", [True, False, None]),
        (("True", "False"), "boolean", [True, False]),
        (("True", "true"), "string", ["True", "true"]),
        (("yes", "no"), "string", ["yes", "no"]),
        (("2024-02-29", "0001-01-01"), "date", [date(2024, 2, 29), date(1, 1, 1)]),
        (("2024-02-29T01:02:03.5", "9999-12-31 23:59"), "datetime", None),
        (("NA", "FR"), "string", ["NA", "FR"]),
        (("nan", "1.0"), "string", ["nan", "1.0"]),
        (("1_000", "2"), "string", ["1_000", "2"]),
        (("0x1F", "1"), "string", ["0x1F", "1"]),
        (("+1", "2"), "string", ["+1", "2"]),
        ((" 1", "2"), "string", [" 1", "2"]),
    ],
)
def test_types_are_strict(cells: tuple[str, ...], kind: str, values: list[object] | None) -> None:
    found, got, _ = inferred(*cells)
    assert found == kind
    assert values is None or got == values


def test_offsets_are_moved_to_utc_and_said() -> None:
    kind, values, codes = inferred("2024-03-10T01:30:00Z", "2024-03-10T02:30:00-05:00")
    assert (kind, codes) == ("datetime", ["read_as_utc"])
    assert values == [datetime(2024, 3, 10, 1, 30), datetime(2024, 3, 10, 7, 30)]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (("1", "2", "Total"), "mixed_numbers"),
        (("1,5", "2,5"), "decimal_comma"),
        (("2024-01-01", "2023-02-29"), "mixed_dates"),
        (("2024-01-01", "2024-01-01T00:00:00"), "mixed_dates"),
        (("2024-01-01T00:00:00", "2024-01-01T00:00:00Z"), "mixed_dates"),
        (("31/12/2024", "30/12/2024"), "mixed_dates"),
        (("a", "n/a"), "missing_words"),
        (("", ""), "no_values"),
    ],
)
def test_what_stays_text_is_said(cells: tuple[str, ...], code: str) -> None:
    kind, values, codes = inferred(*(f'"{c}"' for c in cells))
    assert (kind, codes) == ("string", [code])
    assert values == [c or None for c in cells]


def test_a_warning_names_count_and_line_and_no_cell() -> None:
    table = column("1,0\n2,0\n3,0\nSECRET,0\nSECRET,0\n")
    (warning,) = table.warnings
    assert "2 cells" in warning.message
    assert "line 5" in warning.message
    assert "SECRET" not in warning.message


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        ("SECRET,1\n", ColumnOptions(type="integer"), "1 cells that are not an integer, the first on line 2"),
        ("1,1\nSECRET,1\n", ColumnOptions(type="float"), "not a finite number, the first on line 3"),
        ("1e999,1\n", ColumnOptions(type="float"), "not a finite number"),
        ("maybe,1\n", ColumnOptions(type="boolean"), "true/false, yes/no or 1/0"),
        ("2024-13-01,1\n", ColumnOptions(type="date"), "not a date in ISO 8601"),
        ("2024-01-01,1\n", ColumnOptions(type="date", format="%d.%m.%Y"), "not a date of the declared format"),
        ("2024-01-01T00:00,1\n2024-01-01T00:00Z,1\n", ColumnOptions(type="datetime"), "with or all without"),
        ("9223372036854775808,1\n", ColumnOptions(type="integer"), "beyond 64 bits"),
    ],
)
def test_a_cell_that_is_not_of_its_declared_type_is_an_error(cells: str, options: ColumnOptions, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        column(cells, options)
    assert "SECRET" not in str(caught.value)
    assert "'x'" in str(caught.value)


def test_declared_types_override_inference() -> None:
    assert column("1,1\n2,1\n", ColumnOptions(type="category")).types["x"] == "string"
    assert column("007,1\n", ColumnOptions(type="integer")).to_arrow()["x"].to_pylist() == [7]
    assert column("5.0,1\n", ColumnOptions(type="integer")).to_arrow()["x"].to_pylist() == [5]
    day = column("31.12.2024,1\n", ColumnOptions(type="date", format="%d.%m.%Y")).to_arrow()["x"].to_pylist()
    assert day == [date(2024, 12, 31)]


def test_declared_words_for_missing_make_a_number_column() -> None:
    table = column("1,1\nNA,1\n9999,1\n", ColumnOptions(missing=("NA", "9999")))
    assert table.types["x"] == "integer"
    assert table.to_arrow()["x"].to_pylist() == [1, None, None]
    assert not table.warnings


def test_decimal_comma_is_read_when_declared() -> None:
    table = parse(b"x;y\n1,5;a\n-2,25;b\n", ReadOptions(decimal=","))
    assert table.to_arrow()["x"].to_pylist() == [1.5, -2.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", "Line 3 has 1 fields, but the header has 2"),
        (b'a,b\n"1\n1",2\n\n3,4,5\n', "Line 5 has 3 fields"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "column 'b' in the record on line 3 is never closed"),
        (b'a,b\n1,"x\n3,4\n5,"y\n', "line 2, field 2, goes on after its closing quote"),
        (b"a,a\n1,2\n", "Two columns are called 'a'"),
        (b"a,\n1,2\n", "Column 2 has no name"),
        (b"\n \n", "no name|no header"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2\na,b\n3,4\n", "Line 3 repeats the header"),
        (b"a,b\n1,\0\n", "NUL byte at byte 6, line 2"),
        (b"a,b\n1,\xe9\n", "not UTF-8: byte 6, line 2"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        (b"a,b\n1,inf\n2,3\n", "1 numbers that are not finite, the first on line 2"),
        (b"a,b\n1,1e999\n2,3\n", "1 numbers that are not finite"),
        (b"a,b\n1,99999999999999999999\n", "beyond 64 bits"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(content, DEFAULT)


def test_limits_are_stated() -> None:
    with pytest.raises(DataError, match="column 'b', line 2, is longer than the limit of 10 bytes") as caught:
        parse(b"a,b\n1," + b"S" * 11 + b"\n", ReadOptions(max_field=10))
    assert "SSS" not in str(caught.value)
    with pytest.raises(DataError, match="3 columns; the limit is 2"):
        parse(b"a,b,c\n1,2,3\n", ReadOptions(max_columns=2))
    with pytest.raises(DataError, match="more than 256 characters") as caught:
        parse(b"a" * 70_000 + b",b\n1,2\n", DEFAULT)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_and_marks_make_no_difference(ending: str) -> None:
    content = b"\xef\xbb\xbf" + ending.join(["a,b", "1,x", "2,y", ""]).encode()
    assert parse(content, DEFAULT).to_arrow().to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_mixed_line_ends_and_blank_lines() -> None:
    assert parse(b"a,b\r\n1,x\n\n2,y\r\n\r\n", DEFAULT).to_arrow().to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_a_blank_line_of_a_one_column_file_is_a_missing_cell() -> None:
    assert parse(b"\na\n1\n\n2\n", DEFAULT).to_arrow().to_pydict() == {"a": [1, None, 2]}


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_another_delimiter_is_found_and_said(mark: str, word: str) -> None:
    table = parse(mark.join("abc").encode() + b"\n" + mark.join("123").encode() + b"\n", DEFAULT)
    assert table.columns == ("a", "b", "c")
    assert word in table.warnings[0].message


def test_encoding_is_converted_only_when_named() -> None:
    content = "a,b\n1,Zürich\n".encode("latin-1")
    assert parse(content, ReadOptions(encoding="latin-1")).to_arrow()["b"].to_pylist() == ["Zürich"]
    with pytest.raises(DataError, match="is not ascii: byte 7, line 2"):
        parse(content, ReadOptions(encoding="ascii"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.text(string.ascii_letters + '",\n\r ', max_size=6), min_size=2, max_size=3), min_size=1))
def test_the_slow_walk_agrees_with_the_standard_library(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    walked = list(Records(out.getvalue().encode(), b","))
    assert [[f.decode() for f in r.fields] for r in walked] == rows
    lines = 1
    for record, row in zip(walked, rows, strict=True):
        assert record.line == lines
        text = "".join(row)
        lines += 1 + text.replace("\r\n", "\n").count("\n") + text.replace("\r\n", "").count("\r")


def test_gzip_is_read_as_the_plain_file(tmp_path: Path) -> None:
    content = b"a,b\n1,x\n2,y\n"
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(content[:6]) + gzip.compress(content[6:]))
    assert read(path).to_arrow() == parse(content, DEFAULT).to_arrow()


def test_dates_follow_the_calendar_of_python() -> None:
    """Each day of four centuries' corners, and each impossible neighbour."""
    days = [
        date(y, m, 28) + timedelta(days=k) for y in (1600, 1900, 2000, 2023, 2024) for m in (2, 4, 12) for k in range(5)
    ]
    days = [d for d in days if d.year < 9999]
    assert inferred(*(d.isoformat() for d in days))[1] == days
    for impossible in (
        "1900-02-29",
        "2023-02-29",
        "2024-02-30",
        "2024-04-31",
        "2024-00-10",
        "2024-10-00",
        "0000-01-01",
    ):
        assert inferred(impossible, "2024-01-01")[0] == "string"
