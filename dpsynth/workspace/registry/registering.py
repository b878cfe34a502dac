"""How data become known to a workspace, and how their rows are found again; see `Workspace.register`.

A file and a table in memory are known by their content, a table in an engine by its place. What is declared of them
(unit, schema, time, row key) is held against the columns before a budget hangs on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounting.relation import PrivacyUnit
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.engines.protocol import ROW
from dpsynth.data.engines.sources.described import described
from dpsynth.data.engines.sources.urls import fixed_part
from dpsynth.data.source import fingerprint
from dpsynth.schema.model import Schema
from dpsynth.workspace.registry import lineage, places
from dpsynth.workspace.registry.datasets import DatasetRecord, as_table, check_declared, table_bytes, unit_of

if TYPE_CHECKING:
    from dpsynth.data.engines.sources.urls import SourceURL
    from dpsynth.data.engines.warehouse import EngineTable
    from dpsynth.data.table import Table
    from dpsynth.release.evidence import TimeFacts
    from dpsynth.workspace.workspace import Workspace


def register(
    ws: Workspace,
    name_or_path: str | Path,
    source: Any,
    *,
    table: str | None,
    row_key: str | None,
    unit: str | None,
    max_per_unit: int,
    schema: str | Path | None,
    parents: Sequence[str | Path],
    real_anchor: bool,
    aside: TimeFacts | None,
) -> DatasetRecord:
    """See `Workspace.register`."""
    at, name = (name_or_path, None) if source is None else (source, str(name_or_path))
    who = unit_of(unit, max_per_unit)
    if _stays(ws, at, table):
        record = _of_place(ws, places.located(at, table), name, row_key, who)
    elif row_key is not None and isinstance(at, str | Path) and not _there(Path(at)):
        known = next((one for one in ws.registry if one.name == str(at) and one.place is not None), None)
        if known is None:
            raise DataError(
                "There is no such file or folder, nor a data set of this name in an engine.", "Check the path."
            )
        record = _of_place(ws, session_of(ws, known), known.name, row_key, known.unit if unit is None else who)
    elif row_key is not None:
        raise ParameterError(
            "A row key tells rows apart that stay in an engine, and one file is read into memory.",
            "Leave it out; or name the file's folder, whose rows stay where they are.",
        )
    elif source is None and not _there(Path(at)):
        record = ws.registry.get(str(at))
        if unit is None or who == record.unit:
            return record
        record = replace(record, unit=who)
    else:
        record = _of_content(ws, at, name, who)
    known_as = None if schema is None else str(Path(schema).resolve())
    declared = lineage.facts(parents, real_anchor=real_anchor)
    record = replace(record, schema=known_as, lineage=declared, time=aside)
    if record.place is not None:
        if not _known_as(ws, record):  # a server that is away stops nobody who says nothing new
            _check(ws, record)
    elif unit is not None or schema is not None or aside is not None:
        _check(ws, record)
    with ws.ledger() as ledger:
        granted = ledger.find_budget(record.commitment) is not None
    return ws.registry.add(record, unit_is_fixed=granted)


def registered(ws: Workspace, data: str | Path, table: str | None) -> DatasetRecord | None:
    """The record of a name, of a file's content or of a place; None if content or place is not registered."""
    if _stays(ws, data, table):
        session = places.located(data, table)
        found = ws.registry.by_commitment(_remembered(ws, session))
        if found is None and table is None:  # a folder of this name that nobody registered; ./name means the folder
            return next((record for record in ws.registry if record.name == str(data)), None)
        return found
    path = Path(data)
    if not _there(path):
        return ws.registry.get(str(data))
    return ws.registry.by_commitment(_commit_file(ws, path))


def load(ws: Workspace, record: DatasetRecord) -> Path | Table | EngineTable:
    """See `Workspace.load`."""
    if record.place is not None:
        numbered = record.place.identity(record.unit) == ROW
        return record.place.open(session_of(ws, record), numbered=numbered)
    if record.commitment in ws._tables:
        return ws._tables[record.commitment]
    if record.path is None:
        raise DataError(
            f"'{record.name}' was handed over in memory, and this process does not have it.",
            "Register the same table again in this session.",
        )
    path = Path(record.path)
    if not path.exists():
        raise DataError(f"The file of '{record.name}' is gone: {path}.", "Restore it, or register its new place.")
    if _commit_file(ws, path) != record.commitment:
        raise DataError(
            f"The file of '{record.name}' has changed since it was registered.",
            "Restore the registered content; changed data is another data set and needs its own budget.",
        )
    return path


def session_of(ws: Workspace, record: DatasetRecord) -> SourceURL:
    """What connects to a place: as this process was given it, else as it is remembered, without a password."""
    return ws._sessions.get(record.commitment) or places.place_of(record).source


def _of_place(
    ws: Workspace, session: SourceURL, name: str | None, row_key: str | None, unit: PrivacyUnit
) -> DatasetRecord:
    place = places.kept(session, row_key, unit)
    called = name or (session.table or "").rpartition(".")[2] or fixed_part(session.place).name or "files"
    return DatasetRecord(name=called, commitment=_remembered(ws, session), unit=unit, place=place)


def _of_content(ws: Workspace, source: Any, name: str | None, unit: PrivacyUnit) -> DatasetRecord:
    if isinstance(source, str | Path):
        path = Path(source)
        whole = str(path.resolve())
        return DatasetRecord(name=name or path.name, commitment=_commit_file(ws, path), unit=unit, path=whole)
    given, origin = as_table(source), None
    if given.origin is None:
        commitment = ws.vault.commit(table_bytes(given))
    else:  # read whole from a file: the file's budget is its budget
        commitment, origin = ws.vault.commit(bytes.fromhex(given.origin[1])), str(Path(given.origin[0]).resolve())
    ws._tables[commitment] = given
    return DatasetRecord(name=name or "data", commitment=commitment, unit=unit, path=origin)


def _check(ws: Workspace, record: DatasetRecord) -> None:
    """What is declared suits the columns."""
    if record.place is None:
        source = Path(record.path) if record.path is not None else load(ws, record)
        check_declared(source, record.unit.column, record.schema, record.time)
        return
    named = described(session_of(ws, record))
    places.check_columns(named, record.place, record.unit)
    check_declared(named, record.unit.column, record.schema, record.time)
    if record.schema is not None and record.place.row_key is not None:
        places.identified(Schema.from_yaml(Path(record.schema)), record.place.row_key)


def _remembered(ws: Workspace, session: SourceURL) -> str:
    """Keyed commitment of a place, which this process can connect to from now on."""
    commitment = ws.vault.commit(session.place.encode(), purpose="place")
    ws._sessions[commitment] = session
    return commitment


def _commit_file(ws: Workspace, path: Path) -> str:
    return ws.vault.commit(bytes.fromhex(fingerprint(path)))


def _stays(ws: Workspace, source: Any, table: str | None) -> bool:
    """Whether rows stay in an engine, also those of a registered folder that is gone."""
    if places.stays(source, table):
        return True
    if not isinstance(source, str | Path) or "://" in str(source) or _there(Path(source)):
        return False
    session = places.located(source, table)
    return ws.registry.by_commitment(ws.vault.commit(session.place.encode(), purpose="place")) is not None


def _known_as(ws: Workspace, record: DatasetRecord) -> bool:
    """Whether everything that is said of a place now is registered already."""
    known = ws.registry.by_commitment(record.commitment)
    if known is None or known.unit != record.unit or known.place != record.place:
        return False
    return all(said is None or said == was for said, was in ((record.schema, known.schema), (record.time, known.time)))


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
