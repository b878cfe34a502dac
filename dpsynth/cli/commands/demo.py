"""`demo`: the whole way on real data that ships with a dependency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.demo.run import Demonstration

_BAR = 40


def demo(
    data: Annotated[str, typer.Option("--data", help="fair or randhie")] = "fair",
    out: Annotated[Path, typer.Option("--out", help="folder for the workspace and the bundle")] = Path("dpsynth-demo"),
    as_json: AsJson = False,
) -> None:
    """The whole way, from a real table to a verified release, in about a minute."""
    from dpsynth.cli.exit_codes import decision_code
    from dpsynth.cli.terminal import Terminal
    from dpsynth.demo.run import demonstrate

    terminal = Terminal(as_json=as_json)
    made = demonstrate(data, out, say=terminal.say, progress=terminal.progress, warn=terminal.warn)
    _summary(terminal, made)
    verified = made.verification is not None and made.verification.ok
    terminal.result(
        {
            "draft": made.draft.name,
            "decision": made.decision.decision,
            "guarantee": made.draft.document.guarantee,
            "bundle": str(made.release.bundle) if made.release else None,
            "verified": verified,
            "report": str(made.report),
        }
    )
    if made.release is not None and not verified:
        raise typer.Exit(5)
    raise typer.Exit(decision_code(made.decision.decision))


def _summary(terminal: Terminal, made: Demonstration) -> None:
    """Verdict, guarantee, budget bar, worst attack, paths."""
    from dpsynth.cli.commands.words import figure, promise, worst_first

    decision = made.decision.decision
    terminal.say()
    terminal.say(f"Verdict    {decision.upper()}", style="bold green" if decision == "ship" else "bold red")
    for found in made.decision.failed:
        terminal.say(f"           {found.name}: {found.reason}")
    terminal.say(f"Guarantee  {promise(made.draft)}")
    balance = made.workspace.balance(made.draft.document.dataset)
    spent, granted = balance.epsilon.spent, balance.epsilon.granted
    full = round(_BAR * float(spent / granted))
    bar = "#" * full + "." * (_BAR - full)
    terminal.say(f"Budget     [{bar}] epsilon {spent} of {granted} spent, {balance.epsilon.left} left")
    attack = made.draft.documents.attack
    if attack is not None:
        worst = worst_first(attack["report"])[0]  # type: ignore[arg-type]
        place = "canaries are nobody's data" if worst["confidentiality"] == "canary_only" else "internal"
        terminal.say(
            f"Worst      {worst['name']} on {worst['stratum']}, {worst['endpoint']}: {figure(worst['estimate'])}, "
            f"upper bound {figure(worst['ci_high'])}, limit {figure(worst['limit'])} ({worst['verdict']}; {place})"
        )
    if made.release is not None:
        held = sum(1 for check in made.verification.checks if check.ok)
        word = "verified" if made.verification.ok else "NOT VERIFIED"
        terminal.say(f"Bundle     {made.release.bundle}: {word}, {held} of {len(made.verification.checks)} checks hold")
        terminal.say(f"           dpsynth verify {made.release.bundle} --key {made.release.public_key}")
        terminal.say(f"Report     {made.release.bundle / 'report.html'} (public), {made.report} (internal)")
    else:
        terminal.say(f"Report     {made.report} (internal)")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)
