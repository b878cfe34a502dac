"""Anybody's three files, read alike: real rows, synthetic rows and a holdout, with the same columns and types.

The first file says which columns there are, unless a schema does. Its types are those of all files, but for whole
numbers: a synthesizer that writes 37.0 or 36.8 where the real file says 37 has written numbers, so the column is then
read as decimal everywhere. Columns that only the other files have are left out with a warning.

>>> widest("integer", ["float", "integer"])
'float'

Files that are attacked in blocks (`streams`) are not read here: their names and types are in the footers.

Not guaranteed: that equal names mean equal things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from attacks import Released
    from dpsynth.cli.terminal import Terminal
    from dpsynth.data.table import Table
    from dpsynth.schema.model import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Frames by name, all with the same columns; `unit`, if any, may be missing in the synthetic one.

    `streams` are the tables that stay in their files, with the same columns and types.
    """

    frames: Mapping[str, pd.DataFrame]
    schema: Schema
    warnings: tuple[str, ...]
    streams: Mapping[str, Released] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frames[name]


def widest(first: str, others: Sequence[str]) -> str:
    """The type in which a column of these types is read: the first one, or decimal where whole numbers are not."""
    return "float" if first == "integer" and "float" in others else first


def read_alike(
    terminal: Terminal,
    files: Mapping[str, Path],
    schema: Path | None = None,
    *,
    unit: str | None = None,
    text: str | None = None,
    streams: Mapping[str, Released] | None = None,
) -> Tables:
    """The files as frames, all read with the types of the first one or of the schema.

    Args:
        terminal: warnings go there.
        files: paths by name; the first one decides.
        schema: what is public about the columns.
        unit: column that says whose row it is; kept where a file has it.
        text: column of free text; read as it stands in every file.
        streams: those of the files that are not read into memory.

    Raises:
        DataError: a file cannot be read, lacks a column, or holds values of another type.
        SchemaError: the schema cannot be read.
    """
    from dpsynth.cli.commands.streams import empty, typed
    from dpsynth.core.errors import DataError
    from dpsynth.data.options import ColumnOptions, ReadOptions
    from dpsynth.data.read import DEFAULTS, read
    from dpsynth.data.warning import listed
    from dpsynth.schema.checks import column_options
    from dpsynth.schema.draft import draft
    from dpsynth.schema.model import Schema

    known = Schema.from_yaml(schema) if schema is not None else None
    first = next(iter(files))
    declared = ReadOptions(columns=column_options(known) if known else {})
    streams = streams or {}

    def looked_at(name: str) -> Table:
        options = declared if name == first else DEFAULTS
        return empty(streams[name], options) if name in streams else read(files[name], options=options)

    plain = {name: looked_at(name) for name in files}
    notes = [f"{first}: {warning.message}" for warning in plain[first].warnings]
    drafted = known is None
    if known is None:
        known = draft(plain[first])
    unit = unit or known.unit
    if unit is not None and unit not in plain[first].columns:
        raise DataError(
            f"The {first} file has no column {listed([unit])}.", "Name the column that says whose row it is."
        )
    if text is not None and text not in plain[first].columns:
        raise DataError(f"The {first} file has no column {listed([text])}.", "Name its text column.")
    columns = [column for column in known.modelled if column not in (unit, text)]
    options = column_options(known)
    if text is not None:
        columns.append(text)
        options[text] = ColumnOptions(type="string")
    for name, table in plain.items():
        absent = [column for column in columns if column not in table.columns]
        if absent and len(absent) == len(columns):
            raise DataError(
                f"The {name} file and the {first} file have no column in common.",
                "Check that both have a header row and describe the same things.",
            )
        if absent:
            raise DataError(
                f"The {name} file lacks the column {listed(absent)} of the {first} file.",
                "Add it, or drop it from all three.",
            )
        extra = [column for column in table.columns if column not in known.columns]
        if extra:
            notes.append(f"{name}: the column {listed(extra)} is not in the {first} file and was left out.")
    if drafted:
        for column in columns:
            if column == text:
                continue
            kinds = [plain[name].types[column] for name in files]
            if widest(kinds[0], kinds[1:]) != kinds[0]:
                options[column] = replace(options[column], type="float")
                notes.append(f"Column {listed([column])} holds whole numbers in one file and decimals in another.")
    frames, streamed = {}, {}
    for name, path in files.items():
        kept = [*columns, *([unit] if unit is not None and unit in plain[name].columns else [])]
        asked = {column: options[column] for column in kept if column in options}
        if name in streams:
            streamed[name] = typed(streams[name], kept, asked)
        else:
            frames[name] = read(path, options=ReadOptions(columns=asked)).select(kept).to_pandas()
    for note in notes:
        terminal.warn(note)
    return Tables(frames=frames, schema=known, warnings=tuple(notes), streams=streamed)
