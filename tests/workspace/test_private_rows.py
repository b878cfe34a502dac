"""Every way we know around the reservation, and the one way in: a fresh capability of the ledger that is asked.

What no test can show, because it is not so: that Python keeps code in the same process from opening the file itself.
"""

from __future__ import annotations

import ast
import copy
import os
import pickle
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from accounting import EventTree, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer
from accounting.ledger.capability import ReadCapability
from accounting.ledger.errors import CapabilityRefused, ReservationRefused
from dpsynth.workspace import Workspace
from dpsynth.workspace.private.room import PrivateRows, open_source
from dpsynth.workspace.registry.datasets import DatasetRecord

ROOT = Path(__file__).resolve().parents[2]


def _plan(ledger: Ledger, budget: str, epsilon: str = "0.1") -> EventTree:
    of = ledger.budget(budget)
    unit = PrivacyUnit.from_json(of.unit)
    return EventTree(events=(PureDP(epsilon=epsilon),), relation=NeighboringRelation(of.relation), unit=unit)


class World:
    """Two registered tables with budgets, the first one opened, and runs on them."""

    def __init__(self, folder: Path) -> None:
        self.ws = Workspace.init(folder / "vault")
        self.records = [self._register(folder, name) for name in ("left", "right")]
        self.rows: PrivateRows = open_source(self.ws, self.records[0], schema=None).rows
        self.ledger = self.ws.ledger(write=True)

    def _register(self, folder: Path, name: str) -> DatasetRecord:
        path = folder / f"{name}.csv"
        pd.DataFrame({"a": [f"{name[0]}{i % 3}" for i in range(300)], "b": [i % 7 for i in range(300)]}).to_csv(
            path, index=False
        )
        record = self.ws.register(path)
        self.ws.create_budget(record, epsilon=3, delta="1e-5")
        return record

    def reserve(self, which: int = 0, epsilon: str = "0.1") -> Any:
        budget = self.ws.budget_id(self.ledger, self.records[which])
        plan = _plan(self.ledger, budget, epsilon)
        return self.ledger.reserve(budget, plan, delta="1e-9", run_id="run", purpose="test")

    def capability(self, run: Any) -> ReadCapability:
        return self.ledger.check_token(run.id, run.token)

    def fit(self, capability: Any, run: Any, ledger: Any = None) -> Any:
        return self.rows.to_fit(ledger or self.ledger, capability, run.plan, bound_key=bytes(32))

    def count(self, capability: Any, run: Any, ledger: Any = None) -> Any:
        return self.rows.to_count(ledger or self.ledger, capability, run.plan)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_live_reservation_opens_both_parts_for_a_figure_once_and_never_also_a_fit(world: World) -> None:
    run = world.reserve()
    capability = world.capability(run)
    parts = world.count(capability, run)
    assert parts.train.unsafe_num_rows + parts.holdout.unsafe_num_rows == 300
    for again in (world.count, world.fit):
        with pytest.raises(CapabilityRefused, match="used before"):
            again(capability, run)


def test_a_live_reservation_opens_the_training_rows_once(world: World) -> None:
    run = world.reserve()
    capability = world.capability(run)
    assert set(world.fit(capability, run).columns) == {"a", "b"}
    with pytest.raises(CapabilityRefused, match="used before"):
        world.fit(capability, run)


def _of_another_budget(w: World) -> tuple[Any, Any]:
    run = w.reserve(1)
    return w.capability(run), run


def _of_another_plan(w: World) -> tuple[Any, Any]:
    return w.capability(w.reserve(0, "0.1")), w.reserve(0, "0.2")


def _copied(w: World) -> tuple[Any, Any]:
    run = w.reserve()
    real = w.capability(run)
    fake = object.__new__(ReadCapability)
    for name in ReadCapability.__slots__:
        object.__setattr__(fake, name, getattr(real, name))
    return fake, run


def _of_another_ledger_object(w: World) -> tuple[Any, Any]:
    run = w.reserve()
    with w.ws.ledger(write=True) as other:
        return other.check_token(run.id, run.token), run


def _look_alike(w: World) -> tuple[Any, Any]:
    run = w.reserve()
    real = w.capability(run)

    class Capability:
        reservation_id, budget_id = real.reservation_id, real.budget_id
        commitment, plan_digest = real.commitment, real.plan_digest

    return Capability(), run


BYPASSES: dict[str, tuple[Callable[[World], tuple[Any, Any]], str]] = {
    "a token of another budget": (_of_another_budget, "another data set"),
    "a reservation of a smaller plan": (_of_another_plan, "another plan"),
    "a capability copied by hand": (_copied, "not handed out"),
    "a capability of another ledger object": (_of_another_ledger_object, "not handed out"),
    "an object that looks like one": (_look_alike, "not handed out"),
    "no capability": (lambda w: (None, w.reserve()), "not handed out"),
    "a reservation in its place": (lambda w: (r := w.reserve(), r), "not handed out"),
}


@pytest.mark.parametrize("door", ["fit", "count"])
@pytest.mark.parametrize(("made", "said"), BYPASSES.values(), ids=BYPASSES.keys())
def test_a_bypass_opens_nothing(world: World, made: Callable[[World], tuple[Any, Any]], said: str, door: str) -> None:
    capability, run = made(world)
    with pytest.raises(CapabilityRefused, match=said):
        getattr(world, door)(capability, run)


def test_a_token_is_worth_one_capability(world: World) -> None:
    run = world.reserve()
    world.capability(run)
    with pytest.raises(ReservationRefused, match="used already"):
        world.capability(run)
    other = world.reserve()
    with pytest.raises(ReservationRefused, match="does not belong"):
        world.ledger.check_token(other.id, run.token)


@pytest.mark.parametrize("end", ["abort", "expire", "commit"])
def test_a_closed_reservation_opens_nothing(world: World, end: str) -> None:
    run = world.reserve()
    capability = world.capability(run)
    if end == "abort":
        world.ledger.abort(run.id, "gave up", data_was_read=True)
    elif end == "expire":
        world.ledger.expire(run.id, "gave up")
    else:
        world.ledger.commit(run.id, run.plan)
    with pytest.raises(ReservationRefused, match="closed"):
        world.fit(capability, run)


def test_a_capability_is_made_by_a_ledger_alone_and_never_multiplied(world: World) -> None:
    with pytest.raises(CapabilityRefused, match="Only a ledger"):
        ReadCapability(reservation_id="r", budget_id="b", commitment="c", plan_digest="d")
    run = world.reserve()
    capability = world.capability(run)
    for multiply in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            multiply(capability)
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            multiply(world.rows)
    with pytest.raises(CapabilityRefused, match="not changed"):
        capability.commitment = "other"
    with pytest.raises(TypeError, match="no subclasses"):
        type("Mine", (ReadCapability,), {})
    assert world.records[0].commitment not in repr(capability) and "run" in repr(capability)


def test_a_ledger_of_ones_own_vouches_for_nothing(world: World, tmp_path: Path) -> None:
    run = world.reserve()

    class Yes:
        def redeem(self, *args: Any, **kwargs: Any) -> None:
            del args, kwargs

    with pytest.raises(CapabilityRefused, match="Only a Ledger"):
        world.fit(world.capability(run), run, Yes())
    own = Ledger.create(tmp_path / "own.db", signer=Signer.generate())
    with own, pytest.raises(CapabilityRefused, match="not the ledger"):
        world.fit(None, run, own)


def test_a_real_ledger_with_a_budget_of_ones_own_on_the_same_data_opens_nothing(world: World, tmp_path: Path) -> None:
    """Everything in it is genuine, but it is not where this workspace's data has its budget."""
    granted = world.ledger.budget(world.ws.budget_id(world.ledger, world.records[0]))
    unit, relation = PrivacyUnit.from_json(granted.unit), NeighboringRelation(granted.relation)
    with Ledger.create(tmp_path / "own.db", signer=Signer.generate()) as own:
        budget = own.create_budget(
            dataset="mine", commitment=granted.commitment, unit=unit, relation=relation, epsilon=1000, delta="1e-5"
        )
        run = own.reserve(budget, _plan(own, budget), delta="1e-9", run_id="run", purpose="test")
        with pytest.raises(CapabilityRefused, match="not the ledger"):
            world.fit(own.check_token(run.id, run.token), run, own)
        own.commit(run.id, run.plan)
        with pytest.raises(CapabilityRefused, match="not the ledger"):
            world.rows.to_compare(own, budget, run.id)


def test_parts_are_opened_again_for_the_token_that_opened_them_and_for_its_plan_alone(world: World) -> None:
    run, other, unread = world.reserve(), world.reserve(0, "0.2"), world.reserve()
    world.count(world.capability(run), run)
    again = world.rows.to_recount(world.ledger, run.id, run.token, run.plan)
    assert again.train.unsafe_num_rows + again.holdout.unsafe_num_rows == 300
    with pytest.raises(ReservationRefused):
        world.rows.to_recount(world.ledger, unread.id, unread.token, unread.plan)
    with pytest.raises(ReservationRefused):
        world.rows.to_recount(world.ledger, run.id, other.token, run.plan)
    with pytest.raises(CapabilityRefused, match="another plan"):
        world.rows.to_recount(world.ledger, run.id, run.token, other.plan)
    world.ledger.commit(run.id, run.plan)
    with pytest.raises(ReservationRefused):
        world.rows.to_recount(world.ledger, run.id, run.token, run.plan)


def _race(times: int, step: Callable[[], object]) -> int:
    """How many of as many threads got through."""
    start, won = threading.Barrier(times), []

    def one() -> None:
        start.wait()
        try:
            won.append(step())
        except ReservationRefused:
            return

    threads = [threading.Thread(target=one) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(won)


def test_of_many_threads_with_one_capability_exactly_one_wins(world: World) -> None:
    for _ in range(20):
        run = world.reserve(epsilon="0.01")
        capability = world.capability(run)
        assert _race(4, partial(world.fit, capability, run)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_use_its_parents_capability(world: World) -> None:
    run = world.reserve()
    capability = world.capability(run)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            world.fit(capability, run)
        except CapabilityRefused:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert set(world.fit(capability, run).columns) == {"a", "b"}


def test_of_two_threads_with_one_token_exactly_one_wins(world: World) -> None:
    assert _race(2, partial(world.capability, world.reserve())) == 1


def test_real_rows_are_compared_with_paid_drafts_alone(world: World) -> None:
    run, other = world.reserve(), world.reserve(1)
    for reservation in (run, other):
        with pytest.raises(CapabilityRefused, match="no commit"):
            world.rows.to_compare(world.ledger, reservation.budget_id, reservation.id)
    world.ledger.commit(other.id, other.plan)
    with pytest.raises(CapabilityRefused, match="no commit"):  # paid for, but not for this data
        world.rows.to_compare(world.ledger, other.budget_id, other.id)
    world.ledger.commit(run.id, run.plan)
    assert set(world.rows.to_compare(world.ledger, run.budget_id, run.id).holdout.columns) == {"a", "b"}


# Which modules of dpsynth may name what opens rows, and why. Anything else is a new way around the reservation.
ROOMS: dict[str, dict[str, str]] = {
    "open_source": {
        "workspace/private/room.py": "the room itself",
        "workspace/runs/synthesis.py": "a fit, behind a capability",
        "workspace/draft.py": "attacks and quality, behind a commit",
        "workspace/figures/figure.py": "a noisy histogram, behind a capability",
        "workspace/runs/unprotected.py": "a baseline, behind an entry that says so",
        "comparison/private.py": "a sweep whose runs reserve one by one",
        "workspace/figures/comparators.py": "private models, behind a capability",
    },
    "to_fit_unprotected": {
        "workspace/private/room.py": "the door",
        "workspace/runs/unprotected.py": "the baseline's fit",
    },
    "to_fit": {
        "workspace/private/room.py": "the door",
        "workspace/runs/synthesis.py": "the fit",
        "workspace/figures/comparators.py": "private models, charged as diffprivlib counts them",
    },
    "to_count": {
        "workspace/private/room.py": "the door",
        "workspace/figures/figure.py": "a histogram that noise is added to",
    },
    "to_recount": {
        "workspace/private/room.py": "the door",
        "workspace/figures/figure.py": "the same, after an interruption",
    },
    "units_by_class": {"data/engines/likeness.py": "itself", "workspace/figures/copies.py": "counts behind `to_count`"},
    "to_compare": {"workspace/private/room.py": "the door", "workspace/draft.py": "figures that stay confidential"},
    "to_draw": {
        "workspace/private/room.py": "the door",
        "workspace/runs/synthesis.py": "targets of a table in an engine, once",
    },
    "to_keep": {"workspace/private/room.py": "the door", "workspace/runs/synthesis.py": "the same, encrypted"},
    "sealed_source": {
        "workspace/private/room.py": "the room itself",
        "workspace/draft.py": "attacks and quality of targets",
    },
    "sampled": {"data/engines/rows.py": "itself", "workspace/private/room.py": "targets, behind their door"},
    "_parts": {"workspace/private/room.py": "the rows"},
    "fit_model": {
        "pipeline.py": "itself",
        "workspace/runs/synthesis.py": "on rows that a capability opened",
        "workspace/runs/public.py": "on data declared public",
        "workspace/runs/procedure.py": "an audit of a generator on anybody's rows: a report, no release",
    },
    "prepare": {
        "schema/checks.py": "itself",
        "workspace/private/room.py": "the room",
        "workspace/runs/public.py": "data declared public",
        "comparison/source.py": "data declared public, for a sweep",
        "workspace/runs/baselines.py": "data declared public, for a baseline",
        "cli/commands/data.py": "schema draft: names and types, warnings for the operator",
    },
    "read": {
        "data/read.py": "itself",
        "__init__.py": "dp.read, for people",
        "schema/checks.py": "prepare",
        "workspace/registry/datasets.py": "register: column names",
        "tabular/records/public_prior.py": "a prior that is declared public",
        "cli/commands/tables.py": "audit and evaluate on anybody's data: reports, no release",
        "cli/commands/texts.py": "audit of anybody's texts: a report, no release",
    },
}


MODULE = {
    "read": "dpsynth.data.read",
    "prepare": "dpsynth.schema.checks",
    "fit_model": "dpsynth.pipeline",
    "sampled": "dpsynth.data.engines.rows",
    "units_by_class": "dpsynth.data.engines.likeness",
}


@cache
def _mentions(path: Path) -> frozenset[str]:
    """Everything that a module imports, touches as an attribute, defines on top or names in a string."""
    tree = ast.parse(path.read_text("utf-8"))
    found: set[str] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(f".{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(found)


@pytest.mark.parametrize("reader", ROOMS)
def test_no_other_module_opens_private_rows(reader: str) -> None:
    package = ROOT / "dpsynth"
    home = MODULE.get(reader, "dpsynth.workspace.private.room")
    names = {home, f"{home}.{reader}"} if reader in MODULE else {f"{home}.{reader}", f".{reader}"}
    own = ROOT / (home.replace(".", "/") + ".py")
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if path == own or names & _mentions(path)}
    assert found == set(ROOMS[reader])


@pytest.mark.parametrize("reader", ["dpsynth.data.csv_source", "dpsynth.data.parquet_source"])
def test_readers_of_files_are_used_behind_the_reader_of_tables(reader: str) -> None:
    users = {
        str(path.relative_to(ROOT / "dpsynth"))
        for path in (ROOT / "dpsynth").rglob("*.py")
        if any(name.startswith(reader) for name in _mentions(path))
    }
    assert users == {"data/read.py"}


def test_only_the_room_asks_a_workspace_for_the_file_of_a_data_set() -> None:
    """`workspace.load(record)` is where a registered file is; `.load` of anything else is not meant."""
    package = ROOT / "dpsynth"
    callers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "load"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("workspace", "ws", "self")
    }
    assert callers == {"workspace/private/room.py"}


def test_only_registering_the_room_and_a_schema_connect_to_an_engine() -> None:
    """`Place.open`, `SourceURL.open` and `places.source_at` are called nowhere else."""
    package = ROOT / "dpsynth"
    asked = {"record.place.open", "(session or self.source).open", "located(source, table).open", "source_at"}
    callers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in asked
    }
    assert callers == {"workspace/registry/places.py", "workspace/registry/registering.py", "cli/commands/data.py"}
