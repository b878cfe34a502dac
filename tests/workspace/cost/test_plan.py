"""The plan against what happens: a run on DuckDB, counted phase by phase, and the figures it must stay within."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.lifetime import total_rho_up
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError, ParameterError, SchemaError
from dpsynth.schema.model import Schema
from dpsynth.tabular.independent import Independent
from dpsynth.workspace.cost import plan_cost
from dpsynth.workspace.cost.manners import MANNERS

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from dpsynth.workspace.workspace import Workspace
from tests.data.engines.test_postgresql import write
from tests.postgresql import running
from tests.workspace.cost.counted import counted

ROWS = 4000
TARGET = 1.5
"""Statements and scans of the fit: at most so many times those that were sent."""


def written(folder, *, columns: int = 36):
    """A folder of Parquet, its schema, and the same with open domains: a key, a unit, and columns of every kind."""
    rng = np.random.default_rng(3)
    cells, declared, left_open = {}, {}, {}
    for at in range(columns):
        name = f"x{at:02}"
        if at % 3 == 0:
            cells[name] = pa.array([f"v{value:02}" for value in rng.integers(0, 12, ROWS)])
            declared[name] = {"kind": "categorical", "values": [f"v{value:02}" for value in range(12)]}
            left_open[name] = {"kind": "categorical"}
        elif at % 3 == 1:
            cells[name] = pa.array(np.where(rng.random(ROWS) < 0.4, 0, rng.integers(1, 100_000, ROWS)))
            declared[name] = {"kind": "integer", "min": 0, "max": 100_000}
            left_open[name] = {"kind": "integer"}
        else:
            cells[name] = pa.array(np.round(rng.gamma(2.0, 10.0, ROWS), 1))
            declared[name] = {"kind": "float", "min": 0.0, "max": 40.0, "precision": 1}
            left_open[name] = {"kind": "float"}
    cells["key"] = pa.array(np.arange(ROWS))
    cells["person"] = pa.array(np.arange(ROWS) // 3)
    for own in (declared, left_open):
        own["key"] = {"kind": "integer", "role": "identifier"}
        own["person"] = {"kind": "integer", "role": "unit"}
    folder.mkdir()
    pq.write_table(pa.table(cells), folder / "part.parquet")
    return tuple(Schema.from_dict({"version": 1, "columns": own}) for own in (declared, left_open))


AROUND = (
    "open",
    "check",
    "digest the rows",
    "split",
    "bound rows of a unit",
    "fit the model",
    "draw targets",
    "draw rows",
)
SLOW = pytest.mark.slow
RUNS = [
    ("mst", "open"),
    ("gibbs", "declared"),
    ("aim", "declared"),
    pytest.param("mst", "declared", marks=SLOW),
    pytest.param("gibbs", "open", marks=SLOW),
    pytest.param("aim", "open", marks=SLOW),
    pytest.param("independent", "declared", marks=SLOW),
    pytest.param("independent", "open", marks=SLOW),
]


@pytest.mark.parametrize(("name", "which"), RUNS)
def test_a_run_asks_no_more_of_the_engine_than_was_said_and_hardly_less(tmp_path, monkeypatch, name, which):
    by_unit = name == "mst"
    declared, left_open = written(tmp_path / "claims", columns=9)
    (tmp_path / "s.yaml").write_text((declared if which == "declared" else left_open).to_yaml(), "utf-8")
    ws = Workspace.init(tmp_path / "vault")
    unit = {"unit": "person", "max_per_unit": 3} if by_unit else {"row_key": "key"}
    data = ws.register(tmp_path / "claims", schema=tmp_path / "s.yaml", **unit)
    ws.create_budget(data, epsilon=3, delta="1e-6")
    held_against_a_run(ws, data, name, monkeypatch, engine="duckdb", declared=which == "declared")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mst", "gibbs"])
def test_a_run_on_a_server_too(tmp_path, monkeypatch, name):
    declared, _ = written(tmp_path / "claims", columns=9)
    (tmp_path / "s.yaml").write_text(declared.to_yaml(), "utf-8")
    rows = pq.read_table(tmp_path / "claims" / "part.parquet")
    with running() as server:
        write(server, rows, "claims")
        ws = Workspace.init(tmp_path / "vault")
        unit = {"unit": "person", "max_per_unit": 3} if name == "mst" else {"row_key": "key"}
        data = ws.register(server.url, table="claims", schema=tmp_path / "s.yaml", **unit)
        ws.create_budget(data, epsilon=3, delta="1e-6")
        held_against_a_run(ws, data, name, monkeypatch, engine="postgresql", declared=True)


def held_against_a_run(ws, data, name, monkeypatch, *, engine, declared):
    """Each step's statements and scans are those that were said; those of the fit are no more, and hardly fewer."""
    found = plan_cost(data, name, epsilon="3", delta="1e-6", rows=ROWS, workspace=ws)
    assert found.engine == engine and found.plan.tree.unit == data.unit
    with counted(monkeypatch) as sent:
        ws.synthesize(data, name, epsilon="3", delta="1e-6")
    of_fit = [step for step in found.steps if step.name not in AROUND]
    for step in found.steps:
        if step not in of_fit and step.name not in ("fit the model", "draw rows"):
            happened = sent[step.name]
            for what in ("statements", "uploads", "source", "copy", "codes"):
                if step.name == "check":  # its last scans are for what the first leaves open
                    assert happened[what] <= getattr(step, what) <= happened[what] + 2, (step.name, what)
                else:
                    assert happened[what] == getattr(step, what), (step.name, what)
    assert set(sent) <= {*AROUND, "fit"}
    for what in ("statements", "uploads", "source", "copy", "codes"):
        said = sum(getattr(step, what) for step in of_fit)
        assert sent["fit"][what] <= said, what
        if what != "uploads" or declared:  # of open categories it is not known how many there will be
            assert said <= TARGET * sent["fit"][what], what
    assert not any(of_step["several"] for of_step in sent.values())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_statements_of_histograms_that_released_numbers_choose_are_at_most_as_many_as_said(data):
    columns = [f"x{at}" for at in range(data.draw(st.integers(3, 140)))]
    of = data.draw(st.integers(2, 3))
    cliques = data.draw(
        st.lists(st.lists(st.sampled_from(columns), min_size=of, max_size=of, unique=True), min_size=1, max_size=200)
    )
    for manner in (MANNERS["duckdb"], MANNERS["spark"]):
        said = manner.statements_of_some(len(cliques), of, len(columns))
        sent = manner.statements(cliques)
        assert (sent.number, sent.columns, sent.widest) <= (said.number, said.columns, said.widest)
        assert sent.number <= said.number and sent.columns <= said.columns and sent.widest <= said.widest


@pytest.mark.parametrize("of", [2, 3])
@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_histograms_that_share_no_column_fill_statements_worst(engine, of):
    manner, cliques = MANNERS[engine], [[f"x{of * at + part}" for part in range(of)] for at in range(70)]
    said, sent = manner.statements_of_some(70, of, 70 * of), manner.statements(cliques)
    assert said.number == sent.number == -(-70 // (60 // of)), "60 columns a statement"


@pytest.mark.parametrize("name", ["mst", "gibbs", "aim", "independent"])
def test_steps_grow_with_columns_as_they_say(tmp_path, name):
    found = []
    for columns in (60, 120):
        of = {f"x{at}": {"kind": "categorical", "values": list(range(6))} for at in range(columns)}
        schema = Schema.from_dict({"version": 1, "columns": of})
        found.append(plan_cost("claims/", name, epsilon="1", delta="1e-6", schema=schema))
    small, large = found
    for one, two in zip(small.steps, large.steps, strict=True):
        if one.growth and one.histograms:
            for what in ("histograms", "cells"):
                times = getattr(two, what) / getattr(one, what)
                assert times <= 1.03 * 2**one.growth, (one.name, what)
                if "measure tables" not in one.name:  # gibbs has fewer tables a column where there are many
                    assert times >= 0.97 * 2**one.growth, (one.name, what)


def test_rho_of_all_steps_is_that_of_the_plan_and_figures_without_rows_are_for_a_million(tmp_path):
    declared, left_open = written(tmp_path / "claims", columns=6)
    for schema in (declared, left_open):
        found = plan_cost(tmp_path / "claims", "mst", epsilon="1", delta="1e-6", schema=schema)
        assert float(sum(step.rho for step in found.steps)) == pytest.approx(float(total_rho_up(found.plan.tree)))
        assert sum(step.events for step in found.steps) == sum(event.count for event in found.plan.tree.events)
        million = plan_cost(tmp_path / "claims", "mst", epsilon="1", delta="1e-6", schema=schema, rows=1_000_000)
        assert million.steps == found.steps
        assert found.rows is None and million.rows == 1_000_000
        assert found.to_json()["figures_for_rows"] == 1_000_000
        ten = plan_cost(tmp_path / "claims", "mst", epsilon="1", delta="1e-6", schema=schema, rows=10_000_000)
        assert ten.total("read") == pytest.approx(10 * found.total("read"))
        assert ten.total("statements") == found.total("statements")


def test_with_a_schema_nothing_is_opened_and_without_one_no_row_is_read(tmp_path, monkeypatch):
    declared, _ = written(tmp_path / "claims", columns=6)
    found = plan_cost("postgresql://ann:hunter2@nowhere.invalid/c", "mst", table="a.b", epsilon=1, delta="1e-6",
                      schema=declared)  # fmt: skip
    assert found.read == "nothing (the schema says it all)"
    assert "hunter2" not in json.dumps(found.to_json()) and "hunter2" not in repr(found)
    empty = pq.read_table(tmp_path / "claims" / "part.parquet").slice(0, 0)
    (tmp_path / "none").mkdir()
    pq.write_table(empty, tmp_path / "none" / "part.parquet")
    full, none = (
        plan_cost(tmp_path / name, "mst", epsilon=1, delta="1e-6").to_json() | {"source": ""}
        for name in ("claims", "none")
    )
    assert full == none, "what is said does not depend on rows"
    assert full["read"] == "names and types of the columns" and full["rows"] is None


def test_a_generator_that_says_nothing_is_priced_and_its_questions_are_unknown():
    class Newcomer:
        name = "independent"

        def plan(self, *args, **options):
            return Independent().plan(*args, **options)

    schema = Schema.from_dict({"version": 1, "columns": {"x": {"kind": "boolean"}}})
    found = plan_cost("claims/", Newcomer(), epsilon=1, delta="1e-6", schema=schema)
    (fit,) = [step for step in found.steps if step.name == "fit"]
    assert fit.statements is None and fit.cells is None and not found.known
    assert fit.rho == total_rho_up(found.plan.tree)
    assert found.time is None


@pytest.mark.parametrize("rows", [0, -5, 10**14])
def test_nonsense_is_refused(rows):
    schema = Schema.from_dict({"version": 1, "columns": {"x": {"kind": "boolean"}, "y": {"kind": "boolean"}}})
    ask = {"epsilon": 1, "delta": "1e-6", "schema": schema}
    for name in ("rows", "draw"):
        with pytest.raises(ParameterError, match=f"Expected {name}={rows} between 1 and"):
            plan_cost("claims/", "mst", **ask, **{name: rows})
    with pytest.raises(ParameterError, match="are more than a sealed draft holds"):
        plan_cost("claims/", "mst", **ask, draw=10**9)
    with pytest.raises(ParameterError, match="Files have no table to name"):
        plan_cost("claims.parquet", "mst", **ask, table="a.b")
    with pytest.raises(ParameterError, match="no table is named"):
        plan_cost("spark://host:7077", "mst", **ask)
    with pytest.raises(ParameterError, match="epsilon must be a number above 0"):
        plan_cost("claims/", "mst", epsilon=0, delta="1e-6", schema=schema)
    with pytest.raises(SchemaError, match="unit 'nobody' is not a column"):
        plan_cost("claims/", "mst", **ask, unit=PrivacyUnit(kind="user", column="nobody", max_records=2))
    with pytest.raises(DataError, match="does not exist"):
        plan_cost("nowhere.parquet", "mst", epsilon=1, delta="1e-6")


@pytest.mark.parametrize("by_unit", [True, False])
def test_bought_quality_asks_what_was_said_beside_the_run(tmp_path, monkeypatch, by_unit):
    declared, _ = written(tmp_path / "claims", columns=9)
    (tmp_path / "s.yaml").write_text(declared.to_yaml(), "utf-8")
    ws = Workspace.init(tmp_path / "vault")
    unit = {"unit": "person", "max_per_unit": 3} if by_unit else {"row_key": "key"}
    data = ws.register(tmp_path / "claims", schema=tmp_path / "s.yaml", **unit)
    ws.create_budget(data, epsilon=3, delta="1e-6")
    asked = {"epsilon": "1", "delta": "1e-7", "workspace": ws, "rows": ROWS}
    found, run = (plan_cost(data, "independent", **asked, **more) for more in ({"publish_quality": "0.5"}, {}))
    assert found.steps[: len(run.steps)] == run.steps and found.plan == run.plan
    draft = ws.synthesize(data, "independent", epsilon="1", delta="1e-7", rows=500)
    with counted(monkeypatch) as sent:
        figure = draft.buy_figure("marginals", epsilon="0.5")
    more = found.steps[len(run.steps) :]
    assert found.quality.marginals == len(figure.marginals) and found.quality.scale == figure.scale
    assert more[-1].histograms == len(figure.marginals) and more[-1].cells >= sum(figure.sizes)
    for what in ("statements", "source", "copy", "codes", "uploads"):
        said, happened = (
            sum(values) for values in ((getattr(s, what) for s in more), (of[what] for of in sent.values()))
        )
        assert happened <= said <= happened + (9 if what == "uploads" else 2), (
            what,
            {k: v[what] for k, v in sent.items()},
        )
