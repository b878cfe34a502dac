"""Writing what reviewers say: the signature is made under the write lock, over the entry before.

Each act looks at the desk while nobody else can write, refuses in words a person can act on, and signs. The rules of
`accounting.ledger.rules.reviews` check the finished body once more, here and wherever the chain is read.

Not guaranteed: that the holder of the ledger's key lets a review in. What is missing is visible; what was never
written is not.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from accounting.ledger import review as form
from accounting.ledger.amendment import last_hash
from accounting.ledger.books import Books
from accounting.ledger.desk import Desk, OnDesk
from accounting.ledger.entry import JSON, Entry, Kind
from accounting.ledger.errors import KeyRefused, ReviewRefused
from accounting.ledger.review import Step, Vote
from accounting.ledger.signing import Signer
from accounting.ledger.writer import LedgerWriter

Fields = dict[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """What a reviewer keeps until the vote is opened.

    Attributes:
        entry: the sealed vote's.
        vote: what it says.
        reason: in words.
        salt: 32 random bytes, hex; who knows it can show the vote.
    """

    entry: Entry
    vote: Vote
    reason: str
    salt: str


class ReviewedLedger(LedgerWriter):
    """A ledger that takes reviews, appeals, approvals, withdrawals and recalls."""

    def desk(self) -> Desk:
        """Every sealed draft with its evidence and votes, as of the last entry; the ledger's own: do not write to it.

        Raises:
            LedgerTampered: an entry does not continue the chain.
        """
        return self._read().desk

    def review(self, budget_id: str, draft: str, *, vote: str, reason: str, reviewer: Signer) -> Entry:
        """An open vote on a draft as it stands.

        Args:
            budget_id: that paid for it.
            draft: its name.
            vote: approve, return or reject.
            reason: in words; published with the bundle, so no confidential figure belongs here.
            reviewer: a key of role `review`.

        Raises:
            ReviewRefused: nothing to review, or this reviewer has voted.
            KeyRefused: the key may not review.
        """
        said, why = _vote(vote), _reason(reason)

        def fields(books: Books) -> Fields:
            found = _waiting(books, budget_id, draft, reviewer)
            if reviewer.key_id in found.sealed:
                raise ReviewRefused("This reviewer's vote lies sealed.", "Open it: review open.")
            about = _about(found, form.SCHEMA) | {"step": Step.VOTE.value, "vote": said.value, "reason": why}
            return _signed(books, about, reviewer)

        return self._append(Kind.REVIEW, fields)

    def seal_vote(
        self, budget_id: str, draft: str, *, vote: str, reason: str, of: int, reviewer: Signer
    ) -> SealedSecret:
        """A vote that nobody can read until it is opened; arguments as `review`.

        Args:
            budget_id: that paid for the draft.
            draft: its name.
            vote: approve, return or reject.
            reason: in words; published when the vote is opened.
            of: how many votes must lie sealed before this one is opened.
            reviewer: a key of role `review`.

        Returns:
            What to keep: without it the vote cannot be opened.
        """
        said, why, salt = _vote(vote), _reason(reason), secrets.token_hex(32)

        def fields(books: Books) -> Fields:
            found = _waiting(books, budget_id, draft, reviewer)
            if reviewer.key_id in found.sealed and found.votes:
                raise ReviewRefused(
                    "Votes were opened already, so a sealed one cannot be exchanged.", "Open it: review open."
                )
            digest = form.sealed(
                ledger_id=books.ledger_id,
                evidence=found.evidence(),
                key_id=reviewer.key_id,
                vote=said.value,
                reason=why,
                salt=salt,
            )
            about = _about(found, form.SCHEMA) | {"step": Step.SEAL.value, "of": of, "commitment": digest}
            return _signed(books, about, reviewer)

        return SealedSecret(entry=self._append(Kind.REVIEW, fields), vote=said, reason=why, salt=salt)

    def open_vote(self, budget_id: str, draft: str, *, vote: str, reason: str, salt: str, reviewer: Signer) -> Entry:
        """Show a sealed vote; `vote`, `reason` and `salt` are those of the `SealedSecret`.

        Raises:
            ReviewRefused: it was not sealed, others are not in yet, or it is another vote than was sealed.
            KeyRefused: the key may not review.
        """
        said, why = _vote(vote), _reason(reason)

        def fields(books: Books) -> Fields:
            found = _waiting(books, budget_id, draft, reviewer)
            waiting = found.sealed.get(reviewer.key_id)
            if waiting is None:
                raise ReviewRefused(
                    "This reviewer sealed no vote on the evidence as it stands: it was never there, or something "
                    "changed since.",
                    "Look again, then review.",
                )
            if len(found.sealed) < waiting.of:
                raise ReviewRefused(
                    f"Expected {waiting.of} sealed votes before the first is opened; there are {len(found.sealed)}.",
                    "Wait for the other reviewers.",
                )
            about = _about(found, form.SCHEMA)
            about |= {"step": Step.OPEN.value, "vote": said.value, "reason": why, "salt": salt}
            return _signed(books, about, reviewer)

        return self._append(Kind.REVIEW, fields)

    def appeal(self, budget_id: str, draft: str, *, rule: str, owner: str, reason: str) -> Entry:
        """Ask for one rule of the last decision to be waived; votes cast before are put away.

        Args:
            budget_id: that paid for the draft.
            draft: its name.
            rule: of the gate.
            owner: who asks and answers for it, by name; published.
            reason: in words; published.

        Raises:
            ReviewRefused: there is no decision, or the rule was appealed against.
        """
        why = _reason(reason)
        if not owner.strip():
            raise ReviewRefused("An appeal has an owner, by name.", "Say who answers for it.")

        def fields(books: Books) -> Fields:
            found = _present(books, budget_id, draft)
            if found.verdict is None:
                raise ReviewRefused("There is no decision to appeal against.", "Run the gate first.")
            if rule in found.appeals:
                raise ReviewRefused(f"Rule {rule} was appealed against already.", "Have it reviewed.")
            about: Fields = {"decision": found.documents["decision"], "rule": rule, "owner": owner, "reason": why}
            return _draft(found, form.APPEAL_SCHEMA) | about

        return self._append(Kind.APPEAL, fields)

    def approve(self, budget_id: str, draft: str) -> Entry:
        """End the review: an entry that names the approving votes. Whether they suffice is the policy's question.

        Raises:
            ReviewRefused: there is no approving vote, or a rejecting one.
        """

        def fields(books: Books) -> Fields:
            found = _present(books, budget_id, draft)
            counted = found.by(Vote.APPROVE)
            if not counted or found.by(Vote.REJECT):
                raise ReviewRefused("There is no approving vote, or there is a rejecting one.", "Have it reviewed.")
            return _about(found, form.APPROVAL_SCHEMA) | {"reviews": [cast.seq for cast in counted]}

        return self._append(Kind.APPROVAL, fields)

    def withdraw(self, budget_id: str, draft: str, *, reason: str) -> Entry:
        """Take a draft back before it left, for ever.

        Raises:
            ReviewRefused: it left already, or was withdrawn.
        """
        why = _reason(reason)

        def fields(books: Books) -> Fields:
            found = _present(books, budget_id, draft)
            if found.releases:
                raise ReviewRefused("It was released, so it cannot be taken back.", "Call it back: recall.")
            return _draft(found, form.WITHDRAWAL_SCHEMA) | {"reason": why}

        return self._append(Kind.WITHDRAWAL, fields)

    def recall(self, budget_id: str, release: str, *, root: str, reason: str, signer: Signer) -> Entry:
        """Call a release back, with a notice that stands alone: the body's own fields, signed.

        Args:
            budget_id: that paid for it.
            release: its id.
            root: digest of its files, as the release entry has it.
            reason: in words; published.
            signer: a release key in use.

        Raises:
            ReviewRefused: no such release, or no reason.
            KeyRefused: the key may not release.
        """
        why = _reason(reason)

        def fields(books: Books) -> Fields:
            if books.desk.of_release(budget_id, release) is None:
                raise ReviewRefused("The ledger knows no such release of this budget.", "See: dpsynth show.")
            key = books.keys.get(signer.key_id)
            if key is None or key.role != "release" or key.revoked is not None:
                raise KeyRefused("A release is called back by a release key in use.", "See: dpsynth keys show.")
            issued = datetime.now(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
            notice = form.recall_notice(
                ledger_id=books.ledger_id, release=release, root=root, reason=why, issued=issued, signer=signer
            )
            return {"budget_id": budget_id, **notice}

        return self._append(Kind.RECALL, fields)

    def record_signed(self, fields: Mapping[str, JSON], *, generator: Signer) -> Entry:
        """Record that a draft was sealed, signed by the key of whoever made it.

        Raises:
            EntryRefused: the key has not the role `generate`, or is revoked.
        """

        def signed(books: Books) -> Fields:
            about: Fields = {**fields, "generator_key": generator.key_id}
            said = form.message(
                ledger_id=books.ledger_id,
                last_hash=last_hash(books.head),
                body=about,
                context=form.ATTEMPT_CONTEXT,
            )
            return about | {"signature": generator.sign(said).hex()}

        return self._append(Kind.ATTEMPT, signed)


def _present(books: Books, budget_id: str, draft: str) -> OnDesk:
    found = books.desk.get(budget_id, draft)
    if found is None:
        raise ReviewRefused(f"The ledger knows no draft '{draft}' of this budget.", "Synthesize first.")
    if found.withdrawn is not None:
        raise ReviewRefused(f"Draft '{draft}' was withdrawn by entry {found.withdrawn}.", "Make another draft.")
    return found


def _waiting(books: Books, budget_id: str, draft: str, reviewer: Signer) -> OnDesk:
    """The draft, if this key may say something about it."""
    key = books.keys.get(reviewer.key_id)
    own = any(reviewer.public_bytes == one.public_key for one in books.ledger_keys)
    if key is None or key.role != "review" or own:
        role = "the ledger's own" if own else "unknown here" if key is None else f"a {key.role} key"
        raise KeyRefused(
            f"A draft is reviewed with a key of role review, by nobody who made or releases it; this key is {role}.",
            "A reviewer makes one with `keys make`, and the ledger's owner adds it: keys add --role review.",
        )
    if key.revoked is not None:
        raise KeyRefused(f"This key was revoked by entry {key.revoked}.", "Review with a key in use.")
    found = _present(books, budget_id, draft)
    if found.verdict is None:
        raise ReviewRefused("The machine has not judged the evidence as it stands.", "Run: dpsynth gate, then review.")
    if reviewer.key_id in found.votes:
        raise ReviewRefused(
            f"This reviewer voted on this evidence already: {found.votes[reviewer.key_id].vote.value}.",
            "One reviewer has one vote; new evidence asks for new votes.",
        )
    return found


def _draft(found: OnDesk, schema: str) -> Fields:
    return {
        "schema": schema,
        "budget_id": found.budget_id,
        "draft": found.draft,
        "draft_digest": found.draft_digest,
    }


def _about(found: OnDesk, schema: str) -> Fields:
    return {"schema": schema, **found.evidence()}


def _signed(books: Books, about: Fields, signer: Signer) -> Fields:
    body = about | {"key_id": signer.key_id}
    said = form.message(ledger_id=books.ledger_id, last_hash=last_hash(books.head), body=body)
    return body | {"signature": signer.sign(said).hex()}


def _vote(text: str) -> Vote:
    if text not in set(Vote):
        raise ReviewRefused(f"Expected a vote of {', '.join(Vote)}.", "Say one of them.")
    return Vote(text)


def _reason(text: str) -> str:
    if not text.strip() or len(text) > form.MAX_REASON:
        raise ReviewRefused(
            f"Expected a reason of 1 to {form.MAX_REASON} characters; there are {len(text.strip())}.",
            "Say why: it is kept for ever, and published with the bundle.",
        )
    return text
