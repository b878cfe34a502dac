"""What was promised and paid, computed again from the ledger; part of `verify`.

Not guaranteed: what the accountants do not guarantee (`accounting.crosscheck`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from accounting.guarantee import Guarantee
from accounting.ledger.entry import Entry, Kind
from accounting.ledger.slice import SliceFacts
from dpsynth.release.card import Card
from dpsynth.release.documents import JSON, Refusal, digest
from dpsynth.release.evidence import LedgerFacts
from dpsynth.release.family import budget_as_of, budget_section, is_plain
from dpsynth.release.ledger_facts import check_charge, committed
from dpsynth.release.privacy import ceiling_of, flattery, privacy_section
from dpsynth.release.recomputed import bounded, recompute
from dpsynth.release.statement import Predicate
from dpsynth.tabular import BASELINES

Repriced: TypeAlias = tuple[Guarantee, tuple[str, ...]]


def check_budget(
    card: Card, claims: Predicate, chain: SliceFacts, raw: Mapping[str, JSON], release: Entry, report_html: bytes
) -> None:
    """The card's section is the ledger's, as of an entry from the decision on, after which no grant changed.

    Args:
        card: parsed `card.yaml`.
        claims: of the signed statement.
        chain: the verified slice.
        raw: the slice as parsed.
        release: its entry of this release.
        report_html: bytes of `report.html`.

    Raises:
        Refusal: the card or the report shows another budget.
    """
    stated = card.budget
    if stated is None:
        if not is_plain(budget_section(chain, claims.budget_id)):
            raise Refusal("budget_not_shown", "The card does not show the family, filter or amendments of the "
                          "budget that paid.")  # fmt: skip
        return
    as_of = stated.get("as_of")
    decided = [e.seq for e in chain.of(Kind.DECISION) if e.body.get("document") == claims.decision_digest]
    if not isinstance(as_of, int) or not decided or not decided[-1] <= as_of < release.seq:
        raise Refusal("budget_mismatch", "The card's budget is not as of an entry between decision and release.")
    if any(as_of < entry.seq < release.seq for entry in chain.of(Kind.BUDGET_AMEND)):
        raise Refusal("budget_mismatch", "A grant was amended between the card and the release.")
    if stated != budget_as_of(raw, chain, claims.budget_id, as_of):
        raise Refusal("budget_mismatch", "The card shows another budget than the ledger: line, filter, grants, "
                      "amendments or amounts.")  # fmt: skip
    if digest(stated).encode() not in report_html:
        raise Refusal("budget_mismatch", "report.html is not about this budget as it stood.")


def check_guarantee(card: Card, claims: Predicate, facts: LedgerFacts, chain: SliceFacts) -> Repriced:
    """The guarantee, computed again from the committed events; the documents claim no better one.

    Args:
        card: parsed `card.yaml`.
        claims: of the signed statement.
        facts: what the verified chain says about this draft.
        chain: the verified slice.

    Returns:
        The recorded guarantee, and in words what could not be checked for want of a library.

    Raises:
        Refusal: something claims more than the events give.
    """
    if claims.generator.name in BASELINES:
        raise Refusal("no_guarantee", "A baseline made the rows, and protects nobody.")
    commit = next(entry for entry in chain.commits if entry.hash == facts.commit_hash)
    tree, recorded = committed(commit)
    for name, claimed in (("statement", claims.guarantee), ("card", card.guarantee)):
        if Guarantee.from_json(claimed) != recorded:
            raise Refusal("guarantee_mismatch", f"The {name} claims another guarantee than the ledger recorded.")
    if (tree.relation, tree.unit) != (recorded.relation, recorded.unit) or (
        facts.relation,
        facts.unit,
    ) != (recorded.relation.value, recorded.unit.to_json()):
        raise Refusal("relation_or_unit", "Events, guarantee and budget differ in relation or unit.")
    found = recompute(tree, recorded)
    not_checked = () if found is not None else (bounded(tree, recorded),)
    check_charge(chain, commit)
    for entry in chain.commits:
        if entry.hash in {figure.commit for figure in facts.figures}:
            _check_figure(entry, claims, facts, chain)
    stated, ceiling = card.privacy, None
    if stated is not None:
        if found is not None and (flattered := flattery(stated, privacy_section(found))) is not None:
            raise Refusal("privacy_wrong", f"The card's {flattered} claims more than the committed events give.")
        ceiling = ceiling_of(stated)
    if card.guarantee_in_words != recorded.sentence(ceiling):
        raise Refusal("guarantee_mismatch", "The card's sentence is not that of its guarantee.")
    return recorded, not_checked


def _check_figure(commit: Entry, claims: Predicate, facts: LedgerFacts, chain: SliceFacts) -> None:
    """A figure's price follows from the event that made it, in the unit and relation of the rows."""
    ours = claims.draft_digest
    if any(one.commit == commit.hash and one.draft_digest != ours for one in facts.figures):
        raise Refusal("other_draft", "A figure in the ledger is about other rows under this draft's name.")
    tree, recorded = committed(commit)
    if (tree.relation, tree.unit) != (facts.guarantee.relation, facts.guarantee.unit):
        raise Refusal("relation_or_unit", "A figure was paid for in another relation or unit than the rows.")
    recompute(tree, recorded, claim="as charged for a figure")
    check_charge(chain, commit)
