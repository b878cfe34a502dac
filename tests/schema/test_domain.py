"""Domains: inside the bounds nothing changes, outside it is clamped or folded, and missing stays missing."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.schema.domain import CategoryDomain, GridDomain, grid, known_domain, open_domain, scale_of, ticks_of
from dpsynth.schema.model import ColumnSpec


def chunked(values: list[object], kind: pa.DataType) -> pa.ChunkedArray:
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)], kind)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["text", "integer", "boolean"]), st.booleans())
def test_categories_come_back(data: st.DataObject, kind: str, other: bool) -> None:
    one = {
        "text": st.text(st.characters(exclude_categories=("Cs",))),
        "integer": st.integers(-(2**63), 2**63 - 1),
        "boolean": st.booleans(),
    }
    values = tuple(data.draw(st.lists(one[kind], min_size=1, unique=True)))
    domain = CategoryDomain(values=values, other=other and kind == "text")
    cells = data.draw(st.lists(st.none() | st.sampled_from(values)))
    codes = domain.encode(chunked(cells, domain.arrow_type))
    assert codes.dtype == np.int64
    assert domain.decode(codes).to_pylist() == cells
    assert [c < 0 for c in codes] == [v is None for v in cells]


def test_other_values_have_an_outcome_that_is_no_value() -> None:
    domain = open_domain(("a", "other"))
    codes = domain.encode(chunked(["a", "unseen", None, "other"], pa.string()))
    assert codes.tolist() == [0, 2, -1, 1]
    assert domain.decode(codes).to_pylist() == ["a", "other_2", None, "other"]
    assert domain.size == 3


def test_without_an_outcome_for_others_they_are_missing() -> None:
    assert CategoryDomain(values=("a",)).encode(chunked(["a", "b"], pa.string())).tolist() == [0, -1]
    assert open_domain((3, 4)).encode(chunked([4, 5], pa.int64())).tolist() == [1, -1]
    assert open_domain(()).encode(chunked(["x", None], pa.string())).tolist() == [0, -1]


def test_integer_cells_of_another_width_are_cast() -> None:
    assert CategoryDomain(values=(1, 2)).encode(chunked([2, None], pa.int8())).tolist() == [1, -1]


MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(["integer", "date", "datetime"]), st.integers(0, 6))
def test_whole_kinds_come_back_exactly_inside_the_bounds(data: st.DataObject, kind: str, places: int) -> None:
    one = {"integer": st.integers(-(2**62), 2**62 - 1), "date": st.dates(), "datetime": MOMENTS}[kind]
    low, high = sorted([data.draw(one), data.draw(one)])
    spec = ColumnSpec(kind=kind, min=low, max=high, precision=6 if kind == "datetime" else None)
    domain = known_domain(spec)
    assert isinstance(domain, GridDomain)
    inside = {"integer": st.integers, "date": st.dates, "datetime": st.datetimes}[kind](low, high)
    cells = data.draw(st.lists(st.none() | inside))
    codes = domain.encode(chunked(cells, domain.arrow_type))
    assert domain.decode(codes).to_pylist() == cells
    assert all(-1 <= c < domain.size for c in codes.tolist())


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(0, 6))
def test_floats_come_back_as_the_nearest_double_of_their_decimal(data: st.DataObject, places: int) -> None:
    low, high = sorted([data.draw(st.integers(-(10**9), 10**9)), data.draw(st.integers(-(10**9), 10**9))])
    spec = ColumnSpec(kind="float", min=low, max=high, precision=places)
    domain = known_domain(spec)
    assert isinstance(domain, GridDomain)
    ticks = data.draw(st.lists(st.none() | st.integers(low * 10**places, high * 10**places)))
    cells = [None if t is None else float(Decimal(t).scaleb(-places)) for t in ticks]
    assert domain.decode(domain.encode(chunked(cells, pa.float64()))).to_pylist() == cells


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["integer", "float", "date", "datetime"]))
def test_every_code_survives_decoding(data: st.DataObject, kind: str) -> None:
    scale = {"float": Fraction(1, 100), "datetime": Fraction(60)}.get(kind, Fraction(1))
    limit = {"date": 700_000, "datetime": 10**7}.get(kind, 2**50)
    low = data.draw(st.integers(-limit, limit))
    domain = GridDomain(kind=kind, low=low, high=data.draw(st.integers(low, limit)), scale=scale)
    codes = np.array(data.draw(st.lists(st.integers(-1, domain.size - 1), min_size=1)), dtype=np.int64)
    cells = domain.decode(codes)
    assert cells.type == domain.arrow_type
    np.testing.assert_array_equal(domain.encode(pa.chunked_array([cells])), codes)


def test_cells_outside_are_clamped_and_between_ticks_are_rounded() -> None:
    whole = GridDomain(kind="integer", low=0, high=10)
    assert whole.encode(chunked([-(2**63), -1, 11, 2**63 - 1, None], pa.int64())).tolist() == [0, 0, 10, 10, -1]
    floats = GridDomain(kind="float", low=-10, high=10, scale=Fraction(1, 10))
    cells = [float("-inf"), -5.0, 0.04, 0.06, 1e308, float("inf"), float("nan")]
    assert floats.encode(chunked(cells, pa.float64())).tolist() == [0, 0, 10, 11, 20, 20, -1]
    minutes = GridDomain(kind="datetime", low=-1, high=2, scale=Fraction(60))
    moments = [datetime(1970, 1, 1) + timedelta(seconds=s) for s in (-3600, -31, -29, 29, 30, 89, 90, 3600)]
    assert minutes.encode(chunked(moments, pa.timestamp("us"))).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    tens = GridDomain(kind="integer", low=0, high=9, scale=Fraction(10))
    assert tens.encode(chunked([4, 5, 95, 96, -7], pa.int64())).tolist() == [0, 1, 9, 9, 0]
    assert tens.decode(np.array([3])).to_pylist() == [30]


def test_a_grid_may_be_huge() -> None:
    domain = GridDomain(kind="integer", low=-(2**61), high=2**61)
    assert domain.encode(chunked([2**61 - 1], pa.int64())).tolist() == [2**62 - 1]
    assert domain.decode(np.array([0])).to_pylist() == [-(2**61)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "integer", "low": 1, "high": 0}, "low <= high"),
        ({"kind": "integer", "low": 0, "high": 1, "scale": Fraction(1, 2)}, "whole for integers"),
        ({"kind": "float", "low": 0, "high": 1, "scale": Fraction(0)}, "is positive"),
        ({"kind": "datetime", "low": 0, "high": 1, "scale": Fraction(1, 10**7)}, "whole number of microseconds"),
        ({"kind": "float", "low": 0, "high": 2**53}, "beyond which doubles"),
        ({"kind": "integer", "low": -(2**63), "high": 2**63 - 1}, r"fewer than 2\^63 ticks"),
        ({"kind": "datetime", "low": 0, "high": 2**60}, "within 64 bits"),
    ],
)
def test_a_grid_that_cannot_be_exact_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        GridDomain(**fields)  # type: ignore[arg-type]


def test_wrong_codes_and_categories_are_refused() -> None:
    with pytest.raises(ParameterError, match="outside -1 … 1"):
        CategoryDomain(values=("a", "b")).decode(np.array([2]))
    with pytest.raises(ParameterError, match="distinct and of one type"):
        CategoryDomain(values=("a", "a"))
    with pytest.raises(ParameterError, match="integers have no word"):
        CategoryDomain(values=(1,), other=True)
    with pytest.raises(ParameterError, match="has no bounds"):
        grid(ColumnSpec(kind="boolean"), 0, 1)


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (0.0, 1.0, Fraction(1, 10**6)),
        (-500.0, 500.0, Fraction(1, 1000)),
        (0.0, 3e8, Fraction(100)),
        (0.0, 0.0, Fraction(1, 10**6)),
    ],
)
def test_without_derived_places_the_grid_has_a_million_ticks(low: float, high: float, scale: Fraction) -> None:
    spec = ColumnSpec(kind="float", min=low, max=high)
    assert scale_of(spec, low, high) == scale
    assert low == high or grid(spec, low, high).size > 10**6


@pytest.mark.parametrize(
    ("high", "places", "exponent"),
    [
        (16.0, 6, 6),
        (16.0, 0, 0),
        (2.0**20, 12, 9),  # 12 places would be 10^18 ticks: fewer, so that doubles hold them
        (2.0**64, 0, -4),
        (1e-9, 12, 15),  # cells of 12 places or more keep a million ticks over the range
        (1e-9, 3, 3),
        (2.0**-63, 12, 25),
    ],
)
def test_derived_places_give_the_grid_within_what_doubles_hold(high: float, places: int, exponent: int) -> None:
    for low in (0.0, -high):
        domain = grid(ColumnSpec(kind="float"), low, high, places)
        assert domain.scale == Fraction(10) ** -exponent
        codes = np.unique(np.array([0, domain.size // 2, domain.size - 1]))
        assert domain.encode(pa.chunked_array([domain.decode(codes)])).tolist() == codes.tolist()


def test_a_declared_precision_wins_over_derived_places() -> None:
    assert scale_of(ColumnSpec(kind="float", precision=2), 0.0, 1.0, 6) == Fraction(1, 100)


def test_ticks_are_exact() -> None:
    assert ticks_of(0.1 + 0.2, Fraction(1, 10)) == 3
    assert ticks_of(datetime(1969, 12, 31, 23, 59, 59, 999_999), Fraction(1, 10**6)) == -1
    assert ticks_of(date(1, 1, 1), Fraction(1)) == -719162


def test_known_domains_cost_nothing_and_unknown_ones_are_none() -> None:
    assert known_domain(ColumnSpec(kind="boolean")) == CategoryDomain(values=(False, True))
    assert known_domain(ColumnSpec(kind="categorical")) is None
    assert known_domain(ColumnSpec(kind="integer")) is None
    assert known_domain(ColumnSpec(kind="float", min=0, max=1)) is None
    assert known_domain(ColumnSpec(kind="float", precision=2)) is None
    assert known_domain(ColumnSpec(kind="float", min=0, max=1, precision=2)) is not None
    closed = known_domain(ColumnSpec(kind="categorical", values=("a",), other=True))
    assert closed == CategoryDomain(values=("a",), other=True)
