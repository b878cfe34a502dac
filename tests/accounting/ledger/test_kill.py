"""SIGKILL at random moments: nothing acknowledged is lost, the chain holds, and what was left open counts.

`DPSYNTH_LEDGER_KILLS` sets the number of kills (default 15; the slow test kills 100 times).
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
from accounting.ledger.entry import Entry


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


def _kill_repeatedly(folder: Path, zygote: Any, grant: Any, kills: int) -> None:
    path, key, out = folder / "ledger.db", folder / "key", folder / "acks"
    signer = Signer.generate()
    signer.save(key)
    with Ledger.create(path, signer=signer) as ledger:
        budget = grant(ledger, "100000", delta="0.1")
        ledger.append("attempt", {"budget_id": budget})
    rng = random.Random(20261122)
    unacknowledged = interrupted = 0
    for seed in range(kills):
        out.write_text("")
        arguments = {"path": str(path), "key": str(key), "budget": budget, "out": str(out)}
        with Ledger.open(path) as ledger:
            before = ledger.head()
        pid = zygote.ask(task="churn", seed=seed, **arguments)
        time.sleep(rng.uniform(0.005, 0.12))
        os.kill(pid, signal.SIGKILL)
        assert zygote.ask(task="wait") == 1
        acknowledged = [tuple(line.split()) for line in out.read_text().splitlines()]
        with Ledger.open(path, signer=signer) as ledger:
            ledger.verify(all_signatures=True, anchor=before)
            entries = ledger.entries()
            stored = [(e.kind.value, str(e.body["reservation_id"])) for e in entries if e.seq > before.seq]
            # In order, none missing, and at most the one that was being written when the process died.
            assert stored[: len(acknowledged)] == acknowledged
            assert len(stored) - len(acknowledged) in (0, 1)
            unacknowledged += len(stored) - len(acknowledged)
            balance = ledger.balance(budget)
            assert balance.epsilon.spent + balance.epsilon.reserved == _counted(entries)
            open_runs = [item for item in ledger.reservations(budget) if item.status == "open"]
            interrupted += bool(open_runs)
            for run in open_runs:
                ledger.expire(run.reservation_id, "killed")
            assert ledger.balance(budget).epsilon.spent == _counted(entries)
    print(f"{kills} kills: {len(entries)} entries, {unacknowledged} on disk before their acknowledgement")
    assert interrupted > 0, "no kill left a run open: the test did not hit the window"


def test_killed_processes_lose_nothing_acknowledged(tmp_path: Path, zygote: Any, grant: Any) -> None:
    _kill_repeatedly(tmp_path, zygote, grant, int(os.environ.get("DPSYNTH_LEDGER_KILLS", "15")))


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path, zygote: Any, grant: Any) -> None:
    _kill_repeatedly(tmp_path, zygote, grant, 100)
