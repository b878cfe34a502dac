"""`synthesize --generator sdv-…`: other libraries' generators, which protect nobody, to compare ours with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dpsynth.cli.commands.options import to_copy

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal

NOTE = "No guarantee: a baseline repeats what it likes of the rows that it was fitted to."


def check_flags(*, epsilon: str | None, unprotected: bool, public: bool, refused: dict[str, Any]) -> None:
    """A baseline has no epsilon, and reads private rows only if a person says so.

    Args:
        epsilon: as given.
        unprotected: as given.
        public: as given.
        refused: options that a baseline does not take, by name, as given.
    """
    if epsilon is not None:
        raise typer.BadParameter("a baseline has no privacy to be paid for: leave out --epsilon")
    for name, value in refused.items():
        if value:
            raise typer.BadParameter(f"a baseline takes no {name}")
    if not public and not unprotected:
        raise typer.BadParameter(
            "a baseline reads private rows without any protection; say --unprotected if that is meant. Its draft can "
            "be attacked and evaluated, and never released"
        )


def synthesize_public(
    terminal: Terminal, data: str, output: Path, generator: str, schema: Path | None, target: str | None,
    rows: int | None,
) -> None:  # fmt: skip
    """Rows of a baseline on public data, to a file."""
    from dpsynth.workspace.runs.baselines import baseline_public
    from dpsynth.workspace.runs.public import check_output

    check_output(output)
    with terminal.progress() as progress:
        made = baseline_public(
            Path(data), generator, schema=schema, target=target, rows=rows, progress=progress, warn=terminal.warn
        )
    made.write(output)
    number = made.rows.num_rows
    terminal.say(f"Wrote {output}: {number:,} rows, data declared public: no budget, no attack, no gate.")
    terminal.say(NOTE)
    terminal.result(
        {
            "draft": None,
            "generator": made.generator,
            "rows": number,
            "guarantee": None,
            "ledger_entry": None,
            "budget": None,
            "output": str(output),
            "public": True,
        }
    )


def synthesize_private(
    terminal: Terminal, data: str, generator: str, *, workspace: Path | None, schema: Path | None, target: str | None,
    unit: str | None, max_per_unit: int, rows: int | None, purpose: str | None, canaries: int,
    time: str | None, since: str | None,
) -> None:  # fmt: skip
    """A sealed draft without a guarantee."""
    from dpsynth.cli.commands.words import budget_fields
    from dpsynth.workspace import Workspace

    ws = Workspace.open(workspace)
    if unit is not None:
        ws.register(data, unit=unit, max_per_unit=max_per_unit)
    with terminal.progress() as progress:
        made = ws.synthesize_unprotected(
            data, generator, rows=rows, budget=purpose, schema=schema, target=target, canaries=canaries,
            time=time, since=since, progress=progress, warn=terminal.warn,
        )  # fmt: skip
    terminal.say(f"Draft {made.name}: {made.document.rows:,} rows, sealed. {NOTE}")
    terminal.say("The ledger says that the data was read without protection, and counts an attempt. It cannot ship.")
    steps = (to_copy("dpsynth", step, made.name, workspace=workspace) for step in ("attack", "evaluate"))
    terminal.say(f"Next: {' && '.join(steps)}")
    terminal.result(
        {
            "draft": made.name,
            "generator": generator,
            "rows": made.document.rows,
            "guarantee": None,
            "ledger_entry": made.ledger_entry,
            "budget": budget_fields(made.budget),
            "output": None,
        }
    )
