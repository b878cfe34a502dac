"""From a judged draft to reports and to the bundle: the seam between release (no HTML) and report (no keys).

The public report is made from what the bundle publishes anyway; the internal one from the workspace's exact documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounting.ledger import Signer
from accounting.ledger.slice import verify_slice
from accounting.privacy_report import report as privacy_report
from dpsynth.core.errors import GateRefused
from dpsynth.core.progress import Progress
from dpsynth.release.card import NOT_STATED
from dpsynth.release.documents import digest
from dpsynth.release.evidence import LedgerFacts
from dpsynth.release.export import ReportInputs, export, gather, judge
from dpsynth.release.figures import notes as figure_notes
from dpsynth.release.gate import Decision, gate
from dpsynth.release.ledger_facts import ledger_facts
from dpsynth.release.privacy import privacy_section
from dpsynth.release.public_view import public_decision, public_evidence
from dpsynth.release.standing import FINAL, State
from dpsynth.workspace.draft import Release
from dpsynth.workspace.governance import governance_document, standing
from dpsynth.workspace.layout import read_json, write_json
from dpsynth.workspace.private.targets import SAMPLED
from dpsynth.workspace.stating import stated_by

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from dpsynth.release.policy import Policy
    from dpsynth.report.model import PublicModel, ReportModel
    from dpsynth.workspace.draft import Draft


def release(draft: Draft, out: Path, *, licence: str = NOT_STATED, progress: Progress) -> Release:
    """See `Draft.release`."""
    workspace = draft.workspace
    policy = workspace.policy()
    with workspace.ledger(write=True) as ledger:
        decision = decided(draft, ledger)

        def report(inputs: ReportInputs) -> bytes:
            return _public_report(draft, inputs)

        made = export(
            draft.documents,
            decision,
            policy=policy,
            ledger=ledger,
            vault=workspace.vault,
            signer=Signer.load(workspace.layout.release_key),
            report=report,
            output=out,
            licence=licence,
            progress=progress,
        )
    return Release(bundle=made.path, public_key=workspace.layout.release_public_key)


def decided(draft: Draft, ledger: Ledger) -> Decision:
    """The decision that a release rests on: taken now; or, where people voted on one, that one, for another is void."""
    workspace = draft.workspace
    policy = workspace.policy()
    if policy.review is not None:
        return Decision.from_json(read_json(draft.folder / "decision.json"))
    decision = judge(draft.documents, ledger, workspace.vault, policy)
    write_json(draft.folder / "decision.json", decision.to_json())
    return decision


def internal_report(draft: Draft) -> str:
    """One HTML page with exact figures; computed from private rows, not for release."""
    from dpsynth.report import render_internal

    return render_internal(internal_model(draft))


def internal_model(draft: Draft) -> ReportModel:
    """What the internal page and the console show of a draft; exact figures, not for release."""
    from dpsynth.report import assemble

    folder = draft.folder
    stored = {kind: read_json(p) if (p := folder / f"{kind}.json").is_file() else None for kind in _STEPS}
    if draft.guarantee is None:
        return _without_guarantee(draft, stored)
    with draft.workspace.ledger() as ledger:
        known = verify_slice(ledger.slice(draft.document.budget_id), ledger_key=ledger.public_key)
    facts = ledger_facts(
        known,
        budget_id=draft.document.budget_id,
        reservation_id=draft.document.reservation_id,
        draft=draft.name,
    )
    return assemble(
        decision=stored["decision"],
        guarantee=draft.guarantee.to_json(),
        attacks=_report(stored["attack"]),
        quality=_report(stored["quality"]),
        draft=draft.document.to_json(),
        governance=_governed(draft),
        statement=stated_by(draft.workspace),
        title=f"Draft {draft.name}",
        **_ledger_view(draft, facts, privacy_section(privacy_report(facts.events, facts.guarantee.delta))),
    )


def public_model(draft: Draft) -> PublicModel:
    """What the public page of a draft shows, as its bundle would publish it; only of a draft that may leave.

    Raises:
        GateRefused: the machine's decision is not ship, and nobody waived what failed; with the rule.
        ReviewRefused: the policy asks for reviews and the draft is not approved; or it was withdrawn or called back.
    """
    from dpsynth.report import assemble_public

    workspace = draft.workspace
    with workspace.ledger() as ledger:
        evidence = gather(draft.documents, ledger, workspace.vault)
    policy, stands = workspace.policy(), standing(workspace, draft.name)
    decision = gate(evidence, policy)
    if policy.review is not None or stands.state in FINAL:
        stands.require(State.APPROVED, State.RELEASED)
    if evidence.ledger is None or not stands.may_leave:
        decision.require_ship()
    facts = evidence.ledger
    if facts is None:
        raise GateRefused("The ledger has no commit for this draft.", "Restore the ledger; do not release this.")
    return assemble_public(
        decision=public_decision(decision),
        evidence=public_evidence(evidence),
        guarantee=facts.guarantee.to_json(),
        draft=draft.document.to_json(),
        governance=_governed(draft),
        statement=stated_by(workspace),
        title=f"Release of {facts.dataset}",
        **_ledger_view(draft, facts, privacy_section(privacy_report(facts.events, facts.guarantee.delta))),
    )


def _unreviewed(policy: Policy) -> dict[str, Any]:
    """What the public page says of a release whose policy asks for no review."""
    named = {"name": policy.name, "digest": policy.digest()}
    return {"state": "approved", "policy": named, "notes": ["The policy asks for no review."]}


def _governed(draft: Draft) -> dict[str, Any]:
    """State, votes and exceptions; another policy than the one at the reserve shows at least by its digest."""
    document: dict[str, Any] = dict(governance_document(draft.workspace, draft.name))
    reserved, now = draft.document.policy_digest, draft.workspace.policy().digest()
    if reserved != now and not document["policy_changes"]:
        document["policy_changes"] = [{"path": "digest of the policy", "before": str(reserved)[:16], "after": now[:16]}]
    return document


def _without_guarantee(draft: Draft, stored: Mapping[str, Any]) -> ReportModel:
    from dpsynth.report import assemble

    return assemble(
        decision=stored["decision"],
        attacks=_report(stored["attack"]),
        quality=_report(stored["quality"]),
        draft=draft.document.to_json(),
        governance=_governed(draft),
        statement=stated_by(draft.workspace),
        warnings=("These rows have NO guarantee: a baseline made them, to compare with. They can never be released.",),
        title=f"Draft {draft.name}",
    )


_STEPS = ("attack", "quality", "decision")


def _report(document: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if document is None else document["report"]


def _public_report(draft: Draft, inputs: ReportInputs) -> bytes:
    from dpsynth.report import assemble_public, render_public

    model = assemble_public(
        decision=inputs.decision,
        evidence=inputs.evidence,
        guarantee=inputs.ledger.guarantee.to_json(),
        draft=draft.document.to_json(),
        governance=inputs.card.governance or _unreviewed(inputs.policy),
        statement=stated_by(draft.workspace),
        title=f"Release of {inputs.card.dataset}",
        **_ledger_view(draft, inputs.ledger, inputs.card.privacy),
    )
    return render_public(model).encode()


def _ledger_view(draft: Draft, facts: LedgerFacts, privacy: Mapping[str, Any] | None) -> dict[str, Any]:
    """Family of budgets, commit entry, events and what to know of chain and sample, as both reports show them."""
    sampled = () if draft.dataset.place is None else (SAMPLED,)
    return {
        "budget": facts.budget,
        "budget_digest": digest(facts.budget),
        "privacy": privacy,
        "ledger": {"entry": facts.commit_seq, "hash": facts.commit_hash, "ledger_id": facts.ledger_id},
        "events": facts.events.to_json(),
        "warnings": (*facts.notes, *sampled, *figure_notes(facts.guarantee.epsilon, facts.figures)),
    }
