"""The portfolio: every data set, budget, draft, release and recall of one ledger, on one page and over time.

Made from `dpsynth.workspace.portfolio.portfolio_document`; shows names, amounts, words and dates, never a row or a
figure of an attack. Internal all the same.

>>> assemble_portfolio({"workspace": "w", "ledger_id": "l", "head": {"seq": 0, "hash": "00", "time": ""},
...                     "families": [], "drafts": [], "releases": [], "spending": [], "timeline": []}).verdict.word
'Nothing released'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dpsynth.report.spending import BudgetView, budget_view
from dpsynth.report.views import Document, Verdict, clean, reading

TONE_OF_STATE = {
    "released": "good", "approved": "good", "reviewed": "good", "attacked": "warn", "sealed": "warn",
    "reserved": "warn", "regenerating": "warn", "rejected": "bad", "recalled": "bad",
    "withdrawn": "none", "draft": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One node of a family: depth, name, what for, whom for, its bar, and where its rows stay, if in an engine."""

    depth: int
    name: str
    purpose: str
    recipient: str
    view: BudgetView
    spent: float
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One draft."""

    name: str
    dataset: str
    generator: str
    epsilon: str
    created: str
    state: str
    tone: str
    next_step: str
    attempts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLine:
    """One release, and whether it was called back."""

    name: str
    draft: str
    dataset: str
    at: str
    entry: str
    recalled: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One entry of the chain in words."""

    entry: str
    at: str
    what: str
    dataset: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one whole had spent after one commit."""

    entry: int
    dataset: str
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioModel:
    """What the page prints."""

    edition: Literal["internal"]
    title: str
    verdict: Verdict
    ledger_id: str
    head: str
    at: str
    budgets: tuple[Budget, ...]
    drafts: tuple[DraftLine, ...]
    releases: tuple[ReleaseLine, ...]
    steps: tuple[Step, ...]
    last: int
    timeline: tuple[Happening, ...]

    @property
    def waiting(self) -> tuple[DraftLine, ...]:
        """Drafts that somebody has to do something about."""
        return tuple(line for line in self.drafts if line.next_step and line.state != "released")


def assemble_portfolio(document: Document) -> PortfolioModel:
    """The model from the document.

    Raises:
        DataError: it cannot be read.
    """
    with reading("portfolio"):
        releases = tuple(_release(row) for row in document["releases"])
        drafts = tuple(_draft(row) for row in document["drafts"])
        head = document["head"]
        return PortfolioModel(
            edition="internal",
            title=f"Portfolio of {clean(document['workspace'])}",
            verdict=_verdict(releases, drafts),
            ledger_id=clean(document["ledger_id"]),
            head=f"{clean(head['seq'])}:{clean(head['hash'])[:16]}",
            at=clean(head["time"]),
            last=int(head["seq"]),
            budgets=tuple(_budget(node) for family in document["families"] for node in family),
            drafts=drafts,
            releases=releases,
            steps=tuple(
                Step(entry=int(row["seq"]), dataset=clean(row["dataset"]), epsilon=float(row["epsilon"]))
                for row in document["spending"]
            ),
            timeline=tuple(
                Happening(
                    entry=clean(row["seq"]), at=_text(row["time"]), what=clean(row["what"]),
                    dataset=_text(row["dataset"]), detail=clean(row["detail"]),
                )
                for row in document["timeline"]
            ),
        )  # fmt: skip


def _verdict(releases: tuple[ReleaseLine, ...], drafts: tuple[DraftLine, ...]) -> Verdict:
    out = sum(line.recalled is None for line in releases)
    back = len(releases) - out
    waiting = sum(bool(line.next_step) and line.state != "released" for line in drafts)
    word = f"{out} release{'' if out == 1 else 's'} in force" if out else "Nothing released"
    sentence = f"{back} recalled; {len(drafts)} draft{'' if len(drafts) == 1 else 's'}, {waiting} waiting for somebody."
    tone = "bad" if back else "warn" if waiting or not out else "good"
    return Verdict(key="portfolio", word=word, tone=tone, sentence=sentence, draft=None, policy=None, at=None)


def _text(value: object) -> str:
    return "\u2013" if value in (None, "") else clean(value)


def _budget(node: Mapping[str, Any]) -> Budget:
    view = budget_view(node)
    share = sum(share for label, _, share in view.parts if label in {"spent", "reserved"})
    return Budget(
        depth=int(node["depth"]),
        name=clean(node["dataset"]),
        purpose=_text(node["purpose"]),
        recipient=clean(node["recipient"]),
        view=view,
        spent=share,
        place=clean(node.get("place") or ""),
    )


def _draft(row: Mapping[str, Any]) -> DraftLine:
    return DraftLine(
        name=clean(row["draft"]),
        dataset=clean(row["dataset"]),
        generator=clean(row["generator"]),
        epsilon=_text(row["epsilon"]) if row["epsilon"] is not None else "none",
        created=_text(row["created"]),
        state=clean(row["state"]),
        tone=TONE_OF_STATE.get(str(row["state"]), "none"),
        next_step=clean(row["next_step"]),
        attempts=f"{int(row['attacks'])} / {int(row['decisions'])}",
    )


def _release(row: Mapping[str, Any]) -> ReleaseLine:
    return ReleaseLine(
        name=clean(row["release"]),
        draft=clean(row["draft"]),
        dataset=_text(row["dataset"]),
        at=_text(row["time"]),
        entry=clean(row["seq"]),
        recalled=None if row["recalled"] is None else clean(row["recalled"]),
        reason=_text(row["reason"]),
    )
