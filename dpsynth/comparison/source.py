"""Public rows: read, checked and split once for a whole sweep.

The split is by coins from a public seed, so that all rows of a unit stay on one side and the same seed gives the same
split; everything that could make a whole sweep fail is refused here, before the first run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError, ParameterError, SchemaError
from dpsynth.data.table import Table
from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema
from dpsynth.simulation.population import Drawn
from dpsynth.workspace.private.split import split

if TYPE_CHECKING:
    import pandas as pd

LEAST_HOLDOUT = 40
"""Rows of a holdout below which no figure says anything."""
LEAST_TRAIN = 60


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PublicSource:
    """The two parts of a public table.

    Attributes:
        name: what the page calls it.
        train: what generators are fitted to, units bounded; with the unit's column, if any.
        holdout: what they are measured on.
        schema: what is public of the columns.
        unit: whose rows belong together.
        digest: of rows and split.
        simulated: name of the population that it was drawn from.
    """

    name: str
    train: Table
    holdout: Table
    schema: Schema
    unit: PrivacyUnit
    digest: str
    simulated: str | None = None


def open_public(
    data: str | Path | Table | pd.DataFrame | Drawn,
    *,
    schema: Schema | str | Path | None,
    target: str | None,
    unit: PrivacyUnit,
    holdout_share: float,
    split_seed: int,
    name: str | None,
    warn: Callable[[str], None],
) -> PublicSource:
    """Read, check and split.

    Raises:
        DataError: the file cannot be used, or leaves too few rows on a side, or one class of the target.
        SchemaError: the schema, or the target, does not fit the data.
        ParameterError: a share or a seed is out of range.
    """
    if not 0 < holdout_share < 1:
        raise ParameterError(f"Expected holdout_share={holdout_share} strictly between 0 and 1.", "Use 0.3.")
    if split_seed < 0:
        raise ParameterError(f"Expected split_seed={split_seed} >= 0.", "Use 0.")
    declared = Schema.from_yaml(Path(schema)) if isinstance(schema, str | Path) else schema
    simulated = None
    source: Any = data
    title = name or "table"
    if isinstance(data, Drawn):
        source, declared, simulated = data.table, declared or data.schema, data.truth.name
        title = name or f"simulated {simulated}"
    elif isinstance(data, str | Path):
        source, title = Path(data), name or Path(data).name
    elif not isinstance(data, Table):
        source = Table.from_pandas(data)
    found = prepare(source, declared, target=target, unit=unit.column)
    for warning in found.warnings:
        warn(warning.message)
    if found.schema.order is not None:
        raise ParameterError(
            "A comparison measures single rows, and the schema orders the rows of people.",
            "Compare without `role: order`; `benchmarks/sequences.py` measures people.",
        )
    key = hashlib.sha256(f"dpsynth.comparison split {split_seed}".encode()).digest()
    parts = split(found.table, holdout_share=holdout_share, key=key, unit_column=unit.column)
    train, holdout = parts.train, parts.holdout
    if unit.column is not None:
        train = train.bounded(unit.column, unit.max_records, key)
    _check_sizes(train, holdout)
    names = found.schema.modelled
    _check_target(found.schema, train, holdout)
    if len(names) < 2:
        raise SchemaError("A comparison needs at least two columns to model.", "Give a table with more columns.")
    kept = names if unit.column is None else (*names, unit.column)
    train, holdout = train.select(kept), holdout.select(kept)
    digest = hashlib.sha256(table_bytes(train) + table_bytes(holdout)).hexdigest()
    return PublicSource(
        name=title, train=train, holdout=holdout, schema=found.schema, unit=unit, digest=digest, simulated=simulated
    )


def table_bytes(table: Table) -> bytes:
    """The rows in Arrow's own form, the same bytes for the same rows."""
    rows = table.to_arrow().combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    out: bytes = sink.getvalue().to_pybytes()
    return out


def read_table(path: Path) -> Table:
    """What `table_bytes` wrote."""
    with pa.OSFile(str(path), "rb") as file:
        return Table(pa.ipc.open_stream(file).read_all())


def _check_sizes(train: Table, holdout: Table) -> None:
    if train.unsafe_num_rows < LEAST_TRAIN or holdout.unsafe_num_rows < LEAST_HOLDOUT:
        raise DataError(
            f"The split leaves {train.unsafe_num_rows} rows to fit and {holdout.unsafe_num_rows} to measure on; "
            f"{LEAST_TRAIN} and {LEAST_HOLDOUT} are the least.",
            "Give more rows, or another --holdout share.",
        )


def _check_target(schema: Schema, train: Table, holdout: Table) -> None:
    if schema.target is None:
        return
    for part, where in ((train, "fitted"), (holdout, "held out")):
        if len(part.column(schema.target).drop_null().unique()) < 2:
            raise DataError(
                f"The target {schema.target!r} has one value among the rows that are {where}.",
                "Choose another target or another split seed, or give more rows.",
            )
