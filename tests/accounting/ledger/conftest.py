"""Small ledgers, and a forger who holds the key and signs what the ledger would refuse."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounting import EventTree, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer
from accounting.ledger.entry import Entry, Head, Kind, seal, stamp
from accounting.ledger.slice import make_slice
from tests.postgresql import Server

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}


def _plan(count: int = 1) -> EventTree:
    """`count` randomized responses of epsilon 0.1: priced at 0.1 each."""
    return EventTree(events=(PureDP(epsilon="0.1", count=count),), **TERMS)


def _grant(ledger: Ledger, epsilon: str = "1", *, commitment: str = "data-1", delta: str = "1e-6") -> str:
    return ledger.create_budget(dataset=commitment, commitment=commitment, epsilon=epsilon, delta=delta, **TERMS)


def _reserve(ledger: Ledger, budget: str, count: int = 1) -> Any:
    return ledger.reserve(budget, _plan(count), delta="1e-9", run_id="run", purpose="test")


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate()


STORES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that uses a ledger runs on both stores, but for those that ask for the `path` of a file."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", STORES[:1] if "path" in metafunc.fixturenames else STORES, indirect=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Server | None:
    """The server that the test's ledgers lie on; None for files."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql")


@pytest.fixture
def location(store: Server | None, tmp_path: Path) -> Iterator[Path | str]:
    """Where a ledger can be made: a path, or the URL of a new schema."""
    if store is None:
        yield tmp_path / "ledger.db"
        return
    url = store.fresh()
    yield url
    store.drop(url)


@pytest.fixture
def ledger(location: Path | str, signer: Signer) -> Iterator[Ledger]:
    with Ledger.create(location, signer=signer) as opened:
        yield opened


@pytest.fixture
def terms() -> dict[str, Any]:
    return dict(TERMS)


@pytest.fixture
def plan() -> Callable[..., EventTree]:
    return _plan


@pytest.fixture
def grant() -> Callable[..., str]:
    return _grant


@pytest.fixture
def reserve() -> Callable[..., Any]:
    return _reserve


class Forger:
    """Re-signs chains with a key of its own choice; `entries` starts as a copy of a genuine chain."""

    def __init__(self, entries: list[Entry], signer: Signer) -> None:
        self.entries, self.signer = list(entries), signer

    def add(self, kind: str, **fields: Any) -> None:
        """A correctly chained and signed entry, whatever it says."""
        body = stamp(Kind.POLICY, fields) | {"kind": kind}
        self._seal(body)

    def rewrite(self, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Change any bodies, then chain and sign all of them anew."""
        bodies = [copy.deepcopy(dict(entry.body)) for entry in self.entries]
        change(bodies)
        self.entries = []
        for body in bodies:
            self._seal(body)

    def _seal(self, body: dict[str, Any]) -> None:
        """Under the tag of the root, as the ledger does."""
        head = Head(self.entries[-1].seq, self.entries[-1].hash) if self.entries else None
        roots = {}
        for known in [*(entry.body for entry in self.entries), body]:
            if known["kind"] in ("budget.create", "budget.child"):
                parent = known.get("parent", known["budget_id"])
                roots[known["budget_id"]] = roots.get(parent, parent)
        family = roots.get(body.get("budget_id"))
        self.entries.append(Entry.from_row(seal(body, head, self.signer, family=family), body))

    def slice(self, budget: str) -> dict[str, Any]:
        """What this forger would hand out."""
        genesis = self.entries[0].body
        made = make_slice(self.entries, genesis["ledger_id"], bytes.fromhex(genesis["public_key"]), budget)
        return json.loads(json.dumps(made))


@pytest.fixture
def forger() -> type[Forger]:
    return Forger


class Zygote:
    """A warm process that forks workers, so that killing a hundred of them takes seconds."""

    def __init__(self) -> None:
        worker = Path(__file__).with_name("worker.py")
        self._process = subprocess.Popen(
            [sys.executable, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **command: Any) -> int:
        """Start a task: its pid. `task="wait"`: number of workers that failed."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    warm = Zygote()
    yield warm
    warm.close()
