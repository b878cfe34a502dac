"""Writing a bundle: all files composed in memory, written beside the target, put in place in one step.

The same evidence gives the same bytes (keys sorted, fixed dates in the zip, nothing compressed, no clock).
The target must not exist; a target that is a link is refused, because writing through it would write
elsewhere. On any failure what was written is removed.

>>> import tempfile, pathlib
>>> from dpsynth.release.layout import MEMBERS
>>> target = pathlib.Path(tempfile.mkdtemp()) / "out"
>>> with staged(target) as stage:
...     write_members(stage, {name: b"x" for name in MEMBERS})
...     put_in_place(stage, target)
>>> len(list(target.iterdir())) == len(MEMBERS)
True
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dpsynth.core.errors import ParameterError
from dpsynth.release.archive import ZIP_ATTRIBUTES, ZIP_DATE
from dpsynth.release.layout import present

_ZIP_LIMIT: Final = 2**32 - 2**20


def check_target(target: Path) -> None:
    """Refuse a target that exists in any form, or whose folder does not.

    Raises:
        ParameterError: saying which.
    """
    if os.path.lexists(target):
        kind = "a link" if target.is_symlink() else "something"
        raise ParameterError(f"There is {kind} at {target.name}; a release never overwrites.", "Choose a new path.")
    if not target.parent.is_dir():
        raise ParameterError(f"The folder for {target.name} does not exist.", "Create it, or choose another path.")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A path beside `target`, of the same kind, which is gone afterwards unless it was put in place."""
    check_target(target)
    folder = Path(tempfile.mkdtemp(dir=target.parent.resolve(), prefix=".dpsynth-release-"))
    try:
        yield folder / f"bundle{'.zip' if target.suffix == '.zip' else ''}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_members(stage: Path, members: Mapping[str, bytes]) -> None:
    """Write all members to a new folder, or a new zip if the name ends so.

    Raises:
        ParameterError: the members are not exactly those of a bundle, or too large for one zip.
    """
    names = present(members)
    if set(members) != set(names):
        raise ParameterError("A bundle consists of exactly its members.", "This is an error in dpsynth; report it.")
    if stage.suffix == ".zip":
        if sum(map(len, members.values())) > _ZIP_LIMIT:
            raise ParameterError("The bundle is larger than 4 GiB, too large for a plain zip.",
                                 "Give a target without `.zip` to write a folder.")  # fmt: skip
        with zipfile.ZipFile(stage, "x", zipfile.ZIP_STORED, allowZip64=False) as archive:
            for name in names:
                entry = zipfile.ZipInfo(name, date_time=ZIP_DATE)
                entry.create_system, entry.external_attr = 3, ZIP_ATTRIBUTES
                archive.writestr(entry, members[name])
        _flush(stage)
        return
    stage.mkdir(mode=0o755)
    for name in names:
        path = stage / name
        path.write_bytes(members[name])
        path.chmod(0o644)
        _flush(path)
    _flush(stage)


def put_in_place(stage: Path, target: Path) -> None:
    """Move a finished bundle to its target in one step; whatever appeared there meanwhile is left alone.

    Raises:
        ParameterError: the target exists now.
    """
    try:
        if stage.is_dir():
            target.mkdir()  # claims the name, or fails; a rename may then replace this empty folder only
            stage.rename(target)
        else:
            os.link(stage, target)
        _flush(target.parent)
    except FileExistsError:
        raise ParameterError(f"Something appeared at {target.name} meanwhile; a release never overwrites.",
                             "Choose a new path.") from None  # fmt: skip


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
