"""What the release layer writes into the ledger, and how it reads it back.

    unprotected  a baseline is about to be fitted to the rows themselves; run, and the id that opens the rows
    attempt   a draft was sealed              commitment of draft.json; salted digest of its condition, if it has one
    attack    an attack report was made       commitment of attack.json, verdict
    quality   a quality report was made       commitment of quality.json
    decision  the gate decided                SHA-256 of the public decision
    release   a bundle is about to leave      root digest of its files, decision, policy, guarantee
    recall    a release was called back       its id and a reason

Commitments are keyed (see `seal`): a digest of figures computed from private rows would be an oracle. A
`release` is written *before* the statement is signed, so that the slice in the bundle contains it: a bundle
whose release the ledger does not know cannot exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

from accounting.ledger.entry import Entry, Kind
from accounting.ledger.records import BudgetRecord
from accounting.ledger.signing import Signer
from dpsynth.release.documents import JSON, digest
from dpsynth.release.evidence import DraftDocument
from dpsynth.release.figures import runs_without_rows
from dpsynth.release.gate import Decision
from dpsynth.release.public_view import public_decision


class Appender(Protocol):
    """What is needed of `accounting.ledger.Ledger`."""

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Append one record."""


class AttemptLedger(Appender, Protocol):
    """That, and attempts that are signed."""

    def record_signed(self, fields: Mapping[str, Any], *, generator: Signer) -> Entry:
        """Append an attempt that the generator's key signs."""


def attempts(entries: Iterable[Entry], draft: str = "") -> tuple[int, int]:
    """Drafts charged and attack runs recorded since the last release of another run, in one data set's entries.

    A run that read data and was given up counts like a draft: somebody may have looked at it. So does each further
    draft from the model of one commit: it costs no budget, but it is another try. A release of that very model does not
    start the count anew, or a table could leave in pieces, each of them the first attempt. Figures that were bought
    and private models are no try: no draft can be made under their reservations.
    """
    entries = list(entries)
    figures = runs_without_rows(entries)
    entries = [entry for entry in entries if entry.body.get("reservation_id") not in figures]
    runs_of = {e.body.get("draft"): e.body.get("reservation_id") for e in entries if e.kind is Kind.ATTEMPT}
    drafts = runs = 0
    first_due: set[object] = set()
    known: set[object] = set()
    for entry in entries:
        released = entry.body.get("draft")
        if entry.kind is Kind.RELEASE and released != draft and runs_of.get(released) != runs_of.get(draft, ""):
            drafts = runs = 0
        given_up = entry.kind is Kind.ABORT and entry.body.get("data_was_read") is not False
        drafts += given_up or entry.kind in {Kind.COMMIT, Kind.EXPIRE, Kind.UNPROTECTED}
        reservation, rows = entry.body.get("reservation_id"), entry.body.get("draft_digest")
        if entry.kind is Kind.COMMIT:
            first_due.add(reservation)
        if entry.kind is Kind.UNPROTECTED:
            first_due.add(entry.body.get("read_id"))
        if entry.kind is Kind.ATTEMPT and rows not in known:
            drafts += reservation not in first_due  # else it is the draft that the commit was counted for
            first_due.discard(reservation)
            known.add(rows)
        runs += entry.kind is Kind.ATTACK
    return drafts, runs


def of_same_data(entries: Iterable[Entry], budgets: Iterable[BudgetRecord], budget_id: str) -> list[Entry]:
    """Entries of all budgets that were granted for the same data: a new share of it is no new first attempt."""
    known = {budget.budget_id: budget.commitment for budget in budgets}
    same = {name for name, commitment in known.items() if commitment == known[budget_id]}
    return [entry for entry in entries if entry.budget_id in same]


def next_attempt(entries: Iterable[Entry], draft: str = "") -> int:
    """The number that an attack run started now will have: what `Policy.alpha_at` wants."""
    drafts, runs = attempts(entries, draft)
    return max(drafts, runs + 1)


def record_attempt(
    ledger: AttemptLedger, draft: DraftDocument, commitment: str, *, generator: Signer | None = None
) -> None:
    """A draft was sealed; `commitment` is the vault's for the canonical draft.json, `generator` signs the record.

    Of a draft drawn from an earlier model the entry holds a salted digest of what was asked, which receivers compare
    with the card: nobody can take rows under a condition for a picture of the whole, and who only sees the ledger
    cannot guess the condition.
    """
    facts: dict[str, JSON] = {"run_id": draft.run_id, "reservation_id": draft.reservation_id}
    if draft.sampling is not None:
        facts["sampling"] = draft.sampling.commitment()
    body = {**_about(draft), **facts, "document": commitment}
    if generator is None:
        ledger.append("attempt", body)
    else:
        ledger.record_signed(body, generator=generator)


def record_report(
    ledger: Appender,
    kind: Literal["attack", "quality"],
    draft: DraftDocument,
    commitment: str,
    verdict: str = "",
) -> None:
    """A report on the draft was made; `verdict` for attacks."""
    ledger.append(kind, {**_about(draft), "document": commitment, **({"verdict": verdict} if verdict else {})})


def record_decision(ledger: Appender, draft: DraftDocument, decision: Decision) -> None:
    """The gate decided."""
    facts: dict[str, JSON] = {"decision": decision.decision, "policy_digest": decision.policy_digest}
    ledger.append("decision", {**_about(draft), **facts, "document": digest(public_decision(decision))})


def record_recall(ledger: Appender, *, budget_id: str, release: str, reason: str) -> None:
    """A release was called back; the notice is published with the release's id."""
    ledger.append("recall", {"budget_id": budget_id, "release": release, "reason": reason})


def _about(draft: DraftDocument) -> dict[str, JSON]:
    return {"budget_id": draft.budget_id, "draft": draft.draft, "draft_digest": draft.draft_digest}
