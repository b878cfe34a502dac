"""The twenty items that a privacy audit report must contain, each with its answer, or with "not stated".

The list joins what NIST SP 800-226, ISO/IEC 27559, the WP29 and EDPB opinions, the AI Act, data-card standards and the
deployment registries ask for. Items that only a person can answer come from the workspace's statement. An answer is
made of pieces of the same model as the page, so an item cannot say more than the edition that it stands in.

>>> from dpsynth.report.model import assemble
>>> [item.number for item in assemble().items] == list(range(1, 21))
True

Not guaranteed: that an answer is good; that every item has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dpsynth.report.statement import NOT_STATED, label_of
from dpsynth.report.words import attack_words, rule_words, stratum_words

if TYPE_CHECKING:
    from dpsynth.report.model import Front

NOT_RUN: Final = "not run"
NONE: Final = "none recorded"
Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item: its number, title, the section that says more, and labelled answers."""

    number: int
    key: str
    title: str
    section: str
    rows: Rows

    @property
    def open(self) -> bool:
        """Whether a person or a step still has to supply a part of it."""
        return any(value in {NOT_STATED, NOT_RUN} for _, value in self.rows)


def audit_items(model: Front) -> tuple[Item, ...]:
    """All twenty, in order."""
    return tuple(
        Item(number=number, key=key, title=title, section=section, rows=answer(model))
        for number, (key, title, section, answer) in enumerate(_ITEMS, start=1)
    )


def _said(model: Front, *names: str) -> Rows:
    return tuple((label_of(name), model.statement.stated(name)) for name in names)


def _fact(model: Front, *labels: str) -> Rows:
    """Public facts by their labels; digests by their beginning, the whole stands in the section."""
    found = [(label, value) for label, value in model.provenance if label in labels]
    return tuple((label, f"{v[:16]}\u2026" if len(v) == 64 and " " not in v else v) for label, v in found)


def _joined(values: Iterable[str], otherwise: str) -> str:
    return "; ".join(dict.fromkeys(values)) or otherwise


def _unit(model: Front) -> Rows:
    claim = model.guarantee
    return (
        ("Unit and bound", NOT_RUN if claim is None else claim.unit),
        ("Relation", NOT_RUN if claim is None else claim.relation),
        ("Not protected", _joined((w.title for w in model.limits), NONE)),
    )


def _parameters(model: Front) -> Rows:
    claim, budget, profile = model.guarantee, model.budget, model.profile
    return (
        ("This release", NOT_RUN if claim is None else f"epsilon {claim.epsilon}, delta {claim.delta}"),
        ("Lifetime", NOT_RUN if budget is None else f"at most epsilon {budget.granted}, delta {budget.delta_granted}"),
        ("Accountant", NOT_RUN if claim is None else claim.accountant),
        ("Other accountants", NOT_RUN if claim is None else _joined((f"{n} {e}" for n, e in claim.opinions), NONE)),
        ("Other forms", "none" if profile is None else f"rho {profile.rho or 'none'}, mu {profile.mu or 'none'}"),
    )


def _mechanisms(model: Front) -> Rows:
    seeded = any(event.seeded for event in model.events)
    exact = "seeded: whoever knows the seed subtracts the noise" if seeded else "exact, bits of the operating system"
    return (
        ("Mechanisms", _joined((event.title for event in model.events), NOT_RUN)),
        ("Noise", exact if model.events else NOT_RUN),
        ("Seeds", "noise has none and is never logged; seeds of sampling and attacks are bound to the ledger"),
    )


def _attempts(model: Front) -> Rows:
    check = next((c for c in model.checks if c.name == "attempts"), None)
    return (
        ("Attempts", NOT_RUN if check is None else f"{check.value} of at most {check.limit}"),
        ("Charged", "every one: an attempt stays spent, and later ones are judged at a stricter level"),
    )


def _threats(model: Front) -> Rows:
    known = _joined((a.threat.replace("_", " ") for a in model.attacks if a.threat), "one full record")
    return (
        *_said(model, "attacker"),
        ("Attacks assume", known if model.attacks else NOT_RUN),
        ("Released", "rows only; model and keys stay in the workspace, unless a baseline or its owner says otherwise"),
    )


def _criteria(model: Front) -> Rows:
    return tuple((line.title, line.verdict) for line in model.criteria)


def _results(model: Front) -> Rows:
    ran = _joined((attack_words(a.name).title for a in model.attacks), NOT_RUN)
    ceiling = NOT_RUN if model.profile is None else f"at most {model.profile.ceiling} % at 1 % false alarms"
    canaries = "no canaries" if model.proved is None else f"epsilon at least {model.proved.value}"
    return (("Attacks", ran), ("In theory", ceiling), ("Canaries prove", canaries))


def _tested(model: Front) -> Rows:
    controls = _joined((f"planted leak {a.positive}" for a in model.attacks), NOT_RUN)
    return (("Controls of the attacks", controls), *_said(model, "reevaluation"))


def _worst(model: Front) -> Rows:
    strata = _joined((stratum_words(a.stratum) for a in model.attacks), NOT_RUN)
    tails = next((c for c in model.checks if c.name == "tails"), None)
    return (
        ("Attacked apart", strata),
        ("Tails", NOT_RUN if tails is None else "held" if tails.passed else "failed"),
        ("Resolution", NOT_RUN if model.resolution is None else model.resolution.short),
    )


def _roles(model: Front) -> Rows:
    seen = model.governance
    waived = () if seen is None else tuple(f"{rule_words(w.rule)} ({w.owner}: {w.reason})" for w in seen.waivers)
    return (
        ("State", NONE if seen is None else seen.state),
        ("Approved by", NONE if seen is None else _joined(seen.approved_by, NONE)),
        ("Exceptions", _joined(waived, "none")),
        ("Decided", f"at ledger entry {model.verdict.at.partition(':')[0]}" if model.verdict.at else NOT_RUN),
        *_said(model, "responsible", "recall_contact"),
    )


def _law(model: Front) -> Rows:
    return _said(model, "dpia_reference", "dpo_advice", "legal_basis", "purpose", "recipients", "contract_limits")


def _lineage(model: Front) -> Rows:
    labels = (
        "Data set",
        "Source commitment (keyed)",
        "Generator",
        "Created",
        "Synthetic rows",
        "Checks of written texts",
    )
    return _fact(model, *labels) or (("Draft", NOT_RUN),)


def _mark(model: Front) -> Rows:
    made = _fact(model, "Generator")
    return (*made, ("Mark", "artificially_generated: true in the signed card.yaml of the bundle"))


def _fitness(model: Front) -> Rows:
    quality = next((c for c in model.checks if c.name == "quality"), None)
    held = NOT_RUN if quality is None else "held" if quality.passed else "failed"
    return (("Rule on use", held), ("Measured against", "a real holdout, two halves of real rows, and no dependence"))


def _integrity(model: Front) -> Rows:
    at = model.budget
    entry = NOT_RUN if at is None or at.entry is None else f"entry {at.entry}, hash {(at.entry_hash or '')[:12]}"
    digests = _fact(model, "Rows commitment (keyed)", "Schema", "Policy", "Events")
    return (("Ledger", entry), *digests, ("Check with", model.verify))


def _plain(model: Front) -> Rows:
    cells = NOT_RUN if model.resolution is None else model.resolution.analogy
    return (("In one sentence", NOT_RUN if model.guarantee is None else model.guarantee.sentence), ("Like", cells))


def _residual(model: Front) -> Rows:
    risks = (*(rule_words(c.name) for c in model.failed), *(f"{w.title}, not tested" for w in model.untested))
    return (
        ("Residual risks", _joined(risks, "none beyond the limits")),
        ("Dictionary", next((f"{v} columns in the schema" for k, v in model.provenance if k == "Columns"), NOT_RUN)),
        *_said(model, "contract_limits"),
    )


_ITEMS: Final = (
    ("unit", "Unit, relation, bound, and who is not protected", "Guarantee", _unit),
    ("parameters", "Parameters of this release and for life, by several accountants", "Guarantee in full", _parameters),
    ("mechanisms", "Mechanisms, noise and seeds", "Events", _mechanisms),
    ("attempts", "Attempts, and how they were charged", "Rules of the gate", _attempts),
    ("trust_model", "Trust model, and who saw raw data", "Statement",
     lambda model: _said(model, "trust_model", "raw_data_access")),
    ("threat_model", "Threat model: knowledge, and what is released", "Attacks in detail", _threats),
    ("criteria", "Singling out, linkability, inference", "Criteria", _criteria),
    ("attacks", "Attack results and resistance in theory", "Attacks in detail", _results),
    ("testing", "Adversarial testing, and when it is done again", "Attacks in detail", _tested),
    ("worst_groups", "Rare people: privacy and use", "Tails and resolution", _worst),
    ("roles", "Roles, approvals, exceptions, recall", "State and reviews", _roles),
    ("law", "Impact assessment, legal basis, purpose, recipients", "Statement", _law),
    ("lineage", "Lineage of the data", "Provenance in full", _lineage),
    ("mark", "Machine-readable mark of synthetic data", "Provenance in full", _mark),
    ("data_governance", "Data governance for training", "Statement", lambda model: _said(model, "data_governance")),
    ("fitness", "Fitness for use", "Fitness", _fitness),
    ("limits", "What the guarantee does not say", "What this does not protect",
     lambda model: tuple((w.title, w.meaning) for w in model.limits)),
    ("integrity", "Integrity, and how to check it", "Provenance in full", _integrity),
    ("plain_words", "In plain words", "Guarantee", _plain),
    ("residual", "Residual risks and data dictionary", "Failed, waived or not run", _residual),
)  # fmt: skip
