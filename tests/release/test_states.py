"""Every transition of a draft's life has a guard, read from the ledger; no sequence of acts goes round one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from accounting import Signer
from accounting.ledger.errors import EntryRefused, KeyRefused
from accounting.ledger.errors import ReviewRefused as VoteRefused
from dpsynth.core.errors import GateRefused, ReviewRefused
from dpsynth.quality.report import QualityReport
from dpsynth.release.approvals import check_may_leave
from dpsynth.release.gate import Decision
from dpsynth.release.policy import Policy, default_policy
from dpsynth.release.public_view import public_decision
from dpsynth.release.standing import PATH, Standing, State
from dpsynth.release.states import state_of
from tests.release.world import World, attack_report, make_world, quality_report, ready_world, reviewed_policy

NAME = "draft-1"


@pytest.fixture
def judged(tmp_path: Path) -> World:
    """A draft that the machine lets pass, under two blinded reviews."""
    world = ready_world(tmp_path, policy=reviewed_policy())
    world.judge()
    return world


def stands(world: World, *, policy: Policy | None = None, decision: Decision | None = None, **changes: Any) -> Standing:
    shown = decision or world.decision
    return state_of(
        world.ledger.entries(),
        policy or world.policy,
        NAME,
        decision=None if shown is None else public_decision(shown),
        **changes,
    )


def release(world: World, name: str = "out") -> Any:
    return world.release(world.home / name, decision=world.decision)


def bad_quality() -> QualityReport:
    """Rows no better than useless."""
    made = quality_report()
    worse = made.metrics[0].model_copy(update={"value": 0.4, "matched": 0.4})
    return made.model_copy(update={"metrics": (worse, *made.metrics[1:])})


# --- the way, one guard after the other ---


def test_the_whole_way_in_order(tmp_path: Path) -> None:
    world = make_world(tmp_path, policy=reviewed_policy())
    assert stands(world).state is State.DRAFT
    world.synthesize(NAME)
    assert stands(world).state is State.SEALED
    world.attack()
    assert stands(world).state is State.ATTACKED
    assert [lack.rule for lack in stands(world).missing] == ["quality", "decision"]
    world.evaluate()
    world.judge()
    assert [lack.rule for lack in stands(world).missing] == ["reviews"]
    world.review("approve", "approve")
    assert stands(world).state is State.REVIEWED
    world.ledger.approve(world.budget_id, NAME)
    assert stands(world).state is State.APPROVED
    made = release(world)
    found = stands(world)
    assert (found.state, found.missing, found.done) == (State.RELEASED, (), PATH)
    assert made.verification.governance is not None
    assert len(made.verification.governance["reviews"]) == 2


def test_a_run_that_holds_budget_and_sealed_no_rows_is_reserved(tmp_path: Path) -> None:
    from tests.release.world import EVENTS

    world = make_world(tmp_path)
    world.ledger.reserve(world.budget_id, EVENTS, delta="1e-6", run_id=NAME, purpose="release")
    assert stands(world).state is State.RESERVED


def test_each_step_says_what_there_is_and_what_is_asked_for(tmp_path: Path) -> None:
    """Scripts read rule, value and limit of `show --json`; people the next step."""
    world = make_world(tmp_path, policy=reviewed_policy())

    def said() -> list[tuple[str, str, str, str]]:
        found = stands(world)
        assert found.next_step == (found.missing[0].next_step if found.missing else "")
        assert all(lack.reason.endswith(".") for lack in found.missing)
        return [(found.state.value, lack.rule, lack.value, lack.limit) for lack in found.missing]

    assert said() == [("draft", "reserved", "nothing reserved", "a reservation")]
    assert stands(world).done == (State.DRAFT,)
    world.synthesize(NAME)
    assert said() == [("sealed", "attack", "no attack report", "one on these rows")]
    assert stands(world).done == (State.DRAFT, State.RESERVED, State.SEALED)
    world.attack()
    assert said() == [
        ("attacked", "quality", "no quality report", "one on these rows"),
        ("attacked", "decision", "no decision", "one on the evidence as it stands"),
    ]
    world.evaluate()
    world.judge()
    assert said() == [("attacked", "reviews", "0 sealed votes", "2")]
    place, signers = (world.budget_id, NAME), [world.reviewer(number) for number in range(2)]
    kept = [world.ledger.seal_vote(*place, vote="approve", reason="r", of=2, reviewer=one) for one in signers]
    assert said() == [("attacked", "reviews", "0 approvals opened", "2")]
    assert stands(world).sealed == tuple(sorted(one.key_id for one in signers))
    for at, (one, lies) in enumerate(zip(signers, kept, strict=True)):
        assert said() == [("attacked", "reviews", f"{at} approvals opened", "2")]
        assert f"{2 - at} votes lie sealed" in stands(world).missing[0].reason
        world.ledger.open_vote(*place, vote="approve", reason="r", salt=lies.salt, reviewer=one)
    assert said() == [("reviewed", "approval", "no approval", "an entry that ends the review")]
    assert stands(world).sealed == ()
    world.ledger.approve(*place)
    assert said() == [("approved", "release", "not released", "a bundle")]
    assert stands(world).done == PATH[:-1]
    shown = stands(world).to_json()
    assert set(shown) == {"draft", "state", "done", "missing", "next_step", "votes", "sealed", "waivers", "expires",
                          "notes"}  # fmt: skip
    assert (shown["draft"], shown["state"], shown["waivers"]) == (NAME, "approved", [])
    world.ledger.withdraw(*place, reason="a mistake")
    assert said() == []
    assert (stands(world).state, stands(world).done) == (State.WITHDRAWN, (*PATH[:4], State.WITHDRAWN))


@pytest.mark.parametrize(
    ("votes", "state", "lack"),
    [
        (("approve", "reject"), State.REJECTED, ("reviews", "a rejecting vote", "none")),
        (("return", "return"), State.REGENERATING, ("reviews", "returned", "approved")),
        (("approve", "return"), State.ATTACKED, ("reviews", "one vote to return", "2 approvals and a majority")),
    ],
)
def test_votes_against_a_draft_are_told_as_what_they_are(
    judged: World, votes: tuple[str, ...], state: State, lack: tuple[str, str, str]
) -> None:
    judged.review(*votes)
    found = stands(judged)
    assert found.state is state
    assert [(one.rule, one.value, one.limit) for one in found.missing] == [lack]
    assert found.done == (PATH[:4] if state is State.ATTACKED else (*PATH[:4], state))
    assert set(found.missing[0].to_json()) == {"rule", "value", "limit", "reason", "next_step"}


@pytest.mark.parametrize(
    ("until", "rule"),
    [("sealed", "attack"), ("attacked", "quality"), ("judged", "reviews"), ("one vote", "reviews"),
     ("reviewed", "approval")],
)  # fmt: skip
def test_nothing_is_released_before_every_guard(tmp_path: Path, until: str, rule: str) -> None:
    """Whatever is handed to `export`, the chain lacks the step; the refusal names rule, number, limit and next step."""
    donor = ready_world(tmp_path / "donor", policy=reviewed_policy())
    world = make_world(tmp_path / "here", policy=reviewed_policy())
    world.synthesize(NAME)
    if until != "sealed":
        world.attack()
    if until not in ("sealed", "attacked"):
        world.evaluate()
    if until in ("sealed", "attacked"):
        world.decision = donor.judge()
    else:
        world.judge()
    if until == "one vote":
        one = world.ledger.seal_vote(world.budget_id, NAME, vote="approve", reason="r", of=1, reviewer=world.reviewer())
        world.ledger.open_vote(
            world.budget_id, NAME, vote="approve", reason="r", salt=one.salt, reviewer=world.reviewer()
        )
    if until == "reviewed":
        world.review("approve", "approve")
    with pytest.raises(ReviewRefused) as refused:
        release(world)
    assert f"rule {rule}" in str(refused.value)
    assert "Asked for: " in str(refused.value)
    assert refused.value.remedy
    assert refused.value.exit_code == 7
    assert not (world.home / "out").exists()


def test_an_approval_is_not_written_before_the_votes_suffice(judged: World) -> None:
    with pytest.raises(VoteRefused, match="no approving vote"):
        judged.ledger.approve(judged.budget_id, NAME)


def test_a_draft_that_nobody_signed_for_cannot_be_reviewed_independently(tmp_path: Path) -> None:
    world = ready_world(tmp_path)  # under the default policy nobody signs for drafts here
    world.policy = reviewed_policy()
    world.judge()
    assert "attribution" in [lack.rule for lack in stands(world).missing]


def test_without_a_review_section_what_ships_may_leave_as_before(tmp_path: Path) -> None:
    world = ready_world(tmp_path)
    world.judge()
    found = stands(world)
    assert found.state is State.APPROVED
    assert State.REVIEWED not in found.done
    release(world)
    assert stands(world).state is State.RELEASED


# --- votes ---


@pytest.mark.parametrize(
    ("votes", "state"),
    [(("approve", "approve"), State.REVIEWED), (("approve", "return"), State.ATTACKED),
     (("return", "return"), State.REGENERATING), (("approve", "reject"), State.REJECTED),
     (("approve", "return", "approve"), State.REVIEWED), (("approve", "return", "return"), State.REGENERATING),
     (("approve", "approve", "reject"), State.REJECTED), (("reject", "return"), State.REJECTED)],
)  # fmt: skip
def test_what_votes_come_to(judged: World, votes: tuple[str, ...], state: State) -> None:
    judged.review(*votes)
    assert stands(judged).state is state


def test_a_split_vote_asks_for_one_more_reviewer(judged: World) -> None:
    judged.review("approve", "return")
    lack = stands(judged).missing[0]
    assert "disagree" in lack.reason
    assert "further reviewer" in lack.next_step


def test_one_person_has_one_vote(judged: World) -> None:
    judged.review("approve", "approve")
    with pytest.raises(VoteRefused, match="voted on this evidence already"):
        judged.ledger.review(judged.budget_id, NAME, vote="approve", reason="again", reviewer=judged.reviewer(0))


@pytest.mark.parametrize("role", ["ledger", "release", "generate", "budget", "recovery", "stranger"])
def test_nobody_reviews_with_a_key_of_another_role(judged: World, role: str) -> None:
    """Self-review: who made it, who releases it and who keeps the books vote on nothing."""
    signer = {"ledger": judged.ledger_signer, "generate": judged.generator}.get(role) or Signer.generate()
    if role not in ("ledger", "generate", "stranger"):
        judged.add_key(signer, role)
    with pytest.raises(KeyRefused, match="role review"):
        judged.ledger.review(judged.budget_id, NAME, vote="approve", reason="mine is good", reviewer=signer)


def test_a_key_has_one_role(judged: World) -> None:
    """A generator's key cannot become a reviewer's, nor the ledger's key a generator's."""
    for signer, role in ((judged.generator, "review"), (judged.ledger_signer, "generate")):
        with pytest.raises(EntryRefused):
            judged.add_key(signer, role)


def test_a_ledger_key_in_the_role_of_a_reviewer_votes_on_nothing(judged: World) -> None:
    """Old ledgers may have added it; it reviews nothing."""
    judged.add_key(judged.ledger_signer, "review")
    with pytest.raises(KeyRefused, match="the ledger's own"):
        judged.ledger.review(judged.budget_id, NAME, vote="approve", reason="fine", reviewer=judged.ledger_signer)


def test_a_revoked_reviewer_neither_votes_nor_counts(judged: World) -> None:
    judged.review("approve", "approve")
    judged.ledger.approve(judged.budget_id, NAME)
    gone = judged.reviewer(0)
    judged.ledger.append("key.revoke", {"key_id": gone.key_id, "reason": "stolen"})
    found = stands(judged)
    assert found.state is State.ATTACKED
    assert "revoked" in found.notes[0]
    with pytest.raises(KeyRefused, match="revoked"):
        judged.ledger.review(judged.budget_id, NAME, vote="approve", reason="r", reviewer=gone)
    with pytest.raises(ReviewRefused):
        release(judged)


def test_only_reviewers_whom_the_policy_names_count(tmp_path: Path) -> None:
    known = [Signer.generate(), Signer.generate()]
    policy = reviewed_policy(reviewers=[known[0].key_id, known[1].key_id])
    world = ready_world(tmp_path, policy=policy)
    world.judge()
    world.review("approve", "approve")  # by two keys that the owner made up
    found = stands(world)
    assert found.state is State.ATTACKED
    assert all("names other reviewers" in note for note in found.notes)


def test_votes_that_were_not_sealed_do_not_count_where_blinded_ones_are_asked_for(judged: World) -> None:
    for number in range(2):
        judged.ledger.review(judged.budget_id, NAME, vote="approve", reason="r", reviewer=judged.reviewer(number))
    found = stands(judged)
    assert found.state is State.ATTACKED
    assert len(found.notes) == 2


# --- what makes votes void ---


def _attack(world: World) -> None:
    world.attack(attack_report())


def _evaluate(world: World) -> None:
    world.evaluate()


def _judge(world: World) -> None:
    world.judge()


def _change_policy(world: World) -> None:
    world.policy = Policy.model_validate({**world.policy.model_dump(mode="json"), "name": "a laxer one"})


def _appeal(world: World) -> None:
    world.ledger.appeal(world.budget_id, NAME, rule="quality", owner="B. Late", reason="by the way")


@pytest.mark.parametrize("change", [_attack, _evaluate, _judge, _change_policy, _appeal])
def test_a_change_after_the_votes_makes_them_void(judged: World, change: Callable[[World], None]) -> None:
    judged.review("approve", "approve")
    judged.ledger.approve(judged.budget_id, NAME)
    assert stands(judged).state is State.APPROVED
    change(judged)
    found = stands(judged)
    assert found.state in (State.ATTACKED, State.REGENERATING)
    assert not found.may_leave
    with pytest.raises((ReviewRefused, GateRefused)):
        release(judged)


def test_an_approval_expires(judged: World) -> None:
    judged.review("approve", "approve")
    judged.ledger.approve(judged.budget_id, NAME)
    soon, late = datetime.now(UTC) + timedelta(days=29), datetime.now(UTC) + timedelta(days=31)
    assert stands(judged, now=soon).state is State.APPROVED
    found = stands(judged, now=late)
    assert found.state is State.ATTACKED
    assert "31 days old" in found.notes[0]
    assert "30" in found.notes[0]
    with pytest.raises(ReviewRefused, match="rule reviews"):
        check_may_leave(
            judged.ledger.entries(), judged.policy, NAME, budget_id=judged.budget_id,
            decision=public_decision(judged.decision), now=late,
        )  # fmt: skip


def test_a_clock_that_is_set_back_makes_no_approval_young(judged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time runs forward: whatever an entry claimed, later ones are not before it."""
    judged.review("approve", "approve")
    judged.ledger.approve(judged.budget_id, NAME)
    _write_at(judged, datetime.now(UTC) + timedelta(days=40), monkeypatch)
    assert stands(judged, now=datetime.now(UTC)).state is State.ATTACKED


def _write_at(world: World, moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from accounting.ledger import entry

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    with monkeypatch.context() as patched:
        patched.setattr(entry, "datetime", Clock)
        world.ledger.append("policy", {"note": "written at another time"})


# --- aside ---


def test_a_withdrawn_draft_is_neither_reviewed_nor_released(judged: World) -> None:
    judged.review("approve", "approve")
    judged.ledger.approve(judged.budget_id, NAME)
    judged.ledger.withdraw(judged.budget_id, NAME, reason="the source was wrong")
    assert stands(judged).state is State.WITHDRAWN
    with pytest.raises(VoteRefused, match="withdrawn"):
        judged.ledger.review(judged.budget_id, NAME, vote="approve", reason="r", reviewer=judged.reviewer(2))
    with pytest.raises(ReviewRefused, match="withdrawn"):
        release(judged)


def test_withdrawing_holds_without_reviews_too(tmp_path: Path) -> None:
    world = ready_world(tmp_path)
    world.judge()
    world.ledger.withdraw(world.budget_id, NAME, reason="not needed")
    with pytest.raises(ReviewRefused, match="withdrawn"):
        release(world)


def test_what_left_is_called_back_and_not_withdrawn(tmp_path: Path) -> None:
    world = ready_world(tmp_path)
    world.judge()
    made = release(world)
    with pytest.raises(VoteRefused, match="recall"):
        world.ledger.withdraw(world.budget_id, NAME, reason="too late")
    world.ledger.recall(world.budget_id, made.release, root=made.root, reason="a source was wrong", signer=world.signer)
    assert stands(world).state is State.RECALLED
    with pytest.raises(ReviewRefused, match="recalled"):
        release(world, "again")


def test_a_recall_needs_a_release_key_and_a_release(tmp_path: Path) -> None:
    world = ready_world(tmp_path)
    world.judge()
    with pytest.raises(VoteRefused, match="no such release"):
        world.ledger.recall(world.budget_id, "release-0", root="00", reason="r", signer=world.signer)
    made = release(world)
    with pytest.raises(KeyRefused):
        world.ledger.recall(world.budget_id, made.release, root=made.root, reason="r", signer=world.reviewer())


# --- exceptions ---


def _appealed(home: Path, **changes: Any) -> World:
    world = make_world(home, policy=reviewed_policy(waivable=["quality"], **changes))
    world.synthesize(NAME)
    world.attack()
    world.evaluate(bad_quality())
    world.judge()
    return world


def test_a_failed_rule_leaves_only_on_appeal_and_approval(tmp_path: Path) -> None:
    world = _appealed(tmp_path)
    assert stands(world).state is State.REGENERATING
    world.review("approve", "approve")  # reviewers alone waive nothing
    assert stands(world).state is State.REGENERATING
    with pytest.raises(ReviewRefused):
        release(world)
    world.ledger.appeal(world.budget_id, NAME, rule="quality", owner="C. Answers", reason="one column is enough")
    assert stands(world).state is State.ATTACKED  # votes from before the appeal are void
    world.review("approve", "approve")
    world.ledger.approve(world.budget_id, NAME)
    made = release(world)
    assert made.verification.ok
    waiver = made.verification.governance["waivers"][0]  # type: ignore[index]
    assert (waiver["rule"], waiver["owner"], waiver["reason"]) == ("quality", "C. Answers", "one column is enough")
    assert sorted(waiver["approved_by"]) == sorted(world.reviewer(n).key_id for n in range(2))
    assert any(line.startswith("WAIVED: rule quality") for line in made.verification.facts())
    assert b"C. Answers" in (made.path / "card.yaml").read_bytes()


def test_a_rule_that_the_policy_does_not_list_is_waived_by_nobody(tmp_path: Path) -> None:
    world = make_world(tmp_path, policy=reviewed_policy(waivable=["attempts"]))
    world.synthesize(NAME)
    world.attack()
    world.evaluate(bad_quality())
    world.judge()
    world.ledger.appeal(world.budget_id, NAME, rule="quality", owner="C", reason="please")
    world.review("approve", "approve")
    assert stands(world).state is State.REGENERATING


def test_what_attacks_found_is_waived_by_nobody(tmp_path: Path) -> None:
    world = make_world(tmp_path, policy=reviewed_policy(waivable=["quality"]))
    world.synthesize(NAME)
    world.attack(attack_report(verdict="fail", ci_high=0.9))
    world.evaluate()
    world.judge()
    for rule in ("attack_limits", "attack_verdicts"):
        world.ledger.appeal(world.budget_id, NAME, rule=rule, owner="C", reason="please")
    world.review("approve", "approve")
    found = stands(world)
    assert found.state in (State.REGENERATING, State.REJECTED)
    with pytest.raises(ReviewRefused):
        release(world)


NEVER = ("attack_controls", "attack_limits", "attack_verdicts", "guarantee_recorded", "guarantee_given", "noise_exact",
         "empirical_epsilon", "epsilon_per_release", "epsilon_total", "policy_reserved", "documents_bound")  # fmt: skip


@pytest.mark.parametrize("rule", NEVER)
def test_a_policy_cannot_list_privacy_as_waivable(rule: str) -> None:
    from dpsynth.core.errors import PolicyError

    body = (
        default_policy().to_yaml()
        + f"review: {{approvals: 1, blinded: false, valid_days: 9, waivable: [{rule}]}}\n".encode()
    )
    with pytest.raises(PolicyError, match="waivable"):
        Policy.from_yaml(body)


def test_a_document_that_is_not_the_ledgers_decision_waives_nothing(tmp_path: Path) -> None:
    """The rules that failed are read from the decision whose digest the chain holds, not from what is handed in."""
    world = _appealed(tmp_path)
    world.ledger.appeal(world.budget_id, NAME, rule="quality", owner="C", reason="please")
    forged = {**public_decision(world.decision), "rules": []}
    found = state_of(world.ledger.entries(), world.policy, NAME, decision=forged)
    assert found.state is State.REGENERATING


# --- found by a stranger who tried to get round the reviews ---


def test_a_figure_that_is_bought_after_the_votes_makes_them_void(judged: World) -> None:
    """The bundle would publish counts of real rows that no reviewer has seen."""
    from tests.release.figure_world import buy

    judged.review("approve", "approve")
    judged.ledger.approve(judged.budget_id, NAME)
    buy(judged)
    found = stands(judged)
    assert found.state is State.ATTACKED
    assert all("bought after it" in note for note in found.notes)
    assert "dpsynth gate" in found.missing[0].next_step
    with pytest.raises(ReviewRefused):
        release(judged)


def test_a_figure_that_is_bought_before_the_votes_is_what_they_are_about(judged: World) -> None:
    from tests.release.figure_world import buy

    buy(judged)
    judged.judge()
    judged.review("approve", "approve")
    assert stands(judged).state is State.REVIEWED


def _sealed(world: World, number: int, vote: str = "approve") -> Callable[[], Any]:
    """Seal a vote; what is returned opens it."""
    place: Any = (world.budget_id, NAME)
    kept = world.ledger.seal_vote(*place, vote=vote, reason="looked", of=2, reviewer=world.reviewer(number))
    return lambda: world.ledger.open_vote(
        *place, vote=vote, reason="looked", salt=kept.salt, reviewer=world.reviewer(number)
    )


def test_who_seals_after_another_vote_was_opened_has_seen_it_and_approves_nothing(judged: World) -> None:
    """A third key seals a vote and never opens it; the second reviewer reads the first vote, then seals."""
    first, _never = _sealed(judged, 0), _sealed(judged, 2)
    first()
    _sealed(judged, 1)()
    found = stands(judged)
    assert found.state is State.ATTACKED
    assert any("sealed after another vote was opened" in note for note in found.notes)


def test_a_late_vote_decides_between_two_that_disagree_and_may_always_refuse(judged: World) -> None:
    for opens in (_sealed(judged, 0), _sealed(judged, 1, "return")):
        opens()
    _sealed(judged, 2)()
    assert stands(judged).state is State.REVIEWED
    _sealed(judged, 3, "reject")()
    assert stands(judged).state is State.REJECTED


def _again(world: World, name: str = NAME) -> None:
    """Whoever holds the ledger's and the generator's key records the same rows as if they were new."""
    body = next(e.body for e in world.ledger.entries() if e.kind.value == "attempt")
    said = {k: v for k, v in body.items() if k not in ("kind", "nonce", "time", "generator_key", "signature")}
    world.ledger.record_signed({**said, "draft": name}, generator=world.generator)


@pytest.mark.parametrize("name", [NAME, "draft-2"])
def test_what_was_withdrawn_does_not_come_back_by_recording_it_again(judged: World, name: str) -> None:
    judged.ledger.withdraw(judged.budget_id, NAME, reason="the source was wrong")
    with pytest.raises(EntryRefused, match="withdrawn"):
        _again(judged, name)


def test_what_left_is_not_forgotten_by_recording_it_again(judged: World) -> None:
    judged.review("approve", "approve")
    judged.ledger.approve(judged.budget_id, NAME)
    made = release(judged)
    _again(judged)
    assert stands(judged).state is State.RELEASED
    judged.ledger.recall(judged.budget_id, made.release, root=made.root, reason="wrong", signer=judged.signer)
    _again(judged)
    assert stands(judged).state is State.RECALLED


def test_a_reject_stands_although_the_draft_is_recorded_again(judged: World) -> None:
    judged.review("approve", "reject")
    _again(judged)
    assert stands(judged).state is not State.REVIEWED


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_time_at_the_end_of_the_calendar_is_a_time(judged: World, time: str) -> None:
    """The owner of a ledger writes what they like there; whoever verifies must get an answer."""
    from dataclasses import replace

    judged.review("approve", "approve")
    entries = [replace(e, body={**e.body, "time": time}) for e in judged.ledger.entries()]
    found = state_of(entries, judged.policy, NAME, decision=public_decision(judged.decision))
    assert found.state is State.REVIEWED
    found.to_json()
