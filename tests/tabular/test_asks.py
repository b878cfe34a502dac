"""What generators say beforehand: against fits with triples and halves, and against plans that are not their own."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular import generator
from dpsynth.tabular.asks import Asking, most_released
from dpsynth.tabular.columns.oneway import MAX_SPIKES
from dpsynth.tabular.gibbs import Gibbs
from tests.conformance.generator import Overheard
from tests.conformance.tables import MIXED, RECORD, schema


def small_table(columns: int, rows: int, codes: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    names = [f"x{at}" for at in range(columns)]
    table = pa.table({name: pa.array(rng.integers(0, codes, rows), pa.int64()) for name in names})
    own = {name: {"kind": "categorical", "values": list(range(codes))} for name in names}
    own["x0"]["role"] = "target"
    return Table.from_arrow(table), schema(**own)


@pytest.mark.parametrize(
    ("columns", "epsilon", "step"), [(5, "200", "measure triples"), (41, "0.05", "measure halves")]
)
def test_tables_of_three_columns_and_of_halves_are_said_beforehand(columns, epsilon, step):
    table, of = small_table(columns, 2000)
    plan = Gibbs().plan(of, RECORD, epsilon=epsilon, delta="1e-6")
    declared = Gibbs().asks(of, plan, rows=2000)
    assert step in [ask.step for ask in declared.asks]
    asked = Overheard(table)
    domains, _ = derive(table, of, None, noise=unsafe_SeededNoise(0))
    Gibbs().fit(asked, of, domains, plan, noise=unsafe_SeededNoise(1), progress=silent)
    asked.within(declared, plan)


def test_as_many_spikes_as_there_may_be_are_within_what_was_said():
    rng = np.random.default_rng(4)
    heavy = rng.choice(90_000, 80, replace=False)
    values = np.where(rng.random(40_000) < 0.8, rng.choice(heavy, 40_000), rng.integers(0, 90_000, 40_000))
    table = Table.from_arrow(pa.table({"x": pa.array(values), "y": pa.array(values % 3)}))
    of = schema(x={"kind": "integer", "min": 0, "max": 90_000}, y={"kind": "integer", "min": 0, "max": 2})
    plan = generator("mst").plan(of, RECORD, epsilon="10", delta="1e-6")
    declared = generator("mst").asks(of, plan, rows=40_000)
    domains, _ = derive(table, of, None, noise=unsafe_SeededNoise(0))
    asked = Overheard(table)
    model = generator("mst").fit(asked, of, domains, plan, noise=unsafe_SeededNoise(1), progress=silent)
    assert len(model.binnings["x"].oneway.cells.spikes) == MAX_SPIKES
    asked.within(declared, plan)


def test_a_declaration_of_another_plan_is_refused():
    plan = generator("mst").plan(MIXED, RECORD, epsilon="1", delta="1e-6")
    with pytest.raises(ParameterError, match="leaves 2 planned events unexplained"):
        Asking(MIXED, plan, codes=32, rows=1000).done()
    asked = Asking(MIXED, generator("independent").plan(MIXED, RECORD, epsilon="1", delta="1e-6"), codes=32, rows=1000)
    with pytest.raises(ParameterError, match="'score pairs' of 'independent' has no event"):
        asked.all_pairs("score pairs")


def test_auto_says_what_the_generator_of_its_plan_asks():
    plan = generator("auto").plan(MIXED, RECORD, epsilon="1", delta="1e-6")
    made = generator("auto").asks(MIXED, plan, rows=1000)
    assert made == generator(plan.generator).asks(MIXED, plan, rows=1000)
    other = generator("pategan").name
    with pytest.raises(ParameterError, match="'pategan' does not say what it asks"):
        generator("auto").asks(MIXED, replace(plan, generator=other), rows=1000)


def test_more_rows_can_release_more_categories_and_more_noise_fewer():
    assert most_released(1000, sigma=1.0, threshold=14) == 100
    assert most_released(10_000, sigma=1.0, threshold=14) == 1000
    assert most_released(10_000, sigma=1.0, threshold=24) == 500


@pytest.mark.parametrize(
    "name", ["mst", pytest.param("gibbs", marks=pytest.mark.slow), pytest.param("aim", marks=pytest.mark.slow)]
)
def test_what_is_held_stays_below_what_was_said(name):
    rows, columns = 20_000, 60
    table, of = small_table(columns, rows, codes=30)
    made = generator(name)
    plan = made.plan(of, RECORD, epsilon="10", delta="1e-6")
    declared = made.asks(of, plan, rows=rows)
    domains, _ = derive(table, of, None, noise=unsafe_SeededNoise(0))
    list(table.counts(domains, [tuple(domains)[:1]] * 60))
    tracemalloc.start()
    made.fit(table, of, domains, plan, noise=unsafe_SeededNoise(1), progress=silent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    said = sum(size for _, size in declared.holds) + 8 * max(ask.cells for ask in declared.asks if ask.kept)
    assert peak <= said + 4 * rows * columns <= 6 * peak
