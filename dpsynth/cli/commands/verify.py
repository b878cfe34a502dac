"""`verify`: what the receiver of a bundle runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpsynth.cli.commands.options import AsJson


def verify(
    bundle: Annotated[Path, typer.Argument(help="a bundle: a folder or a .zip file")],
    key: Annotated[Path, typer.Option("--key", "-k", help="the releaser's public key, received on another way")],
    as_json: AsJson = False,
) -> None:
    """Check a bundle offline: signature, every file, ledger, guarantee, decision."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.release.verify import verify as check

    terminal = Terminal(as_json=as_json)
    report = check(bundle, key)
    for item in report.checks:
        terminal.say(
            f"{'ok  ' if item.ok else 'FAIL'}  {item.name}{'' if item.ok else ': ' + item.reason}",
            style="" if item.ok else "bold red",
        )
    if report.guarantee is not None:
        terminal.say(report.guarantee.sentence())
    terminal.say("VERIFIED" if report.ok else "NOT VERIFIED", style="bold green" if report.ok else "bold red")
    terminal.result(report.to_json())
    raise typer.Exit(0 if report.ok else 5)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(verify)
