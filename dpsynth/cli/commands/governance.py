"""`review`, `approve`, `appeal`, `withdraw`, `recall`: what people decide about a draft, gate and receivers apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson, DraftId, WorkspaceDir, there, to_copy

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.release.standing import Standing

Reason = Annotated[str, typer.Option(help="why; kept for ever and published, so no figure of the internal report")]


def review(
    words: Annotated[
        list[str], typer.Argument(metavar="[open] DRAFT", help="the draft's name; `open DRAFT` opens a sealed vote")
    ],
    key: Annotated[Path, typer.Option("--key", "-k", help="a reviewer's private key, outside the workspace")],
    vote: Annotated[str | None, typer.Option(help="approve, return or reject")] = None,
    reason: Annotated[str | None, typer.Option(help="why; kept for ever and published")] = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Vote on a draft with a reviewer's key; where the policy asks for it, sealed until all votes are in."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace, governance

    terminal, opened = Terminal(as_json=as_json), Workspace.open(workspace)
    if len(words) == 2 and words[0] == "open":
        if vote is not None or reason is not None:
            raise typer.BadParameter("a sealed vote is opened as it is, with its reason")
        _show(terminal, governance.open_reviews(opened, words[1], key=key), workspace)
        return
    if len(words) != 1:
        raise typer.BadParameter("expected DRAFT, or: open DRAFT")
    if vote is None or reason is None:
        raise typer.BadParameter("a vote needs --vote approve|return|reject and --reason TEXT")
    _show(terminal, governance.review(opened, words[0], key=key, vote=vote, reason=reason), workspace)


def approve(draft: DraftId, workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """End the review of a draft whose votes suffice: from then on it may be released."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace, governance

    _show(Terminal(as_json=as_json), governance.approve(Workspace.open(workspace), draft), workspace)


def appeal(
    draft: DraftId,
    rule: Annotated[str, typer.Option(help="a rule that failed, and that the policy lets reviewers waive")],
    owner: Annotated[str, typer.Option(help="who asks and answers for it, by name; published")],
    reason: Reason,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask reviewers to waive a rule that failed; shown on report, card and to whoever verifies."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace, governance

    made = governance.appeal(Workspace.open(workspace), draft, rule=rule, owner=owner, reason=reason)
    _show(Terminal(as_json=as_json), made, workspace)


def withdraw(draft: DraftId, reason: Reason, workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """Take a draft back before it left, for ever; its cost and its attempt stay on record."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace, governance

    _show(Terminal(as_json=as_json), governance.withdraw(Workspace.open(workspace), draft, reason=reason), workspace)


def recall(
    release: Annotated[str, typer.Argument(help="a release's id, or the name of its draft")],
    reason: Reason,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="where the notice goes; default RELEASE.recall.json here")
    ] = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Call a release back, and write the signed notice that its receivers check with `verify --recalls`."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace, governance
    from dpsynth.workspace.layout import write_json

    terminal = Terminal(as_json=as_json)
    notice = governance.recall(Workspace.open(workspace), release, reason=reason)
    path = output or Path(f"{notice['release']}.recall.json")
    write_json(path, notice)
    terminal.say(f"Called {notice['release']} back. Publish {path} where its receivers look.")
    command = to_copy("dpsynth", "verify", "BUNDLE", "--key", "release.pub", "--recalls", path.name)
    terminal.say(f"They check with: {command}")
    terminal.result({"notice": str(path), **notice})


def _show(terminal: Terminal, standing: Standing, workspace: Path | None) -> None:
    terminal.say(f"{standing.draft} is {standing.state.value}.")
    for lack in standing.missing:
        terminal.say(f"  missing for the next state: {lack}")
    for note in standing.notes:
        terminal.say(f"  note: {note}")
    if standing.next_step:
        terminal.say(f"Next: {there(standing.next_step, workspace)}")
    terminal.result(standing.to_json())


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (review, approve, appeal, withdraw, recall):
        app.command()(command)
