"""How votes add up under a policy: which of them count, and what they come to.

A vote counts if its key was not revoked and is one that the policy accepts, if it is not too old, if no figure for the
bundle was bought after it, and, where the policy wants blinded reviews, if it lay sealed until as many were in as the
policy asks for. Who seals after another vote was opened has seen it: such a vote may return or reject, but it approves
only where as many blind ones as are asked for disagree. Then, whatever their order:

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
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Final

from accounting.ledger.desk import CastVote, OnDesk
from accounting.ledger.review import Vote
from dpsynth.release.policy import ReviewLimits

_END: Final = datetime(MAXYEAR, 12, 31, tzinfo=UTC)


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
    found: OnDesk,
    asked: ReviewLimits,
    *,
    clock: Mapping[int, datetime],
    revoked: Set[str],
    now: datetime,
    shown: int = -1,
) -> Tally:
    """Add up the votes on the evidence as it stands.

    Args:
        found: the draft, with its votes.
        asked: the policy's section.
        clock: when each entry was written.
        revoked: ids of keys that were revoked.
        now: when it is asked.
        shown: entry of the last figure that was bought for the draft's bundle.
    """
    lasting = timedelta(days=asked.valid_days)
    cast = sorted(found.votes.values(), key=lambda one: one.seq)
    why = {}
    for vote in cast:
        why[vote.seq] = _void(vote, asked, revoked, age=now - clock[vote.seq], lasting=lasting)
        if why[vote.seq] is None and _said_at(vote, found) < shown:
            why[vote.seq] = "a figure that the bundle publishes was bought after it"
    if asked.sealed:
        why |= dict.fromkeys(_late(found, asked, [vote for vote in cast if why[vote.seq] is None]), _LATE)
    counted = [vote for vote in cast if why[vote.seq] is None]
    notes = [f"The vote of entry {v.seq} by key {v.key_id} does not count: {why[v.seq]}." for v in cast if why[v.seq]]
    numbers = Counter(vote.vote for vote in counted)
    came_to = outcome(asked.approvals, numbers)
    split = came_to is None and bool(numbers[Vote.RETURN]) and bool(numbers[Vote.APPROVE])
    wanted = 0 if came_to is not None else max(asked.approvals - numbers[Vote.APPROVE], 1)
    return Tally(
        counted=tuple(counted),
        outcome=came_to,
        wanted=wanted,
        split=split,
        expires=min((_after(clock[v.seq], lasting) for v in counted if v.vote is Vote.APPROVE), default=None),
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
    if not asked.counts(vote.key_id):
        return "the policy names other reviewers"
    if age > lasting:
        return f"it is {age.days} days old, and the policy lets votes stand for {lasting.days}"
    if asked.sealed and vote.of < asked.approvals:
        return f"the policy asks for votes that are sealed until {asked.approvals} are in"
    return None


_LATE: Final = "it was sealed after another vote was opened, and blind ones do not disagree"


def _late(found: OnDesk, asked: ReviewLimits, valid: Sequence[CastVote]) -> list[int]:
    """Approving votes by reviewers who could read another one first, unless they decide between blind ones."""
    first = min((vote.seq for vote in found.votes.values()), default=0)
    blind = [vote for vote in valid if _said_at(vote, found) < first]
    said = {vote.vote for vote in blind}
    if len(blind) >= asked.approvals and {Vote.APPROVE, Vote.RETURN} <= said:
        return []
    return [vote.seq for vote in valid if vote.vote is Vote.APPROVE and _said_at(vote, found) > first]


def _said_at(vote: CastVote, found: OnDesk) -> int:
    """The entry by which a vote was fixed: the sealed one, if there is one."""
    return found.sealed[vote.key_id].seq if vote.of and vote.key_id in found.sealed else vote.seq


def _after(moment: datetime, lasting: timedelta) -> datetime:
    """When a vote is too old; no later than the calendar goes, whatever an entry claims."""
    return _END if moment > _END - lasting else moment + lasting
