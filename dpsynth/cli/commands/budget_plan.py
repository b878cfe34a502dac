"""`budget plan`: what a run would cost under each filter, and how many like it fit, before anything is touched."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.planning import Offer, Outlook

DIGITS = 5


def plan(
    data: Annotated[
        str,
        typer.Argument(
            help="a CSV or Parquet file; rows in an engine (see: dpsynth synthesize --help); or the name of a "
            "registered data set"
        ),
    ],
    epsilon: Epsilon,
    delta: Delta = "1e-6",
    generator: Annotated[
        str, typer.Option("--generator", "-g", help="auto (by the schema), gibbs, aim, mst or independent")
    ] = "auto",
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="how many such runs are meant")] = 5,
    grant_epsilon: Annotated[str | None, typer.Option(help="of a new budget; default: runs times --epsilon")] = None,
    grant_delta: Annotated[str | None, typer.Option(help="of a new budget; default: runs times --delta")] = None,
    filter_: BudgetFilter = None,
    order: FilterOrder = None,
    conversion_delta: ConversionDelta = None,
    purpose: SharePurpose = None,
    schema: SchemaFile = None,
    target: Annotated[str | None, typer.Option(help="the column that models will predict")] = None,
    table: TableName = None,
    row_key: RowKey = None,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """What such runs would cost under each filter, and how many fit; free, from public facts alone."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.tabular import generator as generator_named
    from dpsynth.workspace.planning import outlook
    from dpsynth.workspace.registry.datasets import unit_of

    terminal = Terminal(as_json=as_json)
    found = outlook(
        given_workspace(workspace),
        data,
        generator_named(generator),
        table=table,
        row_key=row_key,
        epsilon=epsilon,
        delta=delta,
        runs=runs,
        schema=schema,
        target=target,
        unit=unit_of(unit, max_per_unit),
        grant_epsilon=grant_epsilon,
        grant_delta=grant_delta,
        filter_=filter_,
        order=order,
        conversion_delta=conversion_delta,
        purpose=purpose,
    )
    _show(terminal, found)
    again: list[str | Path] = [] if schema is None else ["--schema", schema]
    again += [] if table is None else ["--table", table]
    again += [] if row_key is None else ["--row-key", row_key]
    again += [] if unit is None else ["--unit", unit, "--max-per-unit", str(max_per_unit)]
    advice = _advice(terminal, found, again, purpose, epsilon, workspace)
    terminal.result({**found.to_json(), "advice": advice})


def short(value: Decimal, rounding: str = ROUND_CEILING) -> str:
    """A number of at most five digits, rounded to the safe side; exact in `--json`.

    >>> short(Decimal("0.99987654321")), short(Decimal("0.000004500"))
    ('0.99988', '4.5e-6')
    """
    from accounting.decimals import decimal_text

    return decimal_text(Context(prec=DIGITS, rounding=rounding).plus(value))


def given_workspace(folder: Path | None) -> Workspace | None:
    """The workspace that is meant; None if nobody named one and there is none: a new budget is planned then."""
    import os

    from dpsynth.core.errors import WorkspaceError
    from dpsynth.workspace import Workspace

    if folder is not None or os.environ.get("DPSYNTH_WORKSPACE"):
        return Workspace.open(folder)
    try:
        return Workspace.open()
    except WorkspaceError:
        return None


def _show(terminal: Terminal, found: Outlook) -> None:
    guarantee, many = found.plan.guarantee, found.runs > 1
    rows = [
        [
            offer.quote.label,
            *("-" if value is None else short(value) for value in (offer.first, offer.quote.epsilon)[: 1 + many]),
            "-" if offer.quote.delta is None else short(offer.quote.delta),
            str(offer.quote.fits),
            offer.stopped_by or "no price",
        ]
        for offer in found.offers
    ]
    claim = f"{guarantee.relation.value.replace('_', '/')}, {found.plan.tree.unit}"
    cost = f"epsilon {short(guarantee.epsilon)} at delta {short(guarantee.delta)}"
    terminal.say(f"One run by {found.plan.generator}: {cost} ({claim})")
    terminal.table(
        f"Grant of {found.granted}, nothing spent",
        ["filter", ">1 run", *([f">{found.runs} runs"] if many else []), ">delta", ">fit", "next lacks"],
        rows,
    )
    for offer in found.offers:
        if offer.quote.reason:
            terminal.say(f"{offer.quote.label}: {offer.quote.reason}")
    terminal.say(f"Read of the data: {found.read}. Nothing was reserved or spent.")


def _advice(
    terminal: Terminal,
    found: Outlook,
    again: list[str | Path],
    purpose: str | None,
    epsilon: str,
    workspace: Path | None,
) -> str | None:
    """One more line, with the command that follows; returns that command."""
    if found.room is None:
        best = found.best
        if best is None or not best.quote.fits:
            terminal.say("No such run fits: plan a larger grant (--grant-epsilon, --grant-delta), or a smaller run.")
            return None
        command = to_copy("dpsynth", "budget", "create", found.data, *_terms(found, best), *again, workspace=workspace)
        terminal.say(
            f"Most runs fit under {best.quote.label}: {best.quote.fits}. A filter is chosen once, with the grant:"
        )
        terminal.say(f"  {command}")
        return command
    room = found.room
    terminal.say(f"Left of '{room.budget.label}', {room.budget.composition}: {room.runs} such runs; the next is "
                 f"stopped by the {room.stopped_by} of '{room.blocking.label}'.")  # fmt: skip
    named = [] if purpose is None else ["--purpose", purpose]
    if room.runs:
        words = ["synthesize", found.data, "--epsilon", epsilon, "--delta", short(found.plan.guarantee.delta)]
        command = to_copy("dpsynth", *words, *named, workspace=workspace)
        terminal.say(f"Next: {command}")
        return command
    command = to_copy("dpsynth", "sample", "DRAFT", workspace=workspace)
    terminal.say(f"More rows of a draft that is paid for are post-processing, and free: {command}")
    return command


def _terms(found: Outlook, offer: Offer) -> list[str]:
    from accounting.decimals import decimal_text

    made, granted = offer.composition, found.granted
    words = ["--epsilon", decimal_text(granted.epsilon), "--delta", decimal_text(granted.delta)]
    words += ["--filter", made.name.value]
    words += [] if made.order is None else ["--order", decimal_text(made.order)]
    return words + (
        [] if made.conversion_delta is None else ["--conversion-delta", decimal_text(made.conversion_delta)]
    )
