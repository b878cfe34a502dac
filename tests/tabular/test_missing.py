"""Missing cells: as many as there were, in every kind and by every generator; none where there were none."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator

ROWS = 4000
SIGMAS = 5.0  # two sides at alpha 1e-6 are 4.9
RATES = {"colour": 0.2, "flag": 0.05, "age": 0.5, "gain": 0.3, "weight": 0.1, "day": 0.7, "seen": 0.15, "full": 0.0}
DECLARED = {
    "colour": {"kind": "categorical", "values": ["red", "green"]},
    "flag": {"kind": "boolean"},
    "age": {"kind": "integer", "min": 0, "max": 110},
    "gain": {"kind": "integer", "min": 0, "max": 99_999},
    "weight": {"kind": "float", "min": 0.0, "max": 200.0, "precision": 1},
    "day": {"kind": "date", "min": "2000-01-01", "max": "2020-12-31"},
    "seen": {"kind": "datetime", "min": "2021-01-01T00:00:00", "max": "2021-12-31T23:59:59"},
    "full": {"kind": "integer", "min": 0, "max": 9},
}
OPEN = {name: {"kind": spec["kind"]} for name, spec in DECLARED.items()}
TYPES = {
    "categorical": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
}


def table(seed=0):
    rng = np.random.default_rng(seed)
    cells = {
        "colour": rng.choice(["red", "green"], ROWS).tolist(),
        "flag": (rng.random(ROWS) < 0.5).tolist(),
        "age": rng.integers(1, 90, ROWS).tolist(),
        "gain": rng.integers(1, 60_000, ROWS).tolist(),
        "weight": rng.uniform(40, 120, ROWS).round(1).tolist(),
        "day": [date(2001, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 6000, ROWS)],
        "seen": [datetime(2021, 1, 2) + timedelta(seconds=int(s)) for s in rng.integers(0, 31_000_000, ROWS)],
        "full": rng.integers(0, 9, ROWS).tolist(),
    }
    columns = {
        name: pa.array(held, TYPES[DECLARED[name]["kind"]], mask=rng.random(ROWS) < RATES[name])
        for name, held in cells.items()
    }
    return Table.from_arrow(pa.table(columns))


def fitted(name, of, private, seed=1):
    schema = Schema.from_dict({"columns": of})
    made = generator(name)
    plan = made.plan(schema, PrivacyUnit(), epsilon="4", delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(private, schema, plan.settings.derive, noise=noise)
    return plan, made.fit(private, schema, domains, plan, noise=noise, spent=spent, progress=lambda *_: None)


@pytest.mark.parametrize("of", [DECLARED, OPEN], ids=["declared", "derived"])
@pytest.mark.parametrize("name", ["independent", "mst", "gibbs"])
def test_each_kind_keeps_its_share_of_missing_cells_within_the_noise(name, of):
    private = table()
    plan, model = fitted(name, of, private)
    out = model.sample(ROWS, np.random.default_rng(2))
    for column in of:
        share = private.column(column).null_count / ROWS
        noise = float(plan.settings.histogram[column]) / ROWS
        # the count's noise, that of the row total, and what a fit by records rounds away
        assert abs(out.column(column).null_count / ROWS - share) < SIGMAS * 2 * noise + 0.01, column
    assert 5 * 2 * max(float(s) for s in plan.settings.histogram.values()) / ROWS < 0.1  # power: a lost rate is seen
    assert out.column("full").null_count < 0.02 * ROWS


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("name", ["independent", "gibbs"])
def test_an_open_column_with_nothing_in_it_stays_empty(name, kind):
    private = Table.from_arrow(pa.table({"x": pa.nulls(ROWS, TYPES[kind]), "y": pa.array([True, False] * (ROWS // 2))}))
    _, model = fitted(name, {"x": {"kind": kind}, "y": {"kind": "boolean"}}, private)
    out = model.sample(ROWS, np.random.default_rng(3)).column("x")
    assert out.null_count > 0.97 * ROWS


@pytest.mark.parametrize("name", ["mst", "gibbs"])
def test_cells_that_are_missing_together_stay_together(name):
    rng = np.random.default_rng(5)
    absent = rng.random(ROWS) < 0.4
    columns = {
        "visit": pa.array(rng.integers(0, 60_000, ROWS), pa.int64(), mask=absent),
        "when": pa.array([date(2010, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 3000, ROWS)], mask=absent),
        "sex": pa.array(rng.choice(["f", "m"], ROWS)),
    }
    of = {
        "visit": {"kind": "integer", "min": 0, "max": 99_999},
        "when": {"kind": "date"},
        "sex": {"kind": "categorical"},
    }
    _, model = fitted(name, of, Table.from_arrow(pa.table(columns)))
    out = model.sample(ROWS, np.random.default_rng(2))
    visit, when = (np.array(out.column(c).is_null()) for c in ("visit", "when"))
    assert np.mean(visit != when) < 0.06 and abs(np.mean(visit & when) - 0.4) < 0.06


COMPLETE = {
    "sex": {"kind": "categorical", "values": ["f", "m"]},
    "age": {"kind": "integer", "min": 0, "max": 110},
    "ward": {"kind": "categorical", "values": [f"w{i}" for i in range(12)]},
    "gain": {"kind": "integer", "min": 0, "max": 99_999},
}


def complete_table(rows=2000):
    rng = np.random.default_rng(8)
    cells = {
        "sex": rng.choice(["f", "m"], rows),
        "age": rng.integers(0, 90, rows),
        "ward": [f"w{i}" for i in rng.integers(0, 12, rows)],
        "gain": np.where(rng.random(rows) < 0.8, 0, rng.integers(0, 60_000, rows)),
    }
    return Table.from_arrow(pa.table({name: pa.array(held) for name, held in cells.items()}))


@pytest.mark.parametrize("name", ["independent", "mst"])
def test_noise_on_the_missing_count_alone_makes_no_gaps(name):
    """Forty columns without gaps: two sigma are exceeded by 2.3 % of them, where positive noise is in half of them."""
    gaps, columns = 0, 0
    for seed in range(10):
        _, model = fitted(name, COMPLETE, complete_table(), seed)
        out = model.sample(2000, np.random.default_rng(seed))
        gaps += sum(out.column(column).null_count > 0 for column in COMPLETE)
        columns += len(COMPLETE)
    assert columns == 40
    assert gaps <= 8  # P(Binomial(40, 0.023) > 8) < 1e-6; with a half of them P(at most 8) < 1e-4


@pytest.mark.parametrize("name", ["independent", "mst", "gibbs", "aim"])
def test_a_column_that_is_not_nullable_never_gets_a_gap_even_where_the_table_has_some(name):
    of = {column: spec | {"nullable": False} for column, spec in COMPLETE.items()}
    held = complete_table().to_arrow()
    broken = pa.array(held["age"].to_pylist(), mask=np.arange(2000) < 600)
    _, model = fitted(name, of, Table.from_arrow(held.set_column(1, "age", broken)))
    out = model.sample(2000, np.random.default_rng(2))
    assert [out.column(column).null_count for column in of] == [0] * len(of)
