"""Every report was made for this very draft, and the ledger recorded it when it was made.

A report on another draft, an older report on the same draft, or one edited afterwards has another keyed
commitment than the last one in the ledger: stale evidence is no evidence.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class DocumentsBound:
    """Reports name this draft, and their commitments are the last that the ledger holds for it."""

    name: Final = "documents_bound"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        draft = need(evidence.draft, "draft.json")
        ledger = need(evidence.ledger, "the ledger's commit")
        reports = {"attack": need(evidence.attack, "attack.json")}
        if policy.quality.required or evidence.quality is not None:
            reports["quality"] = need(evidence.quality, "quality.json")  # type: ignore[assignment]
        wrong = [
            name
            for name, report in reports.items()
            if (report.draft, report.draft_digest) != (draft.draft, draft.draft_digest)
        ]
        for name, entry in (("draft", "attempt"), ("attack", "attack"), ("quality", "quality")):
            recorded = ledger.recorded.get(entry, ())
            present = name == "draft" or name in reports
            if present and (not recorded or recorded[-1] != evidence.commitments.get(name)):
                wrong.append(name)
        names = ", ".join(sorted({f"{name}.json" for name in wrong}))
        return finding(
            self, value=len(set(wrong)), limit=0, passed=not wrong,
            ok="Every document belongs to this draft and is the one that the ledger recorded last.",
            failed=f"{names}: made for another draft, replaced, or altered after the ledger recorded it. "
            "Run the step again on this draft.",
        )  # fmt: skip


RULE = DocumentsBound()
