"""Parents of a data set: the releases whose synthetic rows are in it, as the person who registers it says.

A bundle is named by the SHA-256 of its signed statement, another file of synthetic rows by that of its bytes: enough to
recognise a parent, and nothing of its rows.

>>> facts([], real_anchor=False) is None
True

Not guaranteed: that the declaration is true or complete; nothing in rows says who made them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.release.archive import read_bundle
from dpsynth.release.documents import Refusal
from dpsynth.release.evidence import LineageFacts
from dpsynth.release.layout import STATEMENT


def facts(parents: Sequence[str | Path], *, real_anchor: bool) -> LineageFacts | None:
    """What is declared; None without parents.

    Args:
        parents: bundles (folders or .zip), or files of synthetic rows.
        real_anchor: whether real rows are in the data as well.

    Raises:
        ParameterError: real rows are said to stand beside parents that are not named.
        DataError: a parent is not there, or no bundle.
    """
    if not parents:
        if real_anchor:
            raise ParameterError("Real rows stand beside synthetic ones only where there are any.", "Name --parents.")
        return None
    return LineageFacts(parents=tuple(sorted({_digest(Path(one)) for one in parents})), real_anchor=real_anchor)


def _digest(path: Path) -> str:
    if path.is_dir() or path.suffix == ".zip":
        try:
            return read_bundle(path).sha256[STATEMENT]
        except Refusal as refusal:
            raise DataError(
                refusal.message, "Name a bundle as `dpsynth release` wrote it, or a file of rows."
            ) from None
    if not path.is_file():
        raise DataError(f"There is no parent at {path.name}.", "Check the path.")
    return hashlib.sha256(path.read_bytes()).hexdigest()
