"""Which acts the console offers: what makes sense in a draft's standing, to whose keys.

    review      a vote, signed; sealed where the policy wants blinded reviews        role review
    open        the reviewer's own sealed vote, once all are in                      role review
    approve     the end of a review whose votes suffice                              role review
    appeal      ask for a rule to be waived that failed and that the policy lists    roles review, generate, release
    release     write the signed bundle of an approved draft                         the same
    withdraw    before release, for ever                                             the same
    recall      after release, for ever                                              the same

An offer is a convenience: whether an act is allowed is decided by the function that does it, from the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dpsynth.core.errors import ReviewRefused
from dpsynth.release.standing import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dpsynth.release.policy import Policy
    from dpsynth.release.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A key that this console was started with: its file, and what the ledger lets it do now."""

    key_id: str
    role: str
    path: Path


VOTES: Final = (("approve", "Approve"), ("return", "Return"), ("reject", "Reject"))
BEFORE_RELEASE: Final = frozenset(
    {State.SEALED, State.ATTACKED, State.REVIEWED, State.APPROVED, State.REGENERATING, State.REJECTED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A form that is offered: what it says, what it asks for, and by which keys it may be done."""

    name: str
    title: str
    meaning: str
    button: str
    roles: frozenset[str]
    reason: bool = True
    owner: bool = False
    danger: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    rules: tuple[str, ...] = ()
    licence: bool = False
    keys: tuple[Person, ...] = ()


_REVIEWERS: Final = frozenset({"review"})
_HOLDERS: Final = frozenset({"review", "generate", "release"})


def offered(standing: Standing, policy: Policy, failed: Sequence[str], people: Sequence[Person]) -> tuple[Act, ...]:
    """The acts that make sense now, each with the keys that may do it.

    Args:
        standing: of the draft.
        policy: in force.
        failed: rules that failed in the last decision.
        people: the keys at this console.
    """
    waivable = () if policy.review is None else tuple(rule for rule in failed if rule in policy.review.waivable)
    blinded = policy.review is not None and policy.review.sealed
    acts: list[tuple[Act, frozenset[str]]] = []
    if _waits_for_votes(standing):
        voted = frozenset({vote.key_id for vote in standing.votes} | set(standing.sealed))
        acts.append((_vote(blinded=blinded), voted))
    if standing.sealed:
        others = frozenset(person.key_id for person in people if person.key_id not in standing.sealed)
        acts.append((_OPEN, others))
    if standing.state is State.REVIEWED:
        acts.append((_APPROVE, frozenset()))
    if standing.state is State.APPROVED:
        acts.append((_RELEASE, frozenset()))
    if waivable and standing.state not in (State.RELEASED, State.RECALLED, State.WITHDRAWN):
        acts.append((_appeal(waivable), frozenset()))
    if standing.state in BEFORE_RELEASE:
        acts.append((_WITHDRAW, frozenset()))
    if standing.state is State.RELEASED:
        acts.append((_RECALL, frozenset()))
    return tuple(found for act, barred in acts if (found := _for(act, people, barred)) is not None)


def _waits_for_votes(standing: Standing) -> bool:
    try:
        standing.require_votes()
    except ReviewRefused:
        return False
    return True


def _for(act: Act, people: Sequence[Person], barred: frozenset[str]) -> Act | None:
    able = tuple(person for person in people if person.role in act.roles and person.key_id not in barred)
    if not able:
        return None
    return replace(act, keys=able)


def _vote(*, blinded: bool) -> Act:
    return Act(
        name="review",
        title="Review",
        meaning="Your vote and reason are signed with your key and published with a release."
        + (" The vote lies sealed until all votes are in; then open it here." if blinded else ""),
        button="Seal my vote" if blinded else "Sign my vote",
        roles=_REVIEWERS,
        choices=VOTES,
    )


def _appeal(rules: tuple[str, ...]) -> Act:
    return Act(
        name="appeal",
        title="Appeal",
        meaning="Ask reviewers to waive a rule that failed. The waiver, your name and the reason are shown on report, "
        "card and to whoever verifies.",
        button="Appeal",
        roles=_HOLDERS,
        rules=rules,
        owner=True,
    )


_OPEN: Final = Act(
    name="open",
    title="Open my vote",
    meaning="All votes that the policy asks for must lie sealed before the first is opened.",
    button="Open my vote",
    roles=_REVIEWERS,
    reason=False,
)
_APPROVE: Final = Act(
    name="approve",
    title="Approve",
    meaning="The votes suffice. This ends the review; the draft may then be released.",
    button="End the review: approved",
    roles=_REVIEWERS,
    reason=False,
)
_RELEASE: Final = Act(
    name="release",
    title="Release",
    meaning="Judges the evidence once more, writes the signed bundle, and verifies it as a receiver would.",
    button="Write the bundle",
    roles=_HOLDERS,
    reason=False,
    licence=True,
)
_WITHDRAW: Final = Act(
    name="withdraw",
    title="Withdraw",
    meaning="For ever. What the draft cost stays spent, and its attempt stays counted.",
    button="Withdraw",
    roles=_HOLDERS,
    danger=True,
)
_RECALL: Final = Act(
    name="recall",
    title="Recall",
    meaning="For ever. The ledger keeps a signed notice, which `dpsynth recall` also prints for publication.",
    button="Recall the release",
    roles=_HOLDERS,
    danger=True,
)
