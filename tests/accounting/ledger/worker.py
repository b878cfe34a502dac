"""Forked workers of the race and kill tests; run as a script, one JSON command a line.

Acknowledgements go to a file with one `os.write` each, after the call returned: what stands there was promised.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from accounting import EventTree, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer, price
from accounting.ledger.errors import BudgetExceeded
from tests.accounting.ledger import points

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}


def plan(count: int) -> EventTree:
    return EventTree(events=(PureDP(epsilon="0.1", count=count),), **TERMS)


def race(path: str, key: str, budget: str, out: str, tries: int, start_at: float) -> None:
    """Reserve `tries` times; one acknowledged line a grant."""
    with Ledger.open(path, signer=Signer.load(key)) as ledger:
        acks = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        time.sleep(max(0.0, start_at - time.time()))
        for _ in range(tries):
            try:
                run = ledger.reserve(budget, plan(1), delta="1e-9", run_id=str(os.getpid()), purpose="race")
            except BudgetExceeded:
                continue
            os.write(acks, f"{run.id}\n".encode())


def churn(path: str, key: str, budget: str, out: str, seed: int) -> None:
    """Runs without end: reserve, sometimes read, then commit, abort or leave open."""
    rng = random.Random(seed)
    with Ledger.open(path, signer=Signer.load(key)) as ledger:
        acks = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def acknowledge(what: str, run: str) -> None:
            os.write(acks, f"{what} {run}\n".encode())

        while True:
            run = ledger.reserve(budget, plan(2), delta="1e-9", run_id="churn", purpose="kill test")
            acknowledge("reserve", run.id)
            if read := rng.random() < 0.7:
                ledger.check_token(run.id, run.token)
                acknowledge("access", run.id)
            step = rng.choice(["commit", "abort", "leave"])
            if step == "commit":
                ledger.commit(run.id, plan(rng.choice([1, 2])))
                acknowledge("commit", run.id)
            elif step == "abort":
                ledger.abort(run.id, "test", data_was_read=read)
                acknowledge("abort", run.id)


def at_point(path: str, key: str, budget: str, out: str, step: str, position: str, halt: bool) -> None:
    """One run, and one that is given back; dies (or with `halt` stands still) at a named place of one step."""
    with Ledger.open(path, signer=Signer.load(key)) as ledger:
        acks = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def take(name: str, call: Any, run: Any = None) -> Any:
            with points.armed(ledger, position, acks, halt=halt) if name == step else nullcontext():
                made = call()
            os.write(acks, f"{name} {run.id if run else made.id}\n".encode())
            return made

        def reserve() -> Any:
            return ledger.reserve(budget, plan(2), delta="1e-9", run_id="point", purpose="kill test")

        spare = reserve()
        os.write(acks, f"reserve {spare.id}\n".encode())
        run = take("reserve", reserve)
        take("access", lambda: ledger.check_token(run.id, run.token), run)
        take("commit", lambda: ledger.commit(run.id, plan(1)), run)
        take("abort", lambda: ledger.abort(spare.id, "test", data_was_read=False), spare)


TASKS = {"race": race, "churn": churn, "at_point": at_point}


def child(task: str, arguments: dict[str, Any]) -> None:
    """Never returns into the zygote's loop."""
    status = 1
    try:
        TASKS[task](**arguments)
        status = 0
    except Exception:  # noqa: BLE001 - the parent reads the status, a person the trace
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    for count in (1, 2):
        price(plan(count), "1e-9")  # warm: workers inherit the accountant's cache
    children: list[int] = []
    for line in sys.stdin:
        command = json.loads(line)
        task = command.pop("task")
        if task == "wait":
            answer = sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
            children.clear()
        else:
            answer = os.fork()
            if answer == 0:
                child(task, command)
            children.append(answer)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
