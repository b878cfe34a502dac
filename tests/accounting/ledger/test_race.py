"""Eight processes on one budget: not one grant too many, not one lost.

`DPSYNTH_LEDGER_RACES` sets the number of races (default 2; the slow tests run 50, and one of 8 x 1,000).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer

PROCESSES = 8


def _race(location: Path | str, folder: Path, zygote: Any, grant: Any, *, tries: int, slots: int) -> None:
    key, out = folder / "key", folder / "acks"
    signer = Signer.generate()
    signer.save(key)
    with Ledger.create(location, signer=signer) as ledger:
        budget = grant(ledger, f"{slots / 10}", delta="0.1")  # each reservation costs 0.1
    start_at = time.time() + 0.15
    for _ in range(PROCESSES):
        arguments = {"path": str(location), "key": str(key), "budget": budget, "out": str(out)}
        zygote.ask(task="race", tries=tries, start_at=start_at, **arguments)
    assert zygote.ask(task="wait") == 0
    with Ledger.open(location, signer=signer) as ledger:
        acknowledged = out.read_text().split()
        granted = ledger.reservations(budget)
        assert len(granted) == slots
        assert sorted(acknowledged) == sorted(item.reservation_id for item in granted)
        assert len({item.run_id for item in granted}) > 1, "only one process took part: no race"
        assert ledger.balance(budget).epsilon.left == 0
        ledger.verify(all_signatures=True)


@pytest.mark.parametrize("repeat", range(int(os.environ.get("DPSYNTH_LEDGER_RACES", "2"))))
def test_eight_processes_get_what_the_budget_holds_and_no_more(
    location: Path | str, tmp_path: Path, zygote: Any, grant: Any, repeat: int
) -> None:
    _race(location, tmp_path, zygote, grant, tries=6, slots=20)


def test_eight_processes_on_siblings_never_overspend_what_they_are_parts_of(
    location: Path | str, tmp_path: Path, zygote: Any, grant: Any, terms: Any
) -> None:
    """Each part alone could hold all that its processes ask for; the root holds 20 of 48."""
    key, signer = tmp_path / "key", Signer.generate()
    signer.save(key)
    with Ledger.create(location, signer=signer) as ledger:
        root = grant(ledger, "2", delta="0.1")
        about = {"dataset": "d", "parent": root, "epsilon": "2", "delta": "0.1", **terms}
        parts = [ledger.create_budget(purpose=f"p{n}", **about) for n in range(4)]
    start_at = time.time() + 0.15
    for process in range(PROCESSES):
        arguments = {"path": str(location), "key": str(key), "out": str(tmp_path / f"acks{process % 4}")}
        zygote.ask(task="race", tries=6, start_at=start_at, budget=parts[process % 4], **arguments)
    assert zygote.ask(task="wait") == 0
    with Ledger.open(location, signer=signer) as ledger:
        promised = [(tmp_path / f"acks{n}").read_text().split() for n in range(4)]
        assert sum(map(len, promised)) == 20
        assert sum(bool(runs) for runs in promised) > 1, "only one part took part: no race"
        for part, runs in zip(parts, promised, strict=True):
            assert sorted(runs) == sorted(item.reservation_id for item in ledger.reservations(part))
            assert ledger.balance(part).epsilon.reserved * 10 == len(runs)
        assert ledger.balance(root).epsilon.left == 0
        ledger.verify(all_signatures=True)


@pytest.mark.slow
@pytest.mark.parametrize("repeat", range(50))
def test_fifty_races(location: Path | str, tmp_path: Path, zygote: Any, grant: Any, repeat: int) -> None:
    _race(location, tmp_path, zygote, grant, tries=6, slots=20)


@pytest.mark.slow
def test_eight_times_a_thousand_reservations(location: Path | str, tmp_path: Path, zygote: Any, grant: Any) -> None:
    _race(location, tmp_path, zygote, grant, tries=1000, slots=4000)
