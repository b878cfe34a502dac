"""What the console's pages show: plain values, read from workspace and ledger at each request, ready to print.

Nothing is kept between requests, so a page never shows a state that the ledger has left behind.

Not guaranteed: that the ledger is whole; the ledger's page checks it and says what it found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from accounting.errors import AccountingError
from accounting.ledger.evidence.clock import set_back, times_of
from accounting.ledger.signing import key_id
from dpsynth.core.errors import BudgetRefused
from dpsynth.release.standing import PATH, State
from dpsynth.report.spending import BudgetView, budget_view
from dpsynth.report.views import first_page_metrics
from dpsynth.web.acts import Act, Person, offered
from dpsynth.workspace import governance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from accounting.ledger import Ledger
    from accounting.ledger.entry import Entry
    from dpsynth.quality.report import Metric
    from dpsynth.release.standing import Standing
    from dpsynth.report.model import ReportModel
    from dpsynth.report.views import Check
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.budgets import Node
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.registry.datasets import DatasetRecord

PAGE_OF_ENTRIES: Final = 50
_WAITING: Final = {
    state.value: place
    for place, state in enumerate((State.REVIEWED, State.ATTACKED, State.APPROVED, State.SEALED, State.REGENERATING))
}
_TONES: Final = {
    State.APPROVED: "good",
    State.RELEASED: "good",
    State.REVIEWED: "good",
    State.REGENERATING: "warn",
    State.REJECTED: "bad",
    State.WITHDRAWN: "bad",
    State.RECALLED: "bad",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One draft in the queue."""

    draft: str
    dataset: str
    state: str
    tone: str
    waits: str
    generator: str
    epsilon: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One state on a draft's way: done, now, to come, or aside."""

    word: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One draft before the people who decide."""

    standing: Standing
    steps: tuple[Step, ...]
    metrics: tuple[Metric, ...]
    failed: tuple[Check, ...]
    held: tuple[Check, ...]
    acts: tuple[Act, ...]
    bundle: bool  # that may be handed on: it left from here and was not called back
    place: str  # where the rows of the data set stay, if in an engine


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLine:
    """One entry of the chain: its place, kind, time as claimed, what it is about, and its body as text."""

    seq: int
    kind: str
    time: str
    about: str
    hash: str
    key_id: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStatus:
    """Whether the chain holds, and up to which entry; `depth` says what was checked."""

    whole: bool
    head: str
    depth: str
    problem: str
    clocks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """One budget of a family: what it is, and its bar."""

    name: str
    depth: int
    purpose: str
    recipient: str
    claim: str
    filter: str
    bar: BudgetView


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The budgets of one data set, or why there are none; `place` is where its rows stay, if in an engine."""

    dataset: str
    lines: tuple[BudgetLine, ...]
    problem: str = ""
    place: str = ""


def people_at(workspace: Workspace, keys: Mapping[Path, str]) -> tuple[Person, ...]:
    """Of the keys at this console, those that the ledger vouches for and did not revoke.

    Args:
        workspace: whose ledger.
        keys: file -> key id.
    """
    with workspace.ledger() as ledger:
        known = ledger.keys()
    found = [(path, known.get(name)) for name, path in {name: path for path, name in keys.items()}.items()]
    return tuple(
        Person(key_id=key.key_id, role=key.role, path=path)
        for path, key in found
        if key is not None and key.revoked is None
    )


def queue(workspace: Workspace) -> list[DraftLine]:
    """All drafts: those that wait for a person first, then the newest first."""
    standings = {standing.draft: standing for standing in governance.queue(workspace)}
    lines = [_draft(draft, standings[draft.name]) for draft in workspace.drafts() if draft.name in standings]
    lines.sort(key=lambda line: line.created, reverse=True)
    return sorted(lines, key=lambda line: _WAITING.get(line.state, len(_WAITING)))


def _draft(draft: Draft, standing: Standing) -> DraftLine:
    about = draft.document
    return DraftLine(
        draft=draft.name,
        dataset=about.dataset,
        state=standing.state.value,
        tone=_TONES.get(standing.state, "none"),
        waits=standing.missing[0].reason if standing.missing else "",
        generator=about.generator.name,
        epsilon=str((about.guarantee or {}).get("epsilon", "none")),
        created=about.created[:16].replace("T", " "),
    )


def case(draft: Draft, model: ReportModel, people: Sequence[Person]) -> Case:
    """Where a draft stands, what the first page says of its quality, and what the people here may do to it."""
    standing = governance.standing(draft.workspace, draft.name)
    failed = [check.name for check in model.failed if check.on_fail != "warn"]
    place = draft.dataset.place
    return Case(
        standing=standing,
        steps=_steps(standing),
        metrics=() if model.quality is None else first_page_metrics(model.quality),
        failed=tuple(check for check in model.checks if not check.passed),
        held=tuple(check for check in model.checks if check.passed),
        acts=offered(standing, draft.workspace.policy(), failed, people),
        bundle=standing.state is State.RELEASED and bundle_of(draft.workspace, draft.name).is_file(),
        place="" if place is None else place.shown,
    )


def bundle_of(workspace: Workspace, draft: str) -> Path:
    """Where the console writes a draft's bundle."""
    return workspace.layout.releases / f"{draft}.zip"


def _steps(standing: Standing) -> tuple[Step, ...]:
    done = set(standing.done)
    if standing.state in PATH:
        words = {state: "now" if state is standing.state else "done" if state in done else "" for state in PATH}
        return tuple(Step(word=state.value, tone=tone) for state, tone in words.items())
    passed = tuple(Step(word=state.value, tone="done") for state in PATH if state in done)
    return (*passed, Step(word=standing.state.value, tone="side"))


def chain_status(ledger: Ledger, *, all_signatures: bool = False) -> ChainStatus:
    """Check the chain: hashes, rules and the head's signature; with `all_signatures`, every entry's."""
    depth = "every signature" if all_signatures else "every hash and rule, and the signature of the last entry"
    try:
        ledger.verify(all_signatures=all_signatures)
        clocks = tuple(jump.sentence() for jump in set_back(times_of(ledger.entries())))
        return ChainStatus(whole=True, head=str(ledger.head()), depth=depth, problem="", clocks=clocks)
    except AccountingError as error:
        return ChainStatus(whole=False, head="", depth=depth, problem=str(error), clocks=())


def entries(ledger: Ledger, *, before: int | None, kind: str, about: str) -> tuple[list[EntryLine], int | None]:
    """One page of entries, the newest first.

    Args:
        ledger: an open ledger.
        before: only entries below this place.
        kind: only this kind; empty for all.
        about: only entries whose draft, run or budget contains this text.

    Returns:
        the lines, and the place to go on below; None if there are no more.
    """
    found = [
        entry
        for entry in reversed(ledger.entries())
        if (before is None or entry.seq < before)
        and (not kind or entry.kind.value == kind)
        and (not about or about in _about(entry))
    ]
    page = found[:PAGE_OF_ENTRIES]
    return [_line(entry) for entry in page], page[-1].seq if len(found) > len(page) else None


def _line(entry: Entry) -> EntryLine:
    return EntryLine(
        seq=entry.seq,
        kind=entry.kind.value,
        time=str(entry.body.get("time", "")),
        about=_about(entry),
        hash=entry.hash,
        key_id=entry.key_id,
        body=json.dumps(dict(entry.body), indent=2, sort_keys=True, ensure_ascii=False),
    )


def _about(entry: Entry) -> str:
    names = ("draft", "release", "run_id", "dataset", "purpose", "reservation_id", "key_id", "budget_id")
    return next((str(entry.body[name]) for name in names if entry.body.get(name)), "")


def ledger_keys(ledger: Ledger) -> list[tuple[str, str, int, str]]:
    """(role, key id, first entry, state) of the ledger's own keys and of those that it vouches for."""
    own = ledger.ledger_keys()
    rows = [("ledger", key_id(k.public_key), k.first, "in force" if k is own[-1] else "retired") for k in own]
    return rows + [
        (k.role, k.key_id, k.added, "in use" if k.revoked is None else f"revoked by entry {k.revoked}")
        for k in ledger.keys().values()
    ]


def budgets(workspace: Workspace) -> list[Family]:
    """The family of budgets of every registered data set."""
    return [_family(workspace, record) for record in workspace.registry]


def _family(workspace: Workspace, record: DatasetRecord) -> Family:
    place = "" if record.place is None else record.place.shown
    try:
        nodes = workspace.budgets(record)
    except BudgetRefused as refused:
        return Family(dataset=record.name, lines=(), problem=str(refused), place=place)
    return Family(dataset=record.name, lines=tuple(_budget(node) for node in nodes), place=place)


def _budget(node: Node) -> BudgetLine:
    own = node.record
    return BudgetLine(
        name=own.budget_id,
        depth=node.depth,
        purpose=own.purpose or "",
        recipient=own.recipient.value,
        claim=own.claim,
        filter=str(own.composition),
        bar=budget_view(node.balance.to_json()),
    )
