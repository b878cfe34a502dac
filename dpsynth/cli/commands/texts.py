"""Texts in files, and the attacks on them beside those on the rest of a table.

    .csv, .csv.gz, .parquet    a table; `--text-column` names the texts, the other columns are attacked as a table
    .jsonl, .ndjson            one JSON value a line: a string, or an object with the text column
    .txt                       one text a line; empty lines are left out

Not guaranteed: that a table's text column is the only one that holds writing; another long one is attacked as a
category.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dpsynth.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from attacks import AttackReport, TextCanaries

LINES: Final = frozenset({".txt", ".jsonl", ".ndjson"})
MAX_BYTES: Final = 1 << 30
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options say of texts; `column` is None for files of lines that are the texts."""

    column: str | None
    benchmark: Path | None = None
    canaries: Path | None = None

    def items(self) -> list[str] | None:
        """The benchmark's items."""
        return None if self.benchmark is None else read_texts("benchmark", self.benchmark, self.column)

    def planted(self) -> TextCanaries | None:
        """The canaries that were planted."""
        from attacks.text.canary_file import read_canaries

        return None if self.canaries is None else read_canaries(self.canaries)


def is_lines(path: Path) -> bool:
    """Whether a file's name says that each line is a text or a JSON value."""
    return path.suffix.lower() in LINES


def read_texts(name: str, path: Path, column: str | None) -> list[str]:
    """The texts of one file without missing ones.

    Raises:
        DataError: it cannot be read, lacks the column, or holds something else than text; names the line.
    """
    if not is_lines(path):
        from dpsynth.data.options import ColumnOptions, ReadOptions
        from dpsynth.data.read import read

        if column is None:
            raise DataError(f"The {name} file is a table, and no column is named.", "Add --text-column.")
        table = read(path, options=ReadOptions(columns={column: ColumnOptions(type="string")}))
        return [text for text in table.column(column).to_pylist() if text is not None]
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"The {name} file is larger than 1 GiB.", "Audit a random part of all three.")
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"The {name} file cannot be read ({error.strerror}).", "Check the path.") from error
    except UnicodeDecodeError:
        raise DataError(f"The {name} file is not UTF-8.", "Convert it first.") from None
    if path.suffix.lower() == ".txt":
        return [line.rstrip("\r") for line in lines if line.strip()]
    found = (_value(name, at, line, column) for at, line in enumerate(lines, 1) if line.strip())
    return [text for text in found if text is not None]


def _value(name: str, at: int, line: str, column: str | None) -> str | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"Line {at} of the {name} file is not JSON.", "Write one JSON value a line.") from None
    if isinstance(value, dict):
        if column is None:
            raise DataError(f"Line {at} of the {name} file is an object, and no field is named.", "Add --text-column.")
        if column not in value:
            raise DataError(f"Line {at} of the {name} file lacks the text field.", "Name its text field.")
        value = value[column]
    if value is not None and not isinstance(value, str):
        raise DataError(f"Line {at} of the {name} file holds something else than text.", "Convert it first.")
    return value


def audit_lines(
    files: Mapping[str, Path], asked: Asked, *, limits: str, seed: int, progress: Progress
) -> tuple[AttackReport, dict[str, int]]:
    """The text attacks on three files of lines; the report, and how many texts each file holds."""
    import attacks

    texts = {name: read_texts(name, path, asked.column) for name, path in files.items()}
    report = attacks.audit_text(
        texts["real"],
        texts["synthetic"],
        texts["holdout"],
        benchmarks=asked.items(),
        canaries=asked.planted(),
        limits=limits,
        seed=seed,
        progress=progress,
    )
    return report, {name: len(own) for name, own in texts.items()}


def audit_column(
    frames: Mapping[str, pd.DataFrame],
    asked: Asked,
    *,
    roles: Mapping[str, Any],
    suite: str,
    limits: str,
    seed: int,
    jobs: int,
    progress: Progress,
) -> AttackReport:
    """The text attacks on one column, and those on tables on the rest if there is any; one report."""
    import attacks
    from attacks.report import together

    column = str(asked.column)
    report = attacks.audit_text(
        frames["real"],
        frames["synthetic"],
        frames["holdout"],
        column=column,
        unit=roles["unit"],
        benchmarks=asked.items(),
        canaries=asked.planted(),
        limits=limits,
        seed=seed,
        progress=progress,
    )
    rest = {name: frame.drop(columns=column) for name, frame in frames.items()}
    if not set(rest["real"].columns) - {roles["unit"]}:
        return report
    kept = {name: tuple(c for c in value if c != column) if isinstance(value, tuple) else value
            for name, value in roles.items()}  # fmt: skip
    table = attacks.audit(
        rest["real"],
        rest["synthetic"],
        rest["holdout"],
        **kept,
        suite=suite,
        limits=limits,
        seed=seed,
        jobs=jobs,
        progress=progress,
    )
    return together(table, report)
