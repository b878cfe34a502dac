"""A real workspace under the policy of two blinded reviews, with a sealed draft and written-out reports that pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from accounting import Signer
from dpsynth.release.policy import Policy
from dpsynth.workspace import Workspace, governance
from dpsynth.workspace.draft import Draft
from dpsynth.workspace.keys import add_key, make_pair
from tests.release.world import attack_report, quality_report


@dataclass
class Governed:
    """A workspace, its one draft, and the key files of reviewers who live elsewhere."""

    workspace: Workspace
    name: str
    people: Path
    keys: list[Path] = field(default_factory=list)

    @property
    def draft(self) -> Draft:
        return self.workspace.draft(self.name)

    def attack(self, **changes: Any) -> None:
        self._record("attack", attack_report(**changes).to_json())

    def evaluate(self) -> None:
        self._record("quality", json.loads(json.dumps(quality_report().to_json())))

    def _record(self, kind: str, report: dict[str, Any]) -> None:
        with self.workspace.ledger(write=True) as ledger:
            self.draft._record(ledger, kind, report, verdict=str(report.get("verdict", "")))

    def vote(self, number: int, vote: str = "approve") -> governance.Standing:
        return governance.review(
            self.workspace, self.name, key=self.keys[number], vote=vote, reason=f"seen by {number}"
        )

    def open(self, number: int) -> governance.Standing:
        return governance.open_reviews(self.workspace, self.name, key=self.keys[number])

    def approved(self) -> None:
        """All the way to the approval."""
        for number in range(2):
            self.vote(number)
        for number in range(2):
            self.open(number)
        governance.approve(self.workspace, self.name)

    @property
    def state(self) -> str:
        return governance.standing(self.workspace, self.name).state.value


def make_governed(
    home: Path, *, reviewers: int = 3, named: Sequence[int] = (), tier: str | None = "public"
) -> Governed:
    """The draft is sealed, attacked, measured and judged: it ships, and waits for reviews.

    Args:
        home: an empty folder.
        reviewers: keys that the ledger knows.
        named: those of them that the policy names, if any.
        tier: whose policy it gets; None for the one that asks for no reviews.
    """
    workspace = Workspace.init(home / "vault", tier=tier)
    people, keys = home / "people", [home / "people" / f"reviewer-{number}.key" for number in range(reviewers)]
    people.mkdir()
    ids = []
    for private in keys:
        signer, _ = make_pair(private)
        add_key(workspace, signer.public_bytes, "review")
        ids.append(signer.key_id)
    if named:
        body = workspace.policy().model_dump(mode="json")
        body["review"]["reviewers"] = [ids[number] for number in named]
        workspace.layout.policy.write_bytes(Policy.model_validate(body).to_yaml())
    rng = np.random.default_rng(4)
    table = {name: rng.integers(0, 4, 2000) for name in ("a", "b", "c")}
    data = home / "people.parquet"
    pq.write_table(pa.table(table), data)
    record = workspace.register(data)
    workspace.create_budget(record, epsilon=3, delta="1e-5")
    made = workspace.synthesize(record, "independent", epsilon=1, delta="1e-6", canaries=40)
    found = Governed(workspace=workspace, name=made.name, people=people, keys=keys)
    found.attack()
    found.evaluate()
    found.draft.gate()
    return found


def copy_of(made: Governed, home: Path) -> Governed:
    """Another folder with the same workspace and people."""
    shutil.copytree(made.workspace.layout.root, home / "vault")
    shutil.copytree(made.people, home / "people")
    keys = [home / "people" / key.name for key in made.keys]
    return Governed(workspace=Workspace.open(home / "vault"), name=made.name, people=home / "people", keys=keys)


__all__ = ["Governed", "Signer", "copy_of", "make_governed"]
