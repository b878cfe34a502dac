"""Data sets that stay in an engine: where their rows are, and how a later command finds them again.

A budget belongs to the place (engine, host, database, table; or the absolute path), never to its content: a table that
grows by a row is the same data set, with what is left of the same budget. The place and what connects to it are kept in
the registry without a password and without parameters that could hold one; later commands find a password where the
engine's own tools look for it (`~/.pgpass`, `PGPASSWORD`).

>>> from accounting.relation import PrivacyUnit
>>> kept(located("postgresql://ann:pw@db.example/claims", "visits"), "id", PrivacyUnit()).source.connection
'postgresql://ann@db.example/claims'

Rows of files need no key: their places tell them apart while the files stay as they are. The key of their split is then
one for each version of the files, as `workspace.private.split` asks of positions; with a row key or a unit it is the
place's, and whoever was held out stays held out.

Not guaranteed: that two names of one host are one place, or a view and its table; whoever grants a budget twice does so
knowingly, or names the first as `parent`. Files that lie in two places are found (`overlaps`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dpsynth.core.errors import DataError, ParameterError, SchemaError
from dpsynth.data.engines.keyed import require_key, split
from dpsynth.data.engines.protocol import ROW, UnsupportedByEngine
from dpsynth.data.engines.sources.credentials import without_secrets
from dpsynth.data.engines.sources.urls import SourceURL, is_engine, parse
from dpsynth.data.warning import shown
from dpsynth.schema.draft import draft
from dpsynth.workspace.private.split import Split
from dpsynth.workspace.private.time import cut_in_engine

if TYPE_CHECKING:
    from accounting.relation import PrivacyUnit
    from dpsynth.data.engines.warehouse import EngineTable
    from dpsynth.data.table import CountTable
    from dpsynth.schema.model import Schema
    from dpsynth.workspace.registry.datasets import DatasetRecord


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the rows of a data set are, without a secret.

    Attributes:
        source: engine, place and table; its connection has no password.
        row_key: a column that is another for each record, which tells rows apart; None if the unit's column does, or
            their places in files.
    """

    source: SourceURL
    row_key: str | None = None

    @property
    def shown(self) -> str:
        """What people, logs and the commitment call it."""
        return self.source.place

    def identity(self, unit: PrivacyUnit) -> str:
        """The column whose value decides on which side of the split a row is."""
        found = unit.column or self.row_key
        if found is None and self.source.kind == "duckdb":
            return ROW
        if found is None:
            raise no_identity()
        return found

    def open(self, session: SourceURL | None = None, *, numbered: bool = False) -> EngineTable:
        """Connect, with what this process was given if it was, and make the table; see `SourceURL.open`."""
        return (session or self.source).open(numbered=numbered)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        source = self.source
        return {
            "kind": source.kind,
            "place": source.place,
            "table": source.table,
            "pattern": source.pattern,
            "connection": source.connection,
            "row_key": self.row_key,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Place:
        """Read what `to_json` wrote."""
        facts = dict(body)
        row_key = facts.pop("row_key")
        return cls(source=SourceURL(**facts), row_key=row_key)


def stays(source: object, table: str | None) -> bool:
    """Whether the rows stay in an engine: a URL, a folder or pattern of files, or a table that is named."""
    return isinstance(source, str | Path) and (table is not None or is_engine(str(source)))


def located(source: str | Path, table: str | None) -> SourceURL:
    """Where an argument points; holds its credentials, for this process alone."""
    return parse(str(source), table=table)


@contextmanager
def source_at(source: str | Path, table: str | None) -> Iterator[Path | EngineTable]:
    """A file as its path, rows in an engine as a table that is closed again; nothing is registered."""
    if not stays(source, table):
        yield Path(source)
        return
    found = located(source, table).open()
    with closing(found.engine):
        yield found


def kept(source: SourceURL, row_key: str | None, unit: PrivacyUnit) -> Place:
    """What the registry keeps of it.

    Raises:
        ParameterError: no column tells records apart.
    """
    place = Place(source=replace(source, connection=without_secrets(source.connection)), row_key=row_key)
    place.identity(unit)
    return place


def no_identity() -> ParameterError:
    """Nothing tells two records apart."""
    return ParameterError(
        "Rows of an engine have no order, so a column must tell records apart: to split them, and to split them the "
        "same way when a run goes on.",
        "Name one by --row-key COLUMN (another value in every record); or, where a person has several rows, the "
        "person's by --unit COLUMN.",
    )


def check_columns(table: CountTable, place: Place, unit: PrivacyUnit) -> None:
    """Refuse a unit or a row key that the table has not, before a budget hangs on it."""
    for option, name in (("--unit", unit.column), ("--row-key", place.row_key)):
        if name is not None and name not in table.columns:
            raise DataError(f"The table has no column '{name}'.", f"Correct {option}.")


def with_row_key(table: EngineTable, schema: Schema | None, record: DatasetRecord) -> Schema | None:
    """The schema under which the row key is read and not modelled; a draft where none is declared and one is needed.

    Raises:
        SchemaError: a declared schema models the row key.
    """
    name = None if record.place is None else record.place.row_key
    if name is None:
        return schema
    if schema is not None:
        return identified(schema, name)
    return identified(draft(table, unit=record.unit.column), name, declared=False)


def identified(schema: Schema, row_key: str, *, declared: bool = True) -> Schema:
    """The schema under which the row key is read and not modelled; it is a column of the schema.

    Raises:
        SchemaError: the schema is a person's and models it.
    """
    if declared and schema.columns[row_key].modelled:
        raise SchemaError(
            f"The row key {shown(row_key)} is another value in every record, and the schema models it.",
            "Give it `role: identifier` in the schema.",
        )
    return schema.with_columns(**{row_key: {"drop": False, "role": "identifier"}})


def check_counted(table: EngineTable, schema: Schema, identity: str, unit: PrivacyUnit) -> None:
    """Refuse, before anything is reserved, what an engine cannot be asked for.

    Raises:
        UnsupportedByEngine: prose, and people with an order, are read row by row.
        DataError: the row key is the same for two records.
    """
    for what, column in (("prose", schema.text), ("an order of a person's rows", schema.order)):
        if column is not None:
            raise UnsupportedByEngine(
                f"Column {shown(column)} is {what}, which is read row by row, and the rows stay in their engine.",
                "Leave it out; or export the table to a file and register that.",
            )
    if identity not in (unit.column, ROW):
        require_key(table, identity)


def place_of(record: DatasetRecord) -> Place:
    """Where a data set in an engine is.

    Raises:
        ParameterError: it is none.
    """
    if record.place is None:
        raise ParameterError(f"'{record.name}' is in no engine.", "Register its URL.")
    return record.place


def stays_in_engine(what: str) -> UnsupportedByEngine:
    """The refusal of what reads rows."""
    return UnsupportedByEngine(
        f"{what} reads rows, and the rows of this data set stay in their engine.",
        "Generators that count or train on codes can be fitted to it; for anything else export it to a file.",
    )


def split_in_engine(
    table: EngineTable, identity: str, record: DatasetRecord, *, holdout_share: float, key: bytes
) -> Split[EngineTable]:
    """`workspace.private.split` in the engine: secret coins of the identity, and a public date."""
    train, holdout = split(table, identity, holdout_share=holdout_share, key=key)
    if record.time is None:
        return Split(train=train, holdout=holdout)
    if record.unit.column is None:
        after = cut_in_engine(table, record.time)[1]
    else:  # nobody is on both sides of training
        after = cut_in_engine(holdout, record.time)[1]
    past = (cut_in_engine(part, record.time)[0] for part in (train, holdout))
    return Split(train=next(past), holdout=next(past), later=after)
