"""Rows that have two names: a file in a registered folder, a pattern over registered files, one table on two hosts.

A budget belongs to a place, so a second name of the same rows would be a second budget. Before a data set gets one of
its own, the files of all others that have one are compared with its own (as the file system knows them, so that links
do not hide them, and byte by byte), and folders with what lies in them. What overlaps shares a budget: `parent`. A run
looks again, since files move.

Not guaranteed: that copies in buckets or in other bytes are found, views, partitions, or one server under two names,
which is only warned of; nor files that lie in one folder today and in another tomorrow.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.core.errors import BudgetRefused, DataError, ParameterError
from dpsynth.data.engines.sources.files import WILD, FileSource
from dpsynth.data.source import fingerprint

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from dpsynth.workspace.registry.datasets import DatasetRecord
    from dpsynth.workspace.workspace import Workspace

END = 1 << 16
"""Bytes at the end of two files that are compared before their whole content is."""


def refuse_overlap(workspace: Workspace, ledger: Ledger, record: DatasetRecord) -> None:
    """No budget of its own for rows that have one under another name.

    Raises:
        BudgetRefused: naming the data set that they overlap with.
    """
    for other in _others(workspace, ledger, record):
        if _share_files(record, other):
            raise BudgetRefused(
                f"'{record.name}' and '{other.name}' hold the same files, and '{other.name}' has a budget: a second "
                "would refill it.",
                f"Use '{other.name}'; or let both spend from one: --parent {shlex.quote(other.name)}.",
            )


def refuse_grown_together(workspace: Workspace, ledger: Ledger, record: DatasetRecord) -> None:
    """No run on rows that came to have a second budget since both were granted: a file moved or linked into a folder.

    Raises:
        BudgetRefused: naming the other data set.
    """
    own = _roots(ledger, record)
    for other in _others(workspace, ledger, record):
        if _roots(ledger, other) != own and _share_files(record, other):
            raise BudgetRefused(
                f"'{record.name}' and '{other.name}' hold the same files by now, and each has a budget of its own: "
                "what both release of those rows would be counted nowhere.",
                f"Take the files of '{other.name}' out of '{record.name}', or those out of it.",
            )


def _roots(ledger: Ledger, record: DatasetRecord) -> str | None:
    """The budget at the top of the one that a data set has."""
    at = ledger.find_budget(record.commitment)
    while at is not None and (above := ledger.budget(at).parent) is not None:
        at = above
    return at


def doubts(workspace: Workspace, ledger: Ledger, record: DatasetRecord) -> tuple[str, ...]:
    """What a person should think of before granting: tables of one name in one database of another host."""
    return tuple(
        f"'{other.name}' is a table of the same name on another host ({other.place.shown}) and has a budget. If "
        f"both names mean one server, stop: use '{other.name}', or grant with --parent {shlex.quote(other.name)}."
        for other in _others(workspace, ledger, record)
        if other.place is not None and _tail(other) is not None and _tail(other) == _tail(record)
    )


def _others(workspace: Workspace, ledger: Ledger, record: DatasetRecord) -> list[DatasetRecord]:
    known = (other for other in workspace.registry if other.commitment != record.commitment)
    return [other for other in known if ledger.find_budget(other.commitment) is not None]


def _share_files(one: DatasetRecord, other: DatasetRecord) -> bool:
    if _holds(one, other) or _holds(other, one):
        return True
    return bool(_inodes(one) & _inodes(other)) or _copied(_local(one), _local(other))


def _holds(outer: DatasetRecord, inner: DatasetRecord) -> bool:
    """Whether all of a folder is the outer one, and the inner one lies in it: also of files that are not there yet."""
    folder = None if outer.place is None else outer.place.source.pattern
    if folder is None or WILD.search(folder):
        return False
    if inner.place is not None:
        pattern = inner.place.source.pattern
        return pattern is not None and f"{pattern}/".startswith(f"{folder.rstrip('/')}/")
    inside = inner.path is not None and Path(inner.path).is_relative_to(folder)
    return inside and Path(inner.path or "").suffix == ".parquet"


def _inodes(record: DatasetRecord) -> set[Any]:
    """The files as the file system numbers them, a bucket's by their paths; of those that are there."""
    listed = _listed(record)
    if listed is not None and not listed.local:
        return set(listed.paths)
    return {(fact.st_dev, fact.st_ino) for fact in _local(record).values()}


def _copied(mine: Mapping[Path, os.stat_result], theirs: Mapping[Path, os.stat_result]) -> bool:
    """Whether a file of one is, to the byte, a file of the other; whole files are read only where size and end agree.

    Files without rows are left out: all of one schema are the same bytes.
    """
    of_size: dict[int, list[Path]] = {}
    for path, fact in theirs.items():
        of_size.setdefault(fact.st_size, []).append(path)
    pairs = ((path, twin) for path, fact in mine.items() for twin in of_size.get(fact.st_size, ()))
    try:
        return any(_end(a) == _end(b) and _has_rows(a) and fingerprint(a) == fingerprint(b) for a, b in pairs)
    except (DataError, OSError):  # one has just gone
        return False


def _end(path: Path) -> bytes:
    """The last bytes of a file: of Parquet its footer, or a part of it."""
    with path.open("rb") as file:
        file.seek(-min(END, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return file.read()


def _has_rows(path: Path) -> bool:
    try:
        return path.suffix != ".parquet" or pq.read_metadata(path).num_rows > 0
    except pa.ArrowException:
        return True


def _local(record: DatasetRecord) -> dict[Path, os.stat_result]:
    """The files of this machine that are there."""
    listed = _listed(record)
    if listed is not None:
        files = [Path(path) for path in listed.paths] if listed.local else []
    else:
        files = [] if record.path is None else [Path(record.path)]
    try:
        return {path: path.stat() for path in files}
    except OSError:  # one has just gone
        return {}


def _listed(record: DatasetRecord) -> FileSource | None:
    """The files of a place; None where there are none now, and for what is no place of files."""
    if record.place is None or record.place.source.kind != "duckdb":
        return None
    try:
        return record.place.source.files()
    except (DataError, ParameterError):
        return None


def _tail(record: DatasetRecord) -> str | None:
    """Database and table of a server; of a cluster its table, since clusters may share a catalogue."""
    if record.place is None or record.place.source.kind == "duckdb":
        return None
    parts = 2 if record.place.source.kind == "postgresql" else 1
    return record.place.source.kind + "/".join(record.place.shown.rsplit("/", parts)[1:])
