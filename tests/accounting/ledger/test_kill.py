"""SIGKILL at twenty named points and at random moments: nothing acknowledged is lost, nothing spent is forgotten.

After each death the chain verifies, what was left open counts, and the next process goes on. On PostgreSQL the
server dies too: `pg_ctl stop -m immediate`, which is a crash with recovery at the next start.

`DPSYNTH_LEDGER_KILLS` sets the number of random kills (default 8 a store; the slow test kills 500 times).
"""

from __future__ import annotations

import os
import random
import signal
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.ledger.entry import Entry, Head
from tests.accounting.ledger.points import HALTED, POINTS, POSITIONS
from tests.postgresql import Server, wait_until

Step = tuple[str, str]


class Scene:
    """A ledger with a budget, and what a worker writes down about it."""

    def __init__(self, location: Path | str, folder: Path, grant: Any) -> None:
        self.location, self.out, self.key = location, folder / "acks", folder / "key"
        self.signer = Signer.generate()
        self.signer.save(self.key)
        with Ledger.create(location, signer=self.signer) as ledger:
            self.budget = grant(ledger, "100000", delta="0.1")
            ledger.append("attempt", {"budget_id": self.budget})

    def begin(self) -> Head:
        """Forget what earlier workers acknowledged; the head before the next one."""
        self.out.write_text("")
        with Ledger.open(self.location) as ledger:
            return ledger.head()

    @property
    def arguments(self) -> dict[str, str]:
        return {"path": str(self.location), "key": str(self.key), "budget": self.budget, "out": str(self.out)}

    def acknowledged(self) -> list[Step]:
        return [(kind, run) for kind, run in map(str.split, self.out.read_text().splitlines()) if kind != HALTED]

    def halted(self) -> bool:
        return f"{HALTED} " in self.out.read_text()

    def judge(self, before: Head) -> tuple[list[Step], int]:
        """Open as the next process would, check everything, go on. What was stored, and how many runs were open."""
        with Ledger.open(self.location, signer=self.signer) as ledger:
            ledger.verify(all_signatures=True, anchor=before)
            entries = ledger.entries()
            balance = ledger.balance(self.budget)
            assert balance.epsilon.spent + balance.epsilon.reserved == _counted(entries)
            open_runs = [item for item in ledger.reservations(self.budget) if item.status == "open"]
            for run in open_runs:
                ledger.expire(run.reservation_id, "killed")
            assert ledger.balance(self.budget).epsilon.spent == _counted(entries)
            stored = [(e.kind.value, str(e.body["reservation_id"])) for e in entries if e.seq > before.seq]
            return stored, len(open_runs)


def _counted(entries: list[Entry]) -> Decimal:
    """What must be spent or reserved, added up without the ledger's own books."""
    held: dict[str, Decimal] = {}
    for entry in entries:
        run = str(entry.body.get("reservation_id"))
        if entry.kind in ("reserve", "commit"):
            held[run] = Decimal(entry.body["charge"]["epsilon"])
        elif entry.kind == "abort" and entry.body["data_was_read"] is False:
            del held[run]
    return sum(held.values(), Decimal(0))


@pytest.fixture
def scene(location: Path | str, tmp_path: Path, grant: Any) -> Scene:
    return Scene(location, tmp_path, grant)


def _die_at(scene: Scene, zygote: Any, step: str, position: str, crash: Server | None = None) -> None:
    before = scene.begin()
    pid = zygote.ask(task="at_point", step=step, position=position, halt=crash is not None, **scene.arguments)
    if crash is not None:
        wait_until(scene.halted)
        crash.stop("immediate")
        os.kill(pid, signal.SIGKILL)
        crash.start()
    assert zygote.ask(task="wait") == 1, "the worker got to its end: the point was never reached"
    stored, open_runs = scene.judge(before)
    acknowledged = scene.acknowledged()
    assert stored[: len(acknowledged)] == acknowledged
    unheard = stored[len(acknowledged) :]
    assert [kind for kind, _ in unheard] == ([step] if POSITIONS[position] else [])
    given_back = (step, position) == ("abort", "committed")
    assert open_runs == {"reserve": 1 + POSITIONS[position], "access": 2}.get(
        step, 0 if given_back else 1 if step == "abort" or POSITIONS[position] else 2
    )


def test_a_process_that_dies_at_any_of_twenty_points_leaves_what_was_committed(scene: Scene, zygote: Any) -> None:
    assert len(POINTS) == 20
    for step, position in POINTS:
        _die_at(scene, zygote, step, position)


def _crash_server_at(scene_: Scene, zygote: Any, server: Server, points: list[Step]) -> None:
    for step, position in points:
        _die_at(scene_, zygote, step, position, crash=server)


@pytest.fixture
def served(postgresql: Server, tmp_path: Path, grant: Any) -> Scene:
    """A ledger on a server that may be crashed."""
    if not postgresql.owned:
        pytest.skip("the server named by the environment is not ours to crash")
    return Scene(postgresql.fresh(), tmp_path, grant)


def test_a_server_that_crashes_leaves_what_was_committed(served: Scene, postgresql: Server, zygote: Any) -> None:
    _crash_server_at(served, zygote, postgresql, [("reserve", "committed"), ("abort", "committing")])


@pytest.mark.slow
def test_a_server_that_crashes_at_any_of_twenty_points(served: Scene, postgresql: Server, zygote: Any) -> None:
    _crash_server_at(served, zygote, postgresql, POINTS)


def _kill_repeatedly(scene: Scene, zygote: Any, kills: int, rng: random.Random) -> None:
    unheard = interrupted = 0
    for _ in range(kills):
        before = scene.begin()
        pid = zygote.ask(task="churn", seed=rng.randrange(2**31), **scene.arguments)
        wait_until(lambda: scene.out.stat().st_size > 0)
        time.sleep(rng.uniform(0, 0.08))
        os.kill(pid, signal.SIGKILL)
        assert zygote.ask(task="wait") == 1
        stored, open_runs = scene.judge(before)
        acknowledged = scene.acknowledged()
        # In order, none missing, and at most the one that was being written when the process died.
        assert stored[: len(acknowledged)] == acknowledged
        assert len(stored) - len(acknowledged) in (0, 1)
        unheard += len(stored) - len(acknowledged)
        interrupted += bool(open_runs)
    print(f"{kills} kills: {unheard} entries on disk before their acknowledgement, {interrupted} left a run open")
    assert interrupted > 0, "no kill left a run open: the test did not hit the window"


def test_killed_processes_lose_nothing_acknowledged(scene: Scene, zygote: Any) -> None:
    _kill_repeatedly(scene, zygote, int(os.environ.get("DPSYNTH_LEDGER_KILLS", "8")), random.Random(20261122))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_five_hundred_kills(scene: Scene, zygote: Any, part: int) -> None:
    """In parts of 25, each on a ledger of its own, so that checking it whole each time stays quick."""
    _kill_repeatedly(scene, zygote, 25, random.Random(part))
