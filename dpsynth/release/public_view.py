"""What of the evidence may leave: an allow-list, written out field by field.

Figures computed from real records are functions of those records and carry no noise, so publishing them
would undo the guarantee that they judge (rule 7 of the design; Ganev and De Cristofaro, "ReconSyn", 2023,
rebuild outliers from such metrics). What is published: verdicts, limits, controls, one of two classes per
attack and of four per quality figure, everything about canaries, which are public random rows and nobody's
data, and noisy counts that were bought with epsilon, as the ledger holds them.

A field that is not written here does not leave; a test compares the output with the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from dpsynth.quality.text.names import LABELS, TAILS
from dpsynth.release.asked import is_shown
from dpsynth.release.documents import JSON
from dpsynth.release.evidence import Evidence
from dpsynth.release.gate import Decision
from dpsynth.release.rules.attack_controls import is_caught
from dpsynth.release.rules.protocol import Finding

if TYPE_CHECKING:
    from attacks.report import AttackResult
    from dpsynth.quality.report import Metric, QualityReport

DECISION_SCHEMA: Final = "dpsynth.public_decision/1"
EVIDENCE_SCHEMA: Final = "dpsynth.public_evidence/1"
_CLASSES: Final = ((0.25, "close to real"), (0.5, "nearer to real than to useless"), (1.0, "rough"))
_WITHHELD: Final = "not published"
_TAILS: Final = tuple(f"tail_{figure}_{band}" for figure in ("kept", "overlap") for band in ("1_9", "10_99", "100_999"))
_HEADLINES: Final = ("tstr_auc", "tstr_r2")


def public_decision(decision: Decision) -> dict[str, JSON]:
    """The decision with every rule; confidential values are replaced by whether they are within the limit."""
    return {
        "schema": DECISION_SCHEMA,
        "decision": decision.decision,
        "draft": decision.draft,
        "draft_digest": decision.draft_digest,
        "policy_digest": decision.policy_digest,
        "at": decision.at,
        "commitments": dict(decision.commitments),
        "rules": [_finding(found) for found in decision.rules],
    }


def public_evidence(evidence: Evidence) -> dict[str, JSON]:
    """Verdicts, limits, controls, coarse classes and canary figures of complete evidence."""
    draft, attack, quality, ledger = evidence.draft, evidence.attack, evidence.quality, evidence.ledger
    figures = () if ledger is None else ledger.figures
    shown: dict[str, JSON] = {
        "schema": EVIDENCE_SCHEMA,
        "draft": None if draft is None else draft.draft,
        "draft_digest": None if draft is None else draft.draft_digest,
        "attempt": None if ledger is None else ledger.attempt,
        "canaries": None if draft is None else draft.canaries.model_dump(mode="json"),
        "attacks": [] if attack is None else [_attack(row) for row in attack.report.attacks if is_shown(row.name)],
        "epsilon_lower_bound": (
            attack.report.epsilon_lower_bound.model_dump(mode="json")
            if attack is not None and attack.report.epsilon_lower_bound is not None
            else None
        ),
        "quality": [] if quality is None else _quality(quality.report),
    }
    # bought with epsilon: noisy, and the ledger holds them with their cost
    return shown | ({"figures": [figure.to_json() for figure in figures]} if figures else {})


def _finding(found: Finding) -> dict[str, JSON]:
    if not found.confidential:
        return {**found.to_json()}
    word = "within the limit" if found.passed else "beyond the limit"
    hidden = f"The value is {word}; it stays in the workspace."
    # Where a rule has several limits, the one it shows is that of the worst figure: it would name the attack.
    return {**found.to_json(), "value": word, "limit": None, "reason": hidden}


def _attack(row: AttackResult) -> Mapping[str, JSON]:
    within = row.ci_high is not None and row.ci_high <= row.limit
    positive, negative = row.positive_control, row.negative_control
    view: dict[str, JSON] = {
        "name": row.name,
        "version": row.version,
        "threat": row.threat,
        "stratum": row.stratum,
        "endpoint": row.endpoint,
        "verdict": row.verdict,
        "limit_id": row.limit_id,
        "limit": row.limit,
        "class": "within the limit" if within else "not within the limit",
        "positive_control": None if positive is None else {"kind": positive.kind, "caught": is_caught(row)},
        "negative_control": None if negative is None else {"kind": negative.kind, "passed": negative.passed},
        "confidentiality": row.confidentiality,
    }
    if row.confidentiality == "canary_only":
        view |= {"estimate": row.estimate, "ci_low": row.ci_low, "ci_high": row.ci_high}
    return view


def _quality(report: QualityReport) -> list[JSON]:
    """One class a metric, under names and in an order that private figures do not decide.

    The report's own order is worst first. Its names tell more: a band of tails has metrics only if some pair of real
    cells falls into it, and whether prediction is scored by average precision, accuracy or R2 tells how many
    values the real target has, which one person can change. So bands are filled up, those of texts without any class,
    and prediction has one name. Metrics that are internal do not appear, not even by name.
    """
    classes: dict[tuple[str, str], JSON] = {}
    if any(metric.group == "tails" for metric in report.metrics):
        classes |= {("tails", name): _WITHHELD for name in _TAILS}
    if report.text is not None and report.text.labelled:
        classes |= {("text", name): _WITHHELD for name in LABELS}
    classes |= {
        (m.group, m.name): _class(m) for m in report.metrics if m.group != "utility" and m.confidentiality == "bucketed"
    }
    if any(metric.group == "text" for metric in report.metrics):  # a class would say that the band is not empty
        classes |= {("text", name): _WITHHELD for name in TAILS}
    utility = {metric.name: _class(metric) for metric in report.metrics if metric.group == "utility"}
    if utility:
        classes["utility", "tstr"] = next((utility[name] for name in _HEADLINES if name in utility), _WITHHELD)
    return [{"name": name, "group": group, "class": label} for (group, name), label in sorted(classes.items())]


def _class(metric: Metric) -> str:
    shortfall = metric.shortfall
    if shortfall is None or metric.confidentiality == "internal":
        return _WITHHELD
    return next((name for bound, name in _CLASSES if shortfall <= bound), "not better than useless")
