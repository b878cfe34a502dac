"""One real workspace for the tests that only look at it: fair, MST, epsilon 1, attacked, evaluated, judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpsynth.demo.data import write
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.datasets import DatasetRecord


def lenient(policy: str) -> str:
    """The default policy with wide attack limits.

    Noise comes from the operating system, so the default limits would now and then ask for another draft; these tests
    are about the way, not about the attacks.
    """
    head, _, tail = policy.partition("  limits:")
    lines = tail.split("\n")
    kept = [lines[0]]
    for line in lines[1:]:
        indented = line.startswith("    ") and ":" in line
        kept.append(f"{line.split(':')[0]}: 0.9" if indented else line)
    relaxed = "\n".join(kept).replace("require_positive_control: true", "require_positive_control: false")
    return f"{head}  limits:{relaxed}".replace("max_tvd2_shortfall: 1.5", "max_tvd2_shortfall: 5")


@pytest.fixture(scope="session")
def fair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The table and its schema."""
    return write("fair", tmp_path_factory.mktemp("fair"))


def make(folder: Path, fair: tuple[Path, Path]) -> tuple[Workspace, DatasetRecord]:
    """A workspace with a lenient policy in which the table has a budget of epsilon 3."""
    ws = Workspace.init(folder)
    ws.layout.policy.write_text(lenient(ws.layout.policy.read_text("utf-8")), "utf-8")
    record = ws.register(fair[0], schema=fair[1])
    ws.create_budget(record, epsilon=3, delta="1e-5")
    return ws, record


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory, fair: tuple[Path, Path]) -> Draft:
    """A draft with all its evidence."""
    ws, record = make(tmp_path_factory.mktemp("ws") / "vault", fair)
    draft = ws.synthesize(record, epsilon=1, delta="1e-6")
    draft.attack()
    draft.evaluate()
    draft.gate()
    return draft


@pytest.fixture
def workspace(tmp_path: Path, fair: tuple[Path, Path]) -> Iterator[tuple[Workspace, DatasetRecord]]:
    """A fresh workspace with a budget, for tests that write."""
    yield make(tmp_path / "vault", fair)
