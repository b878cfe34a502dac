"""What is asked of a sample: values, lists and ranges as objects and as words, by released domains alone."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.schema.domain import CategoryDomain, GridDomain
from dpsynth.tabular.conditions.given import Between, allowed_in, conditions, from_text, where

AGE = GridDomain(kind="integer", low=0, high=110)
MONEY = GridDomain(kind="float", low=0, high=10_000, scale=Fraction(1, 100))
DAY = GridDomain(kind="date", low=10_000, high=20_000)
TIME = GridDomain(kind="datetime", low=0, high=10**9)
SEX = CategoryDomain(values=("f", "m"))
REGION = CategoryDomain(values=("north", "east"), other=True)
FLAG = CategoryDomain(values=(False, True))
CODE = CategoryDomain(values=(1, 2, 9))
DOMAINS = {"age": AGE, "money": MONEY, "day": DAY, "time": TIME, "sex": SEX, "region": REGION, "flag": FLAG,
           "code": CODE}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wanted", "text"),
    [
        ("age", 37, ("37",)),
        ("age", [37, 38, 40], ("37..38", "40")),
        ("age", Between(100, None), ("100..110",)),
        ("age", [None, Between(None, 17)], ("0..17", "")),
        ("age", np.int64(5), ("5",)),
        ("money", 1.5, ("1.5",)),
        ("money", Between(0.001, 0.029), ("0.01..0.02",)),
        ("day", date(2000, 1, 1), ("2000-01-01",)),
        ("time", Between(datetime(1980, 1, 1), datetime(1980, 1, 1, 0, 0, 1)),
         ("1980-01-01T00:00:00..1980-01-01T00:00:01",)),
        ("sex", "f", ("f",)),
        ("sex", None, ("",)),
        ("region", ["other", "north"], ("north", "other")),
        ("flag", True, ("true",)),
        ("code", [9, 1], ("1", "9")),
    ],
)  # fmt: skip
def test_a_condition_is_the_same_as_value_and_as_text(name, wanted, text):
    allowed = conditions({name: wanted}, DOMAINS)[name]
    assert allowed.text(DOMAINS[name]) == text
    again = from_text({name: text}, DOMAINS)[name]
    assert again.runs.tolist() == allowed.runs.tolist() and again.missing == allowed.missing
    spoken = where([f"{name}={word}" for word in text], DOMAINS)[name]
    assert spoken.runs.tolist() == allowed.runs.tolist() and spoken.missing == allowed.missing


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ag": 1}, "no column 'ag' to hold fixed. The model has 'age', 'money'"),
        ({"age": 111}, "'age' asks for a value that is not in its domain.*values from 0 to 110, or be missing"),
        ({"age": -1}, "'age' asks for a value that is not in its domain"),
        ({"age": 3.5}, "'age' holds values of kind integer"),
        ({"age": True}, "'age' holds values of kind integer"),
        ({"age": "37"}, "'age' holds values of kind integer"),
        ({"age": Between(200, 300)}, "'age' asks for a value that is not in its domain"),
        ({"age": Between(9, 3)}, "'age' ends before it begins"),
        ({"age": []}, "'age' allows nothing"),
        ({"money": 0.001}, "in steps of 0.01"),
        ({"money": float("nan")}, "not in its domain"),
        ({"day": datetime(2000, 1, 1)}, "'day' holds values of kind date"),
        ({"sex": "x"}, "declared impossible, or never released. Column 'sex' may hold f, m, or be missing"),
        ({"sex": 1}, "'sex' asks for a value"),
        ({"sex": Between("f", "m")}, "'sex' has categories and no ranges"),
        ({"code": True}, "'code' asks for a value"),
        ({"region": "south"}, "may hold north, east, other"),
    ],
)
def test_a_value_that_was_never_released_is_refused_by_column_with_what_is_allowed(asked, message):
    with pytest.raises(ParameterError, match=message):
        conditions(asked, DOMAINS)


@pytest.mark.parametrize(
    ("word", "message"), [("age", "form COLUMN=VALUE"), ("age=old", "is no integer"), ("day=3", "is no date")]
)
def test_a_word_that_is_no_condition_is_refused(word, message):
    with pytest.raises(ParameterError, match=message):
        where([word], DOMAINS)


@given(st.lists(st.tuples(st.integers(0, 110), st.integers(0, 110)), min_size=1, max_size=6), st.booleans())
def test_runs_hold_count_and_number_what_a_set_does(pairs, missing):
    wanted = [Between(min(pair), max(pair)) for pair in pairs] + ([None] if missing else [])
    allowed = allowed_in("age", AGE, wanted)
    members = sorted({code for a, b in pairs for code in range(min(a, b), max(a, b) + 1)})
    codes = np.arange(-1, 112)
    expected = [missing if code < 0 else code in members for code in codes.tolist()]
    assert allowed.holds(codes).tolist() == expected
    assert allowed.below(codes[1:]).tolist() == [sum(m < code for m in members) for code in codes[1:].tolist()]
    assert allowed.numbered(np.arange(len(members))).tolist() == members
