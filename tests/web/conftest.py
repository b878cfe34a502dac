"""A workspace that asks for two blinded reviews, with one draft that the machine lets pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dpsynth.demo.data import write
from dpsynth.workspace import Workspace
from dpsynth.workspace.keys import add_key, make_pair
from tests.e2e.conftest import lenient

REVIEW = "\nreview:\n  approvals: 2\n  blinded: true\n  valid_days: 30\n  waivable: [quality]\n"


@dataclass(frozen=True)
class Office:
    """A workspace, its draft, and the reviewers' key files."""

    workspace: Workspace
    draft: str
    ada: Path
    bob: Path


def make_office(folder: Path) -> Office:
    table, schema = write("fair", folder)
    workspace = Workspace.init(folder / "vault")
    policy = workspace.layout.policy
    policy.write_text(lenient(policy.read_text("utf-8")) + REVIEW, "utf-8")
    record = workspace.register(table, schema=schema)
    workspace.create_budget(record, epsilon=3, delta="1e-5")
    ada, bob = (folder / f"{name}.key" for name in ("ada", "bob"))
    for key in (ada, bob):
        add_key(workspace, make_pair(key)[1], "review")
    for _ in range(3):
        draft = workspace.synthesize(record, epsilon=1, delta="1e-6")
        draft.attack()
        draft.evaluate()
        if draft.gate().decision == "ship":
            break
    return Office(workspace, draft.name, ada, bob)


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """For tests that only look."""
    return make_office(tmp_path_factory.mktemp("office"))
