"""Two models of one evidence set, made from documents, ready to print.

`ReportModel` is made from the exact documents of the workspace and is for reviewers. `PublicModel` is made
from the two documents that the bundle publishes (`dpsynth.public_decision/1`, `dpsynth.public_evidence/1`):
it can say nothing that the bundle does not say anyway, and it refuses the exact documents. Every piece that
is absent is shown as "not run", never left out.

>>> assemble().verdict.word
'Not decided'

Not guaranteed: that a document is honest; `dpsynth verify` checks signatures, digests and the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dpsynth.core.errors import DataError
from dpsynth.quality.report import QualityReport
from dpsynth.release.privacy import ceiling_of
from dpsynth.report.criteria import CriterionLine, criteria
from dpsynth.report.governance import GovernanceView, governance_view
from dpsynth.report.items import Item, audit_items
from dpsynth.report.resolution import ResolutionView, resolution_view, sigmas_of
from dpsynth.report.spending import (
    BudgetView,
    FamilyView,
    ProfileView,
    budget_view,
    family_view,
    profile_view,
)
from dpsynth.report.statement import Statement
from dpsynth.report.views import (
    VERDICT_ORDER,
    AttackLine,
    Check,
    Document,
    EventLine,
    Grade,
    GuaranteeView,
    Proved,
    Verdict,
    attack_lines,
    checks_view,
    clean,
    event_lines,
    flatten,
    guarantee_view,
    proved_view,
    reading,
    verdict_view,
)
from dpsynth.report.words import QUALITY_SOLD, UNTESTED, Words, attack_words, criterion, limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What both editions share."""

    edition: Literal["internal", "public"]
    title: str
    verdict: Verdict
    guarantee: GuaranteeView | None
    profile: ProfileView | None
    budget: BudgetView | None
    family: FamilyView | None
    checks: tuple[Check, ...]
    attacks: tuple[AttackLine, ...]
    attacks_verdict: str | None
    criteria: tuple[CriterionLine, ...]
    proved: Proved | None
    resolution: ResolutionView | None
    governance: GovernanceView | None
    statement: Statement
    untested: tuple[Words, ...]
    limits: tuple[Words, ...]
    provenance: tuple[tuple[str, str], ...]
    verify: str
    events: tuple[EventLine, ...]
    warnings: tuple[str, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Rules that did not hold, warnings included."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def items(self) -> tuple[Item, ...]:
        """The twenty items that an audit report must contain."""
        return audit_items(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportModel(Front):
    """The internal edition: exact figures."""

    quality: QualityReport | None
    card: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """A noisy figure that epsilon was paid for: what it is, estimate with bounds, cost, and the entry that paid."""

    title: str
    value: str
    bounds: str
    cost: str
    commit: str
    floor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicModel(Front):
    """The public edition: classes instead of figures, but for those that were bought."""

    grades: tuple[Grade, ...]
    bought: tuple[Bought, ...]
    sold: tuple[Bought, ...]


def untested(attacks: Sequence[AttackLine], reported: Sequence[Document]) -> tuple[Words, ...]:
    """Criteria without an attack of their own, and attacks that the report itself says did not run."""
    ran = {criterion(a.limit_id) for a in attacks}
    absent = tuple(words for words in UNTESTED if words.title not in ran)
    said = tuple(Words(title=attack_words(str(r["name"])).title, meaning=clean(r["reason"])) for r in reported)
    return tuple(words for words in said if words.title not in {w.title for w in absent}) + absent


def _text_rows(text: Document) -> list[tuple[str, Any]]:
    """Of a column of prose: who wrote it, and the checks it passed."""
    steps = [f"{step['name']} kept {step['kept']:,} of {step['seen']:,}" for step in text.get("filters", ())]
    return [
        ("Text column", text.get("column")),
        ("Language model", text.get("model")),
        ("Language model (SHA-256)", text.get("fingerprint")),
        ("Checks of written texts", "; ".join(steps) or None),
    ]


def provenance(draft: Document | None) -> tuple[tuple[str, str], ...]:
    """The public facts of a draft document, in words; unknown fields are not shown."""
    if draft is None:
        return ()
    with reading("draft"):
        maker = draft.get("generator") or {}
        rows = [
            ("Data set", draft.get("dataset")),
            ("Generator", " ".join(str(maker[k]) for k in ("name", "version") if maker.get(k)) or None),
            ("Origin of generator", "third party" if maker.get("third_party") else None),
            ("Synthetic rows", f"{int(draft['rows']):,}" if draft.get("rows") else None),
            ("Columns", len(draft["columns"]) if draft.get("columns") else None),
            ("Constraints that every row obeys", "; ".join(draft.get("constraints", ())) or None),
            ("Public prior (SHA-256)", draft.get("prior_sha256")),
            *_text_rows(draft.get("text") or {}),
            ("Created", draft.get("created")),
            ("Source commitment (keyed)", draft.get("source_commitment")),
            ("Rows commitment (keyed)", draft.get("draft_digest")),
            ("Schema", draft.get("schema_digest")),
            ("Policy", draft.get("policy_digest")),
            ("Events", draft.get("events_digest")),
        ]
        return tuple((label, clean(value)) for label, value in rows if value is not None)


def _has_canaries(draft: Document | None) -> bool:
    planted = (draft or {}).get("canaries") or {}
    return bool(planted.get("planted"))


def _front(
    edition: Literal["internal", "public"],
    *,
    decision: Document | None,
    guarantee: Document | None,
    privacy: Document | None,
    budget: Document | None,
    budget_digest: str | None,
    ledger: Document | None,
    attacks: tuple[AttackLine, ...],
    attacks_verdict: object,
    proved: Proved | None,
    absent: Sequence[Document],
    draft: Document | None,
    events: Document | None,
    warnings: Sequence[str],
    verify: str,
    title: str,
    governance: Document | None,
    statement: Statement | None,
) -> dict[str, Any]:
    with reading("privacy"):
        ceiling = None if privacy is None else ceiling_of(privacy)
    with reading("budget"):
        paid = None if budget is None else budget["line"][-1]
    claim = None if guarantee is None else guarantee_view(guarantee, ceiling)
    # Under another filter than basic, epsilons of runs do not add up to the epsilon of what is spent.
    this = None if claim is None or paid is None or paid.get("filter") != "basic" else claim.epsilon
    missed = untested(attacks, absent)
    return {
        "edition": edition,
        "title": clean(title),
        "verdict": verdict_view(decision),
        "guarantee": claim,
        "profile": profile_view(privacy),
        "budget": None if paid is None else budget_view(paid, this=this, ledger=ledger),
        "family": family_view(budget, budget_digest),
        "checks": checks_view(decision),
        "attacks": attacks,
        "attacks_verdict": None if attacks_verdict is None else clean(attacks_verdict),
        "proved": proved,
        "criteria": criteria(attacks, missed),
        "resolution": resolution_view(sigmas_of(events)),
        "governance": governance_view(governance, exact=edition == "internal"),
        "statement": statement or Statement(),
        "untested": missed,
        "limits": limits((guarantee or {}).get("unit", "record"), edition=edition, canaries=_has_canaries(draft)),
        "provenance": provenance(draft),
        "verify": clean(verify),
        "events": event_lines(events),
        "warnings": tuple(dict.fromkeys(clean(w) for w in warnings)),
    }


def assemble(
    *,
    decision: Document | None = None,
    guarantee: Document | None = None,
    privacy: Document | None = None,
    budget: Document | None = None,
    budget_digest: str | None = None,
    ledger: Document | None = None,
    attacks: Document | None = None,
    quality: Document | None = None,
    draft: Document | None = None,
    card: Document | None = None,
    events: Document | None = None,
    warnings: Sequence[str] = (),
    verify: str = "dpsynth verify BUNDLE --key release.pub",
    title: str = "Release report",
    governance: Document | None = None,
    statement: Statement | None = None,
) -> ReportModel:
    """The internal edition from the workspace's exact documents; None means that the step was not run.

    Args:
        decision: `Decision.to_json()`.
        guarantee: `Guarantee.to_json()`.
        privacy: `dpsynth.release.privacy.privacy_section(...)`: the profile behind the guarantee.
        budget: `dpsynth.release.family.budget_section(...)`, after this release was charged.
        budget_digest: SHA-256 of that section's canonical form, which the page quotes.
        ledger: `entry`, `hash` and `ledger_id` of the commit.
        attacks: `AttackReport.to_json()` (`dpsynth.attacks/1`).
        quality: `QualityReport.to_json()` (`dpsynth.quality/1`).
        draft: `draft.json` (`dpsynth.draft/1`).
        card: the data card.
        events: `EventTree.to_json()` of what was spent.
        warnings: sentences for the reader.
        verify: the command that the receiver runs.
        title: heading of the page.
        governance: state, reviews, exceptions and changes of the policy (`dpsynth.report.governance`).
        statement: what a person stated; None is "not stated" throughout.

    Raises:
        DataError: a document that is there cannot be read; names the document, never a value.
    """
    with reading("attack"):
        lines = () if attacks is None else attack_lines(attacks["attacks"], exact=True)
        proved = proved_view((attacks or {}).get("epsilon_lower_bound"))
        absent = (attacks or {}).get("not_applicable") or ()
    report = None if quality is None else QualityReport.from_json(quality)
    front = _front(
        "internal", decision=decision, guarantee=guarantee, privacy=privacy, budget=budget,
        budget_digest=budget_digest, ledger=ledger, attacks=lines,
        attacks_verdict=None if attacks is None else attacks.get("verdict"), proved=proved,
        absent=absent, draft=draft,
        events=events, warnings=[*warnings, *(report.warnings if report else ())], verify=verify, title=title,
        governance=governance, statement=statement,
    )  # fmt: skip
    return ReportModel(quality=report, card=flatten(card), **front)


def assemble_public(
    *,
    decision: Document,
    evidence: Document,
    guarantee: Document,
    privacy: Document | None = None,
    budget: Document | None = None,
    budget_digest: str | None = None,
    ledger: Document | None = None,
    draft: Document | None = None,
    events: Document | None = None,
    warnings: Sequence[str] = (),
    verify: str = "dpsynth verify BUNDLE --key release.pub",
    title: str = "Release report",
    governance: Document | None = None,
    statement: Statement | None = None,
) -> PublicModel:
    """The public edition from what the bundle publishes.

    Args:
        decision: `public_decision(...)`, schema `dpsynth.public_decision/1`.
        evidence: `public_evidence(...)`, schema `dpsynth.public_evidence/1`.
        guarantee: as for `assemble`; likewise the rest.
        privacy: see `assemble`.
        budget: see `assemble`.
        budget_digest: see `assemble`.
        ledger: see `assemble`.
        draft: of `draft.json` the data set, generator, released rows, columns, time and digests are shown.
        events: see `assemble`; public, because the bundle holds them.
        warnings: sentences for the reader; must not depend on private rows.
        verify: see `assemble`.
        title: see `assemble`.
        governance: see `assemble`.
        statement: see `assemble`.

    Raises:
        DataError: a document is an exact one, or cannot be read.
    """
    for name, document, schema in (
        ("decision", decision, "dpsynth.public_decision/1"),
        ("evidence", evidence, "dpsynth.public_evidence/1"),
    ):
        if document.get("schema") != schema:
            raise DataError(
                f"The public report is made from a {schema} document; this {name} is another one.",
                "Exact figures never enter the public report: pass what public_view returns.",
            )
    with reading("evidence"):
        lines = attack_lines(evidence["attacks"], exact=False)
        grades = tuple(
            Grade(name=clean(m["name"]), group=clean(m["group"]), grade=clean(m["class"])) for m in evidence["quality"]
        )
        proved = proved_view(evidence.get("epsilon_lower_bound"))
        worst = min((a.verdict for a in lines), key=VERDICT_ORDER.__getitem__, default=None)
    front = _front(
        "public", decision=decision, guarantee=guarantee, privacy=privacy, budget=budget,
        budget_digest=budget_digest, ledger=ledger, attacks=lines,
        attacks_verdict=worst, proved=proved, absent=(), draft=draft, events=events,
        warnings=warnings, verify=verify, title=title,
        governance=governance, statement=statement,
    )  # fmt: skip
    figures = evidence.get("figures") or ()
    return PublicModel(grades=grades, bought=bought_view(figures), sold=sold_view(figures), **front)


def bought_view(figures: Sequence[Document]) -> tuple[Bought, ...]:
    """Each noisy excess of the figures that were bought, in points of a per cent."""
    titles = {"exact": "Copied rows", "exact_or_near": "Rows copied but for at most one column"}
    with reading("evidence"):
        return tuple(
            Bought(
                title=titles[name],
                value=f"{100 * float(said['estimate']):+.2f}",
                bounds=f"{100 * float(said['ci_low']):+.2f} to {100 * float(said['ci_high']):+.2f}",
                cost=clean(figure["epsilon"]),
                commit=clean(figure["commit"]),
            )
            for figure in figures
            for name, said in figure.get("excess", {}).items()
        )


def sold_view(figures: Sequence[Document]) -> tuple[Bought, ...]:
    """Each noisy figure of quality that was bought: bounds in per cent, beside two samples of the released rows."""
    with reading("evidence"):
        return tuple(
            Bought(
                title=QUALITY_SOLD[name],
                value=f"{100 * float(said['noisy']):.2f}",
                bounds=f"{100 * float(said['ci_low']):.2f} to {100 * float(said['ci_high']):.2f}",
                cost=clean(figure["epsilon"]),
                commit=clean(figure["commit"]),
                floor=f"{100 * float(said['floor']):.2f}" if "floor" in said else "",
            )
            for figure in figures
            for name, said in figure.get("quality", {}).items()
        )
