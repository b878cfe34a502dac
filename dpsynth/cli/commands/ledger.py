"""`ledger show | verify | export | expire`: the record itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson, WorkspaceDir

if TYPE_CHECKING:
    from accounting.ledger.entry import Entry

Data = Annotated[str, typer.Argument(help="a registered data set or its file")]
_CLOSING = frozenset({"commit", "abort", "expire"})


def show(workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """Every entry, oldest first."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    with Workspace.open(workspace).ledger() as ledger:
        entries = ledger.entries()
        head = ledger.head()
    rows = [[str(e.seq), e.kind.value, _about(e), e.hash[:12]] for e in entries]
    terminal.table("Ledger", [">seq", "entry", "about", "hash"], rows)
    closed = {e.body["reservation_id"] for e in entries if e.kind.value in _CLOSING}
    for e in entries:
        if e.kind.value == "reserve" and (name := e.body["reservation_id"]) not in closed:
            terminal.say(f"Reserved by {e.body['run_id']} and not closed: {name}. If that run is over, close it with: "
                         f"dpsynth ledger expire {name} --reason TEXT")  # fmt: skip
    terminal.result(
        {
            "head": {"seq": head.seq, "hash": head.hash},
            "entries": [{"seq": e.seq, "kind": e.kind.value, "hash": e.hash, "body": dict(e.body)} for e in entries],
        }
    )


def verify(
    all_signatures: Annotated[
        bool, typer.Option("--all-signatures", help="check each signature, not only the head's")
    ] = False,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Check chain, rules and signatures; prints the head to keep elsewhere."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    with Workspace.open(workspace).ledger() as ledger:
        ledger.verify(all_signatures=all_signatures)
        head = ledger.head()
    terminal.say(f"The chain holds. Head {head.seq}:{head.hash}")
    terminal.say("Keep this line somewhere else: it exposes a ledger that was rolled back.")
    terminal.result({"ok": True, "head": {"seq": head.seq, "hash": head.hash}})


def export(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="where to write the JSON slice")],
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Write one budget's slice of the ledger, which anybody can check."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.layout import write_json

    terminal = Terminal(as_json=as_json)
    ws = Workspace.open(workspace)
    record = ws.find(data)
    with ws.ledger() as ledger:
        write_json(output, ledger.slice(ws.budget_id(ledger, record)))
    terminal.say(f"Wrote {output}")
    terminal.result({"slice": str(output)})


def expire(
    reservation: Annotated[str, typer.Argument(help="the reservation's id")],
    reason: Annotated[str, typer.Option(help="why it will never be committed; kept for ever")],
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Close a reservation that a crash or an interruption left; it stays spent."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    with Workspace.open(workspace).ledger(write=True) as ledger:
        entry = ledger.expire(reservation, reason)
    terminal.say(f"Closed {reservation}; its price is spent (entry {entry.seq}).")
    terminal.result({"reservation": reservation, "entry": f"{entry.seq}:{entry.hash}"})


def _about(entry: Entry) -> str:
    """The run, draft or reservation that an entry speaks of."""
    return next((str(entry.body[part]) for part in ("run_id", "draft", "reservation_id") if part in entry.body), "")


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(help="The append-only, signed record of every grant and spend.", no_args_is_help=True)
    for command in (show, verify, export, expire):
        group.command()(command)
    app.add_typer(group, name="ledger")
