"""No sequence of acts of people reaches a bundle without the reviews: the workspace's functions against a model.

The model keeps its own account of who voted what on which evidence; it shares no code with `dpsynth.release.states`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounting.errors import AccountingError
from dpsynth.core.errors import DpsynthError
from dpsynth.workspace import governance
from tests.workspace.governed import Governed, copy_of, make_governed

REVIEWERS = 4
_PREPARED: list[Governed] = []


def _prepared() -> Governed:
    if not _PREPARED:
        home = Path(tempfile.mkdtemp(prefix="governed-"))
        _PREPARED.append(make_governed(home, reviewers=REVIEWERS))
    return _PREPARED[0]


class Acts(RuleBasedStateMachine):
    """Votes, openings, approvals, new evidence, other policies, withdrawals, releases and recalls in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="acts-"))
        self.sealed: dict[int, str] = {}
        self.opened: dict[int, str] = {}
        self.late: set[int] = set()
        self.approved = self.withdrawn = self.released = self.recalled = False
        self.judged = True
        self.laxer = False
        self.bundles = 0

    @initialize()
    def begin(self) -> None:
        self.it = copy_of(_prepared(), self.home)
        self.policy = self.it.workspace.layout.policy.read_bytes()

    def teardown(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def _tried(self, act: object) -> bool:
        try:
            act()  # type: ignore[operator]
        except (DpsynthError, AccountingError) as refused:
            assert refused.message
            assert "Traceback" not in str(refused)
            return False
        return True

    def _forget(self) -> None:
        self.sealed, self.opened, self.late, self.approved = {}, {}, set(), False

    @rule(number=st.integers(0, REVIEWERS - 1), vote=st.sampled_from(("approve", "approve", "return", "reject")))
    def seal(self, number: int, vote: str) -> None:
        if self._tried(lambda: self.it.vote(number, vote)):
            assert self.judged
            assert not self.withdrawn
            self.sealed[number] = vote
            self.late = self.late | {number} if self.opened else self.late - {number}

    @rule(number=st.integers(0, REVIEWERS - 1))
    def open(self, number: int) -> None:
        if self._tried(lambda: self.it.open(number)):
            assert len(self.sealed) >= 2
            self.opened[number] = self.sealed[number]
            self.approved = False

    @rule()
    def two_look(self) -> None:
        """Random walks alone would seldom get there."""
        for number in (0, 1):
            self.seal(number, "approve")
        for number in (0, 1):
            self.open(number)

    @rule(number=st.integers(0, REVIEWERS - 1))
    def hasty(self, number: int) -> None:
        """Two seal, one opens, and somebody tries to get the draft out at once."""
        self.seal(number, "approve")
        self.seal((number + 1) % REVIEWERS, "return")
        self.open(number)
        self.approve()
        self.release()

    @rule()
    def approve(self) -> None:
        if self._tried(lambda: governance.approve(self.it.workspace, self.it.name)):
            assert self._enough()
            self.approved = True

    @rule(what=st.sampled_from(("attack", "evaluate")))
    def other_evidence(self, what: str) -> None:
        getattr(self.it, what)()
        self.judged = False
        self._forget()

    @rule()
    def gate(self) -> None:
        self.judged = self.it.draft.gate().decision == "ship"
        self._forget()

    @rule()
    def change_policy(self) -> None:
        path = self.it.workspace.layout.policy
        path.write_bytes(self.policy if self.laxer else self.policy.replace(b"approvals: 2", b"approvals: 1"))
        self.laxer = not self.laxer

    @rule()
    def withdraw(self) -> None:
        if self._tried(lambda: governance.withdraw(self.it.workspace, self.it.name, reason="no longer wanted")):
            assert not self.released
            self.withdrawn = True

    @rule()
    def recall(self) -> None:
        if self._tried(lambda: governance.recall(self.it.workspace, self.it.name, reason="a source was wrong")):
            assert self.released
            self.recalled = True

    @rule()
    def release(self) -> None:
        self.bundles += 1
        out = self.home / f"bundle-{self.bundles}"
        if self._tried(lambda: self.it.draft.release(out)):
            assert self._may_leave(), "a bundle left without its reviews"
            self.released = True
            assert self.it.draft.workspace.layout.release_public_key.exists()
        else:
            assert not out.exists()

    def _enough(self) -> bool:
        votes = list(self.opened.values())
        blind = [vote for number, vote in self.opened.items() if number not in self.late]
        for_, against = votes.count("approve"), votes.count("return")
        if "approve" not in blind or "return" not in blind:  # whoever sealed later had read a vote
            for_ = blind.count("approve")
        return for_ >= 2 and against <= 1 and for_ > against and "reject" not in votes

    def _may_leave(self) -> bool:
        same = not self.laxer and self.judged and not self.withdrawn and not self.recalled
        return self.approved and self._enough() and same

    @invariant()
    def released_means_that_a_bundle_left(self) -> None:
        if not hasattr(self, "it"):
            return
        state = self.it.state
        assert (state == "released") == (self.released and not self.recalled)
        assert state != "approved" or self._may_leave()


COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],  # to shrink takes minutes
}


def test_no_sequence_of_acts_reaches_a_bundle_without_its_reviews() -> None:
    run_state_machine_as_test(
        Acts, settings=settings(max_examples=12, stateful_step_count=14, derandomize=True, **COMMON)
    )


@pytest.mark.slow
def test_nor_does_a_longer_one() -> None:
    run_state_machine_as_test(Acts, settings=settings(max_examples=150, stateful_step_count=30, **COMMON))
