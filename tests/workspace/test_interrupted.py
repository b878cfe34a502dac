"""Training that was killed goes on under its reservation: one spend in the ledger, and one release of each event."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from accounting.event import EventTree
from accounting.ledger.entry import Kind
from accounting.ledger.errors import CapabilityRefused, ReservationRefused
from accounting.ledger.records import Status
from dpsynth.core.errors import SealError, WorkspaceError
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.tabular import autoregressive
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.workspace import Workspace
from dpsynth.workspace.private.room import open_source
from dpsynth.workspace.run import RunConfig, execute
from dpsynth.workspace.runs.interrupted import SealedRun

MADE_BY = Autoregressive(steps=30, every=5)
ASKED = {"epsilon": "1", "delta": "1e-6", "canaries": 20}
KILLED = """
import os, signal, sys
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.workspace import Workspace
def progress(name, done, total, detail=""):
    if name == "train" and done == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
Workspace.open(sys.argv[1]).synthesize(
    "rows", Autoregressive(steps=30, every=5), epsilon="1", delta="1e-6", canaries=20, progress=progress)
"""


def killed(ws: Workspace, at: int) -> None:
    """A process that is killed after step `at`."""
    ran = subprocess.run([sys.executable, "-c", KILLED.format(at=at), str(ws.layout.root)], env=os.environ, check=False)
    assert ran.returncode == -signal.SIGKILL


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.csv"
    pd.DataFrame({"a": rng.integers(0, 4, 600).astype(str), "b": rng.integers(0, 9, 600)}).to_csv(path, index=False)
    made = Workspace.init(tmp_path / "vault")
    made.create_budget(made.register(path), epsilon=3, delta="1e-5")
    return made


def heads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Noisy counts of the 1-ways of each fit from now on."""
    seen, measure = [], autoregressive.measure_columns

    def told(*args, **settings):
        head = measure(*args, **settings)
        seen.append(b"".join(binning.counts.tobytes() for binning in head.binnings.values()))
        return head

    monkeypatch.setattr(autoregressive, "measure_columns", told)
    return seen


def stopped(ws: Workspace, at: int) -> None:
    """The same in this process, by an interruption from the keyboard."""

    def progress(name, done, total, detail=""):
        if name == "train" and done == at:
            raise KeyboardInterrupt

    with pytest.raises(Exception, match="--resume"):
        ws.synthesize("rows", MADE_BY, **ASKED, progress=progress)


@pytest.mark.parametrize("at", [2, 17])
def test_a_killed_run_goes_on_with_one_spend_and_the_events_of_its_plan(ws: Workspace, at: int) -> None:
    killed(ws, at)
    heard: list[int] = []

    def progress(name, done, total, detail=""):
        heard.extend([done] if name == "train" else [])

    draft = ws.synthesize("rows", MADE_BY, **ASKED, progress=progress, resume=True)
    assert heard == list(range(at // 5 * 5 + 1, 31))
    with ws.ledger() as ledger:
        record = ws.find("rows")
        (run,) = ledger.reservations(ws.budget_id(ledger, record))
        entries = [entry for entry in ledger.entries(run.budget_id) if entry.body.get("reservation_id")]
    assert run.status is Status.COMMITTED
    of_run = [entry.kind for entry in entries if entry.body["reservation_id"] == run.reservation_id]
    assert [of_run.count(kind) for kind in (Kind.RESERVE, Kind.ACCESS, Kind.COMMIT)] == [1, 1, 1]
    (commit,) = [entry for entry in entries if entry.kind is Kind.COMMIT]
    plan = MADE_BY.plan(draft.schema, record.unit, epsilon="1", delta="1e-6")
    assert EventTree.from_json(commit.body["events"]).events == plan.tree.events
    assert not list((ws.layout.root / "interrupted").iterdir())


def test_what_is_measured_before_training_comes_out_the_same_when_a_run_goes_on(ws, monkeypatch):
    seen = heads(monkeypatch)
    stopped(ws, 12)
    ws.synthesize("rows", MADE_BY, **ASKED, resume=True)
    ws.synthesize("rows", MADE_BY, **ASKED)
    first, second, other = seen
    assert first == second != other


def test_no_word_of_noise_is_used_twice_once_training_has_begun(ws, monkeypatch):
    sources, train = [], autoregressive.train

    def told(*args, **settings):
        sources.append(settings["noise"])
        return train(*args, **settings)

    monkeypatch.setattr(autoregressive, "train", told)
    ws.synthesize("rows", MADE_BY, **ASKED)
    assert len(sources) == 1 and not isinstance(sources[0], ReplayedNoise)


def test_what_differs_from_what_was_asked_does_not_go_on(ws: Workspace) -> None:
    stopped(ws, 7)
    for other in (
        {"generator": Autoregressive(steps=31, every=5)},
        {"generator": Autoregressive(steps=30, every=5, rate=0.05)},
        {"epsilon": "0.9"},
        {"canaries": 10},
        {"rows": 50},
    ):
        with pytest.raises(WorkspaceError, match="No interrupted run"):
            ws.synthesize("rows", **{"generator": MADE_BY, **ASKED, **other}, resume=True)


def test_a_closed_reservation_does_not_go_on_and_its_state_is_destroyed(ws: Workspace) -> None:
    stopped(ws, 7)
    with ws.ledger(write=True) as ledger:
        (run,) = ledger.reservations(ws.budget_id(ledger, ws.find("rows")))
        ledger.expire(run.reservation_id, "gave up")
    with pytest.raises(WorkspaceError, match="No interrupted run"):
        ws.synthesize("rows", MADE_BY, **ASKED, resume=True)
    assert not list((ws.layout.root / "interrupted").iterdir())


def test_of_two_processes_that_go_on_one_commits_and_no_key_of_noise_is_left(ws: Workspace) -> None:
    stopped(ws, 7)
    winners = []

    def other(name, done, total, detail=""):
        if name == "train" and done == 12:
            winners.append(ws.synthesize("rows", MADE_BY, **ASKED, resume=True))

    with pytest.raises(ReservationRefused, match="committed"):
        ws.synthesize("rows", MADE_BY, **ASKED, resume=True, progress=other)
    assert len(winners) == 1
    assert not list((ws.layout.root / "interrupted").iterdir())


def test_the_state_is_sealed_to_its_reservation_and_holds_no_plain_text(ws: Workspace) -> None:
    stopped(ws, 7)
    (path,) = (ws.layout.root / "interrupted").glob("*.sealed")
    content = path.read_bytes()
    assert b"token" not in content and b"array/" not in content and path.stat().st_mode & 0o077 == 0
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SealError, match="altered"):
        ws.synthesize("rows", MADE_BY, **ASKED, resume=True)
    other = SealedRun.of(ws, path.stem, "0" * 64)
    path.write_bytes(content)
    with pytest.raises(SealError, match="altered"):
        other.load()


def test_the_door_of_a_run_that_goes_on_asks_for_its_own_used_token_plan_and_ledger(ws: Workspace) -> None:
    record = ws.find("rows")
    source = open_source(ws, record, schema=None)
    with ws.ledger(write=True) as ledger:
        budget = ws.budget_id(ledger, record)
        plan, dearer = (
            MADE_BY.plan(source.schema, record.unit, epsilon=epsilon, delta="1e-6").tree for epsilon in ("0.5", "1")
        )
        run, other = (ledger.reserve(budget, plan, delta="1e-6", run_id=name, purpose="t") for name in ("x", "y"))
        with pytest.raises(ReservationRefused, match="never read"):
            source.rows.to_resume(ledger, run.id, run.token, plan, bound_key=bytes(32))
        ledger.check_token(run.id, run.token)
        with pytest.raises(ReservationRefused, match="does not belong"):
            source.rows.to_resume(ledger, run.id, other.token, plan, bound_key=bytes(32))
        with pytest.raises(CapabilityRefused, match="another plan"):
            source.rows.to_resume(ledger, run.id, run.token, dearer, bound_key=bytes(32))
        assert source.rows.to_resume(ledger, run.id, run.token, plan, bound_key=bytes(32)).columns
        ledger.abort(run.id, "done", data_was_read=True)
        with pytest.raises(ReservationRefused, match="closed"):
            source.rows.to_resume(ledger, run.id, run.token, plan, bound_key=bytes(32))


def test_a_run_file_goes_on_by_itself(ws: Workspace, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "run.yaml").write_text(
        "data: rows.csv\nworkspace: vault\nsynthesize: {generator: autoregressive, epsilon: 1, delta: 1e-6}\n", "utf-8"
    )
    config = RunConfig.from_yaml(tmp_path / "run.yaml")
    monkeypatch.setattr("dpsynth.workspace.draft.Draft.attack", lambda *args, **settings: None)
    monkeypatch.setattr("dpsynth.workspace.draft.Draft.evaluate", lambda *args, **settings: None)

    def progress(name, done, total, detail=""):
        if name == "train" and done == 60:
            raise KeyboardInterrupt

    with pytest.raises(Exception, match="--resume"):
        execute(config, say=print, progress=progress, warn=print)
    heard: list[int] = []
    execute(
        config,
        say=print,
        progress=lambda name, done, total, detail="": heard.extend([done] if name == "train" else []),
        warn=print,
    )
    assert heard[0] == 51
    with ws.ledger() as ledger:
        assert len(ledger.reservations(ws.budget_id(ledger, ws.find("rows")))) == 1
