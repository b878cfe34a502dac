"""Bad bundles under a policy that asks for reviews, by whoever owns all keys but the reviewers'; see `bundle_cases`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from accounting.ledger import entry as entries
from dpsynth.release.approvals import governance_section
from dpsynth.release.bundle import write_members
from dpsynth.release.documents import pretty
from dpsynth.release.export import _compose, _on_record, _signed, gather
from dpsynth.release.layout import LEDGER, ROOTED, STATEMENT, root
from dpsynth.release.public_view import public_decision
from dpsynth.release.seal import sha256
from dpsynth.release.states import state_of
from tests.release.bundle_cases_owner import refresh
from tests.release.bundle_tools import case
from tests.release.world import World, make_world, quality_report, ready_world, render, reviewed_policy

NAME = "draft-1"


def left_anyway(world: World, folder: Path, signer: Any, *, shown: dict[str, Any] | None = None) -> Path:
    """The owner skips the guard of the export, and shows what looks best."""
    world.signer = signer
    decision, evidence = world.decision, gather(world.documents, world.ledger, world.vault)
    draft, facts = evidence.draft, evidence.ledger
    assert decision is not None
    assert draft is not None
    assert facts is not None
    standing = state_of(world.ledger.entries(), world.policy, NAME, decision=public_decision(decision))
    section = {**governance_section(standing, world.policy), "state": "approved", "missing": [], **(shown or {})}
    rows = world.vault.open(NAME)

    members = _compose("release-forced", evidence, draft, facts, decision, world.policy, rows, signer, render,
                       governance=section)  # fmt: skip
    digests = {name: sha256(members[name]) for name in ROOTED}
    body, slice_ = _on_record("release-forced", draft, facts, decision, root(digests), world.ledger, signer)
    members[LEDGER] = pretty(slice_)
    digests[LEDGER] = sha256(members[LEDGER])
    members[STATEMENT] = _signed(body, draft, facts, digests, slice_, signer)
    out = folder.parent / "left-anyway"
    write_members(out, members)
    return out


def judged(folder: Path, name: str, **policy: Any) -> World:
    world = ready_world(folder.parent / name, policy=reviewed_policy(**policy))
    world.judge()
    return world


def useless(folder: Path, name: str, **policy: Any) -> World:
    """A draft whose quality fails the policy."""
    world = make_world(folder.parent / name, policy=reviewed_policy(**policy))
    world.synthesize(NAME)
    world.attack()
    report = quality_report()
    worse = report.metrics[0].model_copy(update={"value": 0.4, "matched": 0.4})
    world.evaluate(report.model_copy(update={"metrics": (worse, *report.metrics[1:])}))
    world.judge()
    return world


def approved(world: World) -> World:
    world.review("approve", "approve")
    world.ledger.approve(world.budget_id, NAME)
    return world


@case("owner", "reviews", "not_approved")
def released_without_any_review(world: World, folder: Path) -> Path:
    return left_anyway(judged(folder, "none"), folder, world.signer)


@case("owner", "reviews", "not_approved")
def released_on_one_vote_of_two(world: World, folder: Path) -> Path:
    other = judged(folder, "one")
    place: Any = (other.budget_id, NAME)
    kept = other.ledger.seal_vote(*place, vote="approve", reason="r", of=1, reviewer=other.reviewer())
    other.ledger.open_vote(*place, vote="approve", reason="r", salt=kept.salt, reviewer=other.reviewer())
    other.ledger.approve(*place)
    return left_anyway(other, folder, world.signer)


@case("owner", "reviews", "not_approved")
def released_on_votes_that_nobody_sealed(world: World, folder: Path) -> Path:
    other = judged(folder, "open")
    for number in range(2):
        other.ledger.review(other.budget_id, NAME, vote="approve", reason="r", reviewer=other.reviewer(number))
    other.ledger.approve(other.budget_id, NAME)
    return left_anyway(other, folder, world.signer)


@case("owner", "reviews", "not_approved")
def released_against_a_returning_majority(world: World, folder: Path) -> Path:
    other = judged(folder, "returned")
    other.review("approve", "return", "return")
    other.ledger.approve(other.budget_id, NAME)
    return left_anyway(other, folder, world.signer)


@case("owner", "reviews", "not_approved")
def released_on_votes_about_earlier_evidence(world: World, folder: Path) -> Path:
    other = approved(judged(folder, "earlier"))
    other.evaluate()
    other.judge()
    return left_anyway(other, folder, world.signer)


@case("owner", "reviews", "not_approved")
def released_after_the_approval_expired(world: World, folder: Path) -> Path:
    other = approved(judged(folder, "expired"))
    later = datetime.now(UTC) + timedelta(days=40)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return later.astimezone(tz)

    entries.datetime, genuine = Clock, entries.datetime  # type: ignore[misc]
    try:
        return left_anyway(other, folder, world.signer)
    finally:
        entries.datetime = genuine  # type: ignore[misc]


@case("owner", "reviews", "not_approved")
def released_on_the_votes_of_a_revoked_reviewer(world: World, folder: Path) -> Path:
    other = approved(judged(folder, "revoked"))
    other.ledger.append("key.revoke", {"key_id": other.reviewer().key_id, "reason": "stolen"})
    return left_anyway(other, folder, world.signer)


@case("owner", "reviews", "not_approved")
def failed_rule_that_nobody_appealed_against(world: World, folder: Path) -> Path:
    return left_anyway(approved(useless(folder, "no-appeal", waivable=["quality"])), folder, world.signer)


@case("owner", "reviews", "not_approved")
def failed_rule_that_the_policy_lets_nobody_waive(world: World, folder: Path) -> Path:
    other = useless(folder, "unlisted", waivable=["attempts"])
    other.ledger.appeal(other.budget_id, NAME, rule="quality", owner="C", reason="please")
    return left_anyway(approved(other), folder, world.signer)


@case("owner", "reviews", "governance_mismatch")
def card_that_hides_a_waiver(world: World, folder: Path) -> Path:
    other = useless(folder, "hidden", waivable=["quality"])
    other.ledger.appeal(other.budget_id, NAME, rule="quality", owner="C", reason="please")
    return left_anyway(approved(other), folder, world.signer, shown={"waivers": []})


@case("owner", "reviews", "governance_mismatch")
def card_that_names_another_owner_of_a_waiver(world: World, folder: Path) -> Path:
    other = useless(folder, "owner", waivable=["quality"])
    other.ledger.appeal(other.budget_id, NAME, rule="quality", owner="C", reason="please")
    waiver = {"rule": "quality", "reason": "please", "owner": "the board"}
    return left_anyway(approved(other), folder, world.signer, shown={"waivers": [waiver]})


@case("owner", "reviews", "governance_mismatch")
def card_that_shows_a_vote_more(world: World, folder: Path) -> Path:
    other = approved(judged(folder, "more"))
    vote = {"reviewer": "00" * 16, "vote": "approve", "at": "2026-11-23T08:00:00Z", "entry": 3, "blinded": True}
    return left_anyway(other, folder, world.signer, shown={"reviews": [vote]})


@case("owner", "reviews", "governance_mismatch")
def card_that_shows_reviews_where_none_were_asked_for(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "unasked")
    other.judge()
    return left_anyway(other, folder, world.signer)


@case("owner", "not_recalled", "recalled")
def recalled_by_a_signed_notice(world: World, folder: Path) -> Path:
    other = ready_world(folder.parent / "recalling-signed")
    other.signer = world.signer
    made = other.release(folder.parent / "first-signed")
    other.ledger.recall(other.budget_id, made.release, root=made.root, reason="a source was wrong", signer=other.signer)
    return refresh(other, made.path)
