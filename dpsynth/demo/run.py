"""`dpsynth demo`: a private table to a verified release, every step the real one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError
from dpsynth.core.progress import Progress
from dpsynth.demo.data import DATASETS, write

if TYPE_CHECKING:
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
    with progress() as steps:
        draft = ws.synthesize(record, "mst", epsilon=RUN[0], delta=RUN[1], progress=steps, warn=warn)
        draft.attack(progress=steps)
        draft.evaluate(progress=steps)
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


def _next_folder(folder: Path, name: str) -> Path:
    number = 1
    while (folder / f"{name}-{number}").exists():
        number += 1
    return folder / f"{name}-{number}"
