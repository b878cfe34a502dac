"""What is said of a draft: its state, what is missing for the next one, who voted, what was waived; and entries' times.

Times are what the ledger's machine claimed. They never run backwards here: an entry is as old as the latest time
claimed before it, so a clock that is set back does not make an old approval young.

>>> State.APPROVED.value, len(State)
('approved', 11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from accounting.ledger.desk import Appeal, CastVote
from accounting.ledger.entry import Entry
from dpsynth.core.errors import ReviewRefused
from dpsynth.release.documents import JSON


class State(StrEnum):
    """Where a draft stands. The first seven follow each other; the rest are aside."""

    DRAFT = "draft"  # planned: nothing was reserved
    RESERVED = "reserved"  # its worst case is held or spent; no rows are sealed
    SEALED = "sealed"  # rows are sealed, and nobody attacked them
    ATTACKED = "attacked"  # evidence is recorded
    REVIEWED = "reviewed"  # the machine and enough reviewers let it pass
    APPROVED = "approved"  # may be released
    RELEASED = "released"
    REGENERATING = "regenerating"  # the machine or a reviewer wants another draft, or other evidence
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    RECALLED = "recalled"


PATH: Final = (
    State.DRAFT,
    State.RESERVED,
    State.SEALED,
    State.ATTACKED,
    State.REVIEWED,
    State.APPROVED,
    State.RELEASED,
)
FINAL: Final = frozenset({State.WITHDRAWN, State.RECALLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that keeps a draft from its next state.

    Attributes:
        rule: stable name, for scripts.
        value: what there is.
        limit: what is asked for.
        reason: a sentence.
        next_step: what to do.
    """

    rule: str
    value: str
    limit: str
    reason: str
    next_step: str

    def to_json(self) -> dict[str, JSON]:
        """The object of `show --json`."""
        return {
            "rule": self.rule,
            "value": self.value,
            "limit": self.limit,
            "reason": self.reason,
            "next_step": self.next_step,
        }

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason} ({self.value} of {self.limit})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One draft's state, and why.

    Attributes:
        draft: its name; empty before there is one.
        state: where it stands.
        done: states passed on the way, in order, this one included.
        missing: what the next state needs, the first being what to do first; empty in a final state.
        next_step: a command or an act, in words; empty in a final state.
        votes: that count for the evidence as it stands, in order.
        sealed: ids of reviewers whose votes lie sealed and unopened.
        waivers: rules of the last decision that failed and were appealed against; in force once approved.
        expires: when the approval, or the first of its votes, is too old; None before there is one.
        notes: what a reader should know: votes that do not count and why.
    """

    draft: str
    state: State
    done: tuple[State, ...]
    missing: tuple[Lack, ...]
    next_step: str
    votes: tuple[CastVote, ...] = ()
    sealed: tuple[str, ...] = ()
    waivers: tuple[Appeal, ...] = ()
    expires: datetime | None = None
    notes: tuple[str, ...] = ()

    @property
    def may_leave(self) -> bool:
        """Whether a release is permitted."""
        return self.state in {State.APPROVED, State.RELEASED}

    def require(self, *states: State) -> None:
        """Return if the draft is in one of these states.

        Raises:
            ReviewRefused: otherwise, with the first thing that is missing.
        """
        if self.state in states:
            return
        first = self.missing[0] if self.missing else None
        why = "" if first is None else f" {first.reason} Asked for: {first.limit}; there so far: {first.value}."
        wanted = " or ".join(state.value for state in states) or "waiting for reviews"
        raise ReviewRefused(
            f"Draft '{self.draft}' is {self.state.value}, not {wanted}"
            f"{'.' if first is None else f' (rule {first.rule}).'}{why}",
            self.next_step or "This state is final: make another draft.",
        )

    def require_votes(self) -> None:
        """Return if the draft waits for votes, or has some that one more could change.

        Raises:
            ReviewRefused: evidence is missing, or it left, or was taken back.
        """
        if self.votes or (self.missing and self.missing[0].rule == "reviews"):
            return
        self.require()

    def to_json(self) -> dict[str, JSON]:
        """The object of `show --json`, and of an item in the queue."""
        return {
            "draft": self.draft,
            "state": self.state.value,
            "done": [state.value for state in self.done],
            "missing": [lack.to_json() for lack in self.missing],
            "next_step": self.next_step,
            "votes": [vote_json(vote) for vote in self.votes],
            "sealed": list(self.sealed),
            "waivers": [waiver_json(waiver) for waiver in self.waivers],
            "expires": None if self.expires is None else stamp(self.expires),
            "notes": list(self.notes),
        }


EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


def times(entries: Sequence[Entry]) -> Mapping[int, datetime]:
    """When each entry was written, by position: the latest time claimed up to it."""
    latest, found = EARLIEST, {}
    for entry in entries:
        latest = max(latest, read_time(entry.body.get("time")))
        found[entry.seq] = latest
    return found


def read_time(text: object) -> datetime:
    """A time as entries claim it, or as a person writes it; the epoch for anything else."""
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z")) if isinstance(text, str) else EARLIEST
    except ValueError:
        return EARLIEST
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """A time as entries write it."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def vote_json(vote: CastVote) -> dict[str, JSON]:
    """A vote on card, report and in the answer of `verify`."""
    return {
        "seq": vote.seq,
        "time": vote.time,
        "key_id": vote.key_id,
        "vote": vote.vote.value,
        "reason": vote.reason,
        "blinded": vote.of > 1,
    }


def waiver_json(waiver: Appeal) -> dict[str, JSON]:
    """A waived rule, with who asked for it and why."""
    return {
        "seq": waiver.seq,
        "time": waiver.time,
        "rule": waiver.rule,
        "owner": waiver.owner,
        "reason": waiver.reason,
    }
