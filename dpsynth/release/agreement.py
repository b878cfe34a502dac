"""Card, evidence, signed statement and ledger tell one story about a draft; part of `verify`.

Not guaranteed: that the story is true where none of the four says anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounting.ledger.entry import Kind
from accounting.ledger.slice import SliceFacts
from dpsynth.release.card import Card
from dpsynth.release.documents import JSON, Refusal, digest
from dpsynth.release.evals import evals_of, reasons_of
from dpsynth.release.evidence import LedgerFacts
from dpsynth.release.figures import notes as figure_notes
from dpsynth.release.statement import Predicate


def check_agreement(
    card: Card,
    claims: Predicate,
    ledger: LedgerFacts,
    chain: SliceFacts,
    evidence: Mapping[str, JSON],
    decision: Mapping[str, JSON],
) -> None:
    """Compare what several of them say.

    Args:
        card: parsed `card.yaml`.
        claims: of the signed statement.
        ledger: what the verified chain says about this draft.
        chain: the verified slice.
        evidence: parsed `evidence.json`.
        decision: parsed `decision.json`.

    Raises:
        Refusal: naming what contradicts what.
    """
    pairs: dict[str, tuple[Any, Any]] = {
        "release": (card.release, claims.release),
        "dataset": (card.dataset, claims.dataset),
        "source_commitment": (card.source_commitment, claims.source_commitment),
        "generator": (card.generator, claims.generator),
        "decision": (card.decision, claims.decision),
        "noise": (card.noise, claims.noise),
        "attempts": (card.attempts, ledger.attempt),
    }
    for name, (shown, signed) in pairs.items():
        if shown != signed:
            raise Refusal("card_mismatch", f"Card and statement contradict each other on {name}.")
    attempts = [entry.body for entry in chain.of(Kind.ATTEMPT) if entry.body.get("draft") == claims.draft]
    asked = None if card.sampling is None else card.sampling.commitment()
    if not attempts or attempts[-1].get("sampling") != asked:
        raise Refusal("card_mismatch", "Card and ledger contradict each other on how the rows were drawn.")
    commit = next(entry for entry in chain.commits if entry.hash == ledger.commit_hash)
    facts = commit.body.get("facts")
    committed = facts if isinstance(facts, Mapping) else {}
    if card.prior_sha256 != committed.get("prior_sha256"):
        raise Refusal("card_mismatch", "Card and ledger contradict each other on the public prior.")
    if (None if card.text is None else card.text.fingerprint) != committed.get("text_model_sha256"):
        raise Refusal("card_mismatch", "Card and ledger contradict each other on the language model.")
    if card.text is not None and card.text.column not in card.columns:
        raise Refusal("card_mismatch", "The card names a text column that is none of its columns.")
    if (None if card.lineage is None else digest(card.lineage.model_dump(mode="json"))) != committed.get("lineage"):
        raise Refusal("card_mismatch", "Card and ledger contradict each other on synthetic parents.")
    figures = ledger.figures
    if evidence.get("figures", []) != [figure.to_json() for figure in figures]:
        raise Refusal("figures_mismatch", "evidence.json does not show the figures as the ledger sold them.")
    if not set(figure_notes(ledger.guarantee.epsilon, figures)).issubset(card.limits):
        raise Refusal("figures_mismatch", "The card does not say what rows and figures cost together.")
    if card.evals is not None and card.evals.model_dump(mode="json") != evals_of(evidence):
        raise Refusal("card_mismatch", "Card and evidence.json contradict each other on how the rows were judged.")
    if card.reasons is not None and card.reasons != reasons_of(decision):
        raise Refusal("card_mismatch", "Card and decision.json contradict each other on the reasons of the decision.")
    if evidence.get("attempt") != ledger.attempt:
        raise Refusal("evidence_mismatch", "evidence.json and ledger count attempts differently.")
