"""What reviewers have before them: the evidence of each draft as the chain recorded it last, appeals, votes, the end.

The desk only files entries; which entry may be filed is `accounting.ledger.rules.reviews`. Whoever reads a chain, or a
slice of one, files its entries in order and sees the same desk, so a receiver judges reviews as the workspace did.

A new attack, quality report, decision or appeal puts the votes away: they were about something else. Rows that are
recorded once more start anew, but what left, was called back or was withdrawn stays so.

>>> desk = Desk()
>>> desk.file(3, {"kind": "attempt", "budget_id": "b", "draft": "d", "draft_digest": "00", "document": "aa"})
>>> desk.get("b", "d").documents
{'attempt': 'aa'}

Not guaranteed: that what a document's digest stands for was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from accounting.ledger import review
from accounting.ledger.entry import JSON, Entry, Kind
from accounting.ledger.review import Step, Vote

Body: TypeAlias = Mapping[str, JSON]

_EVIDENCE = frozenset({Kind.ATTACK.value, Kind.QUALITY.value, Kind.DECISION.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedVote:
    """A vote that was not opened yet: its digest, and how many must lie sealed before any is opened."""

    seq: int
    commitment: str
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CastVote:
    """A vote that everybody can read.

    Attributes:
        seq: its entry.
        key_id: of the reviewer.
        vote: what it says.
        reason: in words.
        time: as the ledger's machine claimed it.
        of: how many votes lay sealed at least before it was opened; 0 if it was never sealed.
    """

    seq: int
    key_id: str
    vote: Vote
    reason: str
    time: str
    of: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """Somebody asks for a rule to be waived."""

    seq: int
    rule: str
    owner: str
    reason: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The end of a review: the votes that it counts, by their entries."""

    seq: int
    reviews: tuple[int, ...]
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDesk:
    """One draft.

    Attributes:
        documents: digest or keyed commitment recorded last, by attempt, attack, quality, decision.
        verdict: the word of the last decision; None before there is one.
        policy_digest: of that decision.
        generator_key: that signed the draft's record; None for drafts from before such keys.
        appeals: by rule; of the last decision.
        sealed, votes: by the reviewer's key; on the evidence as it stands.
        approval: of these votes; None as long as there is none, or if anything changed since.
        withdrawn: the entry that took it back.
        releases: ids under which it left.
        recalled: those of them that were called back.
    """

    budget_id: str
    draft: str
    draft_digest: str
    documents: Mapping[str, str]
    verdict: str | None = None
    policy_digest: str | None = None
    generator_key: str | None = None
    appeals: Mapping[str, Appeal] = field(default_factory=dict)
    sealed: Mapping[str, SealedVote] = field(default_factory=dict)
    votes: Mapping[str, CastVote] = field(default_factory=dict)
    approval: Approval | None = None
    withdrawn: int | None = None
    releases: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()

    def evidence(self) -> dict[str, JSON]:
        """What a review is about, as it stands in the review's body."""
        return {
            "budget_id": self.budget_id,
            "draft": self.draft,
            "draft_digest": self.draft_digest,
            "documents": dict(self.documents),
            "policy_digest": self.policy_digest,
            "appeals": list[JSON](sorted(appeal.seq for appeal in self.appeals.values())),
        }

    def by(self, vote: Vote) -> tuple[CastVote, ...]:
        """Votes of one kind, in order."""
        return tuple(sorted((cast for cast in self.votes.values() if cast.vote is vote), key=lambda cast: cast.seq))


class Desk:
    """Drafts by budget, name and rows; `file` is the only way to change it."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._drafts: dict[tuple[str, str, str], OnDesk] = {}
        self._rows: dict[tuple[str, str], str] = {}  # which rows a name stands for now
        for entry in entries:
            self.file(entry.seq, entry.body)

    def get(self, budget_id: str, draft: str) -> OnDesk | None:
        """One draft; None if it was never sealed."""
        digest = self._rows.get((budget_id, draft))
        return None if digest is None else self._drafts[budget_id, draft, digest]

    def withdrawn(self, budget_id: str, draft_digest: str) -> OnDesk | None:
        """The draft with these rows that was taken back, whatever its name."""
        mine = (one for one in self._drafts.values() if (one.budget_id, one.draft_digest) == (budget_id, draft_digest))
        return next((one for one in mine if one.withdrawn is not None), None)

    def of_release(self, budget_id: str, release: str) -> OnDesk | None:
        """The draft that left under this id."""
        mine = (one for one in self._drafts.values() if one.budget_id == budget_id and release in one.releases)
        return next(mine, None)

    def __iter__(self) -> Iterator[OnDesk]:
        return iter([self._drafts[(*place, digest)] for place, digest in self._rows.items()])

    def file(self, seq: int, body: Body) -> None:
        """Take an entry that the rules let pass; others, and notes from before there were reviews, change nothing."""
        kind = str(body.get("kind"))
        if kind == Kind.RECALL.value:
            self._recall(body)
            return
        place = (str(body.get("budget_id")), str(body.get("draft")))
        digest = body.get("draft_digest")
        if kind == Kind.ATTEMPT.value and isinstance(digest, str):
            before = self._drafts.get((*place, digest))
            self._drafts[*place, digest] = _sealed(place, digest, body, before)
            self._rows[place] = digest
        found = self.get(*place)
        if found is not None and found.draft_digest == digest:
            self._drafts[*place, found.draft_digest] = _filed(found, kind, seq, body)

    def _recall(self, body: Body) -> None:
        name = str(body.get("release"))
        found = self.of_release(str(body.get("budget_id")), name)
        if found is not None:
            place = (found.budget_id, found.draft, found.draft_digest)
            self._drafts[place] = replace(found, recalled=(*found.recalled, name))


def _sealed(place: tuple[str, str], digest: str, body: Body, before: OnDesk | None) -> OnDesk:
    key = body.get("generator_key")
    return OnDesk(
        withdrawn=None if before is None else before.withdrawn,
        releases=() if before is None else before.releases,
        recalled=() if before is None else before.recalled,
        budget_id=place[0],
        draft=place[1],
        draft_digest=digest,
        documents={"attempt": str(body.get("document"))},
        generator_key=key if isinstance(key, str) else None,
    )


def _filed(found: OnDesk, kind: str, seq: int, body: Body) -> OnDesk:
    if kind in _EVIDENCE:
        documents = {**found.documents, kind: str(body.get("document"))}
        kept = replace(found, documents=documents, appeals={}, sealed={}, votes={}, approval=None)
        if kind != Kind.DECISION.value:  # what was decided was decided about something else
            return replace(kept, documents={k: v for k, v in documents.items() if k != "decision"}, verdict=None)
        policy = body.get("policy_digest")
        return replace(
            kept, verdict=str(body.get("decision")), policy_digest=policy if isinstance(policy, str) else None
        )
    if kind == Kind.RELEASE.value:
        return replace(found, releases=(*found.releases, str(body.get("release"))))
    if kind == Kind.WITHDRAWAL.value:
        return replace(found, withdrawn=seq)
    time = str(body.get("time"))
    if kind == Kind.APPEAL.value:
        rule, owner, reason = (str(body.get(name)) for name in ("rule", "owner", "reason"))
        made = Appeal(seq=seq, rule=rule, owner=owner, reason=reason, time=time)
        return replace(found, appeals={**found.appeals, rule: made}, sealed={}, votes={}, approval=None)
    if kind == Kind.APPROVAL.value:
        counted = body.get("reviews")
        seqs = tuple(one for one in counted if isinstance(one, int)) if isinstance(counted, list) else ()
        return replace(found, approval=Approval(seq=seq, reviews=seqs, time=time))
    if kind == Kind.REVIEW.value and body.get("schema") == review.SCHEMA:
        return _voted(found, seq, body, time)
    return found


def _voted(found: OnDesk, seq: int, body: Body, time: str) -> OnDesk:
    key, step = str(body.get("key_id")), body.get("step")
    if step == Step.SEAL.value:
        of = body.get("of")
        waiting = SealedVote(seq=seq, commitment=str(body.get("commitment")), of=of if isinstance(of, int) else 0)
        return replace(found, sealed={**found.sealed, key: waiting})
    before = found.sealed.get(key)
    cast = CastVote(
        seq=seq,
        key_id=key,
        vote=Vote(str(body.get("vote"))),
        reason=str(body.get("reason")),
        time=time,
        of=before.of if step == Step.OPEN.value and before is not None else 0,
    )
    return replace(found, votes={**found.votes, key: cast}, approval=None)
