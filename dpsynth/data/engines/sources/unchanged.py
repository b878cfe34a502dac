"""Files that are read each time they are asked for, and must be the same files each time.

Size, time of change and (on this machine) place on the disk are looked at after every statement, so no count that was
read from other files is ever used. What a run that goes on must find again is `FileSource.version`.

>>> import tempfile
>>> import pyarrow as pa, pyarrow.parquet as pq
>>> path = Path(tempfile.mkdtemp()) / "a.parquet"
>>> pq.write_table(pa.table({"x": [1]}), path)
>>> files = UnchangedFiles()
>>> files.add(FileSource.at(str(path))); files.check()
>>> pq.write_table(pa.table({"x": [1, 2]}), path)
>>> files.check()
Traceback (most recent call last):
...
dpsynth.data.engines.protocol.SourceChanged: ...

Not guaranteed: that a file which was written without another size and time is noticed; nor files that are added, which
a run does not read, and a run that goes on is told of.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import final

from dpsynth.core.errors import DataError
from dpsynth.data.engines.protocol import EngineLost, SourceChanged
from dpsynth.data.engines.sources.files import FileSource

Seen = tuple[tuple[int | None, ...] | None, ...]


@final
class UnchangedFiles:
    """Files as they were when they were first opened."""

    def __init__(self) -> None:
        self._seen: list[tuple[FileSource, Seen]] = []

    def add(self, source: FileSource) -> None:
        """From now on these are looked at too, as they are now.

        Raises:
            DataError: links make two of them one, so that each of its rows would count twice.
        """
        paths, now = set(source.paths), _seen(source)
        places = [found[:2] for found in now if found is not None] if source.local else []
        if len(set(places)) < len(places):
            raise DataError(
                "Two of the files are one, by a link, so that each of its rows would count twice: one person's share of"
                " a count would be larger than what noise was paid for.",
                "Leave the link out of the folder or pattern.",
            )
        self._seen = [(known, seen) for known, seen in self._seen if not paths & set(known.paths)]
        self._seen.append((source, now))

    def check(self) -> None:
        """Look at all of them.

        Raises:
            SourceChanged: one was replaced, written to, or is gone.
            EngineLost: a bucket does not answer.
        """
        if any(_seen(source) != seen for source, seen in self._seen):
            raise _changed()

    def version(self) -> str | None:
        """Digest of the versions of all of them (private); None if there is none.

        Raises:
            SourceChanged, EngineLost: as `check`.
        """
        if not self._seen:
            return None
        self.check()
        try:
            versions = [source.version() for source, _ in self._seen]
        except DataError:
            raise _changed() from None
        self.check()
        return hashlib.sha256("".join(versions).encode()).hexdigest()


def _seen(source: FileSource) -> Seen:
    """Of each file what changes when it is written or replaced."""
    if source.local:
        return tuple(_on_disk(path) for path in source.paths)
    import pyarrow as pa
    from pyarrow.fs import FileSelector

    try:
        listed = source.filesystem.get_file_info(FileSelector(source.root, recursive=True, allow_not_found=True))
    except (OSError, pa.ArrowException) as error:
        raise EngineLost(
            f"The bucket does not answer ({type(error).__name__}); its own words are left out.",
            "Check network, credentials and endpoint.",
        ) from None
    known = {info.path: (info.size, info.mtime_ns) for info in listed}
    return tuple(known.get(path) for path in source.paths)


def _on_disk(path: str) -> tuple[int, ...] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _changed() -> SourceChanged:
    return SourceChanged(
        "A file changed under the run, so what was counted before and after belongs to no one table.",
        "Put the files back as they were, times included.",
    )
