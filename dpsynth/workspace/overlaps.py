"""Rows that have two names: a file in a registered folder, a pattern over registered files, one table on two hosts.

A budget belongs to a place, so a second name of the same rows would be a second budget. Before a data set gets one of
its own, the files of all others that have one are compared with its own (as the file system knows them, so that links
do not hide them), and folders with what lies in them. What overlaps shares a budget: `parent`. A run looks again, since
files move.

Not guaranteed: that copies are found, views, partitions, or one server under two names, which is only warned of; nor
files that lie in one folder today and in another tomorrow.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import BudgetRefused, DataError, ParameterError
from dpsynth.data.engines.files import WILD

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from dpsynth.workspace.datasets import DatasetRecord
    from dpsynth.workspace.workspace import Workspace


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


def doubts(workspace: Workspace, record: DatasetRecord) -> tuple[str, ...]:
    """What a person should think of before granting: tables of one name in one database of another host."""
    with workspace.ledger() as ledger:
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
    return bool(_inodes(one) & _inodes(other))


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
    try:
        if record.place is not None:
            if record.place.source.kind != "duckdb":
                return set()
            listed = record.place.source.files()
            if not listed.local:
                return set(listed.paths)
            files = [Path(path) for path in listed.paths]
        else:
            files = [] if record.path is None else [Path(record.path)]
        facts = [path.stat() for path in files]
    except (DataError, ParameterError, OSError):  # none is there, or one has just gone
        return set()
    return {(fact.st_dev, fact.st_ino) for fact in facts}


def _tail(record: DatasetRecord) -> str | None:
    """Database and table of a server; of a cluster its table, since clusters may share a catalogue."""
    if record.place is None or record.place.source.kind == "duckdb":
        return None
    parts = 2 if record.place.source.kind == "postgresql" else 1
    return record.place.source.kind + "/".join(record.place.shown.rsplit("/", parts)[1:])
