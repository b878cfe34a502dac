"""How long the ledger takes: append, verify, slice, and eight processes on one budget.

    python benchmarks/ledger.py [--entries 100000] [--json FILE] [--url postgresql://host/database]

Without a URL on SQLite, on the disk below the temporary folder (set TMPDIR to time another); with one on PostgreSQL, in
schemas `bench_…` that are dropped afterwards. A price is not part of
an append: runs are priced once by `accounting.crosscheck.price`, and that time has a line of its own.
`cpu` figures are processor time, which a busy machine inflates less than the clock.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from accounting import EventTree, Guarantee, Laplace, Ledger, NeighboringRelation, PrivacyUnit, Signer, price
from accounting.ledger import bodies, granting
from accounting.ledger.amounts import Grant
from accounting.ledger.chain import Chain
from accounting.ledger.composition import Composition
from accounting.ledger.entry import Kind, seal, stamp
from accounting.ledger.errors import BudgetExceeded
from accounting.ledger.ledger import LOCK_TIMEOUT_S
from accounting.ledger.pricing import charge_of
from accounting.ledger.slice import verify_slice
from accounting.ledger.store import Store

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
PLAN = EventTree(events=(Laplace(scale="1000", l1_sensitivity="1"),), **TERMS)


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that one call takes."""
    start = clock()
    call()
    return clock() - start


@dataclass(frozen=True, slots=True)
class Places:
    """Where ledgers can be made: files in a folder, or schemas of a database."""

    folder: Path
    url: str | None

    def at(self, name: str) -> str:
        """A place where nothing is yet."""
        if self.url is None:
            return str(self.folder / f"{name}.db")
        return f"{self.url}{'&' if '?' in self.url else '?'}schema=bench_{name}"

    def forget(self) -> None:
        """Drop the schemas."""
        if self.url is not None:
            engine = sa.create_engine(sa.make_url(self.url).set(drivername="postgresql+psycopg"))
            with engine.begin() as connection:
                for name in ("append", "long", "race"):
                    connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS bench_{name} CASCADE")
            engine.dispose()


def appends(places: Places, count: int) -> dict[str, float]:
    """Milliseconds of one fsynced, signed append, and of a whole reserve-access-commit."""
    with Ledger.create(places.at("append"), signer=Signer.generate()) as ledger:
        budget = ledger.create_budget(dataset="d", commitment="c", epsilon="1000", delta="0.1", **TERMS)
        times = [1e3 * timed(lambda: ledger.append("attempt", {"budget_id": budget})) for _ in range(count)]

        def cycle() -> None:
            run = ledger.reserve(budget, PLAN, delta="1e-9", run_id="r", purpose="benchmark")
            ledger.check_token(run.id, run.token)
            ledger.commit(run.id, PLAN)

        cycles = [1e3 * timed(cycle) for _ in range(count // 5)]
    return {
        "append_ms_median": statistics.median(times),
        "append_ms_p95": statistics.quantiles(times, n=20)[-1],
        "reserve_access_commit_ms_median": statistics.median(cycles),
    }


def build(path: str, signer: Signer, entries: int, guarantee: Guarantee) -> str:
    """A ledger of this many entries on ten budgets, every rule kept, written in one transaction."""
    chain = Chain()
    genesis = {
        "schema": "dpsynth.ledger/1",
        "ledger_id": "benchmark",
        "public_key": signer.public_bytes.hex(),
    }
    rows = [seal(stamp(Kind.LEDGER_CREATE, genesis), None, signer)]
    chain.read(rows[0])

    def write(kind: Kind, fields: bodies.Fields) -> None:
        rows.append(seal(stamp(kind, fields), chain.head, signer))
        chain.read(rows[-1])

    granted = Grant(epsilon=guarantee.epsilon * entries, delta=guarantee.delta * entries)
    for i in range(10):
        wanted = granting.Wanted(
            budget_id=f"budget-{i}",
            dataset=f"data-{i}",
            commitment=f"c-{i}",
            granted=granted,
            composition=Composition.basic(),
            **TERMS,
        )
        write(Kind.BUDGET_CREATE, granting.root_fields(chain.books, wanted))
    charge = charge_of(PLAN, guarantee, Composition.basic())
    price_of = {"guarantee": guarantee, "charge": charge}
    run = {"run_id": "r", "purpose": "benchmark", "policy_digest": None, "plan": PLAN, "token": "t"}
    i = 0
    while len(rows) + 3 <= entries:
        names = {"budget_id": f"budget-{i % 10}", "reservation_id": f"run-{i}"}
        write(Kind.RESERVE, bodies.reserve_fields(chain.books, **names, **price_of, **run))
        write(Kind.ACCESS, bodies.access_fields(chain.books, f"run-{i}", "t"))
        committed = bodies.commit_fields(chain.books, f"run-{i}", events=PLAN, **price_of, facts={"rows": "1000"})
        write(Kind.COMMIT, committed)
        i += 1
    store = Store.create(path, rows[0], timeout_s=LOCK_TIMEOUT_S)
    with store.writing() as transaction:
        for row in rows[1:]:
            transaction.append(row)
    store.close()
    return "budget-0"


def long_chain(places: Places, entries: int) -> dict[str, float]:
    """Seconds to verify and to open a long ledger, and what a receiver needs for its slice."""
    signer, guarantee = Signer.generate(), price(PLAN, "1e-9")
    path = places.at("long")
    budget = build(path, signer, entries, guarantee)
    with Ledger.open(path) as ledger:
        verify = min(timed(ledger.verify) for _ in range(3))
        verify_cpu = timed(ledger.verify, time.process_time)
        thorough = timed(lambda: ledger.verify(all_signatures=True))
        first_balance = timed(lambda: ledger.balance(budget))
        document = ledger.slice(budget)
        size = len(json.dumps(document))
        receiver = timed(lambda: verify_slice(document, ledger_key=signer.public_bytes))
    return {
        "entries": entries,
        "verify_s": verify,
        "verify_cpu_s": verify_cpu,
        "verify_all_signatures_s": thorough,
        "open_and_first_balance_s": first_balance,
        "slice_mb": size / 1e6,
        "slice_verify_s": receiver,
    }


def _racer(path: str, key: str, budget: str, tries: int, out: multiprocessing.Queue[int]) -> None:
    granted = 0
    with Ledger.open(path, signer=Signer.load(key)) as ledger:
        for _ in range(tries):
            try:
                ledger.reserve(budget, PLAN, delta="1e-9", run_id=str(os.getpid()), purpose="race")
                granted += 1
            except BudgetExceeded:
                continue
    out.put(granted)


def race(places: Places, processes: int = 8, tries: int = 100) -> dict[str, float]:
    """Grants of processes that together ask for twice what the budget holds."""
    slots = processes * tries // 2
    path, key = places.at("race"), str(places.folder / "race.key")
    signer = Signer.generate()
    signer.save(key)
    epsilon = price(PLAN, "1e-9").epsilon * slots
    with Ledger.create(path, signer=signer) as ledger:
        budget = ledger.create_budget(dataset="d", commitment="c", epsilon=epsilon, delta="0.1", **TERMS)
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    racers = [context.Process(target=_racer, args=(path, key, budget, tries, out)) for _ in range(processes)]
    start = time.perf_counter()
    for racer in racers:
        racer.start()
    granted = sum(out.get() for _ in racers)
    for racer in racers:
        racer.join()
    return {"race_slots": slots, "race_granted": granted, "race_s": time.perf_counter() - start}


def main() -> None:
    """Measure, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--url")
    arguments = parser.parse_args()
    figures: dict[str, float] = {"price_first_ms": 1e3 * timed(lambda: price(PLAN, "1e-9"))}
    with tempfile.TemporaryDirectory() as name:
        places = Places(Path(name), arguments.url)
        places.forget()
        try:
            figures |= appends(places, 500)
            figures |= long_chain(places, arguments.entries)
            figures |= race(places)
        finally:
            places.forget()
    figures |= {"load_1_minute": os.getloadavg()[0]}
    for key, value in figures.items():
        print(f"{key:34} {value:12.3f}" if isinstance(value, float) else f"{key:34} {value:12d}")
    if arguments.json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.system()}
        arguments.json.write_text(
            json.dumps({"schema": "dpsynth.benchmark/1", "machine": machine, **figures}, indent=1)
        )


if __name__ == "__main__":
    main()
