"""A fit that was interrupted reads what it had measured: one draw of each mechanism, and the same release."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import SealError
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.release.formats import encode_parquet
from dpsynth.tabular import generator, histograms
from tests.conformance.tables import OPEN, RECORD, open_table

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.duckdb import DuckDB
from dpsynth.data.engines.protocol import EngineLost
from dpsynth.data.engines.warehouse import EngineTable

KEY = bytes(range(32))
ASKS = frozenset({"store", "view", "upload", "drop", "fetch", "stream"})


class Memory:
    """Measurements of a run; stops the process, as it were, once so many are kept."""

    def __init__(self, stop: int | None = None) -> None:
        self.records: list[bytes] = []
        self.stop = stop

    def read(self):
        return list(self.records)

    def append(self, record):
        self.records.append(record)
        if len(self.records) == self.stop:
            raise KeyboardInterrupt


class Failing:
    """An engine that is lost at a statement and stays so."""

    def __init__(self, engine, at: int | None = None) -> None:
        self._engine, self._at, self.asked = engine, at, 0

    def __getattr__(self, name):
        value = getattr(self._engine, name)
        if name not in ASKS:
            return value

        def ask(*args):
            self.asked += 1
            if self._at is not None and self.asked >= self._at:
                raise EngineLost("It went away.")
            return value(*args)

        return ask


class Watched:
    """A table that says what it was asked."""

    def __init__(self, table, asked: list | None = None) -> None:
        self._table, self.asked = table, [] if asked is None else asked

    def __getattr__(self, name):
        return getattr(self._table, name)

    def select(self, columns):
        return Watched(self._table.select(columns), self.asked)

    def concat(self, other):
        return Watched(self._table.concat(other), self.asked)

    def value_counts_of(self, asked):
        for column, codec in asked:
            derives = codec is None or type(codec).__name__.startswith("_")
            self.asked.append(("domain" if derives else "rows", column))
        return self._table.value_counts_of(asked)

    def counts(self, codecs, cliques):
        self.asked.extend(("counts", *clique) for clique in cliques)
        return self._table.counts(codecs, cliques)


def fitted(name: str, table, noise):
    made = generator(name)
    plan = made.plan(OPEN, RECORD, epsilon="4", delta="1e-6")
    found = fit_model(table, OPEN, made, plan, noise=noise, canaries=20)
    assert found.model.events.events == plan.tree.events
    rows = encode_parquet(found.model.sample(300, np.random.default_rng(5)))
    return rows, encode_parquet(found.canaries.rows), found.model.describe()


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return open_table(1200, seed=4).to_arrow()


@pytest.fixture(scope="module")
def engine(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(rows, path)
    engine = DuckDB(threads=1)
    yield engine.parquet([path])
    engine.close()


def test_the_engine_is_lost_at_every_statement_and_the_release_is_the_undisturbed_one(engine):
    whole, memory = Failing(engine.engine), Memory()
    undisturbed = fitted("mst", EngineTable(whole, engine.relation, engine.fields), ReplayedNoise(KEY, memory))
    measured = len(memory.records)
    assert whole.asked >= 5
    kept = []
    for at in range(1, whole.asked + 1):
        store = Memory()
        failing, again = Failing(engine.engine, at), Failing(engine.engine)
        with pytest.raises(EngineLost):
            fitted("mst", EngineTable(failing, engine.relation, engine.fields), ReplayedNoise(KEY, store))
        kept.append(len(store.records))
        found = fitted("mst", EngineTable(again, engine.relation, engine.fields), ReplayedNoise(KEY, store))
        assert found == undisturbed, at
        assert store.records == memory.records
    assert kept == sorted(kept) and kept[0] == 0 and 0 < kept[-1] < measured


@pytest.mark.parametrize("name", ["mst", "independent", "aim", pytest.param("gibbs", marks=pytest.mark.slow)])
def test_what_was_measured_is_read_and_not_asked_again(rows, name):
    memory = Memory()
    undisturbed = fitted(name, Table.from_arrow(rows), ReplayedNoise(KEY, memory))
    assert undisturbed == fitted(name, Table.from_arrow(rows), ReplayedNoise(KEY))
    total, records = len(memory.records), list(memory.records)
    stops = sorted({*range(1, total, 3), total} if name == "mst" else {1, total // 2, total})
    for stop in stops:
        memory = Memory(stop)
        with pytest.raises(KeyboardInterrupt):
            fitted(name, Table.from_arrow(rows), ReplayedNoise(KEY, memory))
        known = [_name(record) for record in memory.records]
        table = Watched(Table.from_arrow(rows))
        assert fitted(name, table, ReplayedNoise(KEY, memory)) == undisturbed, stop
        assert memory.records == records
        for kind, column in [asked for asked in table.asked if asked[0] in ("rows", "domain")]:
            names = [_name(record) for record in records]
            of_column = [n for n in names if n.endswith(f" of {column}") and (kind == "rows") == _counts_rows(n)]
            assert set(of_column) - set(known), (stop, kind, column)  # something about it was not measured yet
        if stop == total:
            assert not table.asked


def test_a_block_of_histograms_that_was_released_is_not_counted_again(rows, monkeypatch):
    monkeypatch.setattr(histograms, "BLOCK", 4)
    memory = Memory()
    undisturbed = fitted("mst", Table.from_arrow(rows), ReplayedNoise(KEY, memory))
    names = [_name(record) for record in memory.records]
    blocks = [at for at, name in enumerate(names) if name.startswith("score pairs")]
    assert len(blocks) > 2
    for done, at in enumerate(blocks[:-1], start=1):
        memory = Memory(at + 1)
        with pytest.raises(KeyboardInterrupt):
            fitted("mst", Table.from_arrow(rows), ReplayedNoise(KEY, memory))
        table = Watched(Table.from_arrow(rows))
        assert fitted("mst", table, ReplayedNoise(KEY, memory)) == undisturbed
        pairs, columns = [asked for asked in table.asked if asked[0] == "counts"], len(OPEN.modelled)
        assert len(pairs) == columns * (columns - 1) // 2 - 4 * done + columns - 1


def test_aim_does_not_count_again_once_it_has_chosen_all(rows):
    memory = Memory()
    fitted("aim", Table.from_arrow(rows), ReplayedNoise(KEY, memory))
    table = Watched(Table.from_arrow(rows))
    fitted("aim", table, ReplayedNoise(KEY, memory))
    assert not table.asked


def test_a_measurement_of_another_run_is_refused(rows):
    memory = Memory()
    fitted("mst", Table.from_arrow(rows), ReplayedNoise(KEY, memory))
    with pytest.raises(SealError, match="not what is asked for now"):
        fitted("gibbs", Table.from_arrow(rows), ReplayedNoise(KEY, memory))


def test_no_exact_count_is_kept():
    """With noise whose scale is huge, what is kept says nothing of the count that it was added to."""
    from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
    from dpsynth.mechanisms.measured import once

    kept = []
    for count in (0, 10**6):
        memory = Memory()
        noise = ReplayedNoise(KEY, memory)
        noisy, _ = once(noise, "x", lambda c=count, n=noise: discrete_gaussian(np.array([c]), sigma="1000000", noise=n))
        kept.append(int(noisy[0]))
        assert once(ReplayedNoise(KEY, memory), "x", pytest.fail)[0][0] == noisy[0]
    assert kept[1] - kept[0] == 10**6 and 0 not in kept and 10**6 not in kept


def test_words_go_on_where_the_last_measurement_ended():
    memory = Memory()
    first = ReplayedNoise(KEY, memory)
    first.uint64(3)
    first.once("a", lambda: first.uint64(5).tobytes())
    rest = first.uint64(7).tolist()
    again = ReplayedNoise(KEY, memory)
    again.uint64(3)
    again.once("a", pytest.fail)
    assert again.uint64(7).tolist() == rest


def _name(record: bytes) -> str:
    import json

    length = int.from_bytes(record[:4], "big")
    return str(json.loads(record[4 : 4 + length])["name"])


def _counts_rows(name: str) -> bool:
    return name.split(" of ")[0] in ("rows", "parts", "spikes")
