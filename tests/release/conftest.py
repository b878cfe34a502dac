"""One finished workspace and its bundle for the whole run; tests copy what they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.release.export import gather
from tests.release.world import World, ready_world


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A draft that passes; do not write to it."""
    return ready_world(tmp_path_factory.mktemp("ready"))


@pytest.fixture(scope="session")
def evidence(ready):
    """Evidence that ships under the default policy."""
    return gather(ready.documents, ready.ledger, ready.vault)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path, Path]:
    """A workspace, its bundle as a folder, and as a zip."""
    world = ready_world(tmp_path_factory.mktemp("released"))
    decision = world.judge()
    folder, archive = world.home / "bundle", world.home / "bundle.zip"
    world.release(folder, decision=decision)
    world.release(archive, decision=decision)
    return world, folder, archive
