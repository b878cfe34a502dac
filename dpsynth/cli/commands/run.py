"""`run`: every step from one YAML file, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpsynth.cli.commands.options import AsJson


def run(
    config: Annotated[Path, typer.Argument(help="a run file; see docs/how-to/run-from-yaml.md")],
    as_json: AsJson = False,
) -> None:
    """Do every step that a run file asks for, and go on where an earlier run stopped."""
    from dpsynth.cli.exit_codes import decision_code
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.run import RunConfig, execute

    terminal = Terminal(as_json=as_json)
    settings = RunConfig.from_yaml(config)
    with terminal.progress() as progress:
        outcome = execute(settings, say=terminal.say, progress=progress, warn=terminal.warn)
    terminal.say(f"{outcome.draft.name}: {outcome.decision}")
    if outcome.bundle is not None:
        terminal.say(f"Bundle {outcome.bundle}: verified")
    terminal.result(
        {
            "draft": outcome.draft.name,
            "decision": outcome.decision,
            "bundle": None if outcome.bundle is None else str(outcome.bundle),
        }
    )
    raise typer.Exit(decision_code(outcome.decision))


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(run)
