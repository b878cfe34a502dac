"""A sweep on disk: what it is about, and one document a run, so that it goes on where it was stopped.

    sweep.json        data, split, target, delta; another sweep is refused the folder
    cells/KEY.json    a run that ended well, written whole or not at all
    logs/KEY.txt      what a run printed; a failed run has its reason there, and is tried again

Without a folder everything lies in a temporary one.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dpsynth.core.errors import WorkspaceError
from dpsynth.workspace.layout import read_json, write_json

SCHEMA = "dpsynth.sweep/1"


class SweepFolder:
    """Where a sweep lies.

    Args:
        root: the folder.
        facts: what makes it this sweep.

    Raises:
        WorkspaceError: the folder holds another sweep, or something else.
    """

    def __init__(self, root: Path, facts: Mapping[str, Any]) -> None:
        self.root = root
        marker = root / "sweep.json"
        if root.exists() and not root.is_dir():
            raise WorkspaceError(f"'{root}' is a file.", "Choose a folder.")
        if marker.exists():
            _check_same(read_json(marker), facts, root)
        elif root.exists() and any(root.iterdir()):
            raise WorkspaceError(f"'{root}' holds something that is no sweep.", "Choose a new or an empty folder.")
        self.cells.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        write_json(marker, {"schema": SCHEMA, **facts})

    @property
    def cells(self) -> Path:
        """Documents of runs."""
        return self.root / "cells"

    @property
    def logs(self) -> Path:
        """What runs printed."""
        return self.root / "logs"

    def cell(self, key: str) -> Path:
        """Where a run's document is, or will be."""
        return self.cells / f"{key}.json"

    def done(self, key: str) -> dict[str, Any] | None:
        """The document of a run that ended well."""
        path = self.cell(key)
        return read_json(path) if path.is_file() else None


@contextlib.contextmanager
def at(folder: Path | None) -> Iterator[Path]:
    """The folder, or a temporary one for the time of the sweep."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="dpsynth-sweep-") as scratch:
        yield Path(scratch)


def _check_same(found: Mapping[str, Any], facts: Mapping[str, Any], root: Path) -> None:
    if found.get("schema") != SCHEMA:
        raise WorkspaceError(f"'{root / 'sweep.json'}' is of another format.", "Choose a new folder.")
    differ = [name for name in facts if found.get(name) != facts[name]]
    if differ:
        raise WorkspaceError(
            f"The folder '{root}' holds a sweep that differs in: {', '.join(differ)}.",
            "Choose a new folder, or repeat the sweep's own settings and data to go on with it.",
        )
