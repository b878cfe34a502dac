"""The verifier in one file, written once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dpsynth.release.standalone.build import NAME, verifier

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`verify_bundle.py` in a folder of its own."""
    path = tmp_path_factory.mktemp("single") / NAME
    path.write_bytes(verifier())
    return path


@pytest.fixture(scope="session")
def run(single) -> Run:
    """Run it as a stranger would, with this interpreter or another."""

    def call(*arguments: object, python: str = sys.executable, file: Path = single, **settings):
        command = [python, "-I", str(file), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **settings)

    return call
