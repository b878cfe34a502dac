"""Spark on a master and two workers of its own, whose executors are killed."""

from __future__ import annotations

import itertools
import shutil
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError, SourceError
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.engines.protocol import EngineLost
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.release.formats import encode_parquet
from dpsynth.schema.domain import CategoryDomain
from dpsynth.tabular import generator
from dpsynth.workspace import Workspace
from tests.conformance.engine import EngineConformance
from tests.conformance.tables import MIXED, RECORD, mixed_table
from tests.spark_cluster import OPTIONS, WORKERS, kill, running, why_not
from tests.workspace.test_engine_failures import ASKED, after, model_of, people, same_noise, spent_once  # noqa: F401

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def engine(cluster):
    from dpsynth.data.engines.spark.engine import Spark

    engine = Spark(cluster.url, OPTIONS)
    cluster.ready(engine.session)
    yield engine
    engine.session.stop()


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    numbers = itertools.count()

    def parts(rows: pa.Table, folder=None, parts=4):
        folder = folder or tmp_path_factory.mktemp(f"source-{next(numbers)}")
        each = -(-rows.num_rows // parts)
        for at in range(parts):
            pq.write_table(rows.slice(at * each, each), folder / f"{at}.parquet")
        return folder

    return parts


@pytest.fixture(scope="module")
def load(engine, write):
    return lambda rows: engine.parquet([write(rows)])


@pytest.mark.slow
class TestSparkOnTwoWorkers(EngineConformance):
    pass


def test_there_are_two_workers(engine, cluster):
    assert len(cluster.ready(engine.session)) == WORKERS
    assert engine.session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() == WORKERS + 1


class Killer:
    """An engine whose statements lose an executor, before or while they run."""

    def __init__(self, engine, cluster, before=(), during=()):
        self.calls, self.killed, self.running = 0, 0, 0
        self._engine, self._cluster, self._before, self._during = engine, cluster, before, during
        self._fetch = engine.fetch
        engine.fetch = self.fetch

    def fetch(self, query):
        self.calls += 1
        if self.calls in self._before:
            self._kill(self._cluster.ready(self._engine.session))
        if self.calls in self._during:
            waiting = threading.Thread(target=self._while_it_runs, args=(self._cluster.ready(self._engine.session),))
            waiting.start()
            answer = self._fetch(query)
            waiting.join()
            return answer
        return self._fetch(query)

    def _while_it_runs(self, pids):
        tracker = self._engine.session.sparkContext.statusTracker()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if any((tracker.getStageInfo(stage) or (0,) * 9)[3] for stage in tracker.getActiveStageIds()):
                self.running += 1
                self._kill(pids)
                return

    def _kill(self, pids):
        kill(pids[0])
        self.killed += 1

    def stop(self):
        del self._engine.fetch


def fitted(table):
    made = generator("mst")
    plan = made.plan(MIXED, RECORD, epsilon="4", delta="1e-6")
    found = fit_model(table, MIXED, made, plan, noise=ReplayedNoise(bytes(range(32))), canaries=20)
    return found.model.events, encode_parquet(found.model.sample(500, np.random.default_rng(5)))


@pytest.mark.parametrize(("before", "during"), [((3,), ()), ((), (4,))], ids=["between", "during"])
def test_an_executor_killed_under_a_fit_changes_no_byte_of_the_release(engine, cluster, load, before, during):
    memory = mixed_table(1500, seed=4)
    cluster.ready(engine.session)
    table = load(memory.to_arrow())
    killer = Killer(engine, cluster, before, during)
    try:
        assert fitted(table) == fitted(memory)
    finally:
        killer.stop()
    assert killer.killed == 1
    assert killer.running == len(during)


@pytest.mark.slow
def test_with_a_folder_every_executor_may_be_killed_again_and_again(cluster, engine, write, tmp_path):
    from dpsynth.data.engines.spark.engine import Spark

    memory = mixed_table(1500, seed=4)
    safe = Spark(cluster.url, OPTIONS, folder=str(tmp_path))
    table = safe.parquet([write(memory.to_arrow())])
    assert any(path.is_file() for path in tmp_path.rglob("*"))
    killer = Killer(safe, cluster, before=(2, 6), during=(4, 8))
    try:
        assert fitted(table) == fitted(memory)
    finally:
        killer.stop()
    assert killer.killed >= 3
    for pid in cluster.ready(engine.session):
        kill(pid)
    assert table.unsafe_num_rows == 1500
    safe.close()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def versions(rows=3000):
    """Two versions of a table, no cell of which agrees."""
    kinds = np.arange(rows) % 7
    return [pa.table({"x": pa.array(kinds + 10 * v), "y": pa.array([f"v{v}"] * rows)}) for v in (1, 2)]


@pytest.mark.parametrize("stored", [False, True], ids=["raw", "codes"])
def test_a_source_that_changed_is_not_asked_again_when_an_executor_is_killed(engine, cluster, write, stored):
    first, second = versions()
    folder = write(first)
    memory = Table.from_arrow(first)
    cluster.ready(engine.session)
    table = engine.parquet([folder])
    codecs = {"y": CategoryDomain(values=("v1", "v2")), "x": CategoryDomain(values=tuple(range(30)))}
    cliques = [("x", "y"), ("x",), ("y",)]
    if stored:
        list(table.counts(codecs, cliques))  # the codes are in the engine now
    write(second, folder)
    kill(cluster.ready(engine.session)[0])
    for found, expected in zip(table.counts(codecs, cliques), memory.counts(codecs, cliques), strict=True):
        assert np.array_equal(found, expected)
    assert table.value_counts("y").values.to_pylist() == ["v1"]


def test_an_executor_killed_under_a_run_of_the_workspace_is_one_reservation_and_one_commit(
    engine,
    cluster,
    write,
    tmp_path,
    same_noise,  # noqa: F811
):
    engine.session.sql(f"CREATE TABLE visits USING parquet LOCATION '{write(people(600))}'")
    try:
        ws = Workspace.init(tmp_path / "vault")
        record = ws.register(cluster.url, table="default.visits", row_key="id")
        ws.create_budget(record, epsilon=3, delta="1e-5")
        whole = Workspace.open(shutil.copytree(ws.layout.root, tmp_path / "undisturbed"))
        undisturbed = whole.synthesize(record, "mst", **ASKED)
        killed = []

        def fault():
            killed.extend(cluster.ready(engine.session)[:1])
            kill(killed[0])

        draft = ws.synthesize(record, "mst", **ASKED, progress=after("count columns", fault))
        assert killed
        assert model_of(ws, draft.name) == model_of(whole, undisturbed.name)
        spent_once(ws, record)
    finally:
        engine.session.sql("DROP TABLE visits")


def test_what_no_executor_holds_any_more_is_lost_and_never_read_from_the_source(engine, cluster, write):
    first, second = versions()
    folder = write(first)
    cluster.ready(engine.session)
    table = engine.parquet([folder])
    write(second, folder)
    for pid in cluster.ready(engine.session):
        kill(pid)
    with pytest.raises(EngineLost) as caught:
        table.value_counts("y")
    assert isinstance(caught.value, SourceError)
    assert "v1" not in str(caught.value) and "v2" not in str(caught.value) and "BLOCK" not in str(caught.value)
    cluster.ready(engine.session)
    assert engine.parquet([folder]).value_counts("y").values.to_pylist() == ["v2"]


def test_no_executor_logs_a_number_that_does_not_fit(engine, cluster, write, capfd):
    cluster.ready(engine.session)
    folder = write(pa.table({"x": pa.array([31_415_926_535_897_932_384], pa.decimal128(20, 0))}))
    with pytest.raises(DataError, match="'x' holds numbers") as caught:
        engine.parquet([folder])
    said = str(caught.value) + cluster.logs() + "".join(capfd.readouterr())
    assert "5926535897" not in said


def test_a_cluster_that_is_gone_is_lost_and_not_waited_for(engine, cluster, write):
    from dpsynth.data.engines.spark.engine import Spark

    cluster.ready(engine.session)
    table = Spark(cluster.url, OPTIONS, patience=6).parquet([write(pa.table({"x": pa.array(range(1000))}))])
    assert table.unsafe_num_rows == 1000
    cluster.stop()
    began = time.monotonic()
    with pytest.raises(EngineLost):
        table.value_counts("x")
    assert time.monotonic() - began < 60
