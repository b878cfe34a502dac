"""prepare(): a declared schema rules the reading, and what no release could be made from is refused first."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError, SchemaError
from dpsynth.data.options import ReadOptions
from dpsynth.data.table import Table
from dpsynth.schema.checks import MIN_ROWS, prepare
from dpsynth.schema.model import Schema

N = 120
RNG = np.random.default_rng(3)
CELLS: dict[str, list[str]] = {
    "zip": [f"{k % 40 + 10}" for k in range(N)],
    "when": [f"{k % 28 + 1:02d}.03.2024" for k in range(N)],
    "flag": [("yes", "no", "")[k % 3] for k in range(N)],
    "n": [("NA", "1", "2", "3")[k % 4] for k in range(N)],
    "x": [f"{v:.2f}" for v in RNG.normal(size=N)],
}
SCHEMA = """
columns:
  zip: {kind: categorical}
  when: {kind: date, format: "%d.%m.%Y"}
  flag: {kind: boolean}
  n: {kind: integer, missing: [NA], min: 0, max: 9}
  x: {kind: float, precision: 2}
"""


def written(folder: Path, cells: dict[str, list[str]]) -> Path:
    path = folder / "t.csv"
    rows = zip(*cells.values(), strict=True)
    path.write_text(",".join(cells) + "\n" + "".join(",".join(r) + "\n" for r in rows))
    return path


def test_a_declared_schema_rules_the_reading(tmp_path: Path) -> None:
    prepared = prepare(written(tmp_path, CELLS), Schema.from_yaml(SCHEMA))
    types = {"zip": "string", "when": "date", "flag": "boolean", "n": "integer", "x": "float"}
    assert dict(prepared.table.types) == types
    first = prepared.table.to_arrow().slice(0, 1).to_pylist()[0]
    assert first | {"x": 0} == {"zip": "10", "when": date(2024, 3, 1), "flag": True, "n": None, "x": 0}
    assert prepared.warnings == ()


def test_the_same_schema_rules_a_typed_table(tmp_path: Path) -> None:
    """Parquet and pandas arrive with types; a declared schema gives the same columns as for the CSV, where it can."""
    from_csv = prepare(written(tmp_path, CELLS), Schema.from_yaml(SCHEMA)).table
    typed = from_csv.to_arrow()
    typed = typed.set_column(0, "zip", typed["zip"].cast(pa.int32()))
    typed = typed.set_column(2, "flag", typed["flag"].cast(pa.int8()))
    schema = Schema.from_yaml(
        SCHEMA.replace("zip: {kind: categorical}", "zip: {kind: categorical, values: ['10'], other: true}")
    )
    got = prepare(Table.from_arrow(typed), schema).table
    assert got.to_arrow() == from_csv.to_arrow()
    assert prepare(Table.from_arrow(typed), Schema.from_yaml(SCHEMA)).table.types["zip"] == "integer"


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        (pa.array([1.5] * N), "integer", "'c' is float in the file, and not all of it can be read as integer"),
        (pa.array([2] * N), "boolean", "is integer in the file"),
        (pa.array([2] * N), "date", "is integer in the file"),
        (pa.array(["a"] * N), "float", "that are not a finite number"),
    ],
)
def test_a_typed_column_that_does_not_fit_is_refused(column: pa.Array, kind: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(Table.from_arrow(pa.table({"c": column})), Schema.from_yaml(f"columns: {{c: {{kind: {kind}}}}}"))


def test_a_cell_outside_a_closed_domain_is_refused_without_saying_how_many(tmp_path: Path) -> None:
    path = written(tmp_path, CELLS | {"flag": ["SECRET"] * 3 + ["yes"] * (N - 3)})
    closed = SCHEMA.replace("flag: {kind: boolean}", "flag: {kind: categorical, values: [yes, no]}")
    with pytest.raises(SchemaError, match="'flag' holds values outside its declared domain") as caught:
        prepare(path, Schema.from_yaml(closed))
    assert "SECRET" not in str(caught.value)
    assert not any(c.isdigit() for c in caught.value.message)
    prepare(path, Schema.from_yaml(closed.replace("[yes, no]", "[yes, no], other: true")))


def test_a_gap_in_a_column_that_is_not_nullable_is_refused_without_saying_how_many(tmp_path: Path) -> None:
    path = written(tmp_path, CELLS | {"flag": [""] * 7 + ["yes"] * (N - 7)})
    complete = Schema.from_yaml(SCHEMA.replace("flag: {kind: boolean}", "flag: {kind: boolean, nullable: false}"))
    with pytest.raises(SchemaError, match="'flag' has missing cells, and its schema says") as caught:
        prepare(path, complete)
    assert not any(c.isdigit() for c in caught.value.message)
    assert Schema.from_yaml(complete.to_yaml()) == complete
    prepare(path, Schema.from_yaml(SCHEMA))


def test_columns_must_agree(tmp_path: Path) -> None:
    path = written(tmp_path, CELLS)
    with pytest.raises(SchemaError, match="does not speak of column 'x'"):
        prepare(path, Schema.from_yaml(SCHEMA.replace("  x: {kind: float, precision: 2}\n", "")))
    with pytest.raises(DataError, match="no column 'y'"):
        prepare(path, Schema.from_yaml(SCHEMA + "  y: {kind: float}\n"))
    with pytest.raises(SchemaError, match="target 'y' is not a column"):
        prepare(path, target="y", options=ReadOptions(missing=("NA",)))


def test_a_dropped_column_is_gone_whatever_it_holds(tmp_path: Path) -> None:
    path = written(tmp_path, CELLS | {"mail": [f"a{k}@example.com" for k in range(N)]})
    with pytest.raises(SchemaError, match="'mail' holds e-mail"):
        prepare(path)
    for line in ("mail: {kind: integer, drop: true}", "mail: {kind: categorical, role: identifier}"):
        prepared = prepare(path, Schema.from_yaml(SCHEMA + f"  {line}\n"))
        assert "mail" not in prepared.schema.modelled
        assert ("mail" in prepared.table.types) == ("identifier" in line)


@pytest.mark.parametrize("named", [True, False])
def test_a_target_of_one_class_is_refused_asked_for_or_by_its_name(named: bool, tmp_path: Path) -> None:
    path = written(tmp_path, CELLS | {"target": ["1"] * N})
    with pytest.raises(SchemaError, match="'target' has one class"):
        prepare(path, target="target" if named else None)


def test_too_few_rows_are_refused_without_telling_how_many(tmp_path: Path) -> None:
    few = {n: c[: MIN_ROWS - 1] for n, c in CELLS.items()}
    with pytest.raises(DataError, match="fewer than 100 rows") as caught:
        prepare(written(tmp_path, few))
    assert str(MIN_ROWS - 1) not in str(caught.value)
    prepare(written(tmp_path, {n: c[:MIN_ROWS] for n, c in CELLS.items()}))


def test_a_declared_unit_is_meant_to_repeat(tmp_path: Path) -> None:
    path = written(tmp_path, CELLS | {"patient_id": [str(k // 4) for k in range(N)]})
    assert "unit_repeats" in {w.code for w in prepare(path).warnings}
    gaps = written(tmp_path, CELLS | {"patient_id": ["", *["a"] * (N - 1)]})
    with pytest.raises(DataError, match="unit column 'patient_id' has missing cells"):
        prepare(gaps, unit="patient_id")
    path = written(tmp_path, CELLS | {"patient_id": [str(k // 4) for k in range(N)]})
    prepared = prepare(path, unit="patient_id")
    assert "unit_repeats" not in {w.code for w in prepared.warnings}
    assert prepared.schema.unit == "patient_id"


def test_a_drafted_schema_reads_the_file_as_it_was_drafted(tmp_path: Path) -> None:
    """Drafting, writing YAML and reading again with it changes nothing."""
    path = written(
        tmp_path, CELLS | {"b": ["true", "false"] * (N // 2), "t": [f"2024-01-01T00:00:{k % 60:02d}" for k in range(N)]}
    )
    first = prepare(path)
    again = prepare(path, Schema.from_yaml(first.schema.to_yaml()))
    assert again.table.to_arrow() == first.table.to_arrow()
    assert again.schema == first.schema
