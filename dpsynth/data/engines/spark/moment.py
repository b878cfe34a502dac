"""One moment of a source that Spark would read again.

A cached frame is no copy: what is lost with an executor is computed anew, from the files as they are by then, and
counts would mix two versions of a table. So the raw cells are copied once and cut off from where they came, by a
checkpoint on the disks of the executors, twice where two are there at that time; or in a folder that every executor
reaches. A lost part is read from the other copy, or the engine is lost (`EngineLost`): nothing asks the source again.

While the copy is made, parts may be read twice as well. So the files must have the same sizes and times before, when
Spark lists them, and after; and a source that does not consist of files is read once more and compared by digest.

Views that would answer otherwise when asked again are refused: rand(), uuid(), LIMIT, TABLESAMPLE.

Not guaranteed: what is no function of the rows and yet called one, such as `first` of a group or row_number() among
ties: the copy holds one answer, and a later run another. Nor files that are replaced by others of equal size and time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dpsynth.core.errors import DataError
from dpsynth.data.engines.protocol import SourceChanged

ARBITRARY = frozenset({"GlobalLimit", "LocalLimit", "Offset", "Tail", "Sample"})
"""Nodes of a plan that take some rows, whichever come."""
CONSTANT = frozenset({"LocalRelation", "OneRowRelation", "Range"})
Listing = list[tuple[str, str, int, int]]


def copied(session: Any, query: str, *, reliably: bool) -> Any:
    """The rows of a query at one moment, as a frame that has no other source.

    Args:
        session: who is asked.
        query: raw cells.
        reliably: copy to the session's checkpoint folder rather than to the disks of the executors.

    Raises:
        DataError: asked again, the source would answer otherwise.
        SourceChanged: it changed while it was copied.
    """
    from pyspark import StorageLevel

    frame = session.sql(query)
    plan = frame._jdf.queryExecution().analyzed()
    require_steady(plan)
    files = _files(session, frame)
    plan.refresh()
    frame = session.sql(query)  # lists its files after their sizes and times were taken
    if reliably:
        copy = frame.checkpoint()
    else:
        alone = session.sparkContext._jsc.sc().isLocal()
        copy = frame.localCheckpoint(True, StorageLevel.DISK_ONLY if alone else StorageLevel.DISK_ONLY_2)
    same = files == _files(session, frame)
    if same and not _is_of_files(frame):
        same = _digest(copy) == _digest(session.sql(query))
    if not same:
        forget(copy)
        raise SourceChanged(
            "The table changed while it was read, so the rows belong to no one moment.",
            "Ask again when nothing writes to it.",
        )
    return copy


def forget(copy: Any) -> None:
    """Delete the blocks of a copy, wherever they are."""
    copy._jdf.queryExecution().logical().rdd().unpersist(False)


def require_steady(plan: Any) -> None:
    """Refuse a view that would hold other rows when it is asked again.

    Args:
        plan: an analyzed logical plan (of the JVM).
    """
    chance = [part for part in _plans(plan) if not part.deterministic()]
    some = {node.nodeName() for part in _plans(plan) for node in _nodes(part)} & ARBITRARY
    if chance or some:
        what = "functions of chance, such as rand()" if chance else "some rows, whichever come (LIMIT, TABLESAMPLE)"
        raise DataError(
            f"The table is a view of {what}: asked again it would hold other rows.",
            "Write its rows to a table once, and name that.",
        )


def _is_of_files(frame: Any) -> bool:
    """Whether all that the rows come from are files that were listed, or constants."""
    for part in _plans(frame._jdf.queryExecution().withCachedData()):
        leaves = part.collectLeaves()
        for at in range(leaves.size()):
            leaf = leaves.apply(at)
            name = leaf.getClass().getSimpleName()
            if name == "LogicalRelation":
                name = leaf.relation().getClass().getSimpleName()
            if name != "HadoopFsRelation" and name not in CONSTANT:
                return False
    return True


def _plans(plan: Any) -> Iterator[Any]:
    """A plan, and those of its subqueries."""
    yield plan
    inner = plan.subqueriesAll()
    for at in range(inner.size()):
        yield inner.apply(at)


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    children = plan.children()
    for at in range(children.size()):
        yield from _nodes(children.apply(at))


def _files(session: Any, frame: Any) -> Listing:
    """Folder, name, size and time of change of each file, as its file system says now."""
    jvm, settings = session._jvm, session._jsc.hadoopConfiguration()
    wanted: dict[str, set[str]] = {}
    for address in frame.inputFiles():
        folder, _, name = address.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    found: Listing = []
    for folder, names in sorted(wanted.items()):
        place = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI.create(f"{folder}/"))
        for status in place.getFileSystem(settings).listStatus(place):
            name = status.getPath().toUri().getRawPath().rpartition("/")[2]
            if name in names:
                found.append((folder, name, status.getLen(), status.getModificationTime()))
    return sorted(found)


def _digest(frame: Any) -> tuple[Any, ...]:
    """Number of rows and sum of their hashes, whatever their order."""
    cells = ", ".join(f"`{name}`, `{name}` IS NULL" for name in frame.columns)
    asked = frame.selectExpr("COUNT(*)", f"SUM(CAST(xxhash64({cells}) AS DECIMAL(38, 0)))")
    return tuple(asked.collect()[0])
