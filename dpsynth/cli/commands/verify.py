"""`verify`: what the receiver of a bundle runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson

if TYPE_CHECKING:
    from accounting.ledger.entry import Head
    from dpsynth.cli.terminal import Terminal


def verify(
    bundle: Annotated[Path | None, typer.Argument(help="a bundle: a folder or a .zip file")] = None,
    key: Annotated[
        Path | None, typer.Option("--key", "-k", help="the releaser's public key, received on another way")
    ] = None,
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
    write_verifier: Annotated[
        Path | None,
        typer.Option(help="write the verifier as one file that needs Python and cryptography only; with its SHA-256"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle offline: signature, every file, ledger, guarantee, decision."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.release.verify import verify as check

    terminal = Terminal(as_json=as_json)
    if write_verifier is not None:
        _write_verifier(write_verifier, terminal)
        raise typer.Exit
    if bundle is None or key is None:
        raise typer.BadParameter("give a bundle and --key, or --write-verifier FILE")
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
    for what in report.not_checked:
        terminal.warn(f"not checked here: {what}")
    terminal.say("VERIFIED" if report.ok else "NOT VERIFIED", style="bold green" if report.ok else "bold red")
    terminal.result(report.to_json())
    raise typer.Exit(0 if report.ok else 5)


def _write_verifier(target: Path, terminal: Terminal) -> None:
    from dpsynth.core.errors import ParameterError
    from dpsynth.release.standalone.build import digest, verifier

    try:
        with target.open("xb") as file:
            file.write(verifier())
    except OSError as error:
        raise ParameterError(f"{target.name} cannot be written: {error.strerror}.", "Choose a new path.") from None
    terminal.say(f"{target.name}: needs Python 3.11 and cryptography, nothing of ours")
    terminal.say(f"SHA-256 {digest()}")
    terminal.result({"file": str(target), "sha256": digest()})


def _head(text: str) -> Head:
    from accounting.ledger.entry import Head

    seq, _, digest = text.partition(":")
    if not seq.isdigit() or len(digest) != 64:
        raise typer.BadParameter("expected SEQ:HASH, as `dpsynth ledger verify` prints it")
    return Head(int(seq), digest)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(verify)
