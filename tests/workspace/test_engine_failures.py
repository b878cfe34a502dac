"""Engines that fail for real: the reservation stands, what was measured is read, one commit, no secret in any word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accounting.ledger.entry import Kind
from accounting.ledger.records import Status
from dpsynth.core.errors import DataError, DpsynthError, SealError, SourceError, WorkspaceError
from dpsynth.workspace import Workspace
from dpsynth.workspace.runs.interrupted import SealedRun
from tests.data.engines.test_postgresql import write
from tests.postgresql import Server, running

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.protocol import EngineLost, SourceChanged
from dpsynth.workspace.registry.places import Place

PASSWORD = "hunter2-secret"
ASKED: dict[str, Any] = {"epsilon": 2, "delta": "1e-6", "canaries": 10}


def people(rows: int = 1200, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "id": pa.array(np.arange(rows)),
            "sex": pa.array(rng.choice(["f", "m"], rows)),
            "age": pa.array(rng.integers(0, 90, rows)),
            "town": pa.array(rng.choice(["x", "y", "z"], rows)),
        }
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        if not server.owned:
            pytest.skip("the server is not ours to stop")
        write(server, people(), "claims")
        yield server


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "vault")


@pytest.fixture
def claims(ws: Workspace, server: Server) -> Any:
    url = server.url.replace("team@", f"team:{PASSWORD}@")
    record = ws.register(url, table="public.claims", row_key="id")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    return record


@pytest.fixture
def same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run draws the same words, so that two runs can be compared."""
    begin = SealedRun.begin

    def known(self: SealedRun, *asked: Any) -> None:
        begin(self, *asked)
        self._facts["noise"] = bytes(range(32)).hex()
        self._write(b"")

    monkeypatch.setattr(SealedRun, "begin", known)


def model_of(ws: Workspace, name: str) -> tuple[bytes, Any]:
    return ws.vault.open(f"{name}-model"), json.loads((ws.layout.drafts / name / "model.json").read_text())


def spent_once(ws: Workspace, record: Any) -> None:
    with ws.ledger() as ledger:
        (run,) = ledger.reservations(ws.budget_id(ledger, record))
        kinds = [entry.kind for entry in ledger.entries(run.budget_id) if entry.body.get("reservation_id")]
    assert run.status is Status.COMMITTED
    assert [kinds.count(kind) for kind in (Kind.RESERVE, Kind.ACCESS, Kind.COMMIT)] == [1, 1, 1]
    assert not list((ws.layout.root / "interrupted").iterdir())


def stands(ws: Workspace, record: Any) -> None:
    with ws.ledger() as ledger:
        (run,) = ledger.reservations(ws.budget_id(ledger, record))
    assert run.status is Status.OPEN


def after(step: str, then: Callable[[], object]) -> Callable[..., None]:
    """A fault once a step has begun."""
    done: list[str] = []

    def progress(name: str, at: int, total: int, detail: str = "") -> None:
        if name == step and not done:
            done.append(name)
            then()

    return progress


def terminated(server: Server) -> None:
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dpsynth'", admin=True)


def crashed(server: Server) -> None:
    server.stop("immediate")
    server.start()


@pytest.mark.parametrize(
    ("fault", "step"),
    [(terminated, "derive domains"), (terminated, "score pairs"), (crashed, "count columns")],
)
def test_a_server_that_goes_away_leaves_a_run_that_goes_on(ws, server, claims, fault, step, same_noise):
    whole = Workspace.open(shutil.copytree(ws.layout.root, ws.layout.root.parent / "undisturbed"))
    undisturbed = whole.synthesize("claims", "mst", **ASKED)
    with pytest.raises(EngineLost, match="--resume") as caught:
        ws.synthesize("claims", "mst", **ASKED, progress=after(step, lambda: fault(server)))
    assert "PostgreSQL was lost or gave up" in str(caught.value)
    stands(ws, claims)
    kept = list((ws.layout.root / "interrupted").glob("*.measured/*"))
    assert kept
    heard: list[str] = []
    draft = ws.synthesize("claims", "mst", **ASKED, resume=True, progress=lambda name, *_: heard.append(name))
    assert model_of(ws, draft.name) == model_of(whole, undisturbed.name)
    spent_once(ws, claims)


def test_a_server_that_is_away_is_told_and_the_run_goes_on_when_it_is_back(ws, server, claims):
    with pytest.raises(SourceError, match="--resume"):
        ws.synthesize("claims", "mst", **ASKED, progress=after("count columns", lambda: server.stop("fast")))
    try:
        with pytest.raises(EngineLost, match="asked to connect"):
            ws.synthesize("claims", "mst", **ASKED, resume=True)
        stands(ws, claims)
    finally:
        server.start()
    ws.synthesize("claims", "mst", **ASKED, resume=True)
    spent_once(ws, claims)


def test_a_run_does_not_go_on_with_other_rows(ws, server):
    write(server, people(), "moving")
    record = ws.register(server.url, table="moving", row_key="id")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    with pytest.raises(SourceError, match="--resume"):
        ws.synthesize(record, "mst", **ASKED, progress=after("count columns", lambda: terminated(server)))
    server.sql("UPDATE moving SET sex = CASE sex WHEN 'f' THEN 'm' ELSE 'f' END WHERE id = 7")
    with pytest.raises(WorkspaceError, match="rows are others now"):
        ws.synthesize(record, "mst", **ASKED, resume=True)
    stands(ws, record)
    server.sql("UPDATE moving SET sex = CASE sex WHEN 'f' THEN 'm' ELSE 'f' END WHERE id = 7")  # put back
    ws.synthesize(record, "mst", **ASKED, resume=True)
    spent_once(ws, record)


def test_a_view_that_answers_otherwise_each_time_is_one_table_within_a_run_and_refused_when_it_goes_on(ws, server):
    server.sql(
        "CREATE VIEW unsteady AS SELECT id, sex, age + floor(random() * 10)::int AS age, clock_timestamp() AS seen"
        " FROM claims"
    )
    record = ws.register(server.url, table="unsteady", row_key="id")
    ws.create_budget(record, epsilon=6, delta="1e-5")
    draft = ws.synthesize(record, "mst", **ASKED)
    assert draft.rows().num_rows
    with pytest.raises(SourceError, match="--resume"):
        ws.synthesize(record, "mst", **ASKED, progress=after("count columns", lambda: terminated(server)))
    with pytest.raises(WorkspaceError, match="rows are others now"):
        ws.synthesize(record, "mst", **ASKED, resume=True)


def test_the_copy_of_a_view_is_one_moment_and_writes_nothing(ws, server):
    from dpsynth.data.engines.postgresql import PostgreSQL

    server.sql(
        "CREATE TABLE audit (who text)",
        "CREATE FUNCTION told() RETURNS int LANGUAGE plpgsql VOLATILE AS"
        " $$ BEGIN INSERT INTO audit VALUES ('x'); RETURN 1; END $$",
        "CREATE VIEW writing AS SELECT id, told() AS t FROM claims",
        "CREATE TABLE ticking (n bigint)",
        "INSERT INTO ticking VALUES (0)",
        "CREATE FUNCTION ticks() RETURNS bigint LANGUAGE plpgsql VOLATILE AS"
        " $$ BEGIN PERFORM pg_sleep(0.002); RETURN (SELECT n FROM ticking); END $$",
        "CREATE VIEW moving_parts AS SELECT id, ticks() AS n FROM claims WHERE id < 300",
    )
    engine = PostgreSQL(server.url)
    with pytest.raises(DataError, match="writes when read"):
        engine.table("writing")
    assert server.sql("SELECT count(*) FROM audit") == [(0,)]
    import threading

    stop = threading.Event()

    def tick() -> None:
        with server.connect() as connection:
            while not stop.is_set():
                connection.execute("UPDATE ticking SET n = n + 1")

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        counts = engine.table("moving_parts").value_counts("n").counts.tolist()
    finally:
        stop.set()
        thread.join()
        engine.close()
    assert counts == [300]


@pytest.mark.parametrize(
    ("setting", "code"), [("statement_timeout = '1ms'", "57014"), ("lock_timeout = '20ms'", "55P03")]
)
def test_a_limit_of_time_is_no_fault_of_the_rows(ws, server, claims, setting, code):
    with server.connect(admin=True) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE claims IN ACCESS EXCLUSIVE MODE")
        server.sql(f"ALTER ROLE team SET {setting}", admin=True)
        try:
            with pytest.raises(EngineLost, match=code):
                ws.synthesize("claims", "mst", **ASKED)
        finally:
            server.sql(f"ALTER ROLE team RESET {setting.split()[0]}", admin=True)
    with ws.ledger() as ledger:
        assert not ledger.reservations(ws.budget_id(ledger, claims))


def test_files_that_change_under_a_run_leave_one_that_goes_on_when_they_are_put_back(ws, tmp_path, same_noise):
    place = tmp_path / "claims"
    place.mkdir()
    path = place / "1.parquet"
    pq.write_table(people(), path)
    away = shutil.copytree(place, tmp_path / "away") / path.name
    shutil.copystat(path, away)
    record = ws.register(str(place), row_key="id")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    whole = Workspace.open(shutil.copytree(ws.layout.root, ws.layout.root.parent / "undisturbed"))
    undisturbed = whole.synthesize("claims", "mst", **ASKED)

    def replaced() -> None:
        pq.write_table(people(seed=1), path)

    with pytest.raises(SourceChanged, match=r"changed under the run.*Put the files back.*--resume"):
        ws.synthesize("claims", "mst", **ASKED, progress=after("count columns", replaced))
    stands(ws, record)
    with pytest.raises(WorkspaceError, match="rows are others now"):
        ws.synthesize("claims", "mst", **ASKED, resume=True)
    shutil.copy2(away, path)
    draft = ws.synthesize("claims", "mst", **ASKED, resume=True)
    assert model_of(ws, draft.name) == model_of(whole, undisturbed.name)
    spent_once(ws, record)


class Failing:
    """An engine that is lost at a statement and stays so."""

    def __init__(self, engine: Any, at: int) -> None:
        self._engine, self._at, self.asked = engine, at, 0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._engine, name)
        if name not in ("store", "view", "upload", "drop", "fetch", "stream"):
            return value

        def ask(*args: Any) -> Any:
            self.asked += 1
            if self.asked >= self._at:
                raise EngineLost("It went away.")
            return value(*args)

        return ask


@pytest.mark.slow
@pytest.mark.parametrize("made_by", ["mst", "aim"])
def test_an_engine_lost_at_any_statement_is_one_reservation_and_one_commit(
    ws, tmp_path, made_by, same_noise, monkeypatch
):
    from dpsynth.data.engines.warehouse import EngineTable

    place = tmp_path / "claims"
    place.mkdir()
    pq.write_table(people(), place / "1.parquet")
    record = ws.register(str(place), row_key="id")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    opened, engines = Place.open, []

    def failing(at: int) -> None:
        def made(self: Place, *given: Any, **how: Any) -> EngineTable:
            table = opened(self, *given, **how)
            engines.append(Failing(table.engine, at))
            return EngineTable(engines[-1], table.relation, table.fields, row=table.row)

        monkeypatch.setattr(Place, "open", made)

    def copy(name: str) -> Workspace:
        return Workspace.open(shutil.copytree(ws.layout.root, ws.layout.root.parent / name))

    failing(10**6)
    whole = copy("undisturbed")
    undisturbed = model_of(whole, whole.synthesize("claims", made_by, **ASKED).name)
    asked, resumed = engines[-1].asked, 0
    assert asked > 10
    for at in range(1, asked + 1):
        here = copy(f"at-{at}")
        failing(at)
        with pytest.raises(SourceError):
            here.synthesize("claims", made_by, **ASKED)
        with here.ledger() as ledger:
            reserved = bool(ledger.reservations(here.budget_id(ledger, record)))
        failing(10**6)
        draft = here.synthesize("claims", made_by, **ASKED, resume=reserved)
        resumed += reserved
        assert model_of(here, draft.name) == undisturbed, at
        spent_once(here, record)
    assert resumed > 3


def test_a_measurement_that_was_altered_opens_nothing(ws, server, claims):
    with pytest.raises(SourceError):
        ws.synthesize("claims", "mst", **ASKED, progress=after("count columns", lambda: terminated(server)))
    kept = sorted((ws.layout.root / "interrupted").glob("*.measured/*"))
    content = kept[0].read_bytes()
    assert b"int64" not in content and b"rows of" not in content and kept[0].stat().st_mode & 0o077 == 0
    for altered in (content[:-1] + bytes([content[-1] ^ 1]), kept[1].read_bytes()):  # and one in another's place
        kept[0].write_bytes(altered)
        with pytest.raises(SealError, match="altered"):
            ws.synthesize("claims", "mst", **ASKED, resume=True)
    kept[0].write_bytes(content)


def test_a_disk_that_is_full_leaves_a_run_that_goes_on(ws, server, claims, monkeypatch):
    def full(handle: int) -> None:
        if list((ws.layout.root / "interrupted").glob("*.measured/000002")):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("dpsynth.workspace.runs.sealed_measurements.os.fsync", full)
    with pytest.raises(SourceError, match=r"No space left on device.*--resume"):
        ws.synthesize("claims", "mst", **ASKED)
    stands(ws, claims)
    monkeypatch.undo()
    ws.synthesize("claims", "mst", **ASKED, resume=True)
    spent_once(ws, claims)


@pytest.mark.slow
def test_what_spills_from_little_memory_onto_a_full_disk_leaves_a_run_that_goes_on(ws, tmp_path, same_noise):
    from dpsynth.data.engines.duckdb import DuckDB

    place = tmp_path / "claims"
    place.mkdir()
    pq.write_table(people(30_000), place / "1.parquet")
    record = ws.register(str(place), row_key="id")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    made: list[DuckDB] = []

    def starved() -> None:
        made[-1].connection.execute("SET max_temp_directory_size = '1MB'")
        made[-1].connection.execute("SET memory_limit = '500KB'")

    with pytest.MonkeyPatch.context() as patch:
        begin = DuckDB.__init__

        def known(self: DuckDB, **given: Any) -> None:
            begin(self, **given)
            made.append(self)

        patch.setattr(DuckDB, "__init__", known)
        with pytest.raises(EngineLost, match=r"OutOfMemory.*--resume"):
            ws.synthesize("claims", "mst", **ASKED, progress=after("count columns", starved))
    stands(ws, record)
    ws.synthesize("claims", "mst", **ASKED, resume=True)
    spent_once(ws, record)


def test_a_missing_measurement_is_made_again_with_the_same_words(ws, server, claims, same_noise):
    whole = Workspace.open(shutil.copytree(ws.layout.root, ws.layout.root.parent / "undisturbed"))
    undisturbed = whole.synthesize("claims", "mst", **ASKED)
    with pytest.raises(SourceError):
        ws.synthesize("claims", "mst", **ASKED, progress=after("score pairs", lambda: terminated(server)))
    kept = sorted((ws.layout.root / "interrupted").glob("*.measured/*"))
    kept[1].unlink()
    draft = ws.synthesize("claims", "mst", **ASKED, resume=True)
    assert model_of(ws, draft.name) == model_of(whole, undisturbed.name)


def test_no_word_of_an_error_or_of_the_servers_log_holds_the_password(ws, server, tmp_path):
    url = server.url.replace("team@", f"team:{PASSWORD}@")
    said: list[str] = []
    server.sql("CREATE TABLE nobody (id bigint, who text)", "INSERT INTO nobody VALUES (1, 'a'), (2, NULL)")
    server.sql("CREATE TABLE no_rows (id bigint, sex text)", "CREATE TABLE twins AS SELECT * FROM claims")
    with server.restarted("-c log_statement=all", "-c log_line_prefix=%a:"):
        for table, facts in (
            ("nobody", {"unit": "who", "max_per_unit": 2}),
            ("no_rows", {"row_key": "id"}),
            ("absent", {"row_key": "id"}),
            ("twins", {"row_key": "sex"}),
            ("twins", {"row_key": "nothing"}),
        ):
            with pytest.raises(DpsynthError) as caught:
                record = ws.register(url, table=table, **facts)
                ws.create_budget(record, epsilon=3, delta="1e-5")
                ws.synthesize(record, "mst", **ASKED)
            said += [
                str(caught.value),
                repr(caught.value),
                repr(caught.value.__cause__),
                repr(caught.value.__context__),
            ]
        record = ws.register(url, table="public.claims", row_key="id")
        ws.create_budget(record, epsilon=3, delta="1e-5")
        with pytest.raises(SourceError) as lost:
            ws.synthesize(record, "mst", **ASKED, progress=after("count columns", lambda: terminated(server)))
        said += [str(lost.value), repr(lost.value), repr(lost.value.__cause__), repr(record)]
        log = server.file("log").read_text("utf-8", "replace")
    assert "dpsynth:" in log
    assert PASSWORD not in log
    assert all(PASSWORD not in words for words in said), said
    for path in ws.layout.root.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_a_run_does_not_go_on_with_rows_that_another_key_holds_out(ws, tmp_path):
    place = tmp_path / "files"
    place.mkdir()
    rows = people().append_column("other", pa.array(np.arange(1200)[::-1] + 5000))
    pq.write_table(rows, place / "a.parquet")
    schema = tmp_path / "schema.yaml"
    known = {name: {"kind": "categorical"} for name in ("sex", "town")}
    known |= {"age": {"kind": "integer"}}
    known |= {name: {"kind": "integer", "role": "identifier"} for name in ("id", "other")}
    schema.write_text(json.dumps({"version": 1, "columns": known}))
    record = ws.register(place, row_key="id", schema=schema)
    ws.create_budget(record, epsilon=3, delta="1e-5")

    def stopped() -> None:
        raise SourceError("The engine went away.", "Wait.")

    with pytest.raises(SourceError, match="--resume"):
        ws.synthesize(record, "mst", **ASKED, progress=after("count columns", stopped))
    other = ws.register(place, row_key="other", schema=schema)
    with pytest.raises(WorkspaceError, match="No interrupted run"):
        ws.synthesize(other, "mst", **ASKED, resume=True)
    stands(ws, other)
    again = ws.register(place, row_key="id", schema=schema)
    ws.synthesize(again, "mst", **ASKED, resume=True)
    spent_once(ws, again)
