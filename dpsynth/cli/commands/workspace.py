"""`init`: make a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpsynth.cli.commands.options import AsJson, to_copy


def init(
    folder: Annotated[Path, typer.Argument(help="folder to make; must not be a workspace yet")],
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="postgresql:// URL of a ledger that a team shares; default: a file")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", help="folder with the team's ledger.key and vault.key, to join its ledger")
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="internal, restricted or public: a policy with reviews; default: one that asks nobody"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a workspace: ledger, keys and a commented policy.yaml."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    workspace = Workspace.init(folder, ledger=ledger, keys=keys, tier=tier)
    terminal.say(f"Workspace {workspace.layout.root}")
    terminal.say(f"  policy    {workspace.layout.policy}: read it, it decides what may leave")
    terminal.say(f"  ledger    {workspace.layout.ledger}: append-only, signed")
    terminal.say(
        f"  keys      {workspace.layout.keys}: keep private; give receivers {workspace.layout.release_public_key.name}"
    )
    grant = to_copy("dpsynth", "budget", "create", "DATA", "--epsilon", "3", "--delta", "1e-5", workspace=folder)
    terminal.say(f"Next: {grant}")
    terminal.result(
        {
            "workspace": str(workspace.layout.root),
            "ledger": str(workspace.layout.ledger),
            "public_key": str(workspace.layout.release_public_key),
        }
    )


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(init)
