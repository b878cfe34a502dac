"""The schema of a table with a column of prose: what is written, and which columns are made with it.

Not guaranteed: that the column is prose; `dpsynth.schema.free_text` judges cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.schema.draft import with_text
from dpsynth.schema.model import Schema
from dpsynth.workspace.registry.public_schema import NOTHING, public_schema

if TYPE_CHECKING:
    from dpsynth.workspace.registry.datasets import DatasetRecord
    from dpsynth.workspace.workspace import Workspace


def text_schema(
    workspace: Workspace,
    record: DatasetRecord,
    declared: Schema | str | Path | None,
    text: str,
    *,
    beside: Sequence[str],
    target: str | None,
) -> Schema:
    """The schema with a column as text and only some others beside it; names and types leave the file, no cell.

    Args:
        workspace: where the data is registered.
        record: the data set.
        declared: a schema; default the registered one, else a draft.
        text: the column of prose.
        beside: columns that are made with it; see `with_text`.
        target: the column that models will predict; made with it too.

    Raises:
        SchemaError: there is no such column, or it cannot be text.
    """
    known, read = public_schema(record, declared, workspace=workspace, unit=record.unit, target=target)
    found = with_text(known, text, beside=beside, declared=read == NOTHING, unit=record.unit.column)
    time = None if record.time is None else record.time.column
    if time in found.columns and found.columns[time].drop:  # read, to set later rows aside; never modelled
        found = found.with_columns(**{time: {"drop": False, "role": "identifier"}})
    return found
