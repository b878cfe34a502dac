"""Data sets that stay in an engine: one budget for a place, sealed targets, and no secret anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accounting import EventTree, NeighboringRelation, PrivacyUnit, PureDP
from accounting.ledger.errors import CapabilityRefused
from dpsynth import verify
from dpsynth.core.errors import (
    BudgetRefused,
    DataError,
    DpsynthError,
    ParameterError,
    SchemaError,
    SealError,
    WorkspaceError,
)
from dpsynth.data.engines.sources.credentials import without_secrets
from dpsynth.quality.comparators.score import Comparators
from dpsynth.workspace import Workspace
from dpsynth.workspace.private.room import PrivateRows, open_source
from dpsynth.workspace.private.targets import OF_A_UNIT, kept

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.protocol import UnsupportedByEngine

PASSWORD = "hunter2-secret"


def people(rows: int = 1500, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "id": pa.array(np.arange(rows)),
            "sex": pa.array(rng.choice(["f", "m"], rows)),
            "age": pa.array(rng.integers(0, 90, rows)),
            "weight": pa.array(np.arange(rows) + 0.5),  # another one for each person, as `id`
            "day": pa.array((np.datetime64("2024-01-01") + rng.integers(0, 366, rows)).astype("datetime64[D]")),
        }
    )


def folder_of(tmp_path: Path, rows: pa.Table) -> Path:
    """Two Parquet files in a folder."""
    place = tmp_path / "claims"
    place.mkdir()
    half = rows.num_rows // 2
    pq.write_table(rows.slice(0, half), place / "1.parquet")
    pq.write_table(rows.slice(half), place / "2.parquet")
    return place


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "vault")


def paid(ws: Workspace, place: object, **said: Any) -> Any:
    record = ws.register(str(place), **{"row_key": "id", **said})
    ws.create_budget(record, epsilon=3, delta="1e-5")
    return record


def test_a_budget_belongs_to_the_place_however_its_rows_change(ws: Workspace, tmp_path: Path) -> None:
    place = folder_of(tmp_path, people())
    first = paid(ws, place)
    ws.synthesize(first, "independent", epsilon=2, delta="1e-6")
    more = people(1550, seed=1).slice(1500)
    pq.write_table(more, place / "3.parquet")
    again = ws.register(f"{place}/", row_key="id")
    assert again.commitment == first.commitment
    with pytest.raises(BudgetRefused):
        ws.create_budget(again, epsilon=3, delta="1e-5")
    with pytest.raises(BudgetRefused):
        ws.synthesize(again, "independent", epsilon=2, delta="1e-6")


def test_one_table_has_one_budget_whoever_asks_and_however_its_url_is_spelled(ws: Workspace, postgresql: Any) -> None:
    postgresql.sql("CREATE TABLE once AS SELECT i AS id, i % 3 AS x FROM generate_series(1, 500) i")
    bare = postgresql.url
    first = paid(ws, bare, table="once")
    for url, table in (
        (f"{bare}&application_name=other&connect_timeout=9", "once"),
        (bare.replace("//team@", "//"), "public.once"),
        (bare.replace("postgresql://", "postgres://", 1), "once"),
        (f"{bare}&user=team", "once"),
    ):
        record = ws.register(url, table=table, row_key="id")
        assert record.commitment == first.commitment, url
        with pytest.raises(BudgetRefused, match="has a budget already"):
            ws.create_budget(record, epsilon=1, delta="1e-6")


@pytest.mark.parametrize("declared", [True, False])
def test_a_budget_that_is_short_is_refused_before_a_row_is_read(ws: Workspace, tmp_path: Path, declared: bool) -> None:
    """The rows could not be read: with a schema there are no files any more, without one they have footers alone."""
    place, schema = folder_of(tmp_path, people()), tmp_path / "s.yaml"
    schema.write_text(
        "columns: {id: {kind: integer, role: identifier}, sex: {kind: categorical}, age: {kind: integer}, "
        "weight: {kind: float}, day: {kind: date}}\n"
    )
    record = paid(ws, place, **({"schema": schema} if declared else {}))
    for file in place.iterdir():
        content = file.read_bytes()
        end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        file.write_bytes(b"PAR1" + bytes(end - 4) + content[end:])
    if declared:
        shutil.rmtree(place)
    for epsilon, refusal in ((4, BudgetRefused), (2, (DataError, ParameterError))):
        with pytest.raises(refusal):
            ws.synthesize(record, "mst", epsilon=epsilon, delta="1e-6", resume=None)
    with pytest.raises(WorkspaceError, match="No interrupted run"):
        ws.synthesize(record, "mst", epsilon=4, delta="1e-6", resume=True)


def test_attacks_and_quality_read_what_was_sealed_when_the_table_is_gone(ws: Workspace, tmp_path: Path) -> None:
    rows = people()
    place = folder_of(tmp_path, rows)
    draft = ws.synthesize(paid(ws, place), "mst", epsilon=2, delta="1e-6")
    shutil.rmtree(place)
    again = Workspace.open(ws.layout.root).draft(draft.name)
    parts = again._source.parts
    seen, held = (set(part.column("weight").to_pylist()) for part in (parts.train, parts.holdout))
    assert not seen & held
    assert seen | held == set(rows["weight"].to_pylist())  # no more rows than targets: all of them
    assert "id" not in parts.train.columns  # a key of rows serves no attack
    assert again.attack().verdict in ("pass", "inconclusive", "fail")
    assert again.evaluate() is not None
    again.gate()


def test_a_draft_outlives_its_targets_and_what_needs_them_says_so(ws: Workspace, tmp_path: Path) -> None:
    place = folder_of(tmp_path, people(6000))
    record = paid(ws, place)
    draft = ws.synthesize(record, "mst", epsilon=1, delta="1e-6")
    draft.attack()
    draft.evaluate()
    said = draft.gate().decision
    for file in ws.layout.drafts.glob(f"{draft.name}-real-*"):
        file.unlink()
    left = Workspace.open(ws.layout.root).draft(draft.name)
    assert left.gate().decision == said
    assert left.report(tmp_path / "report.html").exists()
    if said == "ship":
        release = left.release(tmp_path / "bundle")
        assert verify(release.bundle, release.public_key).ok
    for judged in (left, ws.sample(left)):
        for needs in (judged.attack, judged.evaluate):
            with pytest.raises(SealError, match=f"run {draft.name} drew for attacks and quality .* were deleted"):
                needs()
    ws.synthesize(record, "independent", epsilon=1, delta="1e-6")  # another run draws its own


def test_the_later_part_is_cut_as_in_memory(ws: Workspace, tmp_path: Path) -> None:
    rows = people()
    draft = ws.synthesize(
        paid(ws, folder_of(tmp_path, rows)), "mst", epsilon=2, delta="1e-6", time="day", since="2024-10-01"
    )
    late = rows.filter(pa.compute.greater_equal(rows["day"], pa.scalar(date(2024, 10, 1))))
    parts = draft._source.parts
    assert parts.later is not None
    assert set(parts.later.column("weight").to_pylist()) == set(late["weight"].to_pylist())
    for part in (parts.train, parts.holdout):
        assert not set(part.column("weight").to_pylist()) & set(late["weight"].to_pylist())


def test_a_person_keeps_no_more_rows_than_the_bound(ws: Workspace, tmp_path: Path) -> None:
    rows = people().append_column("who", pa.array([f"patient {at % 300}" for at in range(1500)]))
    heavy = people(70_000, seed=2).append_column(
        "who", pa.array(["patient 1" if at % 2 else "p 2" for at in range(70_000)])
    )
    rows = pa.concat_tables([rows, heavy])  # whoever has half the table is no reason to lose the run
    record = paid(ws, folder_of(tmp_path, rows), row_key=None, unit="who", max_per_unit=2)
    draft = ws.synthesize(record, "mst", epsilon=2, delta="1e-6", target="sex")
    parts = draft._source.parts
    assert max(pd.Series(parts.train.column("who").to_pylist()).value_counts()) == 2
    assert not set(parts.train.column("who").to_pylist()) & set(parts.holdout.column("who").to_pylist())
    assert not set(parts.train.column("who").to_pylist()) & set(rows["who"].to_pylist())  # numbers in their place
    together = {who: set() for who in parts.train.column("who").to_pylist()}
    for who, weight in zip(*(parts.train.column(name).to_pylist() for name in ("who", "weight")), strict=True):
        together[who].add(int(weight) % 300)
    assert max(len(people) for people in together.values()) <= 2  # one number, one person
    assert max(pd.Series(parts.holdout.column("who").to_pylist()).value_counts()) <= 2


def test_a_release_from_a_server_verifies_and_names_no_secret(
    ws: Workspace, tmp_path: Path, postgresql: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.data.engines.test_postgresql import write

    write(postgresql, people(6000), "claims")
    url = postgresql.url.replace("//team@", f"//team:{PASSWORD}@") + f"&sslpassword={PASSWORD}"
    record = ws.register(url, table="public.claims", row_key="id")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(record, "mst", epsilon=2, delta="1e-6")
    postgresql.sql("DROP TABLE claims")
    draft.attack()
    draft.evaluate()
    if draft.gate().decision == "ship":
        release = draft.release(tmp_path / "bundle")
        assert verify(release.bundle, release.public_key).ok
    with pytest.raises(DpsynthError) as gone:
        ws.synthesize(record, "mst", epsilon="0.5", delta="1e-6")
    assert PASSWORD not in f"{gone.value!r}{gone.value}{record!r}{caplog.text}"
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert holding == []


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"row_key": "nobody"}, DataError),
        ({"row_key": None, "unit": "nobody"}, DataError),
        ({"schema": "other.yaml"}, SchemaError),
    ],
)
def test_what_is_declared_is_held_against_the_columns(
    ws: Workspace, tmp_path: Path, said: dict[str, Any], refusal: type[DpsynthError]
) -> None:
    place = folder_of(tmp_path, people())
    (tmp_path / "other.yaml").write_text("columns: {id: {kind: integer}, height: {kind: float}}\n")
    if "schema" in said:
        said = {"row_key": "id", "schema": tmp_path / "other.yaml"}
    with pytest.raises(refusal):
        ws.register(str(place), **said)
    assert list(ws.registry) == []


def test_rows_of_a_server_need_a_key(ws: Workspace, postgresql: Any) -> None:
    with pytest.raises(ParameterError, match="row-key"):
        ws.register(postgresql.url, table="claims")


def test_rows_of_files_are_told_apart_by_their_places_under_a_key_of_their_version(
    ws: Workspace, tmp_path: Path
) -> None:
    rows = people().drop_columns(["id"])
    place = folder_of(tmp_path, rows)
    (tmp_path / "s.yaml").write_text(  # sex is converted, so that the table is another view
        "columns: {sex: {kind: categorical, values: [f], missing: [m]}, age: {kind: integer}, "
        "weight: {kind: float}, day: {kind: date}}\n"
    )
    record = paid(ws, place, row_key=None, schema=tmp_path / "s.yaml")
    sides = []
    for run in range(3):
        if run == 2:
            pq.write_table(people(100, seed=3).drop_columns(["id"]), place / "3.parquet")
        draft = ws.synthesize(record, "independent", epsilon="0.5", delta="1e-6")
        parts = draft._source.parts
        seen, held = (set(part.column("weight").to_pylist()) for part in (parts.train, parts.holdout))
        assert seen | held == set(rows["weight"].to_pylist())
        assert 0.2 < len(held) / 1500 < 0.4
        sides.append(held)
    assert sides[0] == sides[1]  # one version, one split
    assert len(sides[0] & sides[2]) < 0.2 * 1500  # another version, fresh coins: 0.09 of the rows are in both


def test_a_row_key_of_two_records_is_refused_before_anything_is_reserved(ws: Workspace, tmp_path: Path) -> None:
    rows = pa.concat_tables([people(), people(1)])
    record = paid(ws, folder_of(tmp_path, rows))
    with pytest.raises(DataError, match="same for two records"):
        ws.synthesize(record, "mst", epsilon=1, delta="1e-6")
    assert ws.balance(record).epsilon.left == 3


def test_what_reads_rows_is_refused_before_anything_is_reserved(ws: Workspace, tmp_path: Path) -> None:
    record = paid(ws, folder_of(tmp_path, people()))
    with pytest.raises(UnsupportedByEngine):
        ws.synthesize_unprotected(record, "sdv-gaussian-copula", rows=100)
    draft = ws.synthesize(record, "independent", epsilon=1, delta="1e-6", target="sex")
    with pytest.raises(UnsupportedByEngine, match=r"trained row by row.*follows from the number of rows"):
        draft.evaluate(comparators=Comparators(epsilon=Decimal("0.1")))
    assert ws.balance(record).epsilon.spent <= Decimal(1) and not ws.balance(record).epsilon.reserved


def test_a_key_that_the_schema_models_is_refused(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "columns: {id: {kind: integer}, sex: {kind: categorical}, age: {kind: integer}, "
        "weight: {kind: float}, day: {kind: date}}\n"
    )
    folder = folder_of(tmp_path, people())
    with pytest.raises(SchemaError, match="role: identifier"):
        paid(ws, folder, schema=tmp_path / "s.yaml")
    with pytest.raises(SchemaError, match="role: identifier"):  # nor one that a single run names
        ws.synthesize(paid(ws, folder), "mst", epsilon=1, delta="1e-6", schema=tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://ann:pw@h/d?password=x&sslmode=require", "postgresql://ann@h/d?sslmode=require"),
        ("postgres://h:5/d?sslpassword=x&passfile=%2Fp", "postgres://h:5/d"),
        ("postgresql://a%40b:pw@[::1]:5432/d", "postgresql://a%40b@[::1]:5432/d"),
        ("spark://ann:pw@host:7077", "spark://host:7077"),
        ("local[2]", "local[2]"),
        ("", ""),
    ],
)
def test_a_url_is_kept_without_what_opens_it(url: str, kept: str) -> None:
    assert without_secrets(url) == kept


class Door:
    """A place with a budget, opened, and the ledger that would vouch for a read."""

    def __init__(self, ws: Workspace, tmp_path: Path) -> None:
        self.ws = ws
        self.record = paid(ws, folder_of(tmp_path, people()))
        self.rows = open_source(ws, self.record, schema=None, counts=True).rows
        self.ledger = ws.ledger(write=True)
        self.budget = ws.budget_id(self.ledger, self.record)

    def reserve(self) -> Any:
        plan = EventTree(events=(PureDP(epsilon="0.1"),), relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit())
        return self.ledger.reserve(self.budget, plan, delta="1e-9", run_id="claims-0001", purpose="test")

    def draw(self, run: Any, budget: str | None = None) -> PrivateRows:
        return self.rows.to_draw(self.ledger, budget or self.budget, run.id, key=bytes(32))

    def keep(self, drawn: PrivateRows, run: Any) -> None:
        drawn.to_keep(self.ledger, self.budget, run.id, self.ws.vault, "claims-0001", ("sex", "age"))


@pytest.fixture
def door(ws: Workspace, tmp_path: Path) -> Iterator[Door]:
    door = Door(ws, tmp_path)
    yield door
    door.ledger.close()
    door.rows.close()


def test_targets_are_drawn_for_a_reservation_that_read_and_kept_for_one_that_committed(door: Door) -> None:
    run = door.reserve()
    with pytest.raises(CapabilityRefused, match="No rows of this data were read"):
        door.draw(run)
    door.rows.to_fit(door.ledger, door.ledger.check_token(run.id, run.token), run.plan, bound_key=bytes(32))
    drawn = door.draw(run)
    with pytest.raises(CapabilityRefused, match="no commit"):
        door.keep(drawn, run)
    assert not list(door.ws.layout.drafts.glob("*-real-*"))
    door.ledger.commit(run.id, run.plan, facts={"run_id": "claims-0001"})
    door.keep(drawn, run)
    assert len(list(door.ws.layout.drafts.glob("*-real-*.json"))) == 2


def test_targets_are_not_drawn_for_another_reservation(door: Door) -> None:
    first, second = door.reserve(), door.reserve()
    door.rows.to_fit(door.ledger, door.ledger.check_token(first.id, first.token), first.plan, bound_key=bytes(32))
    with pytest.raises(CapabilityRefused):
        door.draw(second)


def test_rows_in_an_engine_are_compared_with_nothing(door: Door) -> None:
    run = door.reserve()
    door.rows.to_fit(door.ledger, door.ledger.check_token(run.id, run.token), run.plan, bound_key=bytes(32))
    door.ledger.commit(run.id, run.plan)
    with pytest.raises(UnsupportedByEngine):
        door.rows.to_compare(door.ledger, door.budget, run.id)


def test_people_with_thousands_of_rows_neither_empty_a_sample_nor_lose_a_run_after_its_fit(
    ws: Workspace, tmp_path: Path
) -> None:
    who = np.r_[np.repeat(np.arange(8), 10_000), np.arange(8, 408)]
    rows = people(len(who)).select(["sex", "age"]).append_column("who", pa.array(who))
    record = ws.register(folder_of(tmp_path, rows), unit="who", max_per_unit=10_000)
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(record, "independent", epsilon=2, delta="1e-6", canaries=0)
    drawn = kept(ws.vault, draft.name, later=False)
    parts = [part.column("who").to_numpy() for part in (drawn.train, drawn.holdout)]
    people_of = [np.unique(who, return_counts=True)[1] for who in parts]
    assert sum(map(len, people_of)) == 408
    assert max(own.max() for own in people_of) == OF_A_UNIT


def test_reports_say_that_they_looked_at_a_sample_and_not_whether_it_was_all(ws: Workspace, tmp_path: Path) -> None:
    from dpsynth.report import cell
    from dpsynth.workspace.private.targets import SAMPLED
    from dpsynth.workspace.releasing import internal_report

    rows = people()  # fewer than are drawn: the sentence is the same, for how many there are is private
    draft = ws.synthesize(paid(ws, folder_of(tmp_path, rows)), "mst", epsilon=2, delta="1e-6")
    attacked, measured = draft.attack("quick", seed=1), draft.evaluate()
    assert attacked.sampling is not None and attacked.sampling.drawn == 20_000
    assert attacked.sampling.targets is None
    assert measured.warnings[0] == SAMPLED and "at most about 20,000 of each part" in SAMPLED
    page = internal_report(draft)
    assert page.count(SAMPLED) == 1
    said = "at most about 20,000 rows on each side"
    assert said in str(attacked) and said in cell(attacked) and SAMPLED in cell(measured)
    assert type(attacked).from_json(attacked.to_json()) == attacked


def test_reports_of_a_file_say_nothing_of_samples(ws: Workspace, tmp_path: Path) -> None:
    pq.write_table(people().drop(["id"]), tmp_path / "claims.parquet")
    record = ws.register(tmp_path / "claims.parquet")
    ws.create_budget(record, epsilon=3, delta="1e-5")
    draft = ws.synthesize(record, "independent", epsilon=2, delta="1e-6")
    assert draft.attack("quick", seed=1).sampling is None
    assert not any("sample" in text for text in draft.evaluate().warnings)
