"""Where a draft stands and who answers for it: state, what is missing, reviews, exceptions, changes of the policy.

Read from plain documents, so that the page can be made wherever they come from. Absent documents are shown as "none
recorded": the pages of workspaces that ask for no review say so.

>>> governance_view({"state": "sealed", "missing": ["an attack report"]}).state
'sealed'

Not guaranteed: that two keys are two people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dpsynth.report.views import Document, clean, reading, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLine:
    """One signed vote."""

    reviewer: str
    vote: str
    reason: str
    at: str
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverLine:
    """An exception from one rule: who asked, why, and who approved."""

    rule: str
    reason: str
    owner: str
    approved_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceView:
    """The state of a draft, and everything that people decided about it."""

    state: str
    missing: tuple[str, ...]
    policy_name: str | None
    policy_digest: str | None
    reviews: tuple[ReviewLine, ...]
    waivers: tuple[WaiverLine, ...]
    policy_changes: tuple[tuple[str, str, str], ...]  # path, when reserved, now
    notes: tuple[str, ...]

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Reviewers whose approval counts."""
        return tuple(review.reviewer for review in self.reviews if review.vote == "approve" and review.counts)


def governance_view(document: Document | None, *, exact: bool = True) -> GovernanceView | None:
    """The governance document of a draft; None if there is none.

    Args:
        document: what `dpsynth.workspace` knows of states, reviews, exceptions and policy.
        exact: with the reasons of votes, which may quote private figures; the public edition leaves them out.
    """
    if document is None:
        return None
    with reading("governance"):
        policy = document.get("policy") or {}
        return GovernanceView(
            state=clean(document["state"]),
            missing=tuple(clean(text) for text in document.get("missing") or ()),
            policy_name=_text(policy, "name"),
            policy_digest=_text(policy, "digest"),
            reviews=tuple(_review(row, exact) for row in document.get("reviews") or ()),
            waivers=tuple(_waiver(row) for row in document.get("waivers") or ()),
            policy_changes=tuple(
                (clean(row["path"]), text_of(row["before"]), text_of(row["after"]))
                for row in document.get("policy_changes") or ()
            ),
            notes=tuple(clean(text) for text in document.get("notes") or ()),
        )


def _text(document: Mapping[str, Any], key: str) -> str | None:
    return None if document.get(key) is None else clean(document[key])


def _review(row: Document, exact: bool) -> ReviewLine:
    return ReviewLine(
        reviewer=_who(row["reviewer"]),
        vote=clean(row["vote"]),
        reason=clean(row.get("reason") or "") if exact else "",
        at=clean(row.get("at") or ""),
        counts=row.get("counts") is not False,
    )


def _waiver(row: Document) -> WaiverLine:
    approved: Sequence[Any] = row.get("approved_by") or ()
    return WaiverLine(
        rule=clean(row["rule"]),
        reason=clean(row["reason"]),
        owner=clean(row["owner"]),
        approved_by=tuple(_who(name) for name in approved),
    )


def _who(name: Any) -> str:
    """A reviewer as a page shows them: a key's id by its first sixteen characters."""
    text = clean(name)
    return f"key {text[:16]}" if re.fullmatch(r"[0-9a-f]{32,}", text) else text
