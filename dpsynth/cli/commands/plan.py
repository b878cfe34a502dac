"""`plan`: what a run would ask of its data, step by step, before the first query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.budget_plan import given_workspace, short
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
    from dpsynth.workspace.cost.steps import Step

SHOWN_LIMITS = 4
COMFORTABLE = 0.1
"""Part of a limit below which it is not worth a line."""


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
    from dpsynth.workspace.datasets import unit_of

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
        workspace=given_workspace(workspace),
    )
    _show(terminal, found)
    terminal.result(found.to_json())


def _show(terminal: Terminal, found: CostPlan) -> None:
    from dpsynth.core.amounts import duration, size
    from dpsynth.workspace.cost.plan import MILLION

    guarantee, engine = found.plan.guarantee, found.engine != "memory"
    claim = f"{guarantee.relation.value.replace('_', '/')}, {found.plan.tree.unit}"
    given = f"about {found.rows:,} rows" if found.rows else f"figures for {MILLION:,} rows (--rows is not given)"
    terminal.say(f"{found.plan.generator} on {found.source} ({found.engine}): {found.columns} columns, {given}")
    terminal.say(f"epsilon {short(guarantee.epsilon)} at delta {short(guarantee.delta)} ({claim})")
    rho = sum(float(step.rho or 0) for step in found.steps)
    there = [">statements", ">scans", ">read there"] if engine else []
    heads = ["step", *there, ">histograms", ">cells", ">memory here", ">of rho", "grows with"]
    lines = [_row(step, rho, engine=engine) for step in found.steps]
    terminal.table("At most", heads, lines, spare=["cells", *(["read there"] if engine else []), "grows with"])
    if engine:
        scans = ", ".join(f"{found.total(of):,} of the {what}" for of, what in SCANNED.items() if found.total(of))
        terminal.say(
            f"{found.total('statements'):,} statements and {found.total('uploads'):,} public tables; scans: {scans}; "
            f"{size(found.total('written'))} written there"
            + (f"; {found.total('shuffles'):,} shuffles" if found.total("shuffles") else "")
        )
    for step in found.steps:
        if step.note is not None and step.name == "draw rows":
            terminal.say(f"Of the rows to draw, {step.note}.")
    if not found.known:
        terminal.say(f"{found.plan.generator} does not say what it asks: its questions are unknown.")
    if found.worst:
        terminal.say(f"Open domains: {len(found.worst)}; their figures are the worst that may come.")
    if (time := found.time) is not None:
        far = f", for {time.beyond:,.0f} times as many rows" if time.beyond > 1 else ""
        about = f"about {duration(time.seconds)} of CPU time{time.elsewhere(found.engine)}"
        terminal.say(f"Counting: {about}, by what was measured{far} on")
        terminal.say(f"  {time.measured}")
    first = [limit for limit in found.limits if limit.part >= COMFORTABLE][:SHOWN_LIMITS] or found.limits[:1]
    terminal.say("What breaks first:" if first[0].part >= 1 else "Nothing breaks; nearest to its limit:", style="bold")
    for limit in first:
        terminal.say(f"  {limit.name}, {limit.part:.2g} of its limit: {limit.says}.")
        if limit.part >= 1:
            terminal.say(f"    {limit.advice}")
    terminal.say(f"Read of the data: {found.read}. Nothing was counted, reserved or spent.")


SCANNED = {"source": "source", "copy": "engine's own copy", "codes": "codes"}


def _row(step: Step, rho: float, *, engine: bool) -> list[str]:
    from dpsynth.core.amounts import size

    def number(value: int | None) -> str:
        return "unknown" if value is None else f"{value:,}" if value else ""

    scans = " + ".join(f"{value:,} {of}" for of in SCANNED if (value := getattr(step, of)))
    there = [number(step.statements), scans, size(step.read) if step.read else ""] if engine else []
    part = "" if not step.events else "unknown" if step.rho is None else f"{float(step.rho) / rho:.1%}"
    here = size(step.here) if step.here else ""
    return [step.name, *there, number(step.histograms), number(step.cells), here, part, growth(step)]


def growth(step: Step) -> str:
    """What a step grows with, in words."""
    columns = {0: [], 1: ["columns"], 2: ["columns²"]}[step.growth]
    rows = ["rows"] if step.source or step.copy or step.codes else []
    return " × ".join([*rows, *columns])


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(plan)
