"""The page of an audit: what was tried on anybody's files, what it would have caught, and what it found.

Made from one attack report (`dpsynth.attacks/1`) and a few facts about the run. There is no guarantee, no budget and
no gate on it: the attacks know neither epsilon nor generator, so a page of an audit says less than a page of a release,
and says that it does.

>>> assemble_audit({"verdict": "inconclusive", "suite": "quick", "attacks": []}).verdict.word
'Inconclusive'

Not guaranteed: that the files are what they are called. A holdout that was trained on makes every comparison void.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from dpsynth.report.model import untested
from dpsynth.report.views import (
    VERDICT_ORDER,
    AttackLine,
    Document,
    Proved,
    Verdict,
    attack_lines,
    clean,
    proved_view,
    reading,
    text_of,
)
from dpsynth.report.words import Words, criterion

VERDICTS: Final[Mapping[str, tuple[str, str, str]]] = {  # word, tone, sentence
    "pass": (
        "Pass",
        "good",
        "Every attack stays below its limit, and every one of them caught a planted leak on these files.",
    ),
    "inconclusive": (
        "Inconclusive",
        "warn",
        "No leak beyond a limit is demonstrated, and neither is its absence. Treat it like a failure "
        "until the reasons below are gone.",
    ),
    "fail": ("Fail", "bad", "At least one attack demonstrates a leak beyond its limit."),
}
LIMITS: Final[tuple[Words, ...]] = (
    Words(title="Attacks that were not run", meaning="A pass speaks of the attacks in the table and of nothing else."),
    Words(
        title="Leaks smaller than what was caught",
        meaning="Read the smallest leak beside every pass. What is smaller may be there.",
    ),
    Words(
        title="Leaks of another kind",
        meaning="The planted leaks are exact copies. A generator may leak less regularly, and then less visibly.",
    ),
    Words(
        title="The split",
        meaning="If the synthesizer saw the holdout too, both sides leak alike and nothing shows. "
        "The files cannot prove that it did not.",
    ),
    Words(
        title="What is true of everybody",
        meaning="A secret that is guessed as well for people who were not in the data counts as no leak.",
    ),
    Words(
        title="The law", meaning="Limits are policy. No regulator names one, and a pass is not an anonymity opinion."
    ),
    Words(
        title="The figures on this page",
        meaning="They are exact functions of real people's rows, without noise. Keep the page inside; only figures "
        "marked canary-only may be shown to others.",
    ),
)
QUESTIONS: Final = (
    "Membership", "Singling out", "Linkability", "Attribute inference", "Identifiers", "Contamination", "Canary audit",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One criterion over all its endpoints: the worst verdict, and the smallest planted leak that all of them saw."""

    title: str
    verdict: str
    asked: int
    best: float | None
    worst: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A figure without a verdict, beside what it is for people who were not in the data."""

    attack: str
    name: str
    members: float
    nonmembers: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditModel:
    """What the page prints; `decisive` are the rows that kept it from passing."""

    edition: Literal["internal"]
    title: str
    verdict: Verdict
    suite: str
    lines: tuple[AttackLine, ...]
    questions: tuple[Question, ...]
    told: tuple[Told, ...]
    proved: Proved | None
    untested: tuple[Words, ...]
    limits: tuple[Words, ...]
    settings: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    @property
    def decisive(self) -> tuple[AttackLine, ...]:
        """Rows that did not pass, worst first; of a pass the one nearest to its limit."""
        return tuple(line for line in self.lines if line.verdict == self.verdict.key) if self.failed else self.lines[:1]

    @property
    def failed(self) -> bool:
        """Whether anything but a pass was the outcome."""
        return self.verdict.key != "pass"


def audit_verdict(key: object) -> Verdict:
    """The verdict of a suite in a word, a tone and a sentence; anything unknown is inconclusive."""
    known = str(key) if str(key) in VERDICTS else "inconclusive"
    word, tone, sentence = VERDICTS[known]
    return Verdict(key=known, word=word, tone=tone, sentence=sentence, draft=None, policy=None, at=None)


def questions(lines: Sequence[AttackLine]) -> tuple[Question, ...]:
    """Criteria with their worst verdict; a criterion that nothing asked is left to the list of what was not run."""
    found = []
    titles = {line: criterion(line.limit_id) for line in lines}
    for title in (*QUESTIONS, "Other"):
        asked = [line for line in lines if titles[line] == title]
        if asked:
            shares = [line.detectable for line in asked]
            seen = [share for share in shares if share is not None]
            found.append(
                Question(
                    title=title,
                    verdict=min((line.verdict for line in asked), key=VERDICT_ORDER.__getitem__),
                    asked=len(asked),
                    best=min(seen, default=None),
                    worst=max(seen) if len(seen) == len(shares) else None,
                )
            )
    return tuple(found)


def assemble_audit(
    report: Document,
    *,
    title: str = "Audit",
    settings: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> AuditModel:
    """The page of an attack report.

    Args:
        report: `AttackReport.to_json()`.
        title: heading of the page.
        settings: facts of the run in the order of printing: files, digests, roles, tier, cost.
        warnings: sentences for the reader; what the report says of samples comes first.

    Raises:
        DataError: the document is no attack report.
    """
    from attacks.report import SamplingRecord

    with reading("attack"):
        sampled = report.get("sampling")
        if sampled is not None:
            warnings = (f"Sampled: {SamplingRecord.model_validate(dict(sampled))}.", *warnings)
        lines = attack_lines(report["attacks"], exact=True)
        absent = untested(lines, report.get("not_applicable") or ())
        facts = {"Suite": report["suite"], **(settings or {}), "Seed": report.get("seed")}
        return AuditModel(
            edition="internal",
            title=clean(title),
            verdict=audit_verdict(report["verdict"]),
            suite=clean(report["suite"]),
            lines=lines,
            questions=questions(lines),
            told=tuple(
                Told(
                    attack=clean(row["attack"]),
                    name=clean(row["name"]).replace("_", " "),
                    members=float(row["members"]),
                    nonmembers=float(row["nonmembers"]),
                )
                for row in report.get("figures") or ()
            ),
            proved=proved_view(report.get("epsilon_lower_bound")),
            untested=absent,
            limits=LIMITS,
            settings=tuple((clean(key), text_of(value)) for key, value in facts.items() if value is not None),
            warnings=tuple(clean(warning) for warning in warnings),
        )
