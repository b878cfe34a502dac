"""`plan`: what a run would ask of its data, step by step, before the first query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.budget_plan import given_workspace, short
from dpsynth.cli.commands.draft import figure_epsilon
from dpsynth.cli.commands.options import (
    AsJson,
    Delta,
    Epsilon,
    MaxPerUnit,
    RowKey,
    SchemaFile,
    TableName,
    UnitColumn,
    WorkspaceDir,
)

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.cost import CostPlan


def plan(
    source: Annotated[
        str, typer.Argument(help="a file, a folder or pattern of Parquet, a URL, or the name of a registered data set")
    ],
    epsilon: Epsilon,
    delta: Delta = "1e-6",
    table: TableName = None,
    row_key: RowKey = None,
    generator: Annotated[
        str, typer.Option("--generator", "-g", help="auto (by the schema), gibbs, aim, mst or independent")
    ] = "auto",
    rows: Annotated[
        int | None,
        typer.Option(help="about how many, as you know from elsewhere; it is never looked up; default: a million"),
    ] = None,
    draw: Annotated[int | None, typer.Option(help="synthetic rows; default: as many as there are")] = None,
    publish_quality: Annotated[
        str | None,
        typer.Option(metavar="epsilon=E", help="also what buying noisy figures of quality for the release would ask"),
    ] = None,
    schema: SchemaFile = None,
    target: Annotated[str | None, typer.Option(help="the column that models will predict")] = None,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """What a run would ask: statements, scans, histograms, memory and epsilon, before the first query; free."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.cost import plan_cost
    from dpsynth.workspace.registry.datasets import unit_of

    terminal = Terminal(as_json=as_json)
    found = plan_cost(
        source,
        generator,
        epsilon=epsilon,
        delta=delta,
        table=table,
        row_key=row_key,
        schema=schema,
        target=target,
        unit=unit_of(unit, max_per_unit),
        rows=rows,
        draw=draw,
        publish_quality=None if publish_quality is None else figure_epsilon(publish_quality, "--publish-quality"),
        workspace=given_workspace(workspace),
    )
    _show(terminal, found)
    terminal.result(found.to_json())


def _show(terminal: Terminal, found: CostPlan) -> None:
    from dpsynth.report.costs import cost_view

    view, guarantee = cost_view(found.to_json()), found.plan.guarantee
    claim = f"{guarantee.relation.value.replace('_', '/')}, {found.plan.tree.unit}"
    hint = "" if found.rows else " (--rows is not given)"
    terminal.say(f"{found.plan.generator} on {view.of}{hint}")
    terminal.say(f"epsilon {short(guarantee.epsilon)} at delta {short(guarantee.delta)} ({claim})")
    there = {"statements": ">statements", "scans": ">scans", "read": ">read there"} if view.engine else {}
    counted = {"histograms": ">histograms", "cells": ">cells", "here": ">memory here", "rho": ">of rho"}
    heads = {"name": "step", **there, **counted, "grows": "grows with"}
    spare = ["cells", *(["read there"] if there else []), "grows with"]
    cells = [[getattr(line, field) for field in heads] for line in view.lines]
    terminal.table("At most", list(heads.values()), cells, spare=spare)
    for line in (view.totals, *view.notes):
        if line:
            terminal.say(line)
    breaks = any(limit.word == "breaks" for limit in view.limits)
    terminal.say("What breaks first:" if breaks else "Nothing breaks; nearest to its limit:", style="bold")
    for limit in view.limits:
        terminal.say(f"  {limit.name}, {limit.part} of its limit: {limit.says}.")
        if limit.word == "breaks":
            terminal.say(f"    {limit.advice}")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(plan)
