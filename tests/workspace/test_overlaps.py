"""Rows that have two names have one budget: files in folders, patterns, links; and one warning about hosts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import BudgetRefused, DpsynthError
from dpsynth.core.progress import silent
from dpsynth.workspace import Workspace
from dpsynth.workspace.figures.figure import buy

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    for at, place in enumerate(("claims", "claims/2024", "other")):
        (tmp_path / place).mkdir()
        rows = pa.table({"id": range(at * 300, at * 300 + 300), "x": [row % 3 for row in range(300)]})
        pq.write_table(rows, tmp_path / place / "a.parquet")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "soft.parquet").symlink_to(tmp_path / "claims" / "a.parquet")
    (tmp_path / "hard").mkdir()
    os.link(tmp_path / "claims" / "a.parquet", tmp_path / "hard" / "a.parquet")
    return Workspace.init(tmp_path / "vault")


def grant(ws: Workspace, place: str, parent: str | None = None) -> str:
    at = ws.layout.root.parent / place
    record = ws.register(at, row_key=None if at.suffix == ".parquet" and "*" not in place else "id")
    ws.create_budget(record, epsilon=1, delta="1e-6", parent=parent)
    return record.name


NAMES = ("claims/a.parquet", "claims/*.parquet", "claims/**/*.parquet", "claims/2024", "links", "hard", "c*/a.parquet")


@pytest.mark.parametrize("name", NAMES)
def test_a_second_name_of_rows_gets_no_budget_of_its_own_in_either_order(ws: Workspace, name: str) -> None:
    first = grant(ws, "claims")
    with pytest.raises(BudgetRefused, match="hold the same files"):
        grant(ws, name)
    grant(ws, name, parent=first)


@pytest.mark.parametrize("name", NAMES)
def test_nor_does_the_folder_once_a_part_of_it_has_one(ws: Workspace, name: str) -> None:
    first = grant(ws, name)
    with pytest.raises(BudgetRefused, match=f"--parent {first}"):
        grant(ws, "claims")
    grant(ws, "claims", parent=first)


def test_what_a_child_spends_its_parent_spends(ws: Workspace) -> None:
    first = grant(ws, "claims")
    child = grant(ws, "claims/2024", parent=first)
    ws.synthesize(child, "independent", epsilon="0.5", delta="1e-7", canaries=0)
    assert ws.balance(first).epsilon.spent == ws.balance(child).epsilon.spent > 0


def test_other_files_have_budgets_of_their_own(ws: Workspace) -> None:
    grant(ws, "claims/2024")
    grant(ws, "claims/*.parquet")
    grant(ws, "other")


def test_files_that_come_later_lie_in_the_folder_already(ws: Workspace) -> None:
    """A pattern without a file of the folder yet, that will have one: the folder holds whatever is put into it."""
    grant(ws, "claims")
    new = ws.layout.root.parent / "claims" / "2026"
    new.mkdir()
    pq.write_table(pa.table({"id": [99], "x": [1]}), new / "b.parquet")
    with pytest.raises(BudgetRefused, match="hold the same files"):
        grant(ws, "claims/2026/*.parquet")


def test_a_table_of_that_name_on_another_host_is_warned_of(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpsynth.data.table import Table
    from dpsynth.workspace.registry import registering

    rows = Table.from_arrow(pa.table({"id": [1], "x": [2]}))
    monkeypatch.setattr(registering, "described", lambda source: rows)  # no server: names alone are compared
    first = ws.register("postgresql://db/claims", table="health.visits", row_key="id")
    ws.create_budget(first, epsilon=1, delta="1e-6")
    alias, other = (
        ws.register(url, table=table, row_key="id")
        for url, table in (("postgresql://db.example/claims", "health.visits"), ("postgresql://db/claims", "visits"))
    )
    said: list[str] = []
    ws.create_budget(other, epsilon=1, delta="1e-6", warn=said.append)
    assert said == []
    ws.create_budget(alias, epsilon=1, delta="1e-6", warn=said.append)
    assert len(said) == 1
    assert first.name in said[0]
    spark, cluster = (ws.register(url, table="w.t", row_key="id") for url in ("local[2]", "spark://elsewhere:7077"))
    ws.create_budget(spark, epsilon=1, delta="1e-6", warn=said.append)
    assert len(said) == 1
    ws.create_budget(cluster, epsilon=1, delta="1e-6", warn=said.append)
    assert spark.name in said[1]


def test_a_run_file_that_grants_says_what_is_doubtful(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpsynth.data.table import Table
    from dpsynth.workspace.registry import registering
    from dpsynth.workspace.run import RunConfig, execute

    rows = Table.from_arrow(pa.table({"id": [1], "x": [2]}))
    monkeypatch.setattr(registering, "described", lambda source: rows)  # no server: names alone are compared
    ws.create_budget(ws.register("postgresql://db/claims", table="t", row_key="id"), epsilon=1, delta="1e-6")
    body = {"data": "postgresql://127.0.0.1:1/claims", "table": "t", "row_key": "id", "workspace": ws.layout.root}
    amounts = {"epsilon": "1", "delta": "1e-6"}
    config = RunConfig.model_validate({**body, "budget": amounts, "synthesize": {**amounts, "generator": "mst"}})
    said: list[str] = []
    with pytest.raises(DpsynthError, match=r"was lost|not installed"):
        execute(config, say=said.append, progress=silent, warn=said.append)
    assert any("of the same name on another host" in words for words in said)


def test_no_figure_is_bought_of_rows_that_came_to_have_a_second_budget(ws: Workspace) -> None:
    here = ws.layout.root.parent
    grant(ws, "claims/2024")
    second = grant(ws, "other/a.parquet")
    draft = ws.synthesize(second, "independent", epsilon=0.1, delta="1e-7", canaries=0)
    draft.evaluate()
    os.link(here / "other" / "a.parquet", here / "claims" / "2024" / "b.parquet")
    with pytest.raises(BudgetRefused, match="hold the same files by now"):
        buy(draft, "copies", epsilon="0.1")


def test_files_that_are_linked_into_a_folder_after_both_were_granted_are_refused_at_the_next_run(ws: Workspace) -> None:
    first, second = grant(ws, "claims/2024"), grant(ws, "other")
    here = ws.layout.root.parent
    os.link(here / "other" / "a.parquet", here / "claims" / "2024" / "b.parquet")
    for name in (first, second):
        with pytest.raises(BudgetRefused, match="hold the same files by now"):
            ws.synthesize(name, "independent", epsilon=0.1, delta="1e-7")
    (here / "claims" / "2024" / "b.parquet").unlink()
    ws.synthesize(second, "independent", epsilon=0.1, delta="1e-7", canaries=0)


def test_children_of_one_budget_may_overlap_when_they_run(ws: Workspace) -> None:
    first = grant(ws, "claims")
    child = grant(ws, "claims/2024", parent=first)
    ws.synthesize(child, "independent", epsilon=0.1, delta="1e-7", canaries=0)


@pytest.mark.parametrize("order", [("claims", "copy"), ("copy", "claims"), ("claims", "copy/2024/b.parquet")])
def test_an_exact_copy_of_granted_files_gets_no_budget_of_its_own(ws: Workspace, order: tuple[str, str]) -> None:
    here = ws.layout.root.parent
    shutil.copytree(here / "claims", here / "copy")
    (here / "copy" / "2024" / "a.parquet").rename(here / "copy" / "2024" / "b.parquet")
    first = grant(ws, order[0])
    with pytest.raises(BudgetRefused, match="hold the same files") as refused:
        grant(ws, order[1])
    assert first in str(refused.value)
    grant(ws, order[1], parent=first)


def test_a_copy_that_was_looked_at_last_does_not_hide_the_first_file(ws: Workspace) -> None:
    here = ws.layout.root.parent
    grant(ws, "claims/2024/a.parquet")
    shutil.copy(here / "claims" / "2024" / "a.parquet", here / "away.parquet")
    ws.register(here / "away.parquet")  # the same content: its path is remembered now
    with pytest.raises(BudgetRefused, match="hold the same files"):
        grant(ws, "claims/2024")


def test_a_copy_that_arrives_after_both_were_granted_is_refused_at_the_next_run(ws: Workspace) -> None:
    here = ws.layout.root.parent
    first, second = grant(ws, "claims/2024"), grant(ws, "other")
    shutil.copy(here / "other" / "a.parquet", here / "claims" / "2024" / "b.parquet")
    for name in (first, second):
        with pytest.raises(BudgetRefused, match="hold the same files by now"):
            ws.synthesize(name, "independent", epsilon=0.1, delta="1e-7")


def test_files_without_rows_are_copies_of_nothing(ws: Workspace) -> None:
    """Spark writes parts without rows, and all of one schema are the same bytes."""
    here = ws.layout.root.parent
    for place in ("claims/2024", "other"):
        pq.write_table(pq.read_table(here / place / "a.parquet").slice(0, 0), here / place / "part-1.parquet")
    grant(ws, "claims/2024")
    grant(ws, "other")
