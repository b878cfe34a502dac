"""`keys show | make | add | revoke | rotate | recovery | recover`: who may sign for a ledger, now and before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands.options import AsJson, WorkspaceDir, to_copy

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.keys import Rotated

Reason = Annotated[str, typer.Option(help="why; kept in the ledger for ever")]


def show(workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """The ledger's keys from the first to the one in force, and the keys that it vouches for."""
    from accounting.ledger.signing import key_id
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    with Workspace.open(workspace).ledger() as ledger:
        own, known = ledger.ledger_keys(), ledger.keys().values()
    last = own[-1]
    rows = [
        ["ledger", key_id(k.public_key), str(k.first), "in force" if k is last else "retired", k.public_key.hex()]
        for k in own
    ]
    rows += [
        [k.role, k.key_id, str(k.added), "in use" if k.revoked is None else f"revoked by entry {k.revoked}",
         k.public_key.hex()] for k in known
    ]  # fmt: skip
    terminal.table("Keys", ["role", "key id", ">since entry", "state", "public key"], rows)
    terminal.result(
        {
            "ledger": [
                {"key_id": key_id(k.public_key), "public_key": k.public_key.hex(), "first_entry": k.first,
                 "in_force": k is last} for k in own
            ],
            "keys": [
                {"key_id": k.key_id, "public_key": k.public_key.hex(), "role": k.role, "added": k.added,
                 "revoked": k.revoked} for k in known
            ],
        }
    )  # fmt: skip


def make(
    output: Annotated[Path, typer.Option("--output", "-o", help="where the private key goes; FILE.pub beside it")],
    role: Annotated[str, typer.Option(help="what it is for: budget (signs amendments) or review")] = "budget",
    as_json: AsJson = False,
) -> None:
    """Make a key pair for a person who approves; the owner of a ledger adds its public half with `keys add`."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.keys import make_pair

    terminal = Terminal(as_json=as_json)
    if role not in ("budget", "review"):
        raise typer.BadParameter("a person's key is for role budget or review", param_hint="--role")
    made, public = make_pair(output)
    terminal.say(f"Wrote {output}, which stays with you, and {public}, which you hand over.")
    terminal.say(f"The ledger's owner adds it with: {to_copy('dpsynth', 'keys', 'add', public, '--role', role)}")
    terminal.result({"key_id": made.key_id, "private_key": str(output), "public_key": str(public)})


def rotate(reason: Reason, workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """Hand the ledger over to a new key, which the old one and itself sign; old bundles verify as before."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.keys import rotate_ledger_key

    terminal = Terminal(as_json=as_json)
    _say(terminal, rotate_ledger_key(Workspace.open(workspace), reason))


def recover(
    recovery_key: Annotated[Path, typer.Argument(help="the file that `keys recovery` wrote")],
    reason: Reason,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Hand the ledger over to a new key when its own is lost or stolen."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.keys import recover_ledger_key

    terminal = Terminal(as_json=as_json)
    _say(terminal, recover_ledger_key(Workspace.open(workspace), recovery_key, reason))


def recovery(
    output: Annotated[Path, typer.Option("--output", "-o", help="a file outside the workspace; keep it offline")],
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Make the key that can replace a lost ledger key, and nothing else."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.keys import make_recovery_key

    terminal = Terminal(as_json=as_json)
    entry = make_recovery_key(Workspace.open(workspace), output)
    terminal.say(f"Wrote {output}. Keep it offline: whoever holds it can take the ledger over.")
    terminal.result(_entry(entry) | {"recovery_key": str(output)})


def add(
    public_key: Annotated[Path, typer.Argument(help="PEM file of somebody's Ed25519 public key")],
    role: Annotated[str, typer.Option(help="release, review, generate, budget (signs amendments) or recovery")],
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Let the ledger vouch for a public key, in one role."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.keys import add_key

    terminal = Terminal(as_json=as_json)
    entry = add_key(Workspace.open(workspace), public_key, role)
    terminal.say(f"The ledger vouches for {entry.body['key_id']} as {role} key from entry {entry.seq} on.")
    terminal.result(_entry(entry))


def revoke(
    key_id: Annotated[str, typer.Argument(help="as `keys show` prints it")],
    reason: Reason,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a release, review, budget or recovery key; a new release key is made if it was this workspace's."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.keys import revoke_key

    terminal = Terminal(as_json=as_json)
    entry = revoke_key(Workspace.open(workspace), key_id, reason)
    terminal.say(
        f"Revoked {key_id} (entry {entry.seq}). Bundles whose ledger shows it are refused; bundles handed out before "
        "cannot know of it, so tell their receivers."
    )
    terminal.result(_entry(entry))


def _say(terminal: Terminal, made: Rotated) -> None:
    terminal.say(f"The ledger's key is now {made.public_key.hex()}, from entry {made.first} on.")
    if made.retired is not None:
        terminal.say(f"The old one is {made.retired}. Keep the head elsewhere (`ledger checkpoint`), then destroy it.")
    retired = None if made.retired is None else str(made.retired)
    terminal.result({"public_key": made.public_key.hex(), "first_entry": made.first, "retired": retired})


def _entry(entry: Any) -> dict[str, Any]:
    return {"key_id": entry.body["key_id"], "entry": f"{entry.seq}:{entry.hash}"}


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(help="Who may sign for this ledger, now and before.", no_args_is_help=True)
    for command in (show, make, add, revoke, rotate, recovery, recover):
        group.command()(command)
    app.add_typer(group, name="keys")
