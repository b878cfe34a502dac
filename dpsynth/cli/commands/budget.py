"""`budget create | show`: what a person grants, and what is left of it."""

from __future__ import annotations

from typing import Annotated

import typer

from dpsynth.cli.commands.options import (
    AsJson,
    Delta,
    Epsilon,
    MaxPerUnit,
    SchemaFile,
    UnitColumn,
    WorkspaceDir,
    to_copy,
)

Data = Annotated[str, typer.Argument(help="a CSV or Parquet file, or the name of a registered data set")]


def create(
    data: Data,
    epsilon: Epsilon,
    delta: Delta,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    schema: SchemaFile = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Grant a data set its privacy budget: all releases together may spend no more."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    ws = Workspace.open(workspace)
    record = ws.register(data, unit=unit, max_per_unit=max_per_unit, schema=schema)
    balance = ws.create_budget(record, epsilon=epsilon, delta=delta)
    terminal.say(
        f"Budget of '{record.name}' ({record.unit}): epsilon {balance.epsilon.granted}, delta {balance.delta.granted}"
    )
    terminal.say(f"Next: {to_copy('dpsynth', 'synthesize', data, '--epsilon', '1', workspace=workspace)}")
    terminal.result({"dataset": record.name, **balance_fields(balance)})


def show(data: Data, workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """What is granted, spent, reserved and left."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    ws = Workspace.open(workspace)
    record = ws.find(data)
    balance = ws.balance(record)
    rows = [
        [name, *(str(getattr(amounts, part)) for part in ("granted", "spent", "reserved", "left"))]
        for name, amounts in (("epsilon", balance.epsilon), ("delta", balance.delta))
    ]
    terminal.table(f"Budget of '{record.name}', {record.unit}", ["", ">granted", ">spent", ">reserved", ">left"], rows)
    terminal.result({"dataset": record.name, **balance_fields(balance)})


def balance_fields(balance: object) -> dict[str, dict[str, str]]:
    """The fields of `budget show --json`."""
    return {
        name: {part: str(getattr(getattr(balance, name), part)) for part in ("granted", "spent", "reserved", "left")}
        for name in ("epsilon", "delta")
    }


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(help="Grant a data set its privacy budget, and see what is left.", no_args_is_help=True)
    group.command()(create)
    group.command()(show)
    app.add_typer(group, name="budget")
