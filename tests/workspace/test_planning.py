"""What a plan says in Python is what `budget plan` says, without a workspace and without a row."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from dpsynth import demo
from dpsynth.workspace.planning import plan_budget
from dpsynth.workspace.workspace import Workspace


def test_the_offers_as_a_table_are_the_document(tmp_path: Path) -> None:
    table, schema = demo.write("fair", tmp_path)
    found = plan_budget(table, "mst", epsilon=1, delta="1e-6", runs=3, schema=schema)
    rows = found.table()
    for quote in found.to_json()["quotes"]:
        row = rows.loc[next(name for name in rows.index if name.startswith(quote["filter"]))]
        assert row["fit"] == quote["fits"] and row["the next lacks"] == quote["stopped_by"]
        assert row["3 runs"] == float(quote["epsilon"])
    assert found.granted.epsilon == Decimal(3)
    assert found.read.startswith("nothing") and found.room is None


def test_a_registered_data_set_is_planned_within_what_its_budget_has_left(tmp_path: Path) -> None:
    table, schema = demo.write("fair", tmp_path)
    ws = Workspace.init(tmp_path / "vault")
    data = ws.register(table, schema=schema)
    ws.create_budget(data, epsilon=2, delta="1e-5")
    found = plan_budget(data, "mst", epsilon=1, delta="1e-6", workspace=ws)
    assert found.room is not None and found.room.runs == 2
    larger = plan_budget(table, "mst", epsilon=1, delta="1e-6", schema=schema, grant_epsilon=7, grant_delta="1e-5")
    assert larger.room is None and larger.offers[0].quote.fits == 7
