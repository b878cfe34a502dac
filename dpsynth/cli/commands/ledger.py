"""`ledger show | verify | export | replay | checkpoint | compare | expire`: the record itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands.options import AsJson, WorkspaceDir

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from accounting.ledger.entry import Entry

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
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="a file of `ledger checkpoint`: exposes a restored backup"),
    ] = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Check chain, rules and signatures; prints the head to keep elsewhere."""
    from accounting.ledger.evidence.clock import set_back, times_of
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    with Workspace.open(workspace).ledger() as ledger:
        ledger.verify(all_signatures=all_signatures)
        if checkpoints is not None:
            kept = _through(ledger, checkpoints)
            terminal.say(f"The chain runs through all {kept} checkpoints.")
        head, steps = ledger.head(), set_back(times_of(ledger.entries()))
    for step in steps:
        terminal.warn(step.sentence())
    terminal.say(f"The chain holds. Head {head.seq}:{head.hash}")
    terminal.say("Keep this line somewhere else: it exposes a ledger that was rolled back.")
    clock = [step._asdict() for step in steps]
    terminal.result({"ok": True, "head": {"seq": head.seq, "hash": head.hash}, "clock_set_back": clock})


def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="where to write the slice, or the JSON lines")],
    data: Annotated[
        str | None, typer.Argument(help="a registered data set or its file; without it the whole chain is written")
    ] = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Write one budget's slice, which shows no other budget; or the whole chain as JSON lines, for an auditor."""
    from accounting.ledger.evidence.export import export_lines
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.layout import write_json

    terminal = Terminal(as_json=as_json)
    ws = Workspace.open(workspace)
    with ws.ledger() as ledger:
        if data is not None:
            write_json(output, ledger.slice(ws.budget_id(ledger, ws.find(data))))
        else:
            with output.open("w", encoding="utf-8") as file:
                file.writelines(export_lines(ledger.entries(), ledger.ledger_id, ledger.public_key))
    terminal.say(
        f"Wrote {output}" if data is not None else f"Wrote {output}: every budget, for the auditor of the whole"
    )
    terminal.result({"slice" if data is not None else "export": str(output)})


def replay(
    accountant: Annotated[str, typer.Option("--accountant", "-a", help="pld, rdp, zcdp, pure or analytic")] = "pld",
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Compute every epsilon on the books again, from its events alone; exit 5 if one is wrong."""
    from accounting.ledger.evidence.replay import REPLAYED, Outcome
    from accounting.ledger.evidence.replay import replay as price_again
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    with Workspace.open(workspace).ledger() as ledger:
        ledger.verify()
        entries = ledger.entries()
    prices = sum(entry.kind in REPLAYED for entry in entries)
    with terminal.progress() as progress:
        found = price_again(entries, accountant, each=lambda n: progress("replay prices", n, prices))
    rows = [[str(r.seq), r.kind.value, str(r.charged), str(r.found or "-"), r.outcome.value] for r in found]
    terminal.table(f"Replay by {accountant}", [">seq", "entry", ">charged", ">found", "outcome"], rows)
    wrong = [item for item in found if item.outcome is Outcome.WRONG]
    for item in wrong:
        terminal.say(f"Entry {item.seq}: {item.reason}", style="bold red")
    if not wrong:
        held = sum(item.outcome is Outcome.HOLDS for item in found)
        terminal.say(f"{held} of {len(found)} prices hold, none is wrong.")
    terminal.result({"ok": not wrong, "accountant": accountant, "prices": [item.to_json() for item in found]})
    raise typer.Exit(5 if wrong else 0)


def checkpoint(
    output: Annotated[Path, typer.Option("--output", "-o", help="a file in a second place; one line is added")],
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Sign the head and add it to a file that is kept elsewhere: a restored backup cannot run through it."""
    from accounting.ledger.evidence.checkpoint import append
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    with Workspace.open(workspace).ledger(write=True) as ledger:
        made = ledger.checkpoint()
    append(output, made)
    terminal.say(f"Added head {made.head} to {output}. Check later with: dpsynth ledger verify --checkpoints {output}")
    terminal.result({"checkpoints": str(output), "head": {"seq": made.head.seq, "hash": made.head.hash}})


def compare(
    first: Annotated[Path, typer.Argument(help="a slice: ledger.json of a bundle, or of `ledger export`")],
    second: Annotated[Path, typer.Argument(help="another slice of the same ledger")],
    key: Annotated[str, typer.Option(help="the ledger's public key, 64 hex digits, received on another way")],
    as_json: AsJson = False,
) -> None:
    """Two copies of one ledger: the same, one older, or a fork (exit 5)."""
    from accounting.ledger.evidence.compare import Relationship, compare_slices
    from dpsynth.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    if not re.fullmatch(r"[0-9a-f]{64}", key):
        raise typer.BadParameter("expected 64 hex digits, as `public_key` in a slice that you trust")
    found = compare_slices(_slice(first), _slice(second), ledger_key=bytes.fromhex(key))
    forked = found.relationship is Relationship.FORK
    terminal.say(found.sentence(), style="bold red" if forked else "")
    terminal.result({"ok": not forked, "relationship": found.relationship.value, "shared": found.shared})
    raise typer.Exit(5 if forked else 0)


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


def _through(ledger: Ledger, path: Path) -> int:
    from accounting.ledger.entry import Head
    from accounting.ledger.evidence.checkpoint import check_heads, read

    kept = read(path)
    heads = (Head(entry.seq, entry.hash) for entry in ledger.entries())
    check_heads(heads, kept, ledger_id=ledger.ledger_id, ledger_key=ledger.ledger_keys())
    return len(kept)


def _slice(path: Path) -> dict[str, Any]:
    from accounting.ledger.errors import Reason, SliceRefused
    from accounting.ledger.evidence.parsing import MAX_SLICE_BYTES, parse_slice

    try:
        with path.open("rb") as file:
            data = file.read(MAX_SLICE_BYTES + 1)
    except OSError as error:
        raise SliceRefused(
            Reason.MALFORMED, f"'{path.name}' cannot be read ({error.strerror}).", "Give `ledger.json` of a bundle."
        ) from error
    return parse_slice(data)


def _about(entry: Entry) -> str:
    """The run, draft or reservation that an entry speaks of."""
    return next((str(entry.body[part]) for part in ("run_id", "draft", "reservation_id") if part in entry.body), "")


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(help="The append-only, signed record of every grant and spend.", no_args_is_help=True)
    for command in (show, verify, export, replay, checkpoint, compare, expire):
        group.command()(command)
    app.add_typer(group, name="ledger")
