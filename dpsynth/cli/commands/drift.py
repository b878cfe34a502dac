"""`drift`: whether a release still describes the rows of today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands.options import AsJson, SchemaFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

CODES = {"keep": 0, "regenerate": 3}
SHOWN = 12


def drift(
    release: Annotated[Path, typer.Argument(help="a bundle (folder or .zip), or a file of synthetic rows")],
    new: Annotated[Path, typer.Argument(help="real rows of today")],
    before: Annotated[
        Path | None, typer.Option("--before", help="real rows of the release's time: tells drift from its own error")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="total variation distance that is no reason to act; default 0.05 with --before, else 0.15"),
    ] = None,
    alpha: Annotated[float, typer.Option(help="chance of a false alarm, over all columns and pairs")] = 0.05,
    schema: SchemaFile = None,
    as_json: AsJson = False,
) -> None:
    """Hold new rows against a release: keep (exit 0) or regenerate (3); the answer is internal."""
    from dpsynth.cli.commands.tables import read_alike
    from dpsynth.cli.terminal import Terminal
    from dpsynth.quality.drift.monitoring import monitor

    terminal = Terminal(as_json=as_json)
    with _rows_of(release) as rows:
        files = {"release": rows, "new": new} | ({} if before is None else {"before": before})
        tables = read_alike(terminal, files, schema)
    columns = list(tables.schema.modelled)
    found = monitor(
        tables["release"][columns],
        tables["new"][columns],
        before=None if before is None else tables["before"][columns],
        kinds={name: spec.kind for name, spec in tables.schema.columns.items()},
        alpha=alpha,
        tolerance=tolerance,
    )
    for warning in found.warnings:
        terminal.warn(warning)
    document: dict[str, Any] = found.model_dump(mode="json")
    document = {"schema": document.pop("schema_"), **document}
    for title, lines in (("columns", found.columns), ("pairs", found.pairs)):
        terminal.table(
            f"Most drifted {title} (internal: computed from new private rows)",
            [title, ">distance", ">floor", ">to the release", ">p adjusted"],
            [
                [" x ".join(line.columns), f"{line.tvd:.4f}", f"{line.floor:.4f}", f"{line.release:.4f}",
                 f"{line.p_adjusted:.2g}"]
                for line in lines[:SHOWN]
            ],
        )  # fmt: skip
    beside = "rows of its time" if found.against == "before" else "the release"
    terminal.say(
        f"{found.answer}: p = {found.p_value:.2g} that no distance to {beside} is beyond {found.tolerance:g}; a column "
        f"at {found.detectable:.2f} would be seen. Confidential: a function of private rows without noise."
    )
    terminal.result(document)
    raise typer.Exit(CODES[found.answer])


def _rows_of(release: Path) -> AbstractContextManager[Path]:
    from contextlib import contextmanager

    @contextmanager
    def opened() -> Iterator[Path]:
        if not release.is_dir() and release.suffix != ".zip":
            yield release
            return
        import tempfile
        import zipfile

        from dpsynth.core.errors import DataError
        from dpsynth.release.archive import read_bundle
        from dpsynth.release.documents import Refusal

        try:
            read_bundle(release)  # names, sizes and form; who signed it is `verify`'s question
        except Refusal as refusal:
            raise DataError(refusal.message, "Give a bundle as `dpsynth release` wrote it, or its rows.") from None
        if release.is_dir():
            yield release / "data.parquet"
            return
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(release) as archive:
            rows = Path(folder) / "data.parquet"
            rows.write_bytes(archive.read("data.parquet"))
            yield rows

    return opened()


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(drift)
