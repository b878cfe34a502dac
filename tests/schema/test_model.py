"""Schemas say only what fits, survive YAML, and YAML's surprises stay outside."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import SchemaError
from dpsynth.data.table import Table
from dpsynth.schema.draft import draft, with_roles
from dpsynth.schema.model import ColumnSpec, Schema

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
ORDERED = {
    "integer": st.integers(-(2**62), 2**62),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "date": st.dates(),
    "datetime": st.datetimes(),
}


@st.composite
def specs(draw: st.DrawFn) -> ColumnSpec:
    kind = draw(st.sampled_from(["categorical", "boolean", *ORDERED]))
    fields: dict[str, object] = {"kind": kind, "missing": draw(st.lists(TEXT, max_size=2))}
    if kind == "categorical":
        values = draw(
            st.none() | st.lists(TEXT, min_size=1, unique=True) | st.lists(st.integers(), min_size=1, unique=True)
        )
        fields |= {"values": values, "other": values is not None and draw(st.booleans())}
    if kind in ORDERED and draw(st.booleans()):
        fields["min"], fields["max"] = sorted([draw(ORDERED[kind]), draw(ORDERED[kind])])
    if kind == "datetime" or (kind == "float" and "min" not in fields):
        fields["precision"] = draw(st.none() | st.integers(0, 6))
    if kind in ("date", "datetime"):
        fields["format"] = draw(st.none() | TEXT.filter(bool))
    fields["role"] = draw(st.none() | st.sampled_from(["sensitive", "quasi_identifier"]))
    fields["nullable"] = draw(st.booleans())
    return ColumnSpec(**fields)  # type: ignore[arg-type]


SCHEMAS = st.dictionaries(TEXT, specs(), min_size=1, max_size=4).map(lambda c: Schema(columns=c))


@settings(max_examples=300, deadline=None)
@given(SCHEMAS)
def test_any_schema_survives_yaml_and_json(schema: Schema) -> None:
    for back in (
        Schema.from_yaml(schema.to_yaml()),
        Schema.from_dict(json.loads(json.dumps(schema.model_dump(mode="json")))),
    ):
        assert back == schema
        assert list(back.columns) == list(schema.columns)
        assert back.digest() == schema.digest()


@settings(max_examples=50, deadline=None)
@given(SCHEMAS, SCHEMAS)
def test_digests_tell_schemas_apart(one: Schema, other: Schema) -> None:
    same = one == other and list(one.columns) == list(other.columns)
    assert (one.digest() == other.digest()) == same


def test_the_digest_is_stable() -> None:
    """It is written into ledgers and bundles."""
    schema = Schema(columns={"age": ColumnSpec(kind="integer", min=0, max=110)})
    assert schema.digest() == "79f1db428397ca921d254e4580bc1f8d043a48858124744b400a2b6e69d1dabe"


def test_very_long_names_survive_yaml() -> None:
    schema = Schema(columns={"\x1b" * 400: ColumnSpec(kind="boolean")})
    assert Schema.from_yaml(schema.to_yaml()) == schema


def test_yaml_is_read_as_json_means_it() -> None:
    text = "version: 1\ncolumns:\n  no:\n    kind: categorical\n    values: [yes, no, 00042, 2024-01-01, 1_0, 0x1F]\n"
    assert Schema.from_yaml(text).columns["no"].values == ("yes", "no", "00042", "2024-01-01", "1_0", "0x1F")


def test_bounds_have_the_type_of_their_column() -> None:
    schema = Schema.from_yaml(
        "columns:\n  d: {kind: date, min: 2020-01-01, max: 2020-12-31}\n"
        "  t: {kind: datetime, min: '2020-01-01T00:00:00+01:00', max: '2020-12-31T00:00:00'}\n"
        "  f: {kind: float, min: 0, max: 1e3}\n"
    )
    assert schema.columns["d"].min == date(2020, 1, 1)
    assert schema.columns["t"].min == datetime(2019, 12, 31, 23)
    assert schema.columns["f"].max == 1000.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: &a {x: {kind: boolean}}", "anchor or alias"),
        ("a: &a [x]\nb: *a", "anchor or alias"),
        ("columns: {x: {kind: boolean}, x: {kind: boolean}}", "a key twice, at line 1"),
        ("columns: " + "[" * 20 + "]" * 20, "nested too deeply"),
        ("columns: {x: !!python/object/apply:os.system [ls]}", "not readable YAML at line 1"),
        ("columns: {x: {kind: boolean", "not readable YAML at line"),
        ("columns: {? [a] : {kind: boolean}}", "not readable YAML at line 1"),
        ("columns: {}", "columns: Dictionary"),
        ("columns: {x: {kind: boolean, colour: red}}", "'x'.'colour': There is no such field"),
        ("version: 2\ncolumns: {x: {kind: boolean}}", "'version'"),
        ("columns: {x: {kind: prose}}", "'x'.'kind'"),
        ("columns: {x: {kind: integer, values: [1]}}", "`values` and `other` belong to categorical"),
        ("columns: {x: {kind: categorical, values: [1, a]}}", "mixes text and integers"),
        ("columns: {x: {kind: categorical, values: [a, a]}}", "names a value twice"),
        ("columns: {x: {kind: categorical, values: []}}", "at least 1"),
        ("columns: {x: {kind: categorical, values: [true]}}", "'x'"),
        ("columns: {x: {kind: categorical, other: true}}", "`other` needs `values`"),
        ("columns: {x: {kind: boolean, min: 0, max: 1}}", "do not belong to boolean"),
        ("columns: {x: {kind: integer, min: 0}}", "give both `min` and `max`"),
        ("columns: {x: {kind: integer, min: 2, max: 1}}", "`min` is above `max`"),
        ("columns: {x: {kind: integer, min: 0.5, max: 1}}", "is an integer"),
        ("columns: {x: {kind: integer, min: 0, max: 9223372036854775808}}", "beyond 64 bits"),
        ("columns: {x: {kind: float, min: 0, max: 1e999}}", "finite number"),
        ("columns: {x: {kind: float, min: 0, max: 1e12, precision: 6}}", "lower `precision`"),
        ("columns: {x: {kind: integer, min: -9223372036854775808, max: 0}}", "further apart than 63 bits"),
        ("columns: {x: {kind: date, min: 01/02/2020, max: 2020-01-01}}", "ISO 8601 date"),
        ("columns: {x: {kind: integer, precision: 1}}", "`precision` belongs"),
        ("columns: {x: {kind: float, precision: 13}}", "less than or equal to 12"),
        ("columns: {x: {kind: datetime, precision: 7}}", "at most 6"),
        ("columns: {x: {kind: integer, format: '%d'}}", "`format` belongs"),
        ("columns: {x: {kind: boolean, role: target}, y: {kind: boolean, role: target}}", "all have the role target"),
        ("columns: {x: {kind: boolean, drop: true, role: target}, y: {kind: boolean}}", "target 'x' is dropped"),
        ("columns: {x: {kind: boolean, drop: true}}", "no column is left"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema.from_yaml(text)


def test_an_alias_bomb_costs_nothing() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
    )
    with pytest.raises(SchemaError, match="anchor or alias"):
        Schema.from_yaml(bomb)
    with pytest.raises(SchemaError, match="larger than the limit"):
        Schema.from_yaml(" " * (9 << 20))


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="does not exist"):
        Schema.from_yaml(tmp_path / "absent.yaml")
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(SchemaError, match="UTF-8"):
        Schema.from_yaml(tmp_path / "s.yaml")


def test_the_json_schema_is_a_document() -> None:
    assert {"version", "columns"} <= set(Schema.model_json_schema()["properties"])


def table(**columns: object) -> Table:
    return Table.from_arrow(pa.table(columns))


def test_a_draft_holds_names_and_types_only() -> None:
    """Two tables with the same names and types have one draft, whatever their cells."""
    one = draft(table(age=[1, 2], city=["SECRET", "b"], x=[0.5, None], target=[True, False]))
    other = draft(table(age=[-5, 99], city=["q", "r"], x=[1e9, 2.0], target=[False, False]))
    assert one.to_yaml() == other.to_yaml()
    assert "SECRET" not in one.to_yaml()
    assert one.target == "target"
    assert [c.known for c in one.columns.values()] == [False, False, False, True]


def test_the_target_argument_wins_over_the_name() -> None:
    assert draft(table(a=[1], target=[1]), target="a").target == "a"
    assert draft(table(a=[1], target=[1]), unit="a").modelled == ("target",)
    with pytest.raises(SchemaError, match="target 'z' is not a column"):
        draft(table(a=[1]), target="z")
    with pytest.raises(SchemaError, match="cannot be both"):
        with_roles(draft(table(a=[1], b=[1])), target="a", unit="a")


def test_columns_may_be_called_anything() -> None:
    """Also `self`, which is a parameter's name, and `columns`, which is a field's."""
    schema = Schema(columns={n: ColumnSpec(kind="integer") for n in ("self", "columns", "version", "__class__")})
    changed = schema.with_columns(self={"role": "target"}, columns={"drop": True})
    assert changed.target == "self"
    assert Schema.from_yaml(changed.to_yaml()) == changed


def test_roles_are_listed() -> None:
    schema = Schema.from_yaml(
        "columns:\n  a: {kind: boolean, role: sensitive}\n  b: {kind: boolean, role: quasi_identifier}\n"
        "  c: {kind: integer, role: unit}\n  d: {kind: integer, role: identifier}\n  e: {kind: boolean, drop: true}\n"
    )
    assert schema.modelled == ("a", "b")
    assert (schema.sensitive, schema.quasi_identifiers, schema.unit, schema.target) == (("a",), ("b",), "c", None)


def test_the_written_file_teaches() -> None:
    text = draft(table(age=[1], patient_id=["x"])).to_yaml()
    assert "costs no budget" in text
    assert "unknown: derived with differential privacy, charged" in text
    assert "By its name an identifier" in text


def test_the_written_file_says_of_each_unknown_fact_that_it_is_charged() -> None:
    unknown = "null  # unknown: derived with differential privacy, charged"
    text = draft(table(x=[0.5])).to_yaml()
    assert [f"{field}: {unknown}" in text for field in ("min", "max", "precision")] == [True] * 3
    bounded = Schema(columns={"x": ColumnSpec(kind="float", min=0, max=1)})
    assert not bounded.columns["x"].known
    assert f"precision: {unknown}" in bounded.to_yaml() and bounded.to_yaml().count(unknown) == 1
    assert unknown not in bounded.with_columns(x={"precision": 2}).to_yaml()
