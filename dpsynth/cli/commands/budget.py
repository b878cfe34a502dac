"""`budget create | show | amend`: what a person grants, whole and in parts, what is left of it, and another grant."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands import budget_plan
from dpsynth.cli.commands.options import (
    AsJson,
    BudgetFilter,
    ConversionDelta,
    Delta,
    Epsilon,
    FilterOrder,
    MaxPerUnit,
    RowKey,
    SchemaFile,
    SharePurpose,
    TableName,
    UnitColumn,
    WorkspaceDir,
    to_copy,
)

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.budgets import Node
    from dpsynth.workspace.registry.datasets import DatasetRecord

Data = Annotated[
    str,
    typer.Argument(
        help="a CSV or Parquet file; postgresql://…, spark://…, a folder or pattern of Parquet files, whose rows stay "
        "where they are; or the name of a registered data set"
    ),
]


def create(
    data: Data,
    epsilon: Epsilon,
    delta: Delta,
    filter_: BudgetFilter = None,
    order: FilterOrder = None,
    conversion_delta: ConversionDelta = None,
    parent: Annotated[
        str | None,
        typer.Option(help="data set or budget id that DATA is a version of or overlaps: both spend from it"),
    ] = None,
    purpose: Annotated[
        str | None, typer.Option(help="take a share of DATA's budget under this name; receivers see it")
    ] = None,
    recipient: Annotated[str, typer.Option(help="for whom the share is: internal, restricted, public or any")] = "any",
    table: TableName = None,
    row_key: RowKey = None,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    schema: SchemaFile = None,
    parents: Annotated[
        list[Path] | None,
        typer.Option("--parents", help="a bundle or file whose synthetic rows are in DATA; repeatable, recorded"),
    ] = None,
    real_anchor: Annotated[
        bool, typer.Option("--real-anchor", help="with --parents: DATA holds real rows too; else no draft of it ships")
    ] = False,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Grant a data set its privacy budget, or take a share of it: all releases together may spend no more."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    ws = Workspace.open(workspace)
    if _is_share(purpose, unit):
        record = ws.find(data, table=table)
    else:
        record = ws.register(
            data, table=table, row_key=row_key, unit=unit, max_per_unit=max_per_unit, schema=schema,
            parents=parents or (), real_anchor=real_anchor,
        )  # fmt: skip
    balance = ws.create_budget(
        record,
        epsilon=epsilon,
        delta=delta,
        filter=filter_,
        order=order,
        conversion_delta=conversion_delta,
        parent=parent,
        purpose=purpose,
        recipient=recipient,
        warn=terminal.warn,
    )
    terminal.say(f"Budget of '{record.name}'{_for(purpose)} ({record.unit}): {balance.original}, {balance.composition}")
    _say_where(terminal, record)
    if purpose is not None or parent is not None:
        terminal.say("What it spends, every budget above it spends too.")
    again = data if record.place is None else record.name  # a URL may hold a password, and commands are copied
    words = ["dpsynth", "synthesize", again, "--epsilon", "1", *([] if purpose is None else ["--purpose", purpose])]
    terminal.say(f"Next: {to_copy(*words, workspace=workspace)}")
    terminal.result({"dataset": record.name, "purpose": purpose, "recipient": recipient, **balance.to_json()})


def show(data: Data, table: TableName = None, workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """What is granted, spent, reserved and left: of a data set's budget and of all that share it."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    ws = Workspace.open(workspace)
    record = ws.find(data, table=table)
    balance, nodes = ws.balance(record), ws.budgets(record)
    terminal.say(f"Budget of '{record.name}', add/remove, {record.unit}: {balance.composition}", style="bold")
    _say_where(terminal, record)
    _tables(terminal, nodes)
    if balance.currency.value != "epsilon":
        terminal.say(f"Runs add up in {balance.currency.value}; epsilon is what the sum converts to.")
    for node in nodes:
        _amendments(terminal, node)
    spent = balance.odometer
    terminal.say(f"Spent so far: epsilon {_up(spent.epsilon)}, delta {_up(spent.delta)}.")
    terminal.say("That is a guarantee only at a point chosen beforehand; what holds in any case is the grant.")
    terminal.result({"dataset": record.name, **balance.to_json(), "nodes": [node.to_json() for node in nodes]})


def amend(
    data: Data,
    reason: Annotated[str, typer.Option(help="why; every later report shows it")],
    key: Annotated[Path, typer.Option(help="the approver's private key (see: dpsynth keys make)")],
    epsilon: Annotated[str | None, typer.Option("--epsilon", "-e", help="the new total; default as it is")] = None,
    delta: Annotated[str | None, typer.Option("--delta", "-d", help="the new total; default as it is")] = None,
    purpose: SharePurpose = None,
    table: TableName = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a grant, with the key of a second person; the original stays in sight for ever."""
    from accounting.ledger.signing import Signer
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    ws = Workspace.open(workspace)
    record = ws.find(data, table=table)
    balance = ws.amend_budget(
        record, epsilon=epsilon, delta=delta, reason=reason, approver=Signer.load(key), purpose=purpose
    )
    now = balance.amendments[-1]
    terminal.say(f"The budget of '{record.name}'{_for(purpose)} was {now.before} and is now {now.after}.")
    terminal.say("Every later `budget show`, and the ledger in every bundle, shows both, the reason and the key.")
    terminal.result({"dataset": record.name, "purpose": purpose, **balance.to_json()})


def _say_where(terminal: Terminal, record: DatasetRecord) -> None:
    if record.place is not None:
        terminal.say(
            f"Rows stay where they are: {record.place.shown}. The budget is this place's, whatever changes there."
        )


def _is_share(purpose: str | None, unit: str | None) -> bool:
    """A share is of data that is registered; a unit that is given all the same is checked by registering."""
    return purpose is not None and unit is None


def _for(purpose: str | None) -> str:
    return "" if purpose is None else f" for '{purpose}'"


def _tables(terminal: Terminal, nodes: tuple[Node, ...]) -> None:
    """Epsilon of each budget, its delta, and what the filter adds up where that is no epsilon."""
    parts = ("granted", "spent", "reserved", "left")
    quantities = [("epsilon", "epsilon"), ("delta", "delta")]
    currency = nodes[0].balance.currency.value
    if currency != "epsilon":
        quantities.append(("loss", currency))
    rows = [
        [about, shown, *_figures(getattr(node.balance, name))]
        for node in nodes
        for about, (name, shown) in zip((*_titles(node), ""), quantities, strict=False)
    ]
    terminal.table("", ["budget", "", *(f">{part}" for part in parts)], rows)


def _titles(node: Node) -> tuple[str, str]:
    """What a budget is for, and for whom, indented below the budget that it is a part of."""
    own, indent = node.record, "  " * node.depth
    whom = "" if own.recipient == "any" else f"{indent}  ({own.recipient.value})"
    return f"{indent}{own.dataset}" if own.purpose is None else f"{indent}for {own.purpose}", whom


def _figures(amounts: Any) -> list[str]:
    return [_down(amounts.granted), _up(amounts.spent), _up(amounts.reserved), _down(amounts.left)]


def _amendments(terminal: Terminal, node: Node) -> None:
    """Each change of a grant, beside what was granted first."""
    if node.balance.amendments:
        terminal.say(f"Amended: {node.record.label}. Granted first: {node.balance.original}.", style="bold")
        for change in node.balance.amendments:
            terminal.say(f"  {change}")


def _up(value: Decimal) -> str:
    return budget_plan.short(value, ROUND_CEILING)


def _down(value: Decimal) -> str:
    return budget_plan.short(value, ROUND_FLOOR)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(help="Privacy budgets: plan, grant, share, show, amend.", no_args_is_help=True)
    for command in (budget_plan.plan, create, show, amend):
        group.command()(command)
    app.add_typer(group, name="budget")
