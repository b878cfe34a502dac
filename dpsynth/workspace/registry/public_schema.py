"""What is public of a data set before any of its rows is read: a plan is a function of this, the unit and the budget.

A declared schema says it all, and nothing is read. Without one, names and types of the columns are: of rows in an
engine by its catalogue or the files' footers; of a file by its reader, which looks at cells for types.

Not guaranteed: that the rows suit it. Opening them says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.core.errors import SchemaError
from dpsynth.data.engines.sources.described import described
from dpsynth.data.engines.sources.urls import SourceURL
from dpsynth.data.warning import shown
from dpsynth.schema.draft import with_roles
from dpsynth.schema.model import Schema
from dpsynth.workspace.private.room import drafted_file
from dpsynth.workspace.registry.datasets import DatasetRecord, drafted
from dpsynth.workspace.registry.places import identified
from dpsynth.workspace.registry.registering import session_of

if TYPE_CHECKING:
    from accounting.relation import PrivacyUnit
    from dpsynth.workspace.workspace import Workspace

NOTHING = "nothing (the schema says it all)"
NAMES = "names and types of the columns"


def public_schema(
    source: DatasetRecord | SourceURL | Path,
    schema: Schema | str | Path | None,
    *,
    workspace: Workspace | None,
    unit: PrivacyUnit,
    row_key: str | None = None,
    target: str | None = None,
    order: str | None = None,
) -> tuple[Schema, str]:
    """The schema that a run would have, and what was read to know it.

    Args:
        source: a registered data set, rows in an engine, or a file.
        schema: what is public, or the file that says it; default the registered one, else names and types.
        workspace: where a data set is registered.
        unit: whose column is not modelled.
        row_key: of rows in an engine that are not registered; not modelled either.
        target: the column that models will predict.
        order: the column that orders a unit's rows.

    Raises:
        DataError: the columns cannot be read.
        SchemaError: there is no such column, or the schema models the row key.
    """
    record = source if isinstance(source, DatasetRecord) else None
    if record is not None:
        schema = schema if schema is not None else record.schema
        row_key = None if record.place is None else record.place.row_key
    if schema is not None:
        known, read = schema if isinstance(schema, Schema) else Schema.from_yaml(Path(schema)), NOTHING
        known = with_roles(known, target=target, unit=unit.column, order=order)
    else:
        known, read = _drafted(source, workspace, target, unit), NAMES
        known = with_roles(known, order=order)
    if row_key is not None:
        if row_key not in known.columns:
            raise SchemaError(f"The row key {shown(row_key)} is not a column of the table.", "Correct --row-key.")
        known = identified(known, row_key, declared=schema is not None)
    return known, read


def _drafted(
    source: DatasetRecord | SourceURL | Path, workspace: Workspace | None, target: str | None, unit: PrivacyUnit
) -> Schema:
    if isinstance(source, Path):
        return drafted(source, target=target, unit=unit.column)
    if isinstance(source, SourceURL):
        return drafted(described(source), target=target, unit=unit.column)
    if workspace is None:
        raise SchemaError("Columns of a registered data set are known in its workspace.", "Name it.")
    if source.place is None:
        return drafted_file(workspace, source, target=target)
    return drafted(described(session_of(workspace, source)), target=target, unit=unit.column)
