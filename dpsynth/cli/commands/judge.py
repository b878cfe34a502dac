"""`audit` and `evaluate`: the attack suite and the quality report on anybody's synthetic data, or on a draft."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson, SchemaFile, WorkspaceDir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dpsynth.cli.terminal import Terminal
    from dpsynth.schema.model import Schema

Holdout = Annotated[Path, typer.Option("--holdout", help="real rows that the synthesizer never saw")]
VERDICT_CODE = {"pass": 0, "inconclusive": 3, "fail": 4}


def audit(
    real: Annotated[Path, typer.Argument(help="rows that the synthesizer was trained on")],
    synthetic: Annotated[Path, typer.Argument(help="its output")],
    holdout: Holdout,
    sensitive: Annotated[
        list[str] | None, typer.Option(help="a column that an intruder wants to learn; repeatable")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="column that says whose row it is")] = None,
    suite: Annotated[str, typer.Option(help="quick or standard")] = "standard",
    schema: SchemaFile = None,
    seed: Annotated[int, typer.Option(help="of folds, targets and plantings")] = 0,
    as_json: AsJson = False,
) -> None:
    """Attack any synthesizer's output: pass (exit 0), inconclusive (3) or fail (4)."""
    import attacks
    from dpsynth.cli.commands.words import show_attacks
    from dpsynth.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    frames, known = _frames(terminal, {"real": real, "synthetic": synthetic, "holdout": holdout}, schema)
    with terminal.progress() as progress:
        report = attacks.audit(
            frames["real"],
            frames["synthetic"],
            frames["holdout"],
            sensitive=sensitive or known.sensitive,
            unit=unit,
            suite=suite,
            seed=seed,
            progress=progress,
        )
    document = report.to_json()
    show_attacks(terminal, "Audit", document)
    raise typer.Exit(VERDICT_CODE[document["verdict"]])


def evaluate(
    draft: Annotated[str | None, typer.Argument(help="a draft; leave out to compare files")] = None,
    real: Annotated[Path | None, typer.Option("--real", help="rows that the synthesizer was trained on")] = None,
    synthetic: Annotated[Path | None, typer.Option("--synthetic", help="its output")] = None,
    holdout: Annotated[Path | None, typer.Option("--holdout", help="real rows that it never saw")] = None,
    target: Annotated[str | None, typer.Option(help="the column that models predict")] = None,
    schema: SchemaFile = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure a draft, or anybody's files, beside what real data scores."""
    from dpsynth.cli.commands.words import show_quality
    from dpsynth.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    if draft is not None:
        from dpsynth.workspace import Workspace

        made = Workspace.open(workspace).draft(draft)
        with terminal.progress() as progress:
            report = made.evaluate(progress=progress)
        show_quality(terminal, f"Quality of {draft}", report.to_json())
        return
    if real is None or synthetic is None or holdout is None:
        raise typer.BadParameter("give a draft, or all of --real, --synthetic and --holdout")
    from dpsynth.quality import evaluate as measure

    frames, known = _frames(terminal, {"real": real, "synthetic": synthetic, "holdout": holdout}, schema)
    with terminal.progress() as progress:
        report = measure(
            frames["real"],
            frames["synthetic"],
            frames["holdout"],
            schema=known,
            target=target or known.target,
            progress=progress,
        )
    show_quality(terminal, "Quality", report.to_json())


def _frames(terminal: Terminal, files: Mapping[str, Path], schema: Path | None) -> tuple[dict[str, object], Schema]:
    """The files as frames, all read with the types of the first one or of the schema."""
    from dpsynth.core.errors import DataError
    from dpsynth.data.options import ReadOptions
    from dpsynth.data.read import read
    from dpsynth.data.warning import listed
    from dpsynth.schema.checks import column_options
    from dpsynth.schema.draft import draft
    from dpsynth.schema.model import Schema

    first, *rest = files.items()
    known = Schema.from_yaml(schema) if schema is not None else None
    table = read(first[1], options=ReadOptions(columns=column_options(known) if known else {}))
    for warning in table.warnings:
        terminal.warn(f"{first[0]}: {warning.message}")
    if known is None:
        known = draft(table)
    tables = {first[0]: table}
    for name, path in rest:
        there = read(path)
        absent = [column for column in known.columns if column not in there.columns]
        if absent:
            raise DataError(
                f"The {name} file lacks the column {listed(absent)} of the {first[0]} file.",
                "Add it, or drop it from all three.",
            )
        tables[name] = read(path, options=ReadOptions(columns=column_options(known)))
    return {name: t.select(known.modelled).to_pandas() for name, t in tables.items()}, known


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(evaluate)
    app.command()(audit)
