r"""Pieces of a page, read from documents: verdict, guarantee, checks, attacks, events, figures.

Each reader takes plain JSON and returns plain values ready to print. Text is cleaned of control and
bidirectional characters here, once; escaping for HTML is the template's.

>>> clean("a\u202eb")
'a\ufffdb'
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any, Final

from accounting.errors import AccountingError
from accounting.event import EventTree
from accounting.guarantee import Guarantee
from accounting.zcdp import event_rho
from dpsynth.core.errors import DataError
from dpsynth.quality.report import Metric, QualityReport
from dpsynth.quality.text.names import HEADLINES
from dpsynth.report.words import EVENTS, VERDICTS

Document = Mapping[str, Any]
VERDICT_ORDER: Final = {"fail": 0, "inconclusive": 1, "pass": 2}
_MAX_TEXT: Final = 2000


def clean(value: object) -> str:
    """Text with each control, format and bidirectional character as U+FFFD; at most 2,000 characters."""
    text = str(value)[:_MAX_TEXT]
    return "".join(
        "\ufffd" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} else c
        for c in text.replace("\n", " ")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision in one word, its colour and its meaning."""

    key: str
    word: str
    tone: str
    sentence: str
    draft: str | None
    policy: str | None
    at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuaranteeView:
    """The claim as a sentence and in parts; decimals as text."""

    sentence: str
    epsilon: str
    delta: str
    relation: str
    unit: str
    accountant: str
    opinions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule of the gate."""

    name: str
    passed: bool
    on_fail: str
    value: str
    limit: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackLine:
    """One attack on one stratum; exact figures are None where not published, `grade` is the coarse class."""

    name: str
    threat: str
    stratum: str
    endpoint: str
    verdict: str
    grade: str
    limit: float
    limit_id: str
    alpha: float
    positive: str
    negative: str
    canary_only: bool
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    reason: str = ""
    targets: int | None = None
    controls: int | None = None
    detectable: float | None = None
    control: float | None = None
    planted: float | None = None
    seconds: float | None = None

    @property
    def chance(self) -> float:
        """The value of an attack that knows nothing."""
        return 0.5 if self.endpoint.partition("@")[0] == "auc" and self.limit > 0.5 else 0.0

    @property
    def closeness(self) -> float:
        """How near the upper bound is to the limit, counted from chance; 1 is at the limit."""
        if self.high is None or self.limit <= self.chance:
            return 0.0
        return (self.high - self.chance) / (self.limit - self.chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """One quality figure as a coarse class."""

    name: str
    group: str
    grade: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """One mechanism: what was added to which change, how often, and its share of rho (zCDP)."""

    title: str
    noise: str
    change: str
    count: int
    rho: float | None
    share: float | None
    seeded: bool


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever goes wrong with a document into one `DataError` that names it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation, AccountingError) as error:
        raise DataError(
            f"The {what} document cannot be reported: {type(error).__name__} while reading it.",
            "Make it again with this version.",
        ) from error


def text_of(value: object) -> str:
    """A JSON scalar as people read it; a dash for nothing."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return clean(value)


def figure_text(value: float | None, digits: int = 3) -> str:
    """A figure as text: a dash for None, `<0.001` rather than 0.000."""
    if value is None:
        return "\u2013"
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        least = f"0.{'0' * (digits - 1)}1"
        return f"<{least}" if value > 0 else f">\u2212{least}"
    return f"{value:.{digits}f}".replace("-", "\u2212")


def verdict_view(decision: Document | None) -> Verdict:
    """The verdict of a decision document; "Not decided" without one or for an unknown word."""
    key = str(decision.get("decision")) if decision is not None else "undecided"
    key = key if key in VERDICTS else "undecided"
    word, tone, sentence = VERDICTS[key]
    about = decision or {}
    return Verdict(
        key=key,
        word=word,
        tone=tone,
        sentence=sentence,
        **{k: clean(about[s]) if about.get(s) else None for k, s in _ABOUT.items()},
    )


_ABOUT: Final = {"draft": "draft", "policy": "policy_digest", "at": "at"}


def guarantee_view(document: Document, ceiling: float | None = None) -> GuaranteeView:
    """The guarantee's own sentence and its parts.

    Args:
        document: `Guarantee.to_json()`.
        ceiling: the attacker's, of the whole profile; without it that of the one (epsilon, delta) point.
    """
    with reading("guarantee"):
        claim = Guarantee.from_json(document)
        body = claim.to_json()
        return GuaranteeView(
            sentence=clean(claim.sentence(ceiling)),
            epsilon=body["epsilon"],
            delta=body["delta"],
            relation=claim.relation.value.replace("_", "/"),
            unit=clean(claim.unit),
            accountant=clean(claim.accountant),
            opinions=tuple(sorted((clean(k), clean(v)) for k, v in body["all"].items())),
        )


def checks_view(decision: Document | None) -> tuple[Check, ...]:
    """Rules, failed ones first in the order of the document."""
    if decision is None:
        return ()
    with reading("decision"):
        rows = [
            Check(
                name=clean(rule["name"]),
                passed=rule["passed"] is True,
                on_fail=clean(rule.get("on_fail", "reject")),
                value=text_of(rule["value"]),
                limit=text_of(rule["limit"]),
                reason=clean(rule["reason"]),
            )
            for rule in decision["rules"]
        ]
        return tuple(sorted(rows, key=lambda row: (row.passed, row.on_fail == "warn")))


def _caught(control: Document | None) -> str:
    """How often the planted leak was noticed; in public evidence whether often enough."""
    if control and "caught" in control:
        return "caught" if control["caught"] is True else "missed"
    if not control or not control.get("trials"):
        return "not run"
    return f"{int(control['detected'])}/{int(control['trials'])} caught"


def _silent(control: Document | None) -> tuple[str, float | None]:
    """Whether the attack stayed silent on a release without members, and what it read there."""
    if not control:
        return "not run", None
    if "passed" in control:
        return ("silent" if control["passed"] is True else "false alarm"), _number(control, "estimate")
    if not control.get("trials"):
        return "not run", None
    return ("false alarm" if int(control["detected"]) else "silent"), _number(control, "estimate")


def _number(row: Document, key: str) -> float | None:
    value = row.get(key)
    return None if value is None or isinstance(value, bool) else float(value)


def attack_lines(rows: Sequence[Document], *, exact: bool) -> tuple[AttackLine, ...]:
    """Attacks, worst first: by verdict, then by how near the upper bound is to the limit.

    Args:
        rows: of the attack report (`exact`) or of the public evidence, which has figures for canaries only.
        exact: take every figure; otherwise those of canary rows.
    """
    lines = []
    for row in rows:
        negative, control_value = _silent(row.get("negative_control"))
        shown = exact or row.get("confidentiality") == "canary_only"
        figures: dict[str, Any] = {
            "estimate": _number(row, "estimate"),
            "low": _number(row, "ci_low"),
            "high": _number(row, "ci_high"),
            "detectable": _number(row, "detectable"),
            "control": control_value,
            "planted": _number(row.get("positive_control") or {}, "fraction"),
        }
        inside: dict[str, Any] = {
            "targets": None if row.get("n_targets") is None else int(row["n_targets"]),
            "controls": None if row.get("n_controls") is None else int(row["n_controls"]),
            "reason": clean(row.get("reason", "")),
            "method": clean(row.get("ci_method", "")),
            "threat": clean(row.get("threat", "")),
            "seconds": _number(row, "seconds"),
        }
        lines.append(
            AttackLine(
                name=clean(row["name"]),
                stratum=clean(row["stratum"]),
                endpoint=clean(row["endpoint"]),
                verdict=row["verdict"] if row["verdict"] in VERDICT_ORDER else "inconclusive",
                grade=clean(row.get("class", "")),
                limit=float(row["limit"]),
                limit_id=clean(row.get("limit_id", "")),
                alpha=float(row.get("alpha", 0.05)),
                positive=_caught(row.get("positive_control")),
                negative=negative,
                canary_only=row.get("confidentiality") == "canary_only",
                **(figures if shown else {}),
                **(inside if exact else {"threat": ""}),
            )
        )
    return tuple(sorted(lines, key=lambda a: (VERDICT_ORDER[a.verdict], -a.closeness)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What the canaries prove about epsilon, and the most that so many of them could have proved."""

    value: str
    ceiling: str | None


def proved_view(document: Any) -> Proved | None:
    """The canaries' lower bound on epsilon; None if there is none."""
    if not isinstance(document, Mapping):
        return None if document is None else Proved(value=f"{float(document):.3g}", ceiling=None)
    ceiling = document.get("ceiling")
    return Proved(value=f"{float(document['value']):.3g}", ceiling=None if ceiling is None else f"{float(ceiling):.3g}")


def event_lines(document: Document | None) -> tuple[EventLine, ...]:
    """Events with their rho and its share of the total, in the order in which they ran."""
    if document is None:
        return ()
    with reading("events"):
        tree = EventTree.from_json(document)
        rhos = [_rho(event) for event in tree.events]
        total = sum(rho for rho in rhos if rho is not None)
        lines = []
        for event, body, rho in zip(tree.events, tree.to_json()["events"], rhos, strict=True):
            inner = body.get("event", body)
            noise = [f"{k} {inner[k]}" for k in ("sigma", "scale", "threshold", "epsilon", "rho") if k in inner]
            if "probability" in body:
                noise.append(f"probability {body['probability']}")
            keys = ("l2_sensitivity", "l1_sensitivity", "bounded_range", "max_keys")
            change = [f"{k.replace('_', ' ')} {inner[k]}" for k in keys if k in inner]
            lines.append(
                EventLine(
                    title=EVENTS.get(body["type"], body["type"]),
                    noise=", ".join(noise) or "\u2013",
                    change=", ".join(change) or "\u2013",
                    count=int(event.count),
                    rho=rho,
                    share=rho / total if rho is not None and total > 0 and None not in rhos else None,
                    seeded=inner.get("noise", "exact") != "exact",
                )
            )
        return tuple(lines)


def _rho(event: Any) -> float | None:
    try:
        return float(event.count) * event_rho(event)
    except AccountingError:
        return None


def flatten(document: Document | None, prefix: str = "") -> tuple[tuple[str, str], ...]:
    """A nested document as (path, text) rows."""
    rows: list[tuple[str, str]] = []
    for key, value in (document or {}).items():
        path = f"{prefix}{clean(key)}"
        if isinstance(value, Mapping):
            rows += flatten(value, f"{path}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            rows.append((path, ", ".join(text_of(v) for v in value) or "\u2013"))
        else:
            rows.append((path, text_of(value)))
    return tuple(rows)


def grade_of(metric: Metric) -> tuple[str, str]:
    """A metric's shortfall in words, and its tone: good, warn, bad or none."""
    shortfall = metric.shortfall
    value = metric.value if metric.matched is None else metric.matched
    if value is None or metric.reference is None:
        return "no anchor", "none"
    error, real = (x if metric.better == "low" else 1 - x for x in (value, metric.reference))
    beyond = (error - 0.005) / max(real, 0.005)  # half a point is no difference
    if beyond <= 1.25 and (shortfall is None or shortfall <= 0.1):
        return "as good as real", "good"
    if shortfall is None:
        return next(((word, tone) for bound, word, tone in _BY_RATIO if beyond <= bound), ("far from real", "bad"))
    found = ((word, tone) for bound, word, tone in _BY_SHORTFALL if shortfall <= bound)
    return next(found, ("not better than useless", "bad"))


_BY_SHORTFALL: Final = ((0.25, "close to real", "good"), (0.5, "nearer to real", "warn"), (1.0, "rough", "warn"))
_BY_RATIO: Final = ((2.0, "close to real", "good"), (4.0, "behind real", "warn"))


FIRST_PAGE: Final = (
    "tvd1_mean", "tvd2_mean", "tvd2_max", "tail_overlap_10_99", "tail_kept_10_99", "invented_mass", "tstr_auc",
    "tstr_r2", "tstr", *HEADLINES,
)  # fmt: skip


def first_page_metrics(report: QualityReport) -> tuple[Metric, ...]:
    """The figures of the first page, worst first."""
    return tuple(m for m in report.metrics if m.name in FIRST_PAGE)
