"""`sample`: more rows from a fitted model, all of a kind if asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson, WorkspaceDir, to_copy
from dpsynth.cli.commands.words import budget_fields

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal

Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="COLUMN=VALUE, COLUMN=LOW..HIGH, or COLUMN= for missing; several are alternatives"),
]


def sample(
    source: Annotated[str, typer.Argument(metavar="DRAFT", help="a draft; with --public a model file")],
    rows: Annotated[int | None, typer.Option(min=1, help="how many; default as many as the draft has")] = None,
    where: Where = None,
    balance: Annotated[str | None, typer.Option(help="column whose values take equal shares")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="DRAFT is a model file of public data; rows go to -o")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="with --public: a .csv or .parquet file")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FOLDER", help="with --public: stream Parquet parts into a folder, or finish one begun"
        ),
    ] = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="with --to: how many parts; default one a million rows")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="with --to: processes, each with a part at a time")] = 1,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Draw more rows from a draft's model: no epsilon, but a new sealed draft and a new attempt."""
    from dpsynth.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    if (output is not None or to is not None) != public or (output is not None and to is not None):
        raise typer.BadParameter(
            "--public writes rows to a file or to parts and needs -o or --to; a private draft is sealed and has neither"
        )
    if to is None and (partitions is not None or workers != 1):
        raise typer.BadParameter("--partitions and --workers belong to --to")
    if to is not None:
        if balance is not None:
            raise typer.BadParameter("equal shares are not streamed; draw them with -o, or each class with --where")
        _sample_parts(terminal, Path(source), to, rows, partitions, where or [], workers)
        return
    if public and output is not None:
        _sample_public(terminal, Path(source), output, rows, where or [], balance)
        return
    from dpsynth.tabular.conditions.given import where as read_where
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.runs.resampling import model_of

    ws = Workspace.open(workspace)
    draft = ws.draft(source)
    given = read_where(where or [], model_of(draft).model.domains)
    made = ws.sample(draft, rows=rows, given=given, balance=balance)
    terminal.say(f"Draft {made.name}: {made.document.rows:,} rows from the model of {source}, sealed.")
    attempt, most = made.attempt, ws.policy().attempts.max_attempts
    paid = made.budget
    terminal.say(f"Post-processing: the budget of '{paid.label}' paid for the fit.")
    terminal.say(f"No epsilon was spent. Attempt {attempt} of {most} before a release, for earlier drafts too.")
    if attempt >= most:
        terminal.warn("No further attempt may follow: beyond the limit the gate rejects every draft of this data set.")
    steps = (to_copy("dpsynth", step, made.name, workspace=workspace) for step in ("attack", "evaluate", "gate"))
    terminal.say(f"Next: {' && '.join(steps)}")
    terminal.result(
        {
            "draft": made.name,
            "of": source,
            "rows": made.document.rows,
            "guarantee": made.document.guarantee,
            "ledger_entry": made.ledger_entry,
            "budget": budget_fields(paid),
            "output": None,
        }
    )


def _sample_public(
    terminal: Terminal, model: Path, output: Path, rows: int | None, where: list[str], balance: str | None
) -> None:
    from dpsynth.workspace.runs.public import check_output, sample_public

    check_output(output)
    made = sample_public(model, rows=rows, where=where, balance=balance)
    made.write(output)
    terminal.say(f"Wrote {output}: {made.number:,} rows, data declared public: no budget, no attack, no gate.")
    terminal.say(f"If it were private: {made.guarantee.sentence()}")
    terminal.result(
        {
            "draft": None,
            "of": str(model),
            "rows": made.number,
            "guarantee": made.guarantee.to_json(),
            "ledger_entry": None,
            "budget": None,
            "output": str(output),
            "public": True,
        }
    )


def _sample_parts(
    terminal: Terminal,
    model: Path,
    folder: Path,
    rows: int | None,
    partitions: int | None,
    where: list[str],
    workers: int,
) -> None:
    from dpsynth.workspace.runs.public import write_public_parts

    with terminal.progress() as progress:
        saved, written = write_public_parts(
            model, folder, rows=rows, partitions=partitions, where=where, workers=workers, progress=progress
        )
    kept = f" ({written.kept} were there)" if written.kept else ""
    parts = written.kept + len(written.drawn)
    terminal.say(f"Wrote {folder}: {written.rows:,} rows in {parts:,} parts{kept}, data declared public.")
    terminal.say(f"If it were private: {saved.guarantee.sentence()}")
    terminal.result(
        {
            "draft": None,
            "of": str(model),
            "rows": written.rows,
            "guarantee": saved.guarantee.to_json(),
            "ledger_entry": None,
            "budget": None,
            "output": str(folder),
            "public": True,
            "parts": parts,
            "parts_drawn": len(written.drawn),
            "bytes": written.size,
        }
    )


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(sample)
