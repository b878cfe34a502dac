"""`console`: the queue of drafts, evidence, reviews, ledger and budgets in a browser, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpsynth.cli.commands.options import WorkspaceDir


def console(
    workspace: WorkspaceDir = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            help="your private key, to review or approve with; repeatable; without one the console only shows"
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8371,
    host: Annotated[str, typer.Option(help="another than loopback needs a certificate")] = "127.0.0.1",
    certificate: Annotated[Path | None, typer.Option(help="PEM file, to speak TLS")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="PEM file of its private key")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the link")] = True,
) -> None:
    """Review drafts, look at the ledger and the budgets in a browser; on this machine only, unless told otherwise."""
    import webbrowser

    from dpsynth.cli.terminal import Terminal
    from dpsynth.core.errors import DpsynthError
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=False)
    opened = Workspace.open(workspace)
    try:
        from dpsynth.web.serve import Place, serve
    except ModuleNotFoundError as missing:
        raise DpsynthError(
            f"The console needs the package '{missing.name}'.", "pip install 'dpsynth-release[console]'"
        ) from missing
    place = Place(host=host, port=port, certificate=certificate, key=certificate_key)

    def announce(link: str) -> None:
        terminal.say(f"Console: {link}")
        terminal.say("The link is for you alone. End with Ctrl-C.")
        if browser:
            webbrowser.open(link)

    serve(opened, tuple(key or ()), place, announce)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("console")(console)
