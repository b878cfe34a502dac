"""The registry of data sets: what a name stands for, and whose budget it draws on.

A data set is known by the keyed commitment of its content, not by its path: the same bytes under another name draw
on the same budget, and a file that changed is another data set that nobody has granted anything. One whose rows stay in
an engine is known by its place (`places`), and draws on one budget however it changes.

Not guaranteed: that two files which overlap without being equal share a budget; a person who registers an extract of
a registered table has to say so.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError, ParameterError, WorkspaceError
from dpsynth.data.options import ReadOptions
from dpsynth.release.evidence import LineageFacts, TimeFacts
from dpsynth.workspace.layout import read_json, write_json
from dpsynth.workspace.registry.places import Place

if TYPE_CHECKING:
    from dpsynth.data.table import CountTable, Table
    from dpsynth.schema.model import Schema

_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """What the workspace knows of a data set; nothing here is derived from its rows.

    Attributes:
        name: how people call it; also the stem of its drafts' names.
        commitment: keyed commitment of the content, or of the place, hexadecimal.
        unit: whose data one step of the relation adds or removes.
        path: where the content lies, or None for a table that was handed over in memory.
        schema: path of the schema file that was given at registration, if any.
        lineage: synthetic parents, as declared at registration, if any.
        time: column and public moment from which on rows are set aside before a fit, if a person gave them.
        place: the engine and table that hold the rows; None for a file or a table in memory.
    """

    name: str
    commitment: str
    unit: PrivacyUnit
    path: str | None = None
    schema: str | None = None
    lineage: LineageFacts | None = None
    time: TimeFacts | None = None
    place: Place | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "name": self.name,
            "commitment": self.commitment,
            "unit": self.unit.to_json(),
            "path": self.path,
            "schema": self.schema,
            **({} if self.lineage is None else {"lineage": self.lineage.model_dump(mode="json")}),
            **({} if self.time is None else {"time": self.time.model_dump(mode="json")}),
            **({} if self.place is None else {"place": self.place.to_json()}),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> DatasetRecord:
        """Read what `to_json` wrote."""
        return cls(
            name=body["name"],
            commitment=body["commitment"],
            unit=PrivacyUnit.from_json(body["unit"]),
            path=body["path"],
            schema=body["schema"],
            lineage=LineageFacts.model_validate(body["lineage"]) if "lineage" in body else None,
            time=TimeFacts.model_validate(body["time"]) if "time" in body else None,
            place=Place.from_json(body["place"]) if "place" in body else None,
        )


class Registry:
    """The data sets of one workspace.

    Args:
        path: `datasets.json`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        stored = read_json(path)["datasets"] if path.exists() else []
        self._records = {body["name"]: DatasetRecord.from_json(body) for body in stored}

    def __iter__(self) -> Any:
        return iter(self._records.values())

    def get(self, name: str) -> DatasetRecord:
        """The record of a registered name.

        Raises:
            WorkspaceError: if nothing is registered under it.
        """
        if name not in self._records:
            known = ", ".join(sorted(self._records)) or "none yet"
            raise WorkspaceError(
                f"There is no file '{name}', and no data set '{name}' is registered here.",
                f"Check the path. Registered: {known}.",
            )
        return self._records[name]

    def by_commitment(self, commitment: str) -> DatasetRecord | None:
        """The record of this very content, if it is registered."""
        return next((r for r in self._records.values() if r.commitment == commitment), None)

    def add(self, record: DatasetRecord, *, unit_is_fixed: bool = True) -> DatasetRecord:
        """Register, or return what is registered for the same content.

        A name that another content holds gets a number: `claims`, `claims-2`.

        Args:
            record: what is said of the data set now.
            unit_is_fixed: a budget counts the registered unit, so another one is refused.

        Raises:
            WorkspaceError: if the same content is registered with another unit of privacy, and that one is fixed.
        """
        known = self.by_commitment(record.commitment)
        if known is not None:
            if known.unit != record.unit and unit_is_fixed:
                raise WorkspaceError(
                    f"This data is registered as '{known.name}' with the unit {known.unit}, not {record.unit}.",
                    "A budget counts one unit; use the registered one.",
                )
            merged = replace(
                known,
                unit=record.unit,
                path=record.path or known.path,
                schema=record.schema or known.schema,
                lineage=record.lineage or known.lineage,
                time=record.time or known.time,
                place=record.place or known.place,
            )
            if merged == known:
                return known
            record = merged
        else:
            record = replace(record, name=self._free(slug(record.name)))
        self._records[record.name] = record
        write_json(self._path, {"version": 1, "datasets": [r.to_json() for r in self._records.values()]})
        return record

    def _free(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self._records:
            number += 1
            candidate = f"{name}-{number}"
        return candidate


def check_declared(
    source: Path | CountTable, unit: str | None, schema: str | Path | None, time: TimeFacts | None = None
) -> None:
    """Refuse a unit, a schema or a time that does not fit the columns, before a budget hangs on it.

    Raises:
        SchemaError: the schema file cannot be read, or speaks of other columns.
        DataError: the data cannot be read, or have no column `unit`, or none of time.
    """
    from dpsynth.data.read import read
    from dpsynth.schema.checks import check_columns, column_options
    from dpsynth.schema.model import Schema

    known = Schema.from_yaml(Path(schema)) if schema is not None else None
    options = ReadOptions(columns=column_options(known) if known is not None else {})
    table: CountTable = read(source, options=options) if isinstance(source, Path) else source
    if unit is not None and unit not in table.columns:
        raise DataError(f"The table has no column '{unit}' to be the unit of privacy.", "Correct --unit.")
    if time is not None and time.column not in table.columns:
        raise DataError(f"The table has no column '{time.column}' to be its time.", "Correct --time.")
    if known is not None:
        check_columns(table, known)


def drafted(source: Path | CountTable, *, target: str | None, unit: str | None) -> Schema:
    """A schema from names and types of the columns alone; rows do not leave.

    Raises:
        DataError: the data cannot be read.
        SchemaError: there is no such target or unit.
    """
    from dpsynth.data.read import read
    from dpsynth.schema.draft import draft

    return draft(read(source) if isinstance(source, Path) else source, target=target, unit=unit)


def as_table(source: Any) -> Table:
    """A `Table` from a Table, or a table of Arrow, pandas, polars, DuckDB or ibis.

    Raises:
        ParameterError: anything else.
    """
    import pyarrow as pa

    from dpsynth.data.frames import is_frame
    from dpsynth.data.table import Table

    if isinstance(source, Table):
        return source
    if isinstance(source, pa.Table):
        return Table.from_arrow(source)
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return Table.from_pandas(source)
    if is_frame(source):
        return Table.from_frame(source)
    raise ParameterError(
        f"A {type(source).__name__} is not a table.",
        "Give a path, dp.read(...), or a table of Arrow, pandas, polars, DuckDB or ibis.",
    )


def unit_of(column: str | None, max_records: int) -> PrivacyUnit:
    """One row, or all rows that one value of a column names.

    Raises:
        ParameterError: a bound on rows per person without a column that names the person.
    """
    if column is None:
        if max_records != 1:
            raise ParameterError(
                "A bound on rows per person needs the column that names the person.", "Add --unit COLUMN."
            )
        return PrivacyUnit()
    return PrivacyUnit(kind="user", column=column, max_records=max_records)


def table_bytes(table: Table) -> bytes:
    """The table's content as bytes: what an in-memory table is committed to by."""
    import pyarrow as pa

    sink = io.BytesIO()
    arrow = table.to_arrow().combine_chunks()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return sink.getvalue()


def slug(name: str) -> str:
    """A name for folders and commands: lower-case letters, digits and hyphens, at most 40.

    >>> slug("Claims 2024.csv.gz")
    'claims-2024'
    """
    stem = name.lower()
    for ending in (".gz", ".csv", ".parquet", ".tsv"):
        stem = stem.removesuffix(ending)
    return _NAME.sub("-", stem).strip("-")[:40].strip("-") or "data"
