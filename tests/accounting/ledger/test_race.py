"""Eight processes on one budget: not one grant too many, not one lost.

`DPSYNTH_LEDGER_RACES` sets the number of races (default 3; the slow test runs 50).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer

PROCESSES, TRIES, SLOTS = 8, 6, 20


def _race(folder: Path, zygote: Any, grant: Any) -> None:
    path, key, out = folder / "ledger.db", folder / "key", folder / "acks"
    signer = Signer.generate()
    signer.save(key)
    with Ledger.create(path, signer=signer) as ledger:
        budget = grant(ledger, "2")  # 20 slots of 0.1, asked for 48 times
    start_at = time.time() + 0.15
    for _ in range(PROCESSES):
        arguments = {"path": str(path), "key": str(key), "budget": budget, "out": str(out)}
        zygote.ask(task="race", tries=TRIES, start_at=start_at, **arguments)
    assert zygote.ask(task="wait") == 0
    with Ledger.open(path, signer=signer) as ledger:
        acknowledged = out.read_text().split()
        granted = ledger.reservations(budget)
        assert len(granted) == SLOTS
        assert sorted(acknowledged) == sorted(item.reservation_id for item in granted)
        assert len({item.run_id for item in granted}) > 1, "only one process took part: no race"
        assert ledger.balance(budget).epsilon.left == 0
        ledger.verify(all_signatures=True)


@pytest.mark.parametrize("repeat", range(int(os.environ.get("DPSYNTH_LEDGER_RACES", "3"))))
def test_eight_processes_get_what_the_budget_holds_and_no_more(
    tmp_path: Path, zygote: Any, grant: Any, repeat: int
) -> None:
    _race(tmp_path, zygote, grant)


@pytest.mark.slow
@pytest.mark.parametrize("repeat", range(50))
def test_fifty_races(tmp_path: Path, zygote: Any, grant: Any, repeat: int) -> None:
    _race(tmp_path, zygote, grant)
