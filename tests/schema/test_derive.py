"""Derived domains: charged only where the schema is silent, planned without data, within the promised margin."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from accounting.event import DiscreteGaussian, PartitionSelection
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import DeriveNoise, derive, plan_derive, unknown_columns
from dpsynth.schema.domain import CategoryDomain, GridDomain
from dpsynth.schema.model import Schema

NOISE = DeriveNoise(sigma=Decimal(10), threshold=70)


def schema(**columns):
    return Schema.from_dict({"version": 1, "columns": columns})


def derived(name, values, spec, seed=1, allotment=NOISE):
    table = Table.from_arrow(pa.table({name: values}))
    domains, events = derive(table, schema(**{name: spec}), allotment, noise=unsafe_SeededNoise(seed))
    return domains[name], events


def test_a_public_schema_costs_nothing_and_needs_no_allotment():
    public = schema(a={"kind": "integer", "min": 0, "max": 9}, b={"kind": "boolean"})
    assert plan_derive(public, None) == () and unknown_columns(public) == ()
    domains, events = derive(
        Table.from_arrow(pa.table({"a": [1], "b": [True]})), public, None, noise=unsafe_SeededNoise(1)
    )
    assert events == () and list(domains) == ["a", "b"]


def test_unknown_columns_without_allotment_are_refused():
    with pytest.raises(ParameterError, match="no budget was allotted"):
        plan_derive(schema(a={"kind": "integer"}), None)


@pytest.mark.parametrize("rows", [0, 1, 5000])
def test_events_are_those_of_the_plan_whatever_the_rows(rows):
    of = schema(a={"kind": "integer"}, b={"kind": "categorical"}, c={"kind": "date"}, d={"kind": "boolean"})
    rng = np.random.default_rng(rows)
    table = Table.from_arrow(
        pa.table(
            {
                "a": pa.array(rng.integers(0, 100, rows), pa.int64()),
                "b": pa.array(rng.choice(["x", "y"], rows), pa.string()),
                "c": pa.array([date(2000, 1, 1)] * rows, pa.date32()),
                "d": pa.array([True] * rows, pa.bool_()),
            }
        )
    )
    allotment = DeriveNoise(sigma=Decimal("10.5"), threshold=90, max_records=4)
    _, events = derive(table, of, allotment, noise=unsafe_SeededNoise(1))
    kinds = [type(event) for event in events]
    assert kinds == [DiscreteGaussian, PartitionSelection, DiscreteGaussian]
    planned = plan_derive(of, allotment)
    assert [e.to_json() | {"noise": None} for e in events] == [e.to_json() | {"noise": None} for e in planned]
    assert {event.l2_sensitivity for event in events} == {Decimal(4)}


def test_categories_are_the_frequent_ones_and_the_rest_is_other():
    values = pa.array(["b"] * 500 + ["a"] * 400 + ["mine"] + [None] * 50)
    for seed in range(20):
        domain, _ = derived("x", values, {"kind": "categorical"}, seed)
        assert isinstance(domain, CategoryDomain)
        assert domain.values == ("a", "b") and domain.other


def test_integer_categories_stay_integers():
    domain, _ = derived("x", pa.array([3] * 500 + [1] * 500, pa.int64()), {"kind": "categorical"})
    assert domain.values == (1, 3)


def test_nobody_frequent_gives_a_domain_of_others_only():
    domain, _ = derived("x", pa.array([f"id{i}" for i in range(500)]), {"kind": "categorical"})
    assert domain.values == () and domain.size >= 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(5, 900, (4, 1024)), (-900, -5, (-1024, -4)), (-3, 60_000, (-4, 65_536)), (0, 1, (0, 2))],
)
def test_integer_bounds_are_powers_of_two_around_the_data(low, high, expected):
    values = pa.array(np.tile(np.linspace(low, high, 500).round().astype(int), 20), pa.int64())
    domain, _ = derived("x", values, {"kind": "integer"})
    assert isinstance(domain, GridDomain)
    assert domain.low >= expected[0] and domain.high <= expected[1]
    held = np.mean((np.array(values) >= domain.low) & (np.array(values) <= domain.high))
    assert held > 0.9


def test_float_bounds_and_resolution():
    values = pa.array(np.random.default_rng(0).uniform(0.001, 0.3, 5000))
    domain, _ = derived("x", values, {"kind": "float"})
    assert domain.high * domain.scale <= 0.5 and domain.size >= 10**5
    exact, _ = derived("x", values, {"kind": "float", "precision": 2})
    assert exact.scale == domain.scale.__class__(1, 100)


def test_float_precision_too_fine_for_the_range_is_clamped_not_raised():
    domain, _ = derived("x", pa.array([1e15, 2e15] * 500), {"kind": "float", "precision": 12})
    assert domain.size > 0


def test_extreme_integers_make_a_grid_and_no_overflow():
    domain, _ = derived("x", pa.array([-(2**63), 2**63 - 1] * 500, pa.int64()), {"kind": "integer"})
    assert domain.size < 2**63


def test_date_bounds_are_whole_years():
    values = pa.array([date(1984, 5, 1) + timedelta(days=i % 3000) for i in range(4000)], pa.date32())
    domain, _ = derived("x", values, {"kind": "date"})
    ends = domain.decode(np.array([0, domain.size - 1])).to_pylist()
    assert ends == [date(1984, 1, 1), date(1992, 12, 31)]


def test_datetime_bounds_are_whole_years():
    values = pa.array([datetime(2019, 3, 1, 12) + timedelta(hours=i) for i in range(8000)], pa.timestamp("us"))
    domain, _ = derived("x", values, {"kind": "datetime"})
    ends = domain.decode(np.array([0, domain.size - 1])).to_pylist()
    assert ends == [datetime(2019, 1, 1), datetime(2020, 12, 31, 23, 59, 59)] or ends[1].year in (2019, 2020)


@pytest.mark.parametrize("kind", ["integer", "float", "categorical", "date", "datetime"])
def test_a_column_without_a_value_gets_a_domain(kind):
    types = {
        "integer": pa.int64(),
        "float": pa.float64(),
        "categorical": pa.string(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
    }
    for seed in range(10):
        domain, _ = derived("x", pa.nulls(300, types[kind]), {"kind": kind}, seed)
        assert domain.size >= 1
        assert domain.decode(np.array([-1])).null_count == 1


def test_progress_is_told_of_each_column():
    heard = []
    of = schema(a={"kind": "integer"}, b={"kind": "integer", "min": 0, "max": 1}, c={"kind": "categorical"})
    table = Table.from_arrow(pa.table({"a": [1], "b": [1], "c": ["x"]}))
    derive(table, of, NOISE, noise=unsafe_SeededNoise(1), progress=lambda *a, **k: heard.append(a[:3]))
    assert heard == [("derive domains", 1, 2), ("derive domains", 2, 2)]
