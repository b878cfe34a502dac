"""`card`: the signed card in the forms that data hubs and search engines read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dpsynth.cli.commands.options import AsJson


class Form(StrEnum):
    """Forms of `dpsynth.release.cards`."""

    croissant = "croissant"
    huggingface = "huggingface"
    json = "json"


def card(
    bundle: Annotated[Path, typer.Argument(help="a bundle: a folder or a .zip file")],
    key: Annotated[Path, typer.Option("--key", "-k", help="the releaser's public key, received on another way")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the file to write, outside the bundle")],
    form: Annotated[
        Form, typer.Option("--format", "-f", help="Croissant JSON-LD, README.md for Hugging Face, or plain JSON")
    ] = Form.croissant,
    as_json: AsJson = False,
) -> None:
    """Write a bundle's card for data hubs, if the bundle verifies; it says what the signed card says."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.release.cards import derive_with_facts

    terminal = Terminal(as_json=as_json)
    if output.resolve().is_relative_to(bundle.resolve()):
        raise typer.BadParameter("a bundle's list of files is closed: write beside it", param_hint="--output")
    raw, facts = derive_with_facts(bundle, key, form.value)
    for warning in facts.warnings:
        terminal.warn(warning)
    output.write_bytes(raw)
    terminal.say(f"Wrote {output} (derived from the verified {facts.card.release}; itself it is not signed)")
    terminal.result({"card": str(output), "format": form.value, "release": facts.card.release})


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(card)
