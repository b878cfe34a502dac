"""One workspace that released a bundle, for all threats; whoever changes it copies first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.tabular import MST
from dpsynth.workspace import Draft, Workspace
from tests.release.world import World, ready_world


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """The workspace and its bundle."""
    world = ready_world(tmp_path_factory.mktemp("threats"))
    world.release(world.home / "bundle")
    return world, world.home / "bundle"


@pytest.fixture
def bundle(released, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(released[1], tmp_path / "bundle"))


@pytest.fixture
def own(tmp_path) -> World:
    """A workspace to spoil, with a draft that passes."""
    return ready_world(tmp_path / "own")


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Draft, str]:
    """A real run on a table whose cells hold a word of their own: workspace, sealed draft, the word."""
    home, word = tmp_path_factory.mktemp("private"), "zanzibar"
    path = home / "people.csv"
    pd.DataFrame({"town": [f"{word}{i % 3}" for i in range(900)], "age": [i % 70 for i in range(900)]}).to_csv(
        path, index=False
    )
    ws = Workspace.init(home / "vault")
    data = ws.register(path)
    ws.create_budget(data, epsilon=3, delta="1e-5")
    return ws, ws.synthesize(data, MST(), epsilon=1, delta="1e-6"), word
