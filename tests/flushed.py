"""What was told to the disk, in order: an `os.fsync` that writes down each path and how many bytes it had then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int]]:
    """The list that fills from now on."""
    told: list[tuple[Path, int]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        told.append((Path(f"/proc/self/fd/{handle}").readlink(), os.fstat(handle).st_size))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return told
