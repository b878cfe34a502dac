"""Commands about one draft: `attack`, `gate`, `release`, and `show` for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands.options import AsJson, DraftId, WorkspaceDir, there, to_copy

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.release.figures import AnyFigure
    from dpsynth.workspace import Draft


def show(workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """List the drafts of a workspace and where each stands."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace, governance

    terminal, opened = Terminal(as_json=as_json), Workspace.open(workspace)
    drafts = list(opened.drafts())
    stands = {standing.draft: standing for standing in governance.queue(opened)}
    rows = [
        [
            d.name,
            _paid_by(d),
            f.generator.name,
            (f.guarantee or {}).get("epsilon", "none"),
            d.status,
            stands[d.name].state.value,
            d.condition or "all",
        ]
        for d in drafts
        for f in [d.document]
    ]
    terminal.table("Drafts", ["draft", "budget", "generator", ">epsilon", "status", "state", "rows like"], rows)
    for standing in stands.values():
        if standing.next_step:
            terminal.say(f"{standing.draft}: {there(standing.next_step, workspace)}")
    terminal.result(
        {
            "drafts": [
                {
                    "draft": d.name,
                    "dataset": d.document.dataset,
                    "purpose": d.budget.purpose,
                    "status": d.status,
                    **stands[d.name].to_json(),
                    "condition": d.condition,
                }
                for d in drafts
            ]
        }
    )


def _paid_by(draft: Draft) -> str:
    paid = draft.budget
    return paid.dataset if paid.purpose is None else f"{paid.dataset}: {paid.purpose}"


def attack(
    draft: DraftId,
    suite: Annotated[str, typer.Option(help="quick or standard")] = "standard",
    publish_attacks: Annotated[
        str | None,
        typer.Option(
            metavar="epsilon=E",
            help="buy noisy counts of copied people for the public report; a draft that was attacked is not again",
        ),
    ] = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Attack a draft's rows, with controls; the report stays in the workspace."""
    from dpsynth.cli.commands.words import show_attacks
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    made = Workspace.open(workspace).draft(draft)
    if publish_attacks is not None:
        _publish(terminal, made, suite, publish_attacks)
        return
    with terminal.progress() as progress:
        report = made.attack(suite, progress=progress)
    show_attacks(terminal, f"Attacks on {draft}", report.to_json())


def figure_epsilon(asked: str, option: str) -> str:
    """The number of `epsilon=E` or `E`."""
    word, _, number = asked.rpartition("=")
    if word not in ("", "epsilon"):
        raise typer.BadParameter(f"expected epsilon=E, got {asked!r}; figures need no delta", param_hint=option)
    return number


def _publish(terminal: Terminal, draft: Draft, suite: str, asked: str) -> None:
    """Attack unless that was done, then buy the figure."""
    number = figure_epsilon(asked, "--publish-attacks")
    if draft.documents.attack is None:
        with terminal.progress() as progress:
            draft.attack(suite, progress=progress)
    figure = draft.buy_figure("copies", epsilon=number)
    document = figure.to_json()
    terminal.table(
        f"Bought for epsilon {figure.epsilon}: copies among people in training minus held-out ones (public)",
        ["figure", ">excess", ">lower bound", ">upper bound"],
        [
            [name.replace("_", " "), *(f"{said[part]:+.4f}" for part in ("estimate", "ci_low", "ci_high"))]
            for name, said in figure.shown().items()
        ],
    )
    _charged(terminal, draft.name, figure)
    terminal.result({"draft": draft.name, "published": document})


def _charged(terminal: Terminal, draft: str, figure: AnyFigure) -> None:
    terminal.say(f"Ledger entry {figure.commit[:16]}: epsilon {figure.epsilon} charged to the budget of {draft}.")


def gate(draft: DraftId, workspace: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """Decide by the policy: ship (exit 0), regenerate (3) or reject (4)."""
    from dpsynth.cli.exit_codes import decision_code
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace, governance

    terminal = Terminal(as_json=as_json)
    opened = Workspace.open(workspace)
    decision = opened.draft(draft).gate()
    terminal.say(str(decision))
    if step := governance.standing(opened, draft).next_step:
        terminal.say(f"Next: {there(step, workspace)}")
    terminal.result(decision.to_json())
    raise typer.Exit(decision_code(decision.decision))


def release(
    draft: DraftId,
    output: Annotated[Path, typer.Option("--output", "-o", help="a new folder, or a new .zip file")],
    licence: Annotated[
        str,
        typer.Option(metavar="SPDX", help="under which the rows may be used, such as CC-BY-4.0; stands on the card"),
    ] = "not stated",
    publish_quality: Annotated[
        str | None,
        typer.Option(
            metavar="epsilon=E",
            help="buy noisy figures of quality for the public report, charged beside the rows, unless bought before",
        ),
    ] = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the signed bundle, if the gate says ship."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Workspace

    terminal = Terminal(as_json=as_json)
    number = None if publish_quality is None else figure_epsilon(publish_quality, "--publish-quality")
    sealed = Workspace.open(workspace).draft(draft)
    with terminal.progress() as progress:
        made = sealed.release(output, licence=licence, publish_quality=number, progress=progress)
    figures = quality_sold(terminal, sealed) if number is not None else {}
    terminal.say(f"Released: {made.bundle}")
    terminal.say(f"Receivers check it with: {to_copy('dpsynth', 'verify', made.bundle, '--key', made.public_key)}")
    terminal.result({"bundle": str(made.bundle), "public_key": str(made.public_key), **figures})


def quality_sold(terminal: Terminal, draft: Draft) -> dict[str, Any]:
    """Say what quality the release shows, and what that cost."""
    from dpsynth.report.words import QUALITY_SOLD
    from dpsynth.workspace.figures.figure import sold
    from dpsynth.workspace.figures.publishing import QUALITY

    figure = sold(draft, QUALITY)[-1]
    columns = {"ci_low": ">at least", "ci_high": ">at most", "floor": ">two samples"}
    terminal.table(
        f"Bought for epsilon {figure.epsilon}: the fitted rows beside the released ones (public)",
        ["figure", *columns.values()],
        [
            [QUALITY_SOLD[name], *(f"{said[part]:.4f}" if part in said else "" for part in columns)]
            for name, said in figure.shown().items()
        ],
    )
    _charged(terminal, draft.name, figure)
    return {"published_quality": figure.to_json()}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (attack, gate, release, show):
        app.command()(command)
