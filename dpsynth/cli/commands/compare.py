"""`dpsynth compare`: generators by epsilons by seeds, on public, simulated or registered data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands.options import (
    AsJson,
    Delta,
    MaxPerUnit,
    SchemaFile,
    SharePurpose,
    UnitColumn,
    WorkspaceDir,
    to_copy,
)

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.comparison import Comparison

SIMULATED = "simulated:"
HEADS = ("tvd1", "tvd2", "tvd3", "tstr", "kept", "invented", "cpu_s")


def compare(
    data: Annotated[
        str,
        typer.Argument(help="a file, a registered data set, or simulated:network, simulated:mixture"),
    ],
    generator: Annotated[list[str], typer.Option("--generator", "-g", help="a name; repeat it for each generator")],
    epsilon: Annotated[str, typer.Option("--epsilon", "-e", help="privacy losses, with commas: 0.1,0.3,1,3,10")] = "1",
    delta: Delta = "1e-6",
    seeds: Annotated[int, typer.Option(min=1, help="repetitions of each run")] = 3,
    public: Annotated[bool, typer.Option("--public", help="the data is public: nothing is charged")] = False,
    schema: SchemaFile = None,
    target: Annotated[str | None, typer.Option(help="the column that models will predict")] = None,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    holdout: Annotated[float, typer.Option(help="share of rows that no generator sees (public data)")] = 0.3,
    split_seed: Annotated[int, typer.Option(min=0, help="of the split (public data)")] = 0,
    rows: Annotated[int, typer.Option(min=100, help="simulated data: how many rows")] = 3000,
    columns: Annotated[int, typer.Option(min=2, help="simulated data: how many columns")] = 10,
    folder: Annotated[
        Path | None, typer.Option(help="keep every run here, to go on after a stop (public data)")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="runs at a time (public data); default one a core")] = None,
    html: Annotated[Path | None, typer.Option(help="write the page: one file with curves and tables")] = None,
    purpose: SharePurpose = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> int:
    """Compare generators at several epsilons: public or simulated data for free, private data through the ledger."""
    from accounting.relation import PrivacyUnit
    from dpsynth.cli.terminal import Terminal
    from dpsynth.comparison import compare as run
    from dpsynth.workspace.runs.public import check_place

    terminal = Terminal(as_json=as_json)
    if html is not None:
        check_place(html)
    simulated = data.startswith(SIMULATED)
    private = not (public or simulated)
    if not private and purpose is not None:
        raise typer.BadParameter("--purpose names a budget, and public data draw on none")
    if private and (unit is not None or folder is not None):
        raise typer.BadParameter("--unit and --folder are for public data; add --public if anybody may see the rows")
    options: dict[str, Any] = {"epsilon": _listed(epsilon), "delta": delta, "seeds": seeds, "schema": schema}
    options |= {"target": target, "warn": terminal.warn}
    if private:
        from dpsynth.workspace import Workspace

        options |= {"workspace": Workspace.open(workspace), "budget": purpose}
    else:
        of = PrivacyUnit(kind="user", column=unit, max_records=max_per_unit) if unit is not None else None
        options |= {"public": public, "unit": of, "holdout": holdout, "split_seed": split_seed}
        options |= {"folder": folder, "workers": workers}
    source: Any = _drawn(data, rows, columns) if simulated else data
    with terminal.progress() as progress:
        found = run(generator, source, progress=progress, **options)
    _show(terminal, found, html)
    terminal.result({**found.to_json(), "html": None if html is None else str(html)})
    return 1 if found.failed else 0


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _drawn(data: str, rows: int, columns: int) -> Any:
    from dpsynth.simulation import world

    return world(data.removeprefix(SIMULATED), columns=columns, seed=0).draw(rows, seed=0)


def _show(terminal: Terminal, found: Comparison, html: Path | None) -> None:
    table = found.table()
    heads = [name for name in HEADS if name in table]
    lines = [
        [row["generator"], "none" if row["epsilon"] != row["epsilon"] else f"{row['epsilon']:g}"]
        + [_brief(row[name]) for name in heads]
        for row in table.to_dict("records")
    ]
    lines.append(["real rows", ""] + [_brief(found.reference.get(name)) for name in heads])
    terminal.table(
        f"{found.facts['data']}: means over seeds", ["generator", ">epsilon", *(f">{h}" for h in heads)], lines
    )
    bill = found.facts.get("budget")
    if bill:
        terminal.say(f"Paid by {bill['node']}: {bill['runs']} runs, {bill['currency']} {bill['cost']['loss']}.")
        terminal.say("Internal: exact figures of private rows. Every run is a sealed draft: dpsynth attack DRAFT")
    for cell in found.failed:
        terminal.warn(
            f"{cell['generator']} at epsilon {cell['epsilon']}, seed {cell['seed']} failed: {cell['error']['message']}"
        )
    if html is not None:
        found.save(html)
        terminal.say(f"Wrote {html}. Open it: {to_copy('xdg-open', html)}")


def _brief(value: Any) -> str:
    return "–" if value is None or value != value else f"{value:.4g}"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(compare)
