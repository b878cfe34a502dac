"""What every engine's checks must hold: the facts, refusals and warnings of the same rows in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError, SchemaError
from dpsynth.data.engines.protocol import UnsupportedByEngine
from dpsynth.data.facts import Asked, Facts, facts_of
from dpsynth.data.table import Table
from dpsynth.schema.checks import asked, prepare
from dpsynth.schema.draft import draft
from dpsynth.schema.model import Schema
from tests.conformance.engine import described

ROWS = 240
STRINGS = (
    "",
    " ",
    "a@b.c",
    "a@b.c\n",
    "a@b.c\r",
    "a@b.c\u2028",
    "a@b.c\u0085",
    "\na@b.c",
    "a\x0b@b.c",
    "a\u00a0@b.c",
    "a@b@c.d",
    "a@b.",
    "é@ü.ß",
    "+49 30 1234567",
    "+49 30 1234567\n",
    "0049301234567",
    "+４９ 30 1234567",
    "+1234567",
    "+12345678",
    "(030) 1234567",
    "123-45-6789",
    "123-45-6789\n",
    "１２３-45-6789",
    "123-45-67890",
    "=1+1",
    "\t=1+1",
    "\n=1+1",
    "= 1",
    "@x",
    "-x1",
    "-1.5",
    "-5+3",
    "- x",
    "-.x",
    "--",
    "+x",
    "x\x01",
    "x\x08y",
    "x\ty",
    "x\x0by",
    "x\x0cy",
    "x\ny\rz",
    "\x1b[31m",
    "x\x7f",
    "x\u0080",
    "x\u009f",
    "x\u00a0",
    "zero\u200bwidth",
    "soft\u00adhyphen",
    "right\u202eleft",
    "\ufeffbom",
    "tag\U000e0061",
    "pаy",
    "α1β",
    "xα",
    "x α",
    "x_α",
    "x中α",
    "x-α",
    "x\u0301α",
    "жα",
    "αж",
    "Ωmega",
    "😀x",
    "\U0001d400α",
    "e\u0301",
    "é",
    "\u212a",
    "ſ",
    "'; DROP TABLE people; --",
    "\\",
    "\\'",
    '"',
    "$a",
    "a$",
    "100%",
    "{1}",
    "[a-z]",
    "null",
    "NaN",
    "one two three four five",
    "one two three four",
    "one two\tthree\nfour\rfive",
    "one two three four\u00a0five",
    "one\x0btwo\x0bthree\x0bfour\x0bfive",
    " one two three four five ",
    "x" * 29,
    "x" * 30,
    "😀" * 29,
    "😀" * 30,
    "e\u0301" * 15,
    "five words that are long enough",
)


def hostile_columns() -> pa.Table:
    """A column for each hostile text, in three cells of four."""
    return pa.table({f"t{at}": pa.array([text, text, None, text], pa.string()) for at, text in enumerate(STRINGS)})


def bad_tables() -> dict[str, tuple[pa.Table, dict[str, str]]]:
    """Tables that are refused or warned of, each with roles."""
    rng = np.random.default_rng(11)
    k = np.arange(ROWS)
    base: dict[str, pa.Array] = {
        "age": pa.array(18 + k % 60, pa.int64()),
        "sex": pa.array([("f", "m")[at % 2] for at in k], pa.string()),
        "income": pa.array(np.round(rng.lognormal(8, 1, ROWS), 2), pa.float64()),
    }
    word = [f"w{at}" for at in k]
    note = [f"seen on day {at}, no complaints, next visit in {at} weeks" for at in k]
    some = [None, *range(1, ROWS)]
    one = dict.fromkeys(range(ROWS), 3)

    def with_(**columns: pa.Array) -> pa.Table:
        return pa.table({**base, **columns})

    def text(cells: list[str | None]) -> pa.Array:
        return pa.array(cells, pa.string())

    money = [Decimal(at).scaleb(-2) for at in range(ROWS)]
    moment = datetime(2024, 1, 1)
    return {
        "plain": (with_(), {}),
        "zero_rows": (with_().slice(0, 0), {}),
        "one_row": (with_().slice(0, 1), {}),
        "99_rows": (with_().slice(0, 99), {"target": "sex"}),
        "one_column": (pa.table({"sex": base["sex"]}), {}),
        "unit_with_gaps": (with_(who=pa.array(some, pa.int64())), {"unit": "who"}),
        "order_with_gaps": (with_(who=text(word), at=pa.array(some, pa.int64())), {"unit": "who", "order": "at"}),
        "identifier": (with_(code=text(word)), {}),
        "identifier_with_a_gap": (with_(code=text([None, *word[1:]])), {}),
        "no_identifier": (with_(code=text([word[1], *word[1:]])), {}),
        "unique_integer": (with_(row=pa.array(k, pa.int64())), {}),
        "mail": (with_(mail=text([f"p{at}@example.org" for at in k])), {}),
        "half_mail": (with_(mail=text([("x", f"p{at}@example.org")[at % 2] for at in k])), {}),
        "less_than_half_mail": (with_(mail=text(["x", "y"] + [("x", f"p{at}@a.b")[at % 2] for at in k[2:]])), {}),
        "telephone": (with_(call=text([f"+49 30 {at:07d}" for at in k])), {}),
        "social_security": (with_(ssn=text([f"123-45-{at:04d}" for at in k])), {}),
        "free_text": (with_(note=text(note)), {}),
        "half_free_text": (with_(note=text([note[at // 2 * 2] for at in k])), {}),
        "less_than_half_free_text": (with_(note=text([note[at // 3 * 3] for at in k])), {}),
        "short_half": (with_(note=text(["x"] * (ROWS // 2 + 1) + note[ROWS // 2 + 1 :])), {}),
        "control": (with_(city=text(["a", "b", "c\x1b[31m"] * (ROWS // 3))), {}),
        "formula": (with_(city=text(["a", "b", "=1+1"] * (ROWS // 3))), {}),
        "confusables": (with_(city=text(["paris", "pаris", "lyon"] * (ROWS // 3))), {}),
        "two_forms": (with_(city=text(["Orl\u00e9ans", "Orle\u0301ans", "Nice"] * (ROWS // 3))), {}),
        "accents": (with_(city=text(["Orl\u00e9ans", "N\u00eemes", "Nice"] * (ROWS // 3))), {}),
        "beyond_2_53": (with_(acct=pa.array(2**53 + 1 - k % 2, pa.int64())), {}),
        "at_2_53": (with_(acct=pa.array(2**53 - k % 2, pa.int64())), {}),
        "extremes": (with_(n=pa.array([-(2**63), 2**63 - 1] + [0] * (ROWS - 2), pa.int64())), {}),
        "negative_age": (with_(age=pa.array([-5, *(20 + k[1:] % 50)], pa.int64())), {}),
        "old_age": (with_(age=pa.array([131, *(20 + k[1:] % 50)], pa.int64())), {}),
        "outlier": (with_(x=pa.array([1e9, *rng.normal(size=ROWS - 1)], pa.float64())), {}),
        "outlier_below": (with_(n=pa.array([-(10**6), *(k[1:] % 10)], pa.int64())), {}),
        "outlier_last": (with_(n=pa.array([*(k[1:] % 10), 10**6], pa.int64())), {}),
        "nearest_outlier": (with_(n=pa.array([9_100, *(k[1:] % 10)], pa.int64())), {}),
        "shortest_free_text": (with_(note=text([f"a b c d {at:022d}" for at in k])), {}),
        "no_outlier": (with_(n=pa.array([9_000, *(k[1:] % 10)], pa.int64())), {}),
        "mostly_one_value": (with_(n=pa.array([10**6, 1, 2, 3] + [0] * (ROWS - 4), pa.int64())), {}),
        "mostly_zero": (
            with_(n=pa.array([10**6] + [0, 0, 0, 0, 0, 0, 0, 1] * (ROWS // 8 - 1) + [0] * 7, pa.int64())),
            {},
        ),
        "huge_doubles": (with_(x=pa.array([1.7e308, -1.7e308] + [0.5, 0.25] * (ROWS // 2 - 1), pa.float64())), {}),
        "all_missing": (with_(gone=pa.nulls(ROWS, pa.int64()), lost=pa.nulls(ROWS, pa.string())), {}),
        "one_class": (with_(y=text(["x"] * ROWS)), {"target": "y"}),
        "one_class_and_gaps": (with_(y=text(["x", None] * (ROWS // 2))), {"target": "y"}),
        "one_class_of_booleans": (with_(y=pa.array([True] * ROWS, pa.bool_())), {"target": "y"}),
        "booleans": (with_(y=pa.array([True, False] * (ROWS // 2), pa.bool_())), {"target": "y"}),
        "target_copy": (with_(y=pa.array(k % 3, pa.int64()), z=text(["abc"[at % 3] for at in k])), {"target": "y"}),
        "target_copy_of_doubles": (
            with_(y=pa.array(k % 2, pa.int64()), z=pa.array([(0.0, 1.5, -0.0, 1.5)[at % 4] for at in k], pa.float64())),
            {"target": "y"},
        ),
        "target_copy_with_gaps": (
            with_(y=text(["a", "b", None] * (ROWS // 3)), z=pa.array([1, None, 3] * (ROWS // 3), pa.int64())),
            {"target": "y"},
        ),
        "nearly_a_target_copy": (
            with_(y=pa.array(k % 3, pa.int64()), z=text(["b", *("abc"[at % 3] for at in k[1:])])),
            {"target": "y"},
        ),
        "finer_than_the_target": (with_(y=pa.array(k % 3, pa.int64()), z=pa.array(k % 6, pa.int64())), {"target": "y"}),
        "copies": (pa.table({n: pa.concat_arrays([c.slice(0, 1)] * ROWS) for n, c in base.items()}), {}),
        "nineteen_in_twenty": (_copied(base, ROWS * 19 // 20), {}),
        "less_than_nineteen_in_twenty": (_copied(base, ROWS * 19 // 20 - 1), {}),
        "heavy_copy": (_copied(base, 110), {}),
        "heavy_copy_of_a_unit": (_copied({**base, "who": pa.array(k // 2, pa.int64())}, 110), {"unit": "who"}),
        "copies_by_zero": (
            pa.table({"x": pa.array([0.0, -0.0] * (ROWS // 2), pa.float64()), "s": text(["a"] * ROWS)}),
            {},
        ),
        "persons_repeat": (with_(patient_id=pa.array(k // 3, pa.int64())), {}),
        "persons_of_text_repeat": (with_(user_id=text([f"u{at // 3}" for at in k])), {}),
        "persons_once": (with_(user_id=pa.array(k, pa.int64())), {"unit": "user_id"}),
        "decimals": (with_(price=pa.array(money, pa.decimal128(10, 2))), {}),
        "dates": (
            with_(
                day=pa.array([date(2024, 1, 1) + timedelta(days=int(at)) for at in k], pa.date32()),
                at=pa.array([moment + timedelta(hours=int(at)) for at in k], pa.timestamp("us")),
            ),
            {"order": "at"},
        ),
        "hostile_name": (pa.table({**base, "x\"; --'": text(word)}), {}),
        "same": (with_(y=pa.array(list(one.values()), pa.int64())), {}),
    }


def _copied(columns: dict[str, pa.Array], times: int) -> pa.Table:
    first = {name: cells.slice(0, 1) for name, cells in columns.items()}
    return pa.table(
        {name: pa.concat_arrays([*[first[name]] * times, cells.slice(times)]) for name, cells in columns.items()}
    )


DECLARED = {
    "closed": ({"sex": {"kind": "categorical", "values": ["f", "m"]}}, None),
    "outside": ({"sex": {"kind": "categorical", "values": ["f"]}}, "outside its declared domain"),
    "others": ({"sex": {"kind": "categorical", "values": ["f"], "other": True}}, None),
    "codes": ({"age": {"kind": "categorical", "values": list(range(18, 78))}}, None),
    "codes_outside": ({"age": {"kind": "categorical", "values": list(range(18, 77))}}, "outside its declared domain"),
    "quotes": ({"sex": {"kind": "categorical", "values": ["f", "m", "'", "\\", "\0", '"']}}, None),
    "no_storable": ({"sex": {"kind": "categorical", "values": ["\0", "'"]}}, "outside its declared domain"),
    "whole": ({"age": {"kind": "integer", "min": 0, "max": 99, "nullable": False}}, None),
    "dropped": ({"sex": {"kind": "categorical", "drop": True}}, None),
    "unknown": ({"wage": {"kind": "integer"}}, "no column 'wage'"),
}
RULES = {
    "inequality": {"kind": "inequality", "low": "ill", "high": "admitted"},
    "strict": {"kind": "inequality", "low": "ill", "high": "admitted", "strict": True},
    "days": {"kind": "inequality", "low": "day", "high": "later"},
    "dependency": {"kind": "functional_dependency", "determinant": ["ward"], "dependent": "house"},
    "two_determinants": {"kind": "functional_dependency", "determinant": ["ward", "sex"], "dependent": "house"},
    "mapping": {
        "kind": "functional_dependency",
        "determinant": ["ward"],
        "dependent": "house",
        "mapping": [["'a'", "north"], ["b", "south"]],
    },
    "fixed": {"kind": "fixed_combinations", "columns": ["ward", "house"], "rows": [["'a'", "north"], ["b", "south"]]},
    "forbidden": {
        "kind": "forbidden_combinations",
        "columns": ["ward", "ill", "house"],
        "rows": [["b", 3, None], ["'a'", None, "north"], ["c", 2, "south"], [None, 1, None]],
    },
    "range": {"kind": "range", "column": "ill", "when": {"ward": ["b", None]}, "min": 2, "max": 5},
    "days_within": {"kind": "range", "column": "day", "when": {"sex": True}, "max": "2024-01-20"},
    "money_within": {"kind": "range", "column": "part", "when": {"ward": "b"}, "min": 0.25},
    "sum": {"kind": "sum", "total": "whole", "parts": ["part", "rest"]},
    "not_applicable": {"kind": "not_applicable", "when": {"ward": "b"}, "column": "house"},
    "not_applicable_iff": {"kind": "not_applicable", "when": {"ward": ["b", "c"]}, "column": "house", "iff": True},
    "value_iff": {"kind": "not_applicable", "when": {"sex": False}, "column": "ill", "value": 0, "iff": True},
}


def ruled_table() -> pa.Table:
    """Rows that keep and break every kind of constraint, with missing cells."""
    rng = np.random.default_rng(5)

    def some(values, kind, share=0.15):
        cells = rng.choice(np.array(values, dtype=object), ROWS)
        return pa.array([None if rng.random() < share else cell for cell in cells], kind)

    part = [0.1, 0.2, 0.25, 0.125, 0.35, -0.15, 2.675]
    days = [date(2024, 1, 1) + timedelta(days=at) for at in range(40)]
    columns = {
        "ill": some([int(at) for at in range(8)], pa.int64()),
        "admitted": some([int(at) for at in range(8)], pa.int64()),
        "day": some(days, pa.date32()),
        "later": some(days, pa.date32()),
        "ward": some(["'a'", "b", "c"], pa.string()),
        "house": some(["north", "south", "south", "south"], pa.string()),
        "sex": some([True, False], pa.bool_()),
        "part": some(part, pa.float64()),
        "rest": some(part, pa.float64()),
    }
    exact = [
        None if a is None or b is None else a + b
        for a, b in zip(columns["part"].to_pylist(), columns["rest"].to_pylist(), strict=True)
    ]
    columns["whole"] = pa.array([cell if at % 3 else 0.3 for at, cell in enumerate(exact)], pa.float64())
    return pa.table(columns)


RULED = {
    "ill": {"kind": "integer", "min": 0, "max": 9},
    "admitted": {"kind": "integer", "min": 0, "max": 9},
    "day": {"kind": "date"},
    "later": {"kind": "date"},
    "ward": {"kind": "categorical"},
    "house": {"kind": "categorical"},
    "sex": {"kind": "boolean"},
    "part": {"kind": "float", "precision": 2},
    "rest": {"kind": "float", "precision": 2},
    "whole": {"kind": "float", "precision": 2},
}


BLANKS = "".join(chr(c) for c in range(0x110000) if chr(c).isspace())
TEXT, WHOLE, REAL, TRUTH = pa.string(), pa.int64(), pa.float64(), pa.bool_()
DAY, MOMENT = pa.date32(), pa.timestamp("us")
CONVERTED: dict[str, tuple[list, pa.DataType, dict]] = {
    "empty text is missing": (["", "a", None, " "], TEXT, {"kind": "categorical"}),
    "words for missing": (
        ["N/A", "a", "?", "n/a", "'", "\\"],
        TEXT,
        {"kind": "categorical", "missing": ["N/A", "'", "\\"]},
    ),
    "integers as text": ([0, -5, 2**63 - 1, -(2**63), 10**15, None], WHOLE, {"kind": "categorical", "hierarchy": [1]}),
    "integers of a list of texts": ([1, 2, 3, None], WHOLE, {"kind": "categorical", "values": ["1", "2", "3"]}),
    "integers outside a list of texts": ([1, 2, 3, None], WHOLE, {"kind": "categorical", "values": ["1", "2", "03"]}),
    "truth values as text": ([True, False, None], TRUTH, {"kind": "categorical"}),
    "truth values as integers": ([True, False, None], TRUTH, {"kind": "integer"}),
    "truth values as numbers": ([True, False, None], TRUTH, {"kind": "float"}),
    "integers as numbers": ([0, 2**53 + 1, 2**63 - 1, -(2**63), None], WHOLE, {"kind": "float"}),
    "integers as truth values": ([0, 1, None], WHOLE, {"kind": "boolean"}),
    "other integers as truth values": ([0, 1, 2], WHOLE, {"kind": "boolean"}),
    "integers as dates": ([0, 1, None], WHOLE, {"kind": "date"}),
    "whole numbers as integers": ([0.0, -0.0, 2.0**53, -(2.0**63), None, 1e15], REAL, {"kind": "integer"}),
    "whole numbers as categories": ([0.0, 1.0, None], REAL, {"kind": "categorical", "values": [0, 1]}),
    "other numbers as integers": ([0.0, 0.5], REAL, {"kind": "integer"}),
    "large numbers as integers": ([0.0, 2.0**63], REAL, {"kind": "integer"}),
    "numbers as truth values": ([0.0, 1.0], REAL, {"kind": "boolean"}),
    "numbers as dates": ([0.0, 1.0], REAL, {"kind": "datetime"}),
    "dates as times": ([date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31), None], DAY, {"kind": "datetime"}),
    "dates as integers": ([date(2024, 1, 1), None], DAY, {"kind": "integer"}),
    "missing as dates": ([None], WHOLE, {"kind": "date"}),
    "text as integers": (
        [
            "1",
            "-5",
            "+7",
            "007",
            "-007",
            "12.",
            "12.000",
            "-0",
            "",
            "0" * 30 + "5",
            str(2**63 - 1),
            str(-(2**63)),
            "+0",
        ],
        TEXT,
        {"kind": "integer"},
    ),
    "other text as integers": (["1", "1.5", "x", "1e3", " 1"], TEXT, {"kind": "integer"}),
    "text with a line feed as integers": (["1", "1\n"], TEXT, {"kind": "integer"}),
    "text with missing as integers": (["1", "N/A", "-"], TEXT, {"kind": "integer", "missing": ["N/A", "-"]}),
    "text beyond 64 bits": (["1", str(2**63)], TEXT, {"kind": "integer"}),
    "text below 64 bits": (["1", str(-(2**63) - 1)], TEXT, {"kind": "integer"}),
    "text of many digits": (["1", "9" * 40], TEXT, {"kind": "integer"}),
    "text as numbers": (
        [
            "1",
            "-1.5",
            "+1.5",
            ".5",
            "5.",
            "1e5",
            "1E-05",
            "-0",
            "0.1",
            "0.30000000000000004",
            "123456789.123456789",
            "",
            "1e99",
        ],
        TEXT,
        {"kind": "float"},
    ),
    "other text as numbers": (["1", "1,5", "inf", "nan", "1_0", "0x1", "1d"], TEXT, {"kind": "float"}),
    "text as truth values": (
        ["true", "False", "YES", "n", "1", "0", " t ", "\u00a0y\u3000", "\tno\x1f", "", None],
        TEXT,
        {"kind": "boolean"},
    ),
    "text between blanks as truth values": ([f"{c}y{c}" for c in BLANKS], TEXT, {"kind": "boolean"}),
    "text between no blanks": (["y", "\u200by"], TEXT, {"kind": "boolean"}),
    "other text as truth values": (["true", "wahr", "yess", "2"], TEXT, {"kind": "boolean"}),
    "text as dates": (
        ["2024-01-05", "0001-01-01", "9999-12-31", "2000-02-29", "1969-12-31", "", "2024-02-29"],
        TEXT,
        {"kind": "date"},
    ),
    "no dates": (
        [
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "0000-01-01",
            "0000-02-29",
            "2024-1-5",
            "05.01.2024",
            "2024-01-05 ",
            "2024-01-05\n",
            "24-01-05",
            "2024-01-05 10:00",
            "2024-01-05",
        ],
        TEXT,
        {"kind": "date"},
    ),
    "text as times": (
        [
            "2024-01-05 10:30",
            "2024-01-05T10:30:01",
            "1969-12-31 23:59:59.999999",
            "0001-01-01 00:00:00.1",
            "2024-02-29T00:00",
        ],
        TEXT,
        {"kind": "datetime"},
    ),
    "no times": (
        [
            "2024-01-05 24:00",
            "2024-01-05 10:60",
            "2024-01-05 10:30:60",
            "2024-01-05",
            "2024-01-05  10:30",
            "2024-01-05 10:30:01.1234567",
            "2023-02-29 10:30",
            "2024-01-05 10:30\n",
            "2024-01-05 10:30",
        ],
        TEXT,
        {"kind": "datetime"},
    ),
    "prose": (["seen today", "", "seen on Monday"], TEXT, {"kind": "text"}),
}
NOT_CONVERTED: dict[str, tuple[list, pa.DataType, dict]] = {
    "numbers as text": ([0.1, 1e300], REAL, {"kind": "categorical", "hierarchy": [1]}),
    "dates as text": ([date(2024, 1, 5)], DAY, {"kind": "categorical"}),
    "times as text": ([datetime(2024, 1, 5)], MOMENT, {"kind": "categorical"}),
    "times as dates": ([datetime(2024, 1, 5)], MOMENT, {"kind": "date"}),
    "a declared format": (["05.01.2024"], TEXT, {"kind": "date", "format": "%d.%m.%Y"}),
    "offsets": (["2024-01-05T10:30:00+01:00"], TEXT, {"kind": "datetime"}),
    "very long numbers": (["1e999"], TEXT, {"kind": "float"}),
    "very small numbers": (["1e-999"], TEXT, {"kind": "float"}),
}


def converted(cells: list, kind: pa.DataType, spec: dict) -> tuple[pa.Table, Schema]:
    """A table of these cells, enough of them, and the schema that declares their kind."""
    column = pa.array((cells * ROWS)[:ROWS], kind)
    other = {"kind": "integer", "role": "identifier"}
    table = pa.table({"x": column, "row": pa.array([at % 50 for at in range(ROWS)], pa.int64())})
    return table, Schema.from_dict(
        {"columns": {"x": spec, "row": other}}
        if spec["kind"] != "text"
        else {"columns": {"x": spec, "row": {"kind": "integer"}}}
    )


def outcome(table, schema=None, **roles):
    """What `prepare` says: the refusal, or schema, warnings, and names and types of the table."""
    try:
        found = prepare(table, schema, **roles)
    except (DataError, SchemaError) as refusal:
        return type(refusal).__name__, refusal.message, refusal.remedy
    warned = [(w.code, w.column, w.message) for w in found.warnings if w.code != "not_checked"]
    return found.schema.to_yaml(), warned, dict(found.table.types)


def comparable(found: Facts, blind: bool):
    """Facts in one value; look-alikes aside if an engine was blind to them."""
    columns = {n: replace(c, look_alike=False) if blind else c for n, c in found.columns.items()}
    return found.rows, columns, found.copies, found.met


class ChecksConformance:
    """The checks."""

    def test_hostile_texts_are_what_they_are_in_memory(self, load):
        rows = hostile_columns()
        of = Asked(open=frozenset(rows.column_names))
        memory, engine = (facts_of(table, of) for table in (Table.from_arrow(rows), load(rows)))
        for at, text in enumerate(STRINGS):
            assert engine.columns[f"t{at}"] == memory.columns[f"t{at}"], ascii(text)

    @pytest.mark.parametrize("name", bad_tables())
    def test_bad_tables_are_refused_and_warned_of_in_the_same_words(self, load, name):
        rows, roles = bad_tables()[name]
        memory, engine = Table.from_arrow(rows), load(rows)
        of = asked(memory, draft(memory, **roles))
        mine, theirs = facts_of(memory, of), facts_of(engine, of)
        blind = bool(theirs.unchecked)
        assert comparable(theirs, blind) == comparable(mine, blind)
        if not blind:
            assert outcome(engine, **roles) == outcome(memory, **roles)

    @pytest.mark.parametrize("name", DECLARED)
    def test_a_declared_schema_refuses_the_same(self, load, name):
        rows, _ = bad_tables()["plain"]
        change, message = DECLARED[name]
        columns = {"age": {"kind": "integer"}, "sex": {"kind": "categorical"}, "income": {"kind": "float"}} | change
        of = Schema.from_dict({"columns": columns})
        mine, theirs = outcome(Table.from_arrow(rows), of), outcome(load(rows), of)
        assert theirs == mine
        assert message is None or message in theirs[1]

    def test_columns_that_are_not_nullable_are_refused_if_they_have_gaps(self, load):
        rows = pa.table({"n": pa.array([None, *range(ROWS - 1)], pa.int64()), "m": pa.array(range(ROWS), pa.int64())})
        of = Schema.from_dict({"columns": {"n": {"kind": "integer", "nullable": False}, "m": {"kind": "integer"}}})
        mine, theirs = outcome(Table.from_arrow(rows), of), outcome(load(rows), of)
        assert theirs == mine
        assert "nullable: false" in theirs[1]

    @pytest.mark.parametrize("name", RULES)
    def test_as_many_rows_break_a_constraint(self, load, ruled, name):
        rows, engine = ruled
        of = Schema.from_dict({"columns": RULED, "constraints": [RULES[name]]})
        memory = Table.from_arrow(rows)
        mine, theirs = (facts_of(table, asked(memory, of)).met for table in (memory, engine))
        assert theirs == mine
        assert 0 < theirs[0] < ROWS

    @pytest.mark.parametrize("name", CONVERTED)
    def test_a_declared_kind_gives_the_same_cells_or_the_same_refusal(self, load, name):
        rows, of = converted(*CONVERTED[name])
        memory, engine = Table.from_arrow(rows), load(rows)
        mine, theirs = outcome(memory, of), outcome(engine, of)
        assert theirs == mine
        if len(mine) == 3 and not isinstance(mine[1], str):
            (first, second) = (prepare(table, of).table.value_counts("x") for table in (memory, engine))
            assert described(second) == described(first)

    @pytest.mark.parametrize("name", NOT_CONVERTED)
    def test_what_engines_would_convert_in_ways_of_their_own_is_refused(self, load, name):
        rows, of = converted(*NOT_CONVERTED[name])
        with pytest.raises(
            UnsupportedByEngine, match=r"'x' is .* and declared .* ways of their own.*cast the column in a view"
        ):
            prepare(load(rows), of)

    @pytest.fixture(scope="class")
    @classmethod
    def ruled(cls, load):
        rows = ruled_table()
        return rows, load(rows)
