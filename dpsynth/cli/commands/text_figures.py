"""`dpsynth evaluate --text-column`: quality of texts in anybody's files, and of the other columns if there are some.

Not guaranteed: a table whose other columns are one alone has no pair, so only its texts are measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.cli.commands.texts import is_lines, read_texts
from dpsynth.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.cli.terminal import Terminal
    from dpsynth.quality.report import QualityReport


def evaluate_texts(
    terminal: Terminal,
    files: Mapping[str, Path],
    *,
    column: str | None,
    labels: str | None = None,
    schema: Path | None = None,
    target: str | None = None,
    model: str | None = None,
    ablation: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> QualityReport:
    """The report on the texts of `real`, `synthetic`, `holdout` and perhaps `later`.

    Args:
        terminal: for warnings and progress.
        files: paths by those names; tables, or files of lines that are the texts.
        column: of texts; None for files of plain lines.
        labels: another column of the tables: what learners make of the texts.
        schema: what is public about the other columns.
        target: column that models of the other columns predict.
        model: a public language model by path or name, for perplexity.
        ablation: options of `quality.ablation.ablate`, whose models read the texts too; they predict label or target.
        seed: of the report.

    Raises:
        DataError: a file cannot be read, lacks a column, or holds something else than text.
    """
    from dpsynth.cli.commands.tables import read_alike
    from dpsynth.quality.text import evaluate_text, together

    scorer = None
    if model is not None:
        from dpsynth.text.backends import load
        from dpsynth.text.scoring import scorer_of

        scorer = scorer_of(load(model))
    if any(is_lines(path) for path in files.values()):
        if labels is not None or ablation is not None:
            raise DataError("Files of lines have no column of labels.", "Give CSV or Parquet files.")
        lines: dict[str, Any] = {name: read_texts(name, path, column) for name, path in files.items()}
        with terminal.progress() as progress:
            return evaluate_text(**lines, scorer=scorer, seed=seed, progress=progress)
    tables = read_alike(terminal, files, schema, text=column)
    if labels is not None and any(labels not in tables[name].columns for name in files):
        raise DataError("A file lacks the column of labels.", "Name a column that all files have.")
    told = None
    if labels is not None:
        told = (list(tables["real"][labels]), list(tables["synthetic"][labels]), list(tables["holdout"][labels]))
    texts: dict[str, Any] = {name: list(tables[name][column]) for name in files}
    rest = [name for name in tables.schema.modelled if name != column]
    with terminal.progress() as progress:
        report = evaluate_text(**texts, labels=told, scorer=scorer, seed=seed, progress=progress)
        if len(rest) >= 2:
            from dpsynth.quality import evaluate

            table = evaluate(
                **{name: tables[name][rest] for name in files},
                schema=tables.schema,
                target=target or tables.schema.target,
                seed=seed,
                progress=progress,
            )
            report = together(table, report)
        if ablation is None:
            return report
        predicted = labels or target or tables.schema.target
        return _mixed(report, tables.frames, (*rest, str(column)), predicted, ablation, seed, progress)


def _mixed(
    report: QualityReport,
    frames: Mapping[str, pd.DataFrame],
    columns: tuple[str, ...],
    target: str | None,
    options: Mapping[str, Any],
    seed: int,
    progress: Any,
) -> QualityReport:
    """The report with an ablation whose models read the last of `columns`, the texts, and the others."""
    from dpsynth.quality.ablation.study import ablate

    if target is None:
        raise DataError("An ablation trains models to predict a column.", "Name it: --label-column.")
    rows = {name: frame[list(columns)].dropna(subset=[columns[-1]]) for name, frame in frames.items()}
    found = ablate(**rows, target=target, text=columns[-1:], seed=seed, progress=progress, **options)
    return report.model_copy(update={"ablation": found})
