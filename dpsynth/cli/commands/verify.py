"""`verify`: what the receiver of a bundle runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson

if TYPE_CHECKING:
    from accounting.ledger.entry import Head


def verify(
    bundle: Annotated[Path, typer.Argument(help="a bundle: a folder or a .zip file")],
    key: Annotated[Path, typer.Option("--key", "-k", help="the releaser's public key, received on another way")],
    anchor: Annotated[
        str | None,
        typer.Option(help="SEQ:HASH of a ledger head seen earlier; exposes a ledger that was rolled back or forked"),
    ] = None,
    ledger_key: Annotated[
        Path | None,
        typer.Option("--ledger-key", help="the ledger's public key, first or rotated to, if you hold it"),
    ] = None,
    recalls: Annotated[
        Path | None, typer.Option("--recalls", help="recall notices that the publisher put out; one or a list")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle offline: signature, every file, ledger, guarantee, decision."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.release.verify import verify as check

    terminal = Terminal(as_json=as_json)
    head = None if anchor is None else _head(anchor)
    report = check(bundle, key, anchor=head, ledger_key=ledger_key, recalls=recalls)
    for warning in report.warnings:
        terminal.warn(warning)
    for item in report.checks:
        if item.ok:
            terminal.say(f"ok    {item.name}")
        elif item is report.failure:
            terminal.say(f"FAIL  {item.name}: {item.reason}", style="bold red")
    # After the first failure nothing else is checked, so the names of the rest fit one line.
    if unreached := [item.name for item in report.checks if not item.ok and item is not report.failure]:
        terminal.say(f"not reached: {', '.join(unreached)}")
    for line in report.facts():
        terminal.say(line)
    terminal.say("VERIFIED" if report.ok else "NOT VERIFIED", style="bold green" if report.ok else "bold red")
    terminal.result(report.to_json())
    raise typer.Exit(0 if report.ok else 5)


def _head(text: str) -> Head:
    from accounting.ledger.entry import Head

    seq, _, digest = text.partition(":")
    if not seq.isdigit() or len(digest) != 64:
        raise typer.BadParameter("expected SEQ:HASH, as `dpsynth ledger verify` prints it")
    return Head(int(seq), digest)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(verify)
