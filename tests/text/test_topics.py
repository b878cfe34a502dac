"""Topics are released facts: every combination has one, shares add up, and too many are put together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import SystemNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator
from dpsynth.text.topics import MOST, Topics, _allowed


def _fitted(table: Table, schema: Schema):
    made = generator("independent")
    plan = made.plan(schema, PrivacyUnit(), epsilon="8", delta="1e-6")
    return fit_model(table, schema, made, plan, noise=SystemNoise()).model


@given(st.sets(st.integers(-1, 40)))
def test_codes_become_runs_that_hold_these_codes_and_no_other(codes: set[int]) -> None:
    every = np.arange(-1, 41)
    assert every[_allowed(sorted(codes)).holds(every)].tolist() == sorted(codes)


@pytest.mark.parametrize("values", [3, 400])
def test_every_row_has_a_topic_whose_condition_it_meets(values: int) -> None:
    rng = np.random.default_rng(1)
    names = [f"v{i}" for i in range(values)]
    cells = rng.choice(names, size=3000, p=np.arange(values, 0, -1) / np.arange(values, 0, -1).sum()).tolist()
    cells[:20] = [None] * 20
    schema = Schema.from_dict({"columns": {"a": {"kind": "categorical", "values": names}}})
    table = Table.from_arrow(pa.table({"a": pa.array(cells, pa.string())}))
    model = _fitted(table, schema)
    topics = Topics.of(("a",), model.domains, model)
    assert len(topics.words) == len(topics.given) == len(topics.shares) == min(values + 1, MOST)
    assert topics.shares.sum() == pytest.approx(1.0) and (topics.shares >= 0).all()
    numbers = topics.codes(table)
    for topic in np.unique(numbers):
        own = table.column("a").filter(pa.array(numbers == topic))
        assert topics.given[topic]["a"].matches(own, model.domains["a"]).all()


def test_too_many_combinations_leave_the_first_column() -> None:
    rng = np.random.default_rng(2)
    columns = {name: [f"{name}{i}" for i in rng.integers(0, 20, size=900)] for name in ("a", "b")}
    spec = {name: {"kind": "categorical", "values": [f"{name}{i}" for i in range(20)]} for name in columns}
    table = Table.from_arrow(pa.table(columns))
    model = _fitted(table, Schema.from_dict({"columns": spec}))
    assert Topics.of(("a",), model.domains, model).words[1] == "a: a0"
    assert set(Topics.of(("a", "b"), model.domains, model).domains) == {"a"}


def test_no_column_is_one_topic_without_words() -> None:
    topics = Topics.of((), {}, None)
    assert topics.words == ("",) and topics.shares.tolist() == [1.0]
