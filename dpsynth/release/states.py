"""Where a draft stands: a pure function of the ledger's entries and the policy, never a stored word.

    draft -> reserved -> sealed -> attacked -> reviewed -> approved -> released
    aside: regenerating, rejected, withdrawn, recalled

Nothing is taken from a caller that the chain could say. `reviewed` needs a machine's decision that ships (rules waived
on appeal apart) and as many approving votes as the policy asks for, each by another reviewer, in time, sealed until all
were in where the policy wants that (`dpsynth.release.reviews`). `approved` is the entry that ends the review. Whatever
is recorded after a vote about the same draft (an attack, a quality report, a decision, an appeal, a figure that was
bought for its bundle) makes it void, and so does another policy. A policy without a section `review` asks nobody: what
ships may be released.

>>> from dpsynth.release.policy import default_policy
>>> state_of([], default_policy(), "claims-1").next_step
'Synthesize: dpsynth synthesize, or dpsynth run.'

Not guaranteed: that two keys are two people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounting.ledger.desk import Appeal, Desk, OnDesk
from accounting.ledger.entry import Entry, Kind
from accounting.ledger.review import Vote
from dpsynth.release.documents import JSON, Refusal, digest
from dpsynth.release.figures import last_bought
from dpsynth.release.policy import Policy
from dpsynth.release.reviews import Tally, tally
from dpsynth.release.standing import EARLIEST, PATH, Lack, Standing, State, times

_SYNTHESIZE = "Synthesize another draft; this one's cost and attempt stay on record."


def state_of(
    entries: Sequence[Entry],
    policy: Policy,
    draft: str,
    *,
    budget_id: str | None = None,
    decision: Mapping[str, JSON] | None = None,
    now: datetime | None = None,
) -> Standing:
    """Where a draft stands.

    Args:
        entries: of a verified chain, or of a slice that shows the draft's family, in order.
        policy: in force.
        draft: its name, or that of its run before rows were sealed.
        budget_id: that paid, if several budgets have drafts of this name.
        decision: the public decision document, which names the rules that failed; one that is not the ledger's last on
            this draft is ignored, and without it nothing counts as waived.
        now: the time at which approvals are judged; never earlier than that of the last entry, which is the default.
    """
    clock = times(entries)
    last = clock[entries[-1].seq] if entries else EARLIEST
    found = next((one for one in Desk(entries) if one.draft == draft and budget_id in (None, one.budget_id)), None)
    if found is None:
        return _before_rows(entries, draft)
    revoked = frozenset(str(entry.body.get("key_id")) for entry in entries if entry.kind is Kind.KEY_REVOKE)
    votes = None
    if policy.review is not None:
        time, shown = last if now is None else max(last, now), last_bought(entries, draft)
        votes = tally(found, policy.review, clock=clock, revoked=revoked, now=time, shown=shown)
    failed = _failed(found, decision)
    return _Judge(found=found, policy=policy, votes=votes, failed=failed).standing()


def _failed(found: OnDesk, decision: Mapping[str, JSON] | None) -> tuple[str, ...] | None:
    """Rules that failed in the ledger's last decision; None if the document at hand is not that decision."""
    if decision is None:
        return None
    try:
        if digest(decision) != found.documents.get("decision"):
            return None
    except Refusal:
        return None
    rules = decision.get("rules")
    named: list[Any] = list(rules) if isinstance(rules, list | tuple) else []
    failed = [one for one in named if one.get("passed") is not True and one.get("on_fail") != "warn"]
    return tuple(str(one.get("name")) for one in failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """One draft whose rows are sealed, step by step to the first thing that is missing."""

    found: OnDesk
    policy: Policy
    votes: Tally | None
    failed: tuple[str, ...] | None

    def standing(self) -> Standing:
        found = self.found
        if found.releases:
            left = [name for name in found.releases if name not in found.recalled]
            return self._at(State.RELEASED if left else State.RECALLED)
        if found.withdrawn is not None:
            return self._at(State.WITHDRAWN)
        if "attack" not in found.documents:
            return self._at(State.SEALED, _lack("attack", "no attack report", "one on these rows",
                            "Nobody attacked the rows.", f"dpsynth attack {found.draft}"))  # fmt: skip
        lacking = [*self._evidence()]
        if lacking:
            return self._at(State.ATTACKED, *lacking)
        if found.verdict != "ship" and (refused := self._unwaived()):
            return self._at(State.REGENERATING if found.verdict == "regenerate" else State.REJECTED, *refused)
        if self.votes is None:
            return self._at(State.APPROVED, self._release())
        return self._reviewed(self.votes)

    def _evidence(self) -> list[Lack]:
        """What is missing before anybody can review."""
        found, lacking = self.found, []
        if self.policy.quality.required and "quality" not in found.documents:
            lacking.append(_lack("quality", "no quality report", "one on these rows", "The policy asks for a quality "
                                 "report.", f"dpsynth evaluate {found.draft}"))  # fmt: skip
        again = f"dpsynth gate {found.draft}"
        if found.verdict is None:
            lacking.append(_lack("decision", "no decision", "one on the evidence as it stands", "The machine has not "
                                 "judged the evidence as it stands.", again))  # fmt: skip
        elif found.policy_digest != self.policy.digest():
            lacking.append(_lack("policy", str(found.policy_digest)[:16], self.policy.digest()[:16], "The policy was "
                                 "changed after the decision, so the decision and every vote on it are void.",
                                 f"Restore the policy, or judge anew: {again}"))  # fmt: skip
        if self.policy.review is not None and found.generator_key is None:
            lacking.append(_lack("attribution", "no signature", "one by a key of role generate", "The ledger does not "
                                 "say whose key made the draft, so nobody can show that its reviewers did not.",
                                 _SYNTHESIZE))  # fmt: skip
        return lacking

    def _unwaived(self) -> list[Lack]:
        """What stands against a draft that the machine did not let pass; empty if every failed rule is on appeal."""
        found, asked = self.found, self.policy.review
        if not self.failed:
            return [_lack("decision", str(found.verdict), "ship", f"The machine says {found.verdict}.", _SYNTHESIZE)]
        lacking = []
        for rule in self.failed:
            if asked is None or rule not in asked.waivable:
                lacking.append(_lack(rule, "failed", "passed", f"Rule {rule} failed, and the policy lets nobody waive "
                                     "it.", _SYNTHESIZE))  # fmt: skip
            elif rule not in found.appeals:
                command = f"dpsynth appeal {found.draft} --rule {rule} --owner NAME --reason TEXT"
                lacking.append(_lack(rule, "failed", "passed, or waived on appeal", f"Rule {rule} failed; the policy "
                                     "lets reviewers waive it.", f"{_SYNTHESIZE} Or appeal: {command}"))  # fmt: skip
        return lacking

    def _reviewed(self, votes: Tally) -> Standing:
        found, asked = self.found, self.policy.review
        number = 0 if asked is None else asked.approvals
        if votes.outcome is Vote.REJECT:
            return self._at(State.REJECTED, _lack("reviews", "a rejecting vote", "none", "A reviewer rejected the "
                            "draft.", _SYNTHESIZE))  # fmt: skip
        if votes.outcome is Vote.RETURN:
            return self._at(State.REGENERATING, _lack("reviews", "returned", "approved", "Reviewers returned the "
                            "draft: see their reasons.", f"{_SYNTHESIZE} Or show new evidence: attack, evaluate, "
                            "gate."))  # fmt: skip
        approvals = sum(vote.vote is Vote.APPROVE for vote in votes.counted)
        if votes.outcome is None:
            return self._at(State.ATTACKED, self._votes_lacking(votes, approvals, number))
        if found.approval is None:
            return self._at(State.REVIEWED, _lack("approval", "no approval", "an entry that ends the review",
                            "The votes suffice; nobody has ended the review.",
                            f"dpsynth approve {found.draft}"))  # fmt: skip
        return self._at(State.APPROVED, self._release())

    def _votes_lacking(self, votes: Tally, approvals: int, number: int) -> Lack:
        found = self.found
        blinded = self.policy.review is not None and self.policy.review.sealed
        unopened = [key for key in found.sealed if key not in found.votes]
        command = f"dpsynth review {found.draft} --key FILE --vote approve|return|reject --reason TEXT"
        if votes.split:
            return _lack("reviews", "one vote to return", f"{number} approvals and a majority", "The reviewers "
                         "disagree; one more decides.", f"A further reviewer: {command}")  # fmt: skip
        if blinded and unopened and len(found.sealed) >= number:
            return _lack("reviews", f"{approvals} approvals opened", str(number), f"{len(unopened)} votes lie sealed.",
                         f"Their reviewers: dpsynth review open {found.draft} --key FILE")  # fmt: skip
        value = f"{len(found.sealed)} sealed votes" if blinded else f"{approvals} approvals"
        stale = " Votes that no longer count are renewed on a new decision: dpsynth gate." if votes.notes else ""
        return _lack("reviews", value, str(number), f"{number} reviewers have to approve, independently of each "
                     "other.", f"{command}{stale}")  # fmt: skip

    def _release(self) -> Lack:
        command = f"dpsynth release {self.found.draft} -o DIR"
        return _lack("release", "not released", "a bundle", "It may leave.", command)

    def _at(self, state: State, *missing: Lack) -> Standing:
        found, votes = self.found, self.votes
        place = {
            State.REGENERATING: State.ATTACKED,
            State.REJECTED: State.ATTACKED,
            State.RECALLED: State.RELEASED,
            State.WITHDRAWN: State.SEALED if "attack" not in found.documents else State.ATTACKED,
        }.get(state, state)
        passed = PATH[: PATH.index(place) + 1]
        notes = () if votes is None else votes.notes
        if votes is None and state in {State.APPROVED, State.RELEASED, State.RECALLED}:
            passed = tuple(one for one in passed if one is not State.REVIEWED)
            notes = ("The policy asks for no review.",)
        return Standing(
            draft=found.draft,
            state=state,
            done=passed if place is state else (*passed, state),
            missing=missing,
            next_step=missing[0].next_step if missing else "",
            votes=() if votes is None else votes.counted,
            sealed=tuple(sorted(key for key in found.sealed if key not in found.votes)),
            waivers=self._waivers(),
            expires=None if votes is None else votes.expires,
            notes=notes,
        )

    def _waivers(self) -> tuple[Appeal, ...]:
        return tuple(sorted(self.found.appeals.values(), key=lambda one: one.seq))


def _lack(rule: str, value: str, limit: str, reason: str, next_step: str) -> Lack:
    return Lack(rule=rule, value=value, limit=limit, reason=reason, next_step=next_step)


def _before_rows(entries: Sequence[Entry], draft: str) -> Standing:
    held = any(entry.kind is Kind.RESERVE and entry.body.get("run_id") == draft for entry in entries)
    state = State.RESERVED if held else State.DRAFT
    if held:
        lack = _lack("sealed", "no rows", "sealed rows", "Its budget is held or spent, but no rows were sealed.",
                     "Wait for the run, go on with it (--resume), or abort it with a reason.")  # fmt: skip
    else:
        lack = _lack("reserved", "nothing reserved", "a reservation", "The ledger knows no run or draft of this name.",
                     "Synthesize: dpsynth synthesize, or dpsynth run.")  # fmt: skip
    return Standing(
        draft=draft, state=state, done=PATH[: PATH.index(state) + 1], missing=(lack,), next_step=lack.next_step
    )
