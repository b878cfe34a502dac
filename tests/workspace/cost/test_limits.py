"""What breaks first: each limit by a table that breaks it, worst first, with the advice that helps; and estimates."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from dpsynth.schema.model import Schema
from dpsynth.workspace.cost import plan_cost
from dpsynth.workspace.cost.estimate import estimated
from dpsynth.workspace.cost.limits import BLOCKS, COARSER, DECLARE

TERMS = {"epsilon": 1, "delta": "1e-9"}


def planned(name: str, columns: int, rows: int, spec: dict, source: str = "claims/", **more):
    of = Schema.from_dict({"version": 1, "columns": {f"x{at}": spec for at in range(columns)}})
    return plan_cost(source, name, schema=of, rows=rows, **TERMS, **more)


def limit(found, name: str):
    return next(one for one in found.limits if one.name == name)


def test_open_domains_of_many_rows_break_memory_and_declared_ones_do_not():
    open_, declared = ({"kind": "integer"}, {"kind": "integer", "min": 0, "max": 100_000})
    worst = planned("mst", 12, 10**10, open_).limits[0]
    assert (worst.name, worst.advice) == ("memory here", DECLARE) and worst.part > 1
    assert "find spikes" in worst.says
    assert limit(planned("mst", 12, 10**10, declared), "memory here").part < worst.part / 100


def test_tables_of_all_pairs_break_memory_whatever_the_rows():
    spec = {"kind": "categorical", "values": list(range(127))}
    few, many = (limit(planned("aim", 150, rows, spec), "memory here") for rows in (10**6, 10**9))
    assert few.advice == many.advice == BLOCKS
    assert many.part < 1.1 * few.part, "rows do not matter for it"
    assert "fit the model" in few.says


def test_pairs_break_time_and_a_cluster_is_measured_by_another_engine():
    spec = {"kind": "boolean"}
    here, there = (
        limit(planned("mst", 60, 10**11, spec, source, **table), "time")
        for source, table in (("claims/", {}), ("spark://host:7077", {"table": "a.b"}))
    )
    assert here.part == there.part > 1 and here.advice == BLOCKS
    assert "if spark counts as fast as duckdb" in there.says and "if" not in here.says.split("count")[1].split(",")[0]


def test_a_relation_of_too_many_columns_and_noise_beyond_the_rows_are_seen():
    spec = {"kind": "boolean"}
    of = {f"x{at}": {**spec, **({} if at < 2 else {"role": "identifier"})} for at in range(1601)}
    wide = Schema.from_dict({"version": 1, "columns": of})
    found = plan_cost("postgresql://host/c", "independent", table="a.b", schema=wide, **TERMS)
    assert limit(found, "columns").part == pytest.approx(1601 / 1600)
    assert limit(planned("mst", 60, 2000, spec), "noise of scores").part > 1
    assert limit(planned("mst", 60, 10**9, spec), "noise of scores").part < 0.01


def test_a_histogram_that_no_table_gives_is_seen():
    spec = {"kind": "categorical", "values": list(range(127))}
    found = limit(planned("mst", 2, 10**6, spec), "cells")
    assert found.advice == COARSER and found.part == pytest.approx(128**2 / 2**27)


def test_the_measurements_are_those_of_the_page():
    """`docs/concepts/engines.md`: CPU seconds of 15 single columns, and of the codes and all 105 pairs together."""
    own = json.loads(resources.files("dpsynth.workspace.cost").joinpath("measured.json").read_text("utf-8"))
    own = own["engines"]["duckdb"]
    page = (Path(__file__).resolve().parents[3] / "docs" / "concepts" / "engines.md").read_text("utf-8")
    lines = page.partition("| rows × 15 columns |")[2].split("\n\n")[0].splitlines()[2:]
    for line, single, joint in zip(lines, own["singles"]["points"], own["joint"]["points"], strict=True):
        rows, _, *parts = (cell.strip() for cell in line.strip("|").split("|"))
        cpu = [float(re.findall(r"\(([\d.]+)\)", part)[0]) for part in parts[:3]]
        assert single["rows"] == joint["rows"] == int(rows.replace(",", ""))
        assert [single["cpu_s"], joint["cpu_s"]] == pytest.approx([cpu[0], cpu[1] + cpu[2]])


def test_time_is_what_was_measured_and_says_where_and_how_far_beyond():
    facts = json.loads(resources.files("dpsynth.workspace.cost").joinpath("measured.json").read_text("utf-8"))
    own = facts["engines"]["duckdb"]
    most = max(own["joint"]["points"], key=lambda point: point["rows"])
    at = estimated("duckdb", most["rows"], 0, own["joint"]["histograms"])
    assert at.seconds == pytest.approx(most["cpu_s"] + own["joint"]["histograms"] * own["joint"]["least_s"])
    assert at.beyond == 1 and own["command"] in at.measured and at.elsewhere("duckdb") == ""
    far = estimated("duckdb", 10 * most["rows"], 0, own["joint"]["histograms"])
    assert far.beyond == 10 and far.seconds > 5 * at.seconds
    assert estimated("duckdb", most["rows"], 0, 2 * own["joint"]["histograms"]).seconds == 2 * at.seconds
