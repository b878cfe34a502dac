"""Constraints: what can be declared, what is refused at load, and one meaning in three places."""

from __future__ import annotations

import itertools
import json
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import SchemaError
from dpsynth.data.facts import facts_of
from dpsynth.data.table import Table
from dpsynth.schema.checks import asked, broken_constraints, prepare
from dpsynth.schema.constraints import FunctionalDependency
from dpsynth.schema.draft import draft
from dpsynth.schema.model import Schema
from dpsynth.schema.satisfiable import obeys, position, step_of
from dpsynth.schema.violations import broken, violations

COLUMNS: dict[str, dict[str, Any]] = {
    "ill": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
    "seen": {"kind": "date", "min": "2020-02-01", "max": "2020-12-31"},
    "sex": {"kind": "categorical", "values": ["f", "m"]},
    "pregnant": {"kind": "categorical", "values": ["no", "yes", "97"]},
    "age": {"kind": "integer", "min": 0, "max": 110},
    "wage": {"kind": "float", "min": 0, "max": 900, "precision": 2},
    "other": {"kind": "float", "min": 0, "max": 900, "precision": 1},
    "income": {"kind": "float", "min": 0, "max": 1800, "precision": 2},
    "married": {"kind": "boolean"},
    "grade": {"kind": "integer"},
    "key": {"kind": "categorical", "role": "identifier"},
    "at": {"kind": "datetime", "min": "2020-01-01T00:00:00", "max": "2020-12-31T00:00:00"},
}
ALL = [
    {"kind": "inequality", "low": "ill", "high": "seen", "strict": True},
    {"kind": "functional_dependency", "determinant": ["sex", "married"], "dependent": "grade",
     "mapping": [["f", True, 5]]},
    {"kind": "fixed_combinations", "columns": ["sex", "married"], "rows": [["f", True], ["f", False], ["m", False]]},
    {"kind": "forbidden_combinations", "columns": ["sex", "pregnant"], "rows": [["m", "yes"], ["f", None]]},
    {"kind": "range", "column": "age", "when": {"married": True, "sex": ["f", "m"]}, "min": 16},
    {"kind": "sum", "total": "income", "parts": ["wage", "other"]},
    {"kind": "not_applicable", "when": {"sex": "m"}, "column": "pregnant", "value": "97", "iff": True},
]  # fmt: skip


def schema(*constraints: dict[str, Any], **columns: dict[str, Any]) -> Schema:
    return Schema.from_dict({"columns": COLUMNS | columns, "constraints": list(constraints)})


def test_every_kind_survives_yaml_and_json():
    made = schema(*ALL)
    for back in (Schema.from_yaml(made.to_yaml()), Schema.from_dict(json.loads(made.model_dump_json()))):
        assert back == made and back.digest() == made.digest()
    assert {constraint.kind for constraint in made.constraints} == {declared["kind"] for declared in ALL}


def test_yaml_says_that_constraints_are_public_knowledge_and_keeps_zero_and_false():
    text = schema(
        {"kind": "not_applicable", "when": {"married": False}, "column": "age", "value": 0},
    ).to_yaml()
    assert "Constraints are public knowledge" in text
    assert "{kind: not_applicable, when: {married: [false]}, column: age, value: 0}" in text


def test_the_digest_names_the_constraints_and_old_schemas_keep_theirs():
    plain = schema()
    assert "constraints:\n" not in plain.to_yaml()
    assert schema(ALL[0]).digest() != plain.digest() != schema(ALL[5]).digest()
    small = Schema.from_dict({"columns": {"age": {"kind": "integer", "min": 0, "max": 110}}})
    assert (
        small.digest() == "79f1db428397ca921d254e4580bc1f8d043a48858124744b400a2b6e69d1dabe"
    )  # of the version before there were constraints


def test_with_columns_keeps_constraints_and_a_draft_guesses_none():
    assert schema(*ALL).with_columns(age={"max": 120}).constraints == schema(*ALL).constraints
    with pytest.raises(SchemaError, match=r"constraint 5 \(range\): column 'age' is not modelled"):
        schema(*ALL).with_columns(age={"drop": True})
    ordered = Table.from_arrow(pa.table({"a": [1, 2], "b": [2, 3], "sum": [3, 5]}))
    assert draft(ordered).constraints == ()


REFUSED = {
    "has no column 'nobody'": [{"kind": "inequality", "low": "ill", "high": "nobody"}],
    "'key' is not modelled": [{"kind": "forbidden_combinations", "columns": ["key", "sex"], "rows": [["a", "f"]]}],
    "a column is named twice": [{"kind": "inequality", "low": "ill", "high": "ill"}],
    "both columns are numbers, both dates or both datetimes": [{"kind": "inequality", "low": "ill", "high": "age"}],
    "both dates or both": [{"kind": "inequality", "low": "ill", "high": "at"}],
    "does not match any of the expected tags": [{"kind": "regex", "column": "age"}],
    "'because': There is no such field": [{**ALL[0], "because": "so"}],
    "'hihg': There is no such field": [{"kind": "inequality", "low": "ill", "hihg": "seen"}],
    "'sex': a value is none of the column's": [
        {"kind": "forbidden_combinations", "columns": ["sex", "married"], "rows": [["x", True]]}
    ],
    "is outside the column's `min` and `max`": [
        {"kind": "fixed_combinations", "columns": ["sex", "age"], "rows": [["f", 200]]}
    ],
    "has not one value for each of the 2 columns": [
        {"kind": "fixed_combinations", "columns": ["sex", "married"], "rows": [["f", True, True]]}
    ],
    "names missing cells only": [
        {"kind": "forbidden_combinations", "columns": ["sex", "married"], "rows": [[None, None]]}
    ],
    "'wage' is a float": [{"kind": "fixed_combinations", "columns": ["sex", "wage"], "rows": [["f", 1.0]]}],
    "gives one determinant two values": [
        {"kind": "functional_dependency", "determinant": ["sex"], "dependent": "age", "mapping": [["f", 1], ["f", 2]]}
    ],
    "determinant 'wage' is neither a category": [
        {"kind": "functional_dependency", "determinant": ["wage"], "dependent": "sex"}
    ],
    "'age' depends by two functional dependencies": [
        {"kind": "functional_dependency", "determinant": [name], "dependent": "age"} for name in ("sex", "married")
    ],
    "'sex' has no order": [{"kind": "range", "column": "sex", "when": {"married": True}, "min": 1}],
    "give `min`, `max` or both": [{"kind": "range", "column": "age", "when": {"married": True}}],
    "`min` is above `max`": [{"kind": "range", "column": "age", "when": {"married": True}, "min": 9, "max": 8}],
    "have no value in common": [{"kind": "range", "column": "age", "when": {"married": True}, "min": 111}],
    "'sex' is no number": [{"kind": "sum", "total": "age", "parts": ["wage", "sex"]}],
    "'rate' has no `precision`": [{"kind": "sum", "total": "age", "parts": ["wage", "rate"]}],
    "a circle of inequalities: ": [
        {"kind": "inequality", "low": low, "high": high}
        for low, high in itertools.permutations(("ill", "seen"))
    ],
    "a circle of sums: ": [
        {"kind": "sum", "total": "income", "parts": ["wage", "other"]},
        {"kind": "sum", "total": "wage", "parts": ["income", "age"]},
    ],
    "a circle of columns that decide one another: ": [
        {"kind": "functional_dependency", "determinant": ["sex"], "dependent": "married"},
        {"kind": "not_applicable", "when": {"married": True}, "column": "sex"},
    ],
    "leave no value for column": [{"kind": "inequality", "low": "late", "high": "ill"}],
    "leave no row that obeys all of them": [
        {"kind": "range", "column": "age", "when": {"married": [True, False]}, "min": 60},
        {"kind": "range", "column": "age", "when": {"sex": ["f", "m"]}, "max": 59},
        {"kind": "fixed_combinations", "columns": ["age", "sex"], "rows": [[60, "f"], [59, "m"]]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("says", REFUSED)
def test_what_cannot_hold_is_refused_at_load_and_says_why(says):
    more = {"rate": {"kind": "float"}, "late": {"kind": "date", "min": "2021-01-01", "max": "2021-12-31"}}
    small = {"age": {"kind": "integer", "min": 55, "max": 64}} if "obeys" in says else {}
    with pytest.raises(SchemaError) as refused:
        schema(*REFUSED[says], **more, **small)
    assert says in refused.value.message
    assert "document:" not in refused.value.message and "docs/how-to/constraints.md" in refused.value.remedy


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        ({"kind": "functional_dependency", "determinant": "sex", "dependent": "age"}, "Input should be a list"),
        ({"inequality": {"low": "ill", "high": "seen"}}, "It has no `kind`"),
    ],
)
def test_a_constraint_of_the_wrong_form_is_refused_in_words_of_yaml(constraint, says):
    with pytest.raises(SchemaError) as refused:
        schema(constraint)
    assert says in refused.value.message and "'constraints'.'0'" in refused.value.message
    assert "docs/how-to/constraints.md" in refused.value.remedy


# --- one meaning in three places ------------------------------------------------------------------------------------

WORDS = ["a", "b", "c"]
SMALL: dict[str, dict[str, Any]] = {
    "u": {"kind": "categorical", "values": WORDS},
    "v": {"kind": "categorical", "values": WORDS},
    "t": {"kind": "boolean"},
    "x": {"kind": "integer", "min": 0, "max": 4},
    "y": {"kind": "integer", "min": 2, "max": 5},
    "z": {"kind": "float", "min": 0, "max": 2, "precision": 0},
}
CELLS: dict[str, list[Any]] = {
    "u": WORDS, "v": WORDS, "t": [False, True], "x": [*range(5)], "y": [*range(2, 6)], "z": [0.0, 1.0, 2.0],
}  # fmt: skip


def whens(name: str) -> st.SearchStrategy[dict[str, Any]]:
    others = st.sampled_from([n for n in SMALL if n != name])
    return others.flatmap(
        lambda n: st.lists(st.sampled_from([*CELLS[n], None]), min_size=1, max_size=2).map(lambda cells: {n: cells})
    )


@st.composite
def declared(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from([declaration["kind"] for declaration in ALL]))
    if kind == "inequality":
        low, high = draw(st.permutations(["x", "y", "z"]))[:2]
        return {"kind": kind, "low": low, "high": high, "strict": draw(st.booleans())}
    if kind == "sum":
        total, *parts = draw(st.permutations(["x", "y", "z"]))
        return {"kind": kind, "total": total, "parts": parts}
    if kind in ("range", "not_applicable"):
        name = draw(st.sampled_from(["x", "y", "z"] if kind == "range" else list(SMALL)))
        made = {"kind": kind, "column": name, "when": draw(whens(name))}
        if kind == "range":
            return made | {"min": draw(st.integers(0, 2)), "max": draw(st.integers(2, 5))}
        return made | {"value": draw(st.sampled_from([*CELLS[name], None])), "iff": draw(st.booleans())}
    names = draw(st.permutations(["u", "v", "t", "x"]))[: draw(st.integers(2, 3))]
    gaps = [None] if kind == "forbidden_combinations" else []
    rows = st.tuples(*(st.sampled_from(CELLS[name] + gaps) for name in names)).filter(lambda row: set(row) != {None})
    chosen = draw(st.lists(rows.map(list), min_size=1, max_size=8))
    if kind == "functional_dependency":
        first = {tuple(row[:-1]): row for row in chosen}
        return {"kind": kind, "determinant": names[:-1], "dependent": names[-1], "mapping": list(first.values())}
    return {"kind": kind, "columns": list(names), "rows": chosen}


def loaded(constraints: list[dict[str, Any]]) -> Schema | SchemaError:
    try:
        return Schema.from_dict({"columns": SMALL, "constraints": constraints})
    except SchemaError as refused:
        return refused


def place(name: str, cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, str | bool) else position(cell, Fraction(1))


@settings(max_examples=150, deadline=None)
@given(st.lists(declared(), min_size=1, max_size=4))
def test_refused_as_unsatisfiable_is_what_no_row_obeys(constraints):
    """Exact enumeration of all rows of present cells; cells that a constraint names as missing may be missing too."""
    found = loaded(constraints)
    if isinstance(found, SchemaError) and "leave no" not in found.message:
        return  # circles and ranges outside a column's bounds are refused for reasons of their own
    kept = Schema.from_dict({"columns": SMALL}).columns
    parts = [loaded([one]) for one in constraints]
    rules = [part.constraints[0] for part in parts if isinstance(part, Schema)]
    if len(rules) < len(constraints):
        assert isinstance(found, SchemaError)
        return
    names = list(dict.fromkeys(name for rule in rules for name in rule.columns))
    gaps = {name: _missing_named(name, constraints) for name in names}
    tried = itertools.product(*([place(name, c) for c in CELLS[name]] + [None] * gaps[name] for name in names))
    possible = any(all(obeys(rule, dict(zip(names, row, strict=True)), kept) for rule in rules) for row in tried)
    assert possible == isinstance(found, Schema)


def _missing_named(name: str, constraints: list[dict[str, Any]]) -> bool:
    def named(c: dict[str, Any]) -> bool:
        if c["kind"] == "not_applicable" and c["column"] == name and c["value"] is None:
            return True
        if None in c.get("when", {}).get(name, ()):
            return True
        return name in c.get("columns", ()) and any(row[c["columns"].index(name)] is None for row in c.get("rows", ()))

    return any(named(constraint) for constraint in constraints)


def rows_of(rng: np.random.Generator, rows: int) -> dict[str, list[Any]]:
    return {
        name: [None if rng.random() < 0.15 else cells[i] for i in rng.integers(0, len(cells), rows)]
        for name, cells in CELLS.items()
    }


@settings(max_examples=150, deadline=None)
@given(declared(), st.integers(0, 2**32))
def test_the_check_by_columns_agrees_with_the_definition_row_by_row(constraint, seed):
    made = loaded([constraint])
    if isinstance(made, SchemaError):
        return
    held = rows_of(np.random.default_rng(seed), 120)
    types = {"u": pa.string(), "v": pa.string(), "t": pa.bool_(), "x": pa.int64(), "y": pa.int64(), "z": pa.float64()}
    table = pa.table({name: pa.array(cells, types[name]) for name, cells in held.items()})
    rule = made.constraints[0]
    rows = [{n: place(n, held[n][at]) for n in held} for at in range(120)]
    by_row = [not obeys(rule, row, made.columns) for row in rows]
    by_column = violations(rule, table, made.columns)
    if isinstance(rule, FunctionalDependency):  # the definition sees one row, the check all of them
        assert not np.any(np.array(by_row) & ~by_column)
        groups: dict[tuple[Any, ...], set[Any]] = {}
        for row, wrong in zip(rows, by_column, strict=True):
            *key, value = (row[name] for name in rule.columns)
            if not wrong and value is not None and None not in key:
                groups.setdefault(tuple(key), set()).add(value)
        assert all(len(values) == 1 for values in groups.values())
    else:
        assert by_column.tolist() == by_row
    assert broken(made, table).tolist() == by_column.tolist()


def test_dates_datetimes_and_decimals_are_compared_exactly():
    made = schema(ALL[0], ALL[5], {"kind": "range", "column": "at", "when": {"sex": "f"}, "min": "2020-06-01T12:00:00"})
    noon = datetime(2020, 6, 1, 12)
    table = pa.table(
        {
            "ill": pa.array([date(2020, 3, 1)] * 4 + [None]),
            "seen": pa.array([date(2020, 3, d) for d in (2, 1, 2, 2, 2)]),
            "wage": [0.1, 0.1, 0.1, None, 0.1],
            "other": [0.2] * 5,
            "income": [0.3, 0.3, 0.31, 5.0, 0.3],
            "sex": ["f"] * 5,
            "at": pa.array([noon, noon, noon, noon, noon - timedelta(seconds=1)], pa.timestamp("us")),
        }
    )
    assert [violations(c, table, made.columns).tolist() for c in made.constraints] == [
        [False, True, False, False, False],
        [False, False, True, False, False],
        [False, False, False, False, True],
    ]


def test_private_rows_that_break_a_constraint_are_a_warning_without_a_count_or_a_value():
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 50, 400), rng.integers(25, 75, 400)
    table = Table.from_arrow(pa.table({"low": low, "high": high, "sex": rng.choice(["f", "m"], 400)}))
    columns = {n: {"kind": "integer", "min": 0, "max": 99} for n in ("low", "high")} | {"sex": COLUMNS["sex"]}
    rule = {"kind": "inequality", "low": "low", "high": "high"}
    of = Schema.from_dict({"columns": columns, "constraints": [rule]})
    (said,) = [w for w in prepare(table, of).warnings if w.code == "constraint_broken"]
    assert "constraint 1 (inequality)" in said.message
    assert not any(c.isdigit() for c in said.message.replace("1", "", 1))
    held = Table.from_arrow(pa.table({"low": np.minimum(low, high), "high": high, "sex": ["f"] * 200 + ["m"] * 200}))
    assert "constraint_broken" not in [w.code for w in prepare(held, of).warnings]


def test_one_persons_row_cannot_be_asked_for_through_a_constraint():
    """Attack: declare that a combination never occurs, and read from the warning whether somebody has it."""
    columns = {n: {"kind": "integer", "min": 0, "max": 99} for n in ("age", "ward")}
    rule = {"kind": "forbidden_combinations", "columns": ["age", "ward"], "rows": [[47, 3]]}
    of = Schema.from_dict({"columns": columns, "constraints": [rule]})
    heard = {}
    for held in (0, 1, 20, 21):
        rows = pa.table({"age": [47] * held + [12] * (400 - held), "ward": [3] * 200 + [4] * 200})
        table = Table.from_arrow(rows)
        heard[held] = bool(broken_constraints(facts_of(table, asked(table, of)), of))
    assert heard == {0: False, 1: False, 20: False, 21: True}


def test_step_of_a_column_is_its_grid():
    assert step_of(schema().columns["wage"]) == Fraction(1, 100)
