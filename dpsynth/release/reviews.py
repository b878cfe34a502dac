"""How votes add up under a policy: which of them count, and what they come to.

A vote counts if its key was not revoked and is one that the policy accepts, if it is not too old, and, where the policy
wants blinded reviews, if it lay sealed until as many were in as the policy asks for. Then, whatever their order:

    any reject                                  rejected
    two returns, or only returns                returned
    enough approvals and no return              approved
    one return                                  split: one more reviewer decides, if approvals are then enough and more

>>> from dpsynth.release.policy import ReviewLimits
>>> outcome(2, {Vote.APPROVE: 1, Vote.RETURN: 1}), outcome(2, {Vote.APPROVE: 2, Vote.RETURN: 1})
(None, <Vote.APPROVE: 'approve'>)

Not guaranteed: independence of reviewers; the chain shows who voted, with which key, when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounting.ledger.desk import CastVote, OnDesk
from accounting.ledger.review import Vote
from dpsynth.release.policy import ReviewLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the votes on a draft come to.

    Attributes:
        counted: votes that count, in order.
        outcome: approve, return or reject; None as long as votes are missing.
        wanted: how many more votes are needed at least; 0 once there is an outcome.
        split: one reviewer approves and one returns.
        expires: when the first of the approving votes is too old; None without one.
        notes: votes that do not count, and why.
    """

    counted: tuple[CastVote, ...]
    outcome: Vote | None
    wanted: int
    split: bool
    expires: datetime | None
    notes: tuple[str, ...]


def tally(
    found: OnDesk, asked: ReviewLimits, *, clock: Mapping[int, datetime], revoked: Set[str], now: datetime
) -> Tally:
    """Add up the votes on the evidence as it stands.

    Args:
        found: the draft, with its votes.
        asked: the policy's section.
        clock: when each entry was written.
        revoked: ids of keys that were revoked.
        now: when it is asked.
    """
    counted, notes, lasting = [], [], timedelta(days=asked.valid_days)
    for vote in sorted(found.votes.values(), key=lambda one: one.seq):
        why = _void(vote, asked, revoked, age=now - clock[vote.seq], lasting=lasting)
        if why is None:
            counted.append(vote)
        else:
            notes.append(f"The vote of entry {vote.seq} by key {vote.key_id} does not count: {why}.")
    numbers = Counter(vote.vote for vote in counted)
    came_to = outcome(asked.approvals, numbers)
    split = came_to is None and bool(numbers[Vote.RETURN]) and bool(numbers[Vote.APPROVE])
    wanted = 0 if came_to is not None else max(asked.approvals - numbers[Vote.APPROVE], 1)
    return Tally(
        counted=tuple(counted),
        outcome=came_to,
        wanted=wanted,
        split=split,
        expires=min((clock[v.seq] + lasting for v in counted if v.vote is Vote.APPROVE), default=None),
        notes=tuple(notes),
    )


def outcome(approvals: int, votes: Mapping[Vote, int]) -> Vote | None:
    """What votes come to where `approvals` are asked for; None as long as more are needed."""
    for_, against = votes.get(Vote.APPROVE, 0), votes.get(Vote.RETURN, 0)
    if votes.get(Vote.REJECT, 0):
        return Vote.REJECT
    if against >= 2 or (against and not for_ and against >= approvals):
        return Vote.RETURN
    if for_ >= approvals and (not against or for_ > against):
        return Vote.APPROVE
    return None


def _void(vote: CastVote, asked: ReviewLimits, revoked: Set[str], *, age: timedelta, lasting: timedelta) -> str | None:
    if vote.key_id in revoked:
        return "its key was revoked"
    if asked.reviewers is not None and vote.key_id not in asked.reviewers:
        return "the policy names other reviewers"
    if age > lasting:
        return f"it is {age.days} days old, and the policy lets votes stand for {lasting.days}"
    if asked.blinded and asked.approvals > 1 and vote.of < asked.approvals:
        return f"the policy asks for votes that are sealed until {asked.approvals} are in"
    return None
