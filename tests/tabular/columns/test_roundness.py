"""Round numbers come back where a column has them, and only there."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.schema.domain import GridDomain
from dpsynth.schema.model import Schema
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.part_queries import asked_parts
from dpsynth.tabular.columns.parts import UNITS
from dpsynth.tabular.columns.roundness import draw_round, unit_of
from dpsynth.tabular.independent import Independent

ROWS = 20_000
AMOUNT = {"kind": "integer", "min": -100_000, "max": 1_000_000}


def synthetic(values, spec, seed=1):
    schema = Schema.from_dict({"columns": {"x": spec}})
    table = Table.from_arrow(pa.table({"x": values}))
    plan = Independent().plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, schema, plan.settings.derive, noise=noise)
    model = Independent().fit(table, schema, domains, plan, noise=noise, spent=spent)
    return np.array(model.sample(ROWS, np.random.default_rng(seed)).column("x").drop_null())


@given(st.integers(-(10**13), 10**13))
@settings(max_examples=200, deadline=None)
def test_the_unit_of_a_number_is_the_largest_that_divides_it(number):
    (at,) = unit_of(np.array([number]))
    assert number % UNITS[at] == 0 and all(number % unit for unit in UNITS[at + 1 :].tolist())


@pytest.mark.parametrize("spec", [AMOUNT, {"kind": "integer"}], ids=["declared", "derived"])
def test_hundreds_stay_hundreds_in_every_size(spec):
    rng = np.random.default_rng(0)
    amounts = (rng.lognormal(8, 1, ROWS) // 100 * 100).astype(int)
    out = synthetic(pa.array(amounts, pa.int64()), spec)
    assert np.mean(out % 100 == 0) > 0.9  # a uniform draw has 0.01 to 0.2, of spikes
    assert len(np.unique(out)) > 150


def test_a_mixture_of_round_and_other_numbers_stays_one():
    rng = np.random.default_rng(0)
    amounts = rng.integers(1000, 100_000, ROWS)
    amounts = np.where(rng.random(ROWS) < 0.4, amounts // 1000 * 1000, amounts)
    out = synthetic(pa.array(amounts, pa.int64()), AMOUNT)
    assert abs(np.mean(out % 1000 == 0) - 0.4) < 0.06


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_numbers_without_a_preference_are_left_alone(seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-50_000, 900_000, ROWS)
    out = synthetic(pa.array(numbers, pa.int64()), AMOUNT, seed)
    for unit in (5, 10, 100, 1000):
        assert abs(np.mean(out % unit == 0) - 1 / unit) < 0.02


def test_cents_and_whole_amounts_of_a_float_column_come_back():
    rng = np.random.default_rng(0)
    prices = np.where(rng.random(ROWS) < 0.5, rng.integers(1, 900, ROWS), rng.uniform(1, 900, ROWS).round(2))
    out = synthetic(pa.array(prices), {"kind": "float", "min": 0.0, "max": 10_000.0, "precision": 2})
    assert abs(np.mean(out == np.floor(out)) - np.mean(prices == np.floor(prices))) < 0.06


@given(st.integers(-(10**6), 10**6), st.integers(600, 10**7), st.lists(st.integers(0, 10**7), max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_a_number_drawn_in_an_interval_lies_in_it_whatever_was_counted(low, size, spikes, data):
    domain = GridDomain(kind="integer", low=low, high=low + size - 1, scale=Fraction(1))
    cells = Cells.of(domain, np.unique([s % size for s in spikes]).astype(np.int64))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    intervals = rng.integers(0, cells.intervals, 400)
    noisy = rng.normal(0, 300, len(UNITS)) + data.draw(st.sampled_from([0.0, 1000.0]))
    drawn = draw_round(cells, rng.normal(50, 60, cells.intervals), noisy, 40.0, intervals, rng)
    assert np.all((drawn >= cells.edges[intervals]) & (drawn < cells.edges[intervals + 1]))


def test_only_numbers_that_may_be_wide_are_asked():
    columns = {
        "wide": AMOUNT,
        "open": {"kind": "float"},
        "narrow": {"kind": "integer", "min": 0, "max": 100},
        "flag": {"kind": "boolean"},
    }
    schema = Schema.from_dict({"columns": columns})
    assert [name for name, spec in schema.columns.items() if asked_parts(spec) == ("round",)] == ["wide", "open"]
    plan = Independent().plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    assert set(plan.settings.parts) == {"wide", "open"}
