"""Who let a draft leave: reviews, exceptions and changes of the policy, as card, report and `verify` show them.

A section is made from a verified chain and the policy alone, so that a receiver makes it again and compares. It names
keys, not persons; reasons of votes stay in the ledger's slice, reasons of exceptions are shown, because a reader has to
judge by them.

    check_may_leave      the guard of the export, and of `verify`: a draft is approved, or it stays

Not guaranteed: that reviewers looked, or that two keys are two people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from accounting.ledger.entry import Entry, Kind
from accounting.ledger.review import Vote
from dpsynth.release.documents import JSON
from dpsynth.release.policy import Policy
from dpsynth.release.standing import Standing, State
from dpsynth.release.states import state_of

SCHEMA: Final = "dpsynth.governance/1"


def check_may_leave(
    entries: Sequence[Entry],
    policy: Policy,
    draft: str,
    *,
    budget_id: str,
    decision: Mapping[str, JSON],
    now: datetime,
) -> Standing:
    """The standing of a draft that may be released, earlier releases of it apart.

    Args:
        entries: of a verified chain, up to the release that is about to be made, or was.
        policy: in force.
        draft: its name.
        budget_id: that paid.
        decision: the public decision document.
        now: the time of the release.

    Raises:
        ReviewRefused: it is not approved, was withdrawn, or was called back.
    """
    stands = state_of(entries, policy, draft, budget_id=budget_id, decision=decision, now=now)
    if stands.state is State.RECALLED:
        stands.require(State.APPROVED)
    before = [e for e in entries if not (e.kind is Kind.RELEASE and e.body.get("draft") == draft)]
    if len(before) != len(entries):
        stands = state_of(before, policy, draft, budget_id=budget_id, decision=decision, now=now)
    stands.require(State.APPROVED)
    return stands


def waived(standing: Standing, policy: Policy) -> frozenset[str]:
    """Rules that reviewers waived: on appeal, listed by the policy, in a draft that is approved."""
    if policy.review is None or standing.state is not State.APPROVED:
        return frozenset()
    return frozenset(appeal.rule for appeal in standing.waivers).intersection(policy.review.waivable)


def governance_section(
    standing: Standing, policy: Policy, *, changes: Sequence[Mapping[str, JSON]] = ()
) -> dict[str, JSON]:
    """The section of a draft.

    Args:
        standing: of the draft.
        policy: in force.
        changes: of the policy since the reservation: path, before, after.
    """
    approving = [vote.key_id for vote in standing.votes if vote.vote is Vote.APPROVE]
    asked = policy.review
    return {
        "schema": SCHEMA,
        "state": standing.state.value,
        "missing": [str(lack) for lack in standing.missing if standing.state is not State.APPROVED],
        "policy": {"name": policy.name, "digest": policy.digest()},
        "asked": None if asked is None else {"approvals": asked.approvals, "blinded": asked.blinded,
                                             "valid_days": asked.valid_days},
        "reviews": [
            {"reviewer": vote.key_id, "vote": vote.vote.value, "at": vote.time, "entry": vote.seq,
             "blinded": vote.of > 1, "counts": True} for vote in standing.votes
        ],
        "waivers": [
            {"rule": appeal.rule, "reason": appeal.reason, "owner": appeal.owner, "at": appeal.time,
             "entry": appeal.seq, "approved_by": list[JSON](approving)} for appeal in standing.waivers
        ],
        "policy_changes": [dict(change) for change in changes],
    }  # fmt: skip


def governance_lines(section: Mapping[str, Any]) -> list[str]:
    """The section in sentences, one a line; control characters in names and reasons are replaced."""
    lines = []
    if section["asked"] is not None:
        count = sum(row["vote"] == "approve" for row in section["reviews"])
        how = " in sealed votes" if section["asked"]["blinded"] and section["asked"]["approvals"] > 1 else ""
        lines.append(f"Approved by {count} reviewers{how}; the policy asks for {section['asked']['approvals']}.")
        lines += [f"  {row['vote']} by key {row['reviewer']}, {row['at']}" for row in section["reviews"]]
    for row in section["waivers"]:
        by = ", ".join(row["approved_by"])
        lines.append(f"WAIVED: rule {row['rule']}, asked by {row['owner']}: {row['reason']} (approved by {by})")
    for row in section["policy_changes"]:
        lines.append(f"POLICY CHANGED after the reservation: {row['path']} from {row['before']} to {row['after']}")
    return ["".join(c if c.isprintable() else "�" for c in line) for line in lines]
