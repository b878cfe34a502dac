"""Bought figures of rows in an engine: the counts of a table in memory, the event that was reserved, measured once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from copy import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accounting.event import EventTree
from accounting.ledger.entry import Kind
from accounting.ledger.records import Status
from dpsynth import verify
from dpsynth.core.errors import DataError, DpsynthError, SourceError, WorkspaceError
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_laplace import sample_discrete_laplace
from dpsynth.quality.published.cells import cells_of
from dpsynth.schema.domain import GridDomain
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.figures import figure as door
from dpsynth.workspace.figures.copies import histogram
from dpsynth.workspace.private.room import HOLDOUT_SHARE
from dpsynth.workspace.runs.interrupted import SealedRun
from dpsynth.workspace.runs.resampling import model_of
from tests.data.engines.test_postgresql import write
from tests.spark_cluster import why_not
from tests.workspace.governed import Governed

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.keyed import bounded, split
from dpsynth.data.engines.protocol import EngineLost, SourceChanged, UnsupportedByEngine
from dpsynth.data.engines.sources.urls import parse
from dpsynth.data.engines.warehouse import EngineTable

KEY = bytes(range(32))
K = 2
UNIT, RECORD = {"unit": "who", "max_per_unit": K}, {"row_key": "id"}
SPARK = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def people(rows: int = 900, seed: int = 0) -> pa.Table:
    """People of one to five rows; cells are missing, doubles have decimals, one value in many is in one row alone."""
    rng = np.random.default_rng(seed)
    town = [None if at % 11 == 0 else f"täwn {n}" for at, n in enumerate(rng.geometric(0.2, rows))]
    return pa.table(
        {
            "id": pa.array(np.arange(rows)),
            "who": pa.array([f"patient {n}" for n in rng.integers(0, rows // 3, rows)]),
            "sex": pa.array(rng.choice(["f", "m"], rows)),
            "town": pa.array(town, pa.string()),
            "age": pa.array(rng.integers(0, 90, rows), mask=rng.random(rows) < 0.05),
            "dose": pa.array(np.round(rng.normal(20, 9, rows), 1)),
            "ill": pa.array(rng.random(rows) < 0.3),
            "day": pa.array((np.datetime64("2024-01-01") + rng.integers(0, 366, rows)).astype("datetime64[D]")),
        }
    )


class Place:
    """Rows in an engine and the same rows in memory; a workspace with a draft of them."""

    def __init__(self, home: Path, engine: str, server: Any, said: dict[str, Any], since: str | None = None) -> None:
        self.rows, self.home, self.engine, self.since = people(), home, engine, since
        self.ws = Workspace.init(home / "vault")
        aside = {} if since is None else {"time": "day", "since": since}
        self.record = self.ws.register(*self.write(server), **self.named, **said, **aside)
        self.ws.create_budget(self.record, epsilon=9, delta="1e-5")
        self.draft = self.ws.synthesize(
            self.record, "independent", epsilon=2, delta="1e-6", target="sex", canaries=10, rows=300
        )

    def write(self, server: Any) -> tuple[str, ...]:
        """The arguments that name the place."""
        if self.engine == "postgresql":
            name = f"figures_{self.home.name.replace('-', '_').lower()}"
            self.named = {"table": f"public.{name}"}
            write(server, self.rows, name)
            return (server.url,)
        folder = self.home / "claims"
        folder.mkdir()
        half = self.rows.num_rows // 2
        pq.write_table(self.rows.slice(0, half), folder / "1.parquet")
        pq.write_table(self.rows.slice(half), folder / "2.parquet")
        if self.engine == "spark":
            server.catalog.createTable("figures", path=str(folder), source="parquet")
            self.named = {"table": "figures"}
            return ("local[2]",)
        self.named = {}
        return (str(folder),)

    def parts(self) -> tuple[Table, Table]:
        """Train and holdout of the table in memory, by the law of `engines.keyed`."""
        identity = self.record.unit.column or "id"
        key, rows = self.ws.secret(f"split/{self.record.commitment}"), self.rows
        if self.since is not None:  # later rows are in no figure
            rows = rows.filter(pa.array(rows["day"].to_numpy() < np.datetime64(self.since)))
        return split(Table.from_arrow(rows), identity, holdout_share=HOLDOUT_SHARE, key=key)

    def counted(self, statistic: str) -> np.ndarray:
        """The exact counts, in memory."""
        (train, holdout), unit = self.parts(), self.record.unit.column
        released = Table.from_arrow(self.draft.rows())
        if statistic == "copies":
            sides = {"train": train, "holdout": holdout}
            return histogram(sides, released, model_of(self.draft).model.domains, unit=unit)
        if unit is not None:
            train = bounded(train, unit, K, self.ws.secret(f"bound/{self.draft.document.reservation_id}"))
        cells = cells_of(released, target="sex", leave_out=() if unit is None else (unit,))
        return cells.count(train)

    def entries(self) -> list[Any]:
        with self.ws.ledger() as ledger:
            return list(ledger.entries(self.draft.document.budget_id))

    def figures(self) -> list[Any]:
        with self.ws.ledger() as ledger:
            return [run for run in ledger.reservations(self.draft.document.budget_id) if run.purpose == "figures"]


@pytest.fixture(autouse=True)
def same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run draws the same words."""
    begin = SealedRun.begin

    def known(self: SealedRun, *asked: Any) -> None:
        begin(self, *asked)
        self._facts["noise"] = KEY.hex()
        self._write(b"")

    monkeypatch.setattr(SealedRun, "begin", known)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    import pyspark

    session = (
        pyspark.sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("figures"), "duckdb", None, UNIT)


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy of the workspace; the files are the same."""
    own = copy(made)
    own.ws = Workspace.open(shutil.copytree(made.ws.layout.root, tmp_path / "vault"))
    own.draft = own.ws.draft(made.draft.name)
    return own


def equal_to_memory(place: Place) -> None:
    """Counts and noise of both figures are those of the table in memory, to the integer."""
    changed = {"copies": 1}
    for statistic in ("copies", "marginals"):
        figure = place.draft.buy_figure(statistic, epsilon="0.5")
        commit, reserve = (
            next(e for e in reversed(place.entries()) if e.kind is kind) for kind in (Kind.COMMIT, Kind.RESERVE)
        )
        tree = EventTree.from_json(commit.body["events"])
        assert tree == EventTree.from_json(reserve.body["plan"])
        (event,) = tree.events
        columns = len(getattr(figure, "marginals", ()))
        k = 1 if statistic == "copies" else place.record.unit.max_records * columns
        assert (event.l1_sensitivity, event.scale, event.noise) == (k, Decimal(2 * k), "exact")
        exact = place.counted(statistic)
        noise = sample_discrete_laplace(exact.size, scale=event.scale, noise=ReplayedNoise(KEY))
        assert list(figure.counts) == (exact + noise).tolist(), statistic
        assert exact.sum() > 0 and figure.commit == commit.hash
        changed[statistic] = k
    assert changed["marginals"] > 1
    assert not list((place.ws.layout.root / "interrupted").iterdir())


@pytest.mark.parametrize(
    ("engine", "said", "since"),
    [("duckdb", UNIT, None), ("duckdb", RECORD, "2024-10-01"), ("postgresql", UNIT, None)],
    ids=["files by unit", "files by record, cut by time", "server"],
)
def test_counts_noise_and_event_are_those_of_a_table_in_memory(
    tmp_path: Path, postgresql: Any, engine: str, said: dict[str, Any], since: str | None
) -> None:
    equal_to_memory(Place(tmp_path, engine, postgresql, said, since))


@pytest.mark.spark
@pytest.mark.slow
@SPARK
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_on_spark_too(tmp_path: Path, spark: Any) -> None:
    equal_to_memory(Place(tmp_path, "spark", spark, UNIT))


def test_counted_are_all_rows_and_not_the_sample_that_is_sealed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpsynth.workspace.private.room.sealed_source", lambda *_: pytest.fail("the sample was opened"))
    seen: list[Any] = []
    monkeypatch.setattr(
        "dpsynth.workspace.figures.copies.units_by_class", lambda table, *_: seen.append(table) or np.array([0, 0, 1])
    )
    place.draft.buy_figure("copies", epsilon="0.5")
    assert len(seen) == 2 and all(isinstance(table, EngineTable) for table in seen)


@contextmanager
def changed(place: Place) -> Iterator[None]:
    """A file is exchanged, and put back with its time."""
    path, away = place.home / "claims" / "1.parquet", place.home / "away.parquet"
    shutil.copy2(path, away)
    pq.write_table(people(seed=1), path)
    try:
        yield
    finally:
        shutil.copy2(away, path)


def test_nothing_is_counted_on_other_rows_than_were_fitted_until_they_are_put_back(place: Place) -> None:
    before = len(place.entries())
    with (
        changed(place),
        pytest.raises(SourceChanged, match=r"other rows than when the draft was made.*Nothing was reserved"),
    ):
        place.draft.buy_figure("marginals", epsilon="0.5")
    assert len(place.entries()) == before
    assert place.draft.buy_figure("marginals", epsilon="0.5").commit


def test_rows_that_another_column_tells_apart_are_other_parts(tmp_path: Path) -> None:
    kinds = {"sex": "categorical", "town": "categorical", "age": "integer", "dose": "float", "ill": "boolean"}
    known: dict[str, Any] = {name: {"kind": kind} for name, kind in kinds.items()} | {"day": {"kind": "date"}}
    known |= {"id": {"kind": "integer", "role": "identifier"}, "who": {"kind": "categorical", "role": "identifier"}}
    (tmp_path / "s.yaml").write_text(json.dumps({"version": 1, "columns": known}))
    place = Place(tmp_path, "duckdb", None, {"row_key": None, "schema": tmp_path / "s.yaml"})
    assert place.draft.buy_figure("copies", epsilon="0.1").commit
    place.ws.register(place.home / "claims", row_key="id", schema=tmp_path / "s.yaml")
    before = len(place.entries())
    with pytest.raises(SourceChanged, match="another column tells them apart"):
        Draft.load(place.ws, place.draft.name).buy_figure("copies", epsilon="0.1")
    assert len(place.entries()) == before


def test_a_draft_whose_rows_nobody_kept_a_version_of_is_refused(place: Place) -> None:
    for path in place.ws.layout.drafts.glob(f"{place.draft.name}-moment*"):
        path.unlink()
    with pytest.raises(WorkspaceError, match="was not kept"):
        place.draft.buy_figure(epsilon="0.5")
    assert not place.figures()


def test_what_the_engine_cannot_count_is_refused_by_name_before_anything_is_reserved(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        size = 3

        def encode(self, values: Any) -> np.ndarray:
            return np.zeros(len(values), dtype=np.int64)

    before, made = len(place.entries()), model_of(place.draft).model
    domains = {**made.domains, "age": Odd()}
    monkeypatch.setattr(
        "dpsynth.workspace.runs.resampling.model_of",
        lambda _: type("S", (), {"model": type("M", (), {"domains": domains})}),
    )
    with pytest.raises(UnsupportedByEngine, match="codec Odd of column 'age'"):
        place.draft.buy_figure("copies", epsilon="0.5")
    assert len(place.entries()) == before
    rows = place.draft.rows()
    words = rows.set_column(rows.column_names.index("age"), "age", pa.array(["9"] * len(rows)))
    monkeypatch.setattr(
        "dpsynth.workspace.figures.marginals.cells_of", lambda _, **said: cells_of(Table.from_arrow(words), **said)
    )
    with pytest.raises(DataError, match="Column 'age' is integer in one table and string in the other"):
        place.draft.buy_figure("marginals", epsilon="0.5")
    assert len(place.entries()) == before


# --- an engine that goes away -----------------------------------------------------------------------------------------


def lost(statistic: str, patch: pytest.MonkeyPatch) -> None:
    """The engine goes away at the statement that counts."""
    name = "copies.units_by_class" if statistic == "copies" else "marginals.bounded"

    def gone(*_: Any) -> Any:
        raise EngineLost("It went away.", "Wait.")

    patch.setattr(f"dpsynth.workspace.figures.{name}", gone)


@pytest.mark.parametrize("statistic", ["copies", "marginals"])
def test_an_engine_that_is_lost_leaves_a_figure_that_goes_on_once(place: Place, statistic: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lost(statistic, patch)
        with pytest.raises(EngineLost, match="ask for the same, and it goes on: the reservation"):
            place.draft.buy_figure(statistic, epsilon="0.5")
    (stands,) = place.figures()
    assert stands.status is Status.OPEN and stands.accessed
    before = place.ws.balance(place.record).epsilon
    figure = Draft.load(Workspace.open(place.ws.layout.root), place.draft.name).buy_figure(statistic, epsilon="0.5")
    (run,) = place.figures()
    assert run.reservation_id == stands.reservation_id and run.status is Status.COMMITTED
    kinds = [entry.kind for entry in place.entries() if entry.body.get("reservation_id") == run.reservation_id]
    assert sorted(kinds) == sorted([Kind.RESERVE, Kind.ACCESS, Kind.COMMIT])
    exact = place.counted(statistic)
    assert (
        list(figure.counts)
        == (exact + sample_discrete_laplace(exact.size, scale=figure.scale, noise=ReplayedNoise(KEY))).tolist()
    )
    after = place.ws.balance(place.record).epsilon
    assert after.left == before.left and before.reserved and not after.reserved
    assert not list((place.ws.layout.root / "interrupted").iterdir())


def test_what_was_measured_before_the_commit_failed_is_read_and_not_counted_again(place: Place) -> None:
    from accounting.ledger.ledger import Ledger

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "commit", lambda *_, **__: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            place.draft.buy_figure("marginals", epsilon="0.5")
    kept = list((place.ws.layout.root / "interrupted").glob("*.measured/*"))
    assert len(kept) == 1 and b"int64" not in kept[0].read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "discrete_laplace", lambda *_, **__: pytest.fail("measured twice"))
        figure = place.draft.buy_figure("marginals", epsilon="0.5")
    exact = place.counted("marginals")
    assert np.abs(np.array(figure.counts) - exact).mean() < 10 * float(figure.scale)
    assert len(place.figures()) == 1


def test_another_price_other_rows_and_a_closed_reservation_do_not_go_on(place: Place) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lost("marginals", patch)
        with pytest.raises(SourceError):
            place.draft.buy_figure("marginals", epsilon="0.5")
    place.draft.buy_figure("marginals", epsilon="0.25")
    assert [run.status for run in place.figures()] == [Status.OPEN, Status.COMMITTED]
    with changed(place), pytest.raises(SourceChanged):
        place.draft.buy_figure("marginals", epsilon="0.5")
    with place.ws.ledger(write=True) as ledger:
        ledger.expire(place.figures()[0].reservation_id, "gave up")
    place.draft.buy_figure("marginals", epsilon="0.5")
    assert [run.status for run in place.figures()] == [Status.FORFEITED, Status.COMMITTED, Status.COMMITTED]
    assert not list((place.ws.layout.root / "interrupted").iterdir())


def test_a_count_that_the_rows_break_is_paid_for_and_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpsynth.workspace.figures.copies.units_by_class", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        place.draft.buy_figure(epsilon="0.5")
    (run,) = place.figures()
    assert run.status is Status.FORFEITED and place.entries()[-1].body["data_was_read"] is True
    assert not list((place.ws.layout.root / "interrupted").iterdir())


def test_a_person_who_stops_it_finds_it_again(place: Place) -> None:
    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dpsynth.workspace.figures.copies.units_by_class", stop)
        with pytest.raises(DpsynthError, match="Ask for the same and it goes on"):
            place.draft.buy_figure(epsilon="0.5")
    place.draft.buy_figure(epsilon="0.5")
    assert [run.status for run in place.figures()] == [Status.COMMITTED]


# --- the release ------------------------------------------------------------------------------------------------------


def test_a_bundle_with_bought_quality_of_an_engine_verifies(place: Place, tmp_path: Path) -> None:
    """`verify` prices the event again and compares ledger and evidence; distances follow from the counts."""
    judged = Governed(workspace=place.ws, name=place.draft.name, people=tmp_path)
    judged.attack()
    judged.evaluate()
    assert judged.draft.gate().decision == "ship"
    released = judged.draft.release(tmp_path / "bundle", publish_quality="0.5")
    (figure,) = released.document("evidence.json")["figures"]
    assert (figure["statistic"], figure["marginals"][0]) == ("marginals", ["id"])
    found = verify(released.bundle, released.public_key)
    assert found.ok and any("table of how near the fitted rows are" in note for note in found.warnings)


@pytest.mark.parametrize("unit", ["who", None])
@pytest.mark.parametrize(("columns", "joins"), [(1, 17), (2, 17), (4, 17), (4, 2), (4, 5), (2, 1)])
def test_people_are_classed_as_in_memory_by_the_most_alike_of_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, joins: int, unit: str
) -> None:
    """Small worlds, in one statement and several: each class is frequent, people have rows, both sides lack cells."""
    monkeypatch.setattr("dpsynth.data.engines.likeness.JOINS", joins)
    rng = np.random.default_rng(columns)
    names = [f"x{at}" for at in range(columns)]
    cells = {name: pa.array(rng.integers(0, 5, 200), mask=rng.random(200) < 0.1) for name in names}
    rows = pa.table({"who": pa.array(rng.integers(0, 60, 200)), **cells})
    pq.write_table(rows, tmp_path / "rows.parquet")
    few = max(5**columns // 25, 2)
    shown = {name: pa.array(rng.integers(0, 6, few), mask=rng.random(few) < 0.2) for name in names}
    released = Table.from_arrow(pa.table(shown))
    domains = {name: GridDomain(kind="integer", low=0, high=5) for name in names}
    table = parse(str(tmp_path / "*.parquet")).open()
    with closing(table.engine):
        memory = Table.from_arrow(rows)
        there, here = (
            histogram({"train": one, "holdout": one}, released, domains, unit=unit) for one in (table, memory)
        )
    assert there.tolist() == here.tolist() and (here[:3] > 0).sum() == min(columns + 1, 3)
