"""`dpsynth demo`: a private table to a verified release, every step the real one."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError
from dpsynth.core.progress import Progress
from dpsynth.demo.data import DATASETS, write

if TYPE_CHECKING:
    from attacks import AttackReport
    from dpsynth.release.gate import Decision
    from dpsynth.workspace import Draft, Release, Workspace

BUDGET = ("3", "1e-5")
RUN = ("1", "1e-6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What the demo made.

    Attributes:
        workspace: with ledger, keys and the sealed draft.
        draft: the draft.
        decision: the gate's.
        release: the bundle, if the gate said ship.
        verification: what a receiver finds.
        report: the internal HTML report.
    """

    workspace: Workspace
    draft: Draft
    decision: Decision
    release: Release | None
    verification: Any
    report: Path


def demonstrate(
    name: str,
    folder: Path,
    *,
    say: Callable[[str], None],
    progress: Callable[[], AbstractContextManager[Progress]],
    warn: Callable[[str], None],
) -> Demonstration:
    """Walk the whole way.

    Args:
        name: one of `DATASETS`.
        folder: where everything goes; a run that is there is kept, and this one gets the next number.
        say: called with what happens, one line a step.
        progress: a context manager that gives a `Progress`.
        warn: called with what the reader noticed.
    """
    from dpsynth.workspace import Workspace
    from dpsynth.workspace.releasing import internal_report

    if name not in DATASETS:
        raise ParameterError(f"There is no demo data '{name}'.", f"Use one of {', '.join(DATASETS)}.")
    place = _next_folder(folder, name)
    place.mkdir(parents=True)
    say(f"Data       {DATASETS[name].title}")
    say(f"           {DATASETS[name].note}")
    table, schema = write(name, place)
    ws = Workspace.init(place / "vault")
    record = ws.register(table, schema=schema)
    ws.create_budget(record, epsilon=BUDGET[0], delta=BUDGET[1])
    say(f"Workspace  {ws.layout.root}: keys, ledger, policy; a budget of epsilon {BUDGET[0]}, delta {BUDGET[1]}")
    say(f"Fit        MST at epsilon {RUN[0]}, delta {RUN[1]}: reserve, derive bounds, fit, commit, sample, seal")
    if DATASETS[name].canaries_only:
        ws.layout.policy.write_text(canaries_only(ws.layout.policy.read_text("utf-8")), "utf-8")
    with progress() as steps:
        draft = ws.synthesize(record, "mst", epsilon=RUN[0], delta=RUN[1], progress=steps, warn=warn)
        attacked = draft.attack(progress=steps)
        draft.evaluate(progress=steps)
    if DATASETS[name].canaries_only:
        _lesson(attacked, say)
        with progress() as steps:
            draft.attack("canaries", progress=steps)
    decision = draft.gate()
    release = verification = None
    if decision.decision == "ship":
        with progress() as steps:
            release = draft.release(place / "bundle", progress=steps)
        verification = release.verify()
    report = draft.folder / "report.html"
    report.write_text(internal_report(draft), "utf-8")
    return Demonstration(
        workspace=ws, draft=draft, decision=decision, release=release, verification=verification, report=report
    )


def canaries_only(policy: str) -> str:
    """The default policy for a table on which no attack on real rows can have power: planted canaries decide alone.

    A person's decision, visible to every receiver: the policy is in the bundle, under its own name.
    """
    tables = policy.partition("\ntext:")[0] + "\n"  # limits on texts: the demo has none
    text = re.sub(r"^name: .*$", "name: public release, judged by canaries alone", tables, flags=re.MULTILINE)
    text = re.sub(r"^  required: \[.*\]$", "  required: [canary]", text, flags=re.MULTILINE)
    text = re.sub(r"^  may_be_not_applicable: .*$", "  may_be_not_applicable: {}", text, flags=re.MULTILINE)
    return re.sub(r"^    (membership|inference)\.\S+: \S+\n", "", text, flags=re.MULTILINE)


def _lesson(attacked: AttackReport, say: Callable[[str], None]) -> None:
    """Why attacks on these rows prove nothing, in their own words."""
    for line in (
        f"Lesson     Attacks on real rows: {attacked.verdict}. Copies of everybody were planted in the release, and",
        "           even they were hardly found: the same person stands in train and holdout, year after year, and",
        "           nothing says so. A pass would mean nothing, so none is given; a column that names the person mends",
        "           it. Here the policy lets planted canaries decide alone: rows of nobody, fitted on a secret coin.",
    ):
        say(line)


def _next_folder(folder: Path, name: str) -> Path:
    number = 1
    while (folder / f"{name}-{number}").exists():
        number += 1
    return folder / f"{name}-{number}"
