"""The section on approvals that goes on the card, and its sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from accounting.ledger.desk import Appeal
from dpsynth.release.approvals import governance_lines, governance_section, waived
from dpsynth.release.policy import default_policy
from dpsynth.release.public_view import public_decision
from dpsynth.release.standing import Standing, State
from dpsynth.release.states import state_of
from tests.release.world import World, ready_world, reviewed_policy

CHANGE = {"path": "attempts.max_attempts", "before": 3, "after": 5}


@pytest.fixture
def approved(tmp_path: Path) -> tuple[World, Standing]:
    world = ready_world(tmp_path, policy=reviewed_policy())
    decision = world.judge()
    world.review("approve", "approve")
    world.ledger.approve(world.budget_id, "draft-1")
    return world, state_of(world.ledger.entries(), world.policy, "draft-1", decision=public_decision(decision))


def test_the_section_says_who_voted_what_when_and_what_was_asked(approved) -> None:
    world, standing = approved
    section = governance_section(standing, world.policy, changes=[CHANGE])
    entries = {entry.seq: entry for entry in world.ledger.entries()}
    assert {name: section[name] for name in ("schema", "state", "missing", "asked", "waivers", "policy_changes")} == {
        "schema": "dpsynth.governance/1", "state": "approved", "missing": [], "waivers": [],
        "asked": {"approvals": 2, "blinded": True, "valid_days": 30}, "policy_changes": [CHANGE],
    }  # fmt: skip
    assert section["policy"] == {"name": world.policy.name, "digest": world.policy.digest()}
    assert len(section["reviews"]) == 2
    for row, key in zip(section["reviews"], world.reviewers, strict=True):
        body = entries[row["entry"]].body
        assert row == {"reviewer": key.key_id, "vote": "approve", "at": body["time"], "entry": row["entry"],
                       "blinded": True, "counts": True}  # fmt: skip
        assert (body["step"], body["key_id"]) == ("open", key.key_id)


def test_what_is_missing_is_on_the_section_until_the_draft_is_approved(tmp_path: Path) -> None:
    world = ready_world(tmp_path, policy=reviewed_policy())
    decision = world.judge()
    standing = state_of(world.ledger.entries(), world.policy, "draft-1", decision=public_decision(decision))
    section = governance_section(standing, world.policy)
    assert section["state"] == "attacked" and section["missing"] == [str(lack) for lack in standing.missing] != []
    assert governance_section(standing, default_policy())["asked"] is None


def test_a_waiver_counts_if_listed_and_approved_alone(approved) -> None:
    world, standing = approved
    appeal = Appeal(seq=9, rule="quality", owner="C. Owner", reason="Small on purpose.", time="2026-11-23T08:00:00Z")
    on_appeal = replace(standing, waivers=(appeal,))
    listing = reviewed_policy(waivable=["quality"])
    assert waived(on_appeal, listing) == {"quality"}
    assert waived(on_appeal, reviewed_policy(waivable=["utility"])) == frozenset()
    assert waived(on_appeal, default_policy()) == frozenset()
    assert waived(replace(on_appeal, state=State.REVIEWED), listing) == frozenset()
    voters = [key.key_id for key in world.reviewers]
    assert governance_section(on_appeal, listing)["waivers"] == [
        {"rule": "quality", "reason": "Small on purpose.", "owner": "C. Owner", "at": "2026-11-23T08:00:00Z",
         "entry": 9, "approved_by": voters}
    ]  # fmt: skip


def test_the_sentences(approved) -> None:
    world, standing = approved
    appeal = Appeal(seq=9, rule="quality", owner="C.\x1b[2J Owner", reason="Small.", time="2026-11-23T08:00:00Z")
    section = governance_section(replace(standing, waivers=(appeal,)), world.policy, changes=[CHANGE])
    first, second = section["reviews"]
    assert governance_lines(section) == [
        "Approved by 2 reviewers in sealed votes; the policy asks for 2.",
        f"  approve by key {first['reviewer']}, {first['at']}",
        f"  approve by key {second['reviewer']}, {second['at']}",
        f"WAIVED: rule quality, asked by C.\ufffd[2J Owner: Small. (approved by {first['reviewer']}, "
        f"{second['reviewer']})",
        "POLICY CHANGED after the reservation: attempts.max_attempts from 3 to 5",
    ]
    open_ = {**section, "asked": {**section["asked"], "approvals": 1}, "reviews": [first, {**second, "vote": "return"}]}
    assert governance_lines(open_)[0] == "Approved by 1 reviewers; the policy asks for 1."
    assert governance_lines({**section, "asked": None, "waivers": [], "policy_changes": []}) == []
