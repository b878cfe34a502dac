"""From a sealed draft to a signed bundle: judge, then export. The only code that writes rows of a private draft.

    judge     documents + ledger + policy -> decision, recorded in the ledger whatever it is
    export    1  the recorded decision says ship, and judged again now it still does; it is approved, if a policy asks
              2  rows are opened from the vault and hashed again: the draft that was judged, or nothing
              3  all files but ledger and statement are composed; their root is computed
              4  the ledger records the release, with the root           (from here on it is on record)
              5  ledger slice, statement, signature
              6  written beside the target, verified as a receiver would, put in place in one step

A failure after step 4 leaves a release on record without a bundle, never a bundle without a record;
exporting again finds that record and uses it.

Not guaranteed: that nobody with the vault key takes rows by other means. See "what stops whom" in the docs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from accounting.guarantee import Guarantee
from accounting.ledger.entry import Entry, Kind
from accounting.ledger.records import KeyRecord
from accounting.ledger.slice import SliceFacts, verify_slice
from dpsynth.core.errors import GateRefused, SealError, VerificationError
from dpsynth.core.progress import Progress, silent
from dpsynth.release.approvals import check_may_leave, governance_section, waived
from dpsynth.release.bundle import check_target, put_in_place, staged, write_members
from dpsynth.release.card import NOT_STATED, Card, make_card
from dpsynth.release.documents import JSON, Refusal, digest, pretty
from dpsynth.release.dsse import seal_envelope
from dpsynth.release.entries import record_decision
from dpsynth.release.evidence import DraftDocument, Evidence, LedgerFacts
from dpsynth.release.fields import checked_licence
from dpsynth.release.formats import check_parquet, to_csv
from dpsynth.release.gate import Decision, gate
from dpsynth.release.keys import to_pem
from dpsynth.release.layout import LEDGER, ROOTED, STATEMENT, VERIFIER, root
from dpsynth.release.ledger_facts import ledger_facts
from dpsynth.release.policy import Policy
from dpsynth.release.public_view import public_decision, public_evidence
from dpsynth.release.readme import readme
from dpsynth.release.seal import Vault, sha256
from dpsynth.release.standalone.build import verifier
from dpsynth.release.standing import Standing
from dpsynth.release.statement import make_statement
from dpsynth.release.verification import VerificationReport
from dpsynth.release.verify import verify


class ReleaseLedger(Protocol):
    """What is needed of `accounting.ledger.Ledger`."""

    @property
    def public_key(self) -> bytes:
        """Raw public key."""

    def slice(self, budget_id: str) -> dict[str, Any]:
        """The chain for outsiders."""

    def keys(self) -> Mapping[str, KeyRecord]:
        """Keys that the ledger vouches for."""

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Append one record."""


class ReleaseSigner(Protocol):
    """What is needed of `accounting.ledger.Signer`."""

    @property
    def key_id(self) -> str:
        """Fingerprint of the key."""

    @property
    def public_bytes(self) -> bytes:
        """Raw public key."""

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The parsed documents of one draft; None where a step has not run."""

    draft: Mapping[str, JSON] | None
    attack: Mapping[str, JSON] | None = None
    quality: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """All that the public report may show; the report layer turns it into HTML that quotes both digests: the draft's,
    and that of the card's budget section.
    """

    card: Card
    decision: Mapping[str, JSON]
    evidence: Mapping[str, JSON]
    ledger: LedgerFacts
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A bundle that was written and verified."""

    path: Path
    release: str
    root: str
    public_key: bytes
    guarantee: Guarantee
    verification: VerificationReport

    def to_json(self) -> dict[str, JSON]:
        """The object of `release --json`."""
        return {
            "bundle": str(self.path),
            "release": self.release,
            "root": self.root,
            "public_key": self.public_key.hex(),
            "guarantee": self.guarantee.to_json(),
        }


def gather(documents: Documents, ledger: ReleaseLedger, vault: Vault) -> Evidence:
    """Evidence as it stands now: documents bound by the vault's commitments, facts from the verified chain."""
    facts: LedgerFacts | None = None
    draft = Evidence.assemble(draft=documents.draft, attack=None, quality=None, ledger=None).draft
    if draft is not None:
        try:
            facts = _facts(_slice(ledger, draft.budget_id)[1], draft)
        except Refusal:
            facts = None  # no commit paid for it: the evidence says so, and the gate refuses
    return Evidence.assemble(
        draft=documents.draft,
        attack=documents.attack,
        quality=documents.quality,
        ledger=facts,
        commit=lambda content: vault.commit(content, purpose="document"),
    )


def judge(documents: Documents, ledger: ReleaseLedger, vault: Vault, policy: Policy) -> Decision:
    """Ask the gate, and record its decision in the ledger whatever it is."""
    evidence = gather(documents, ledger, vault)
    decision = gate(evidence, policy)
    draft = evidence.draft
    if draft is not None and (evidence.ledger is not None or draft.guarantee is None):
        record_decision(ledger, draft, decision)
    return decision


def export(
    documents: Documents,
    decision: Decision,
    *,
    policy: Policy,
    ledger: ReleaseLedger,
    vault: Vault,
    signer: ReleaseSigner,
    report: Callable[[ReportInputs], bytes],
    output: Path,
    licence: str = NOT_STATED,
    progress: Progress = silent,
) -> Release:
    """Write the bundle of a draft that the gate let pass.

    Args:
        documents: what was judged.
        decision: what `judge` returned for them.
        policy: what it was judged by.
        ledger: the workspace's ledger, writable.
        vault: the workspace's vault.
        signer: the release key; the ledger vouches for it from now on if it does not yet.
        report: renders the public report from what may be published; must quote the draft's digest and that of the
            card's budget section.
        output: a new folder, or a new `.zip`.
        licence: under which the rows may be used, an SPDX expression; the card states it.
        progress: told at each step.

    Raises:
        GateRefused: the decision, recorded or taken again now, is not ship.
        ReviewRefused: the policy asks for reviews and the draft is not approved; or it was withdrawn or called back.
        SealError: the sealed rows are not the ones that were judged.
        ParameterError: the target exists, or the licence is no SPDX expression.
        VerificationError: the written copy did not verify; nothing was put in place.
    """
    check_target(output)
    checked_licence(licence)
    evidence = gather(documents, ledger, vault)
    draft, facts, standing = leaving(evidence, decision, policy, ledger)
    progress("release", 1, 5, "decision holds")
    rows = vault.open(draft.draft)
    shape = (draft.rows, draft.columns)
    if vault.commit(rows, purpose="draft") != draft.draft_digest or check_parquet(rows) != shape:
        raise SealError("The sealed rows are not the ones that were judged.", "Synthesize and judge a new draft.")
    release = "release-" + digest([draft.draft_digest, digest(public_decision(decision))])[:16]
    governed = None if policy.review is None else governance_section(standing, policy)
    members = _compose(release, evidence, draft, facts, decision, policy, rows, signer, report, licence, governed)
    progress("release", 2, 5, "files composed")
    digests = {name: sha256(members[name]) for name in ROOTED}
    body, slice_ = _on_record(release, draft, facts, decision, root(digests), ledger, signer)
    members[LEDGER] = pretty(slice_)
    digests[LEDGER] = sha256(members[LEDGER])
    members[STATEMENT] = _signed(body, draft, facts, digests, slice_, signer)
    progress("release", 3, 5, "recorded and signed")
    with staged(output) as stage:
        write_members(stage, members)
        verification = verify(stage, signer.public_bytes)
        if verification.failure is not None:
            raise VerificationError(
                f"The written bundle does not verify ({verification.failure.name}: {verification.failure.reason}), "
                "so it was removed.",
                "Check ledger and policy with `dpsynth ledger verify`, then release again.",
            )
        progress("release", 4, 5, "copy verified")
        put_in_place(stage, output)
    progress("release", 5, 5, "in place")
    return Release(
        path=output,
        release=release,
        root=root(digests),
        public_key=signer.public_bytes,
        guarantee=facts.guarantee,
        verification=verification,
    )


def leaving(
    evidence: Evidence, decision: Decision, policy: Policy, ledger: ReleaseLedger
) -> tuple[DraftDocument, LedgerFacts, Standing]:
    """The guard: the decision holds, the chain shows the approvals that the policy asks for, nobody took it back.

    Raises:
        GateRefused, ReviewRefused: as `export`.
    """
    excused: frozenset[str] = frozenset()
    if policy.review is not None and evidence.draft is not None:
        standing = _standing(evidence.draft, decision, policy, ledger)
        excused = waived(standing, policy)
    draft, facts = _still_ships(evidence, decision, policy, excused)
    return draft, facts, _standing(draft, decision, policy, ledger)


def _standing(draft: DraftDocument, decision: Decision, policy: Policy, ledger: ReleaseLedger) -> Standing:
    return check_may_leave(
        _slice(ledger, draft.budget_id)[1].entries,
        policy,
        draft.draft,
        budget_id=draft.budget_id,
        decision=public_decision(decision),
        now=datetime.now(UTC),
    )


def _still_ships(
    evidence: Evidence, decision: Decision, policy: Policy, waived_rules: frozenset[str]
) -> tuple[DraftDocument, LedgerFacts]:
    decision.require_ship(waived_rules)
    gate(evidence, policy).require_ship(waived_rules)
    draft, facts = evidence.draft, evidence.ledger
    judged = (decision.draft, decision.draft_digest, decision.policy_digest, dict(decision.commitments))
    if (
        draft is None
        or facts is None
        or judged != (draft.draft, draft.draft_digest, policy.digest(), dict(evidence.commitments))
        or facts.recorded["decision"][-1:] != (digest(public_decision(decision)),)
    ):
        raise GateRefused("The ledger does not record this decision as the last one on this draft.",
                          "Run `dpsynth gate` again.")  # fmt: skip
    return draft, facts


def _compose(
    release: str,
    evidence: Evidence,
    draft: DraftDocument,
    facts: LedgerFacts,
    decision: Decision,
    policy: Policy,
    rows: bytes,
    signer: ReleaseSigner,
    report: Callable[[ReportInputs], bytes],
    licence: str = NOT_STATED,
    governance: Mapping[str, JSON] | None = None,
) -> dict[str, bytes]:
    """Every file that the root covers."""
    shown, judged = public_evidence(evidence), public_decision(decision)
    card = make_card(
        release,
        draft=draft,
        ledger=facts,
        decision=decision,
        policy=policy,
        judged=judged,
        shown=shown,
        licence=licence,
        governance=governance,
    )
    inputs = ReportInputs(card=card, decision=judged, evidence=shown, ledger=facts, policy=policy)
    html = report(inputs)
    if draft.draft_digest.encode() not in html or digest(card.budget).encode() not in html:
        raise VerificationError("The public report does not quote the digests of draft and budget, so it could be "
                                "exchanged.",
                                "This is an error in the report's template; report it.")  # fmt: skip
    return {
        "data.parquet": rows,
        "data.csv": to_csv(rows),
        "card.yaml": card.encode(),
        "report.html": html,
        "decision.json": pretty(judged),
        "evidence.json": pretty(shown),
        "policy.yaml": policy.to_yaml(),
        "README.txt": readme(card, signer.key_id),
        VERIFIER: verifier(),
        "release.pub": to_pem(signer.public_bytes),
    }


def _on_record(
    release: str,
    draft: DraftDocument,
    facts: LedgerFacts,
    decision: Decision,
    root_digest: str,
    ledger: ReleaseLedger,
    signer: ReleaseSigner,
) -> tuple[dict[str, JSON], dict[str, Any]]:
    """The release entry's body, appended unless the very same is there, and the slice that contains it."""
    known = ledger.keys()
    if signer.key_id not in known:
        ledger.append("key.add", {"key_id": signer.key_id, "public_key": signer.public_bytes.hex(), "role": "release"})
    body: dict[str, JSON] = {
        "budget_id": draft.budget_id,
        "release": release,
        "draft": draft.draft,
        "draft_digest": draft.draft_digest,
        "reservation_id": draft.reservation_id,
        "commit": facts.commit_hash,
        "guarantee": facts.guarantee.to_json(),
        "decision": decision.decision,
        "decision_digest": digest(public_decision(decision)),
        "policy_digest": decision.policy_digest,
        "root": root_digest,
        "release_key": signer.key_id,
    }
    slice_, shown = _slice(ledger, draft.budget_id)
    stamped = {"kind", "nonce", "time"}
    if not any(
        {name: value for name, value in entry.body.items() if name not in stamped} == body
        for entry in shown.of(Kind.RELEASE)
    ):
        ledger.append("release", body)
        slice_, _ = _slice(ledger, draft.budget_id)
    return body, slice_


def _signed(
    body: Mapping[str, JSON],
    draft: DraftDocument,
    facts: LedgerFacts,
    digests: Mapping[str, str],
    slice_: Mapping[str, Any],
    signer: ReleaseSigner,
) -> bytes:
    predicate: dict[str, JSON] = {
        **body,
        "schema": "dpsynth.release/1",
        "dataset": facts.dataset,
        "source_commitment": facts.source_commitment,
        "generator": draft.generator.model_dump(),
        "noise": "seeded" if facts.seeded_noise else "exact",
        "ledger": {"id": slice_["ledger_id"], "public_key": slice_["public_key"], "head": slice_["head"]},
    }
    return seal_envelope(make_statement(digests, predicate).encode(), signer)


def _slice(ledger: ReleaseLedger, budget_id: str) -> tuple[dict[str, Any], SliceFacts]:
    """The slice, checked as a receiver would check it."""
    body = ledger.slice(budget_id)
    return body, verify_slice(body, ledger_key=ledger.public_key)


def _facts(known: SliceFacts, draft: DraftDocument) -> LedgerFacts:
    return ledger_facts(known, budget_id=draft.budget_id, reservation_id=draft.reservation_id, draft=draft.draft)
