"""Rows that stay in an engine, as a person types it: every command from `init` to `verify`, and what goes wrong."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.cli.app import call
from dpsynth.cli.typed_secrets import Typed
from tests.spark_cluster import why_not

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")

PASSWORD = "hunter2-Zq/é"
QUOTED = "hunter2-Zq%2F%C3%A9"
GRANT = ("-e", "3", "-d", "1e-5")
SCHEMA = """version: 1
columns:
  id: {kind: integer, role: identifier}
  sex: {kind: categorical, values: [f, m]}
  age: {kind: integer, min: 0, max: 89}
  day: {kind: date, min: 2024-01-01, max: 2024-12-31}
  place: {kind: integer, min: 0, max: 999}
  cost: {kind: float, min: 0, max: 9999, precision: 2}
  height: {kind: float, min: 120, max: 220, precision: 1}
  ill: {kind: boolean, role: target}
"""
Run = Any


def people(rows: int = 10_000) -> pa.Table:
    rng = np.random.default_rng(3)
    age = rng.integers(0, 90, rows)
    return pa.table(
        {
            "id": np.arange(rows),
            "sex": rng.choice(["f", "m"], rows),
            "age": age,
            "day": (np.datetime64("2024-01-01") + rng.integers(0, 366, rows)).astype("datetime64[D]"),
            "place": rng.integers(0, 1000, rows),
            "cost": np.round(rng.gamma(2.0, 900.0, rows).clip(0, 9999), 2),
            "height": np.round(rng.normal(170, 12, rows).clip(120, 220), 1),
            "ill": rng.random(rows) < 0.1 + age / 150,
        }
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "claims").mkdir()
    for at in range(2):
        pq.write_table(people().slice(at * 5000, 5000), tmp_path / "claims" / f"{at}.parquet")
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPSYNTH_WORKSPACE", str(tmp_path / "vault"))
    assert call(["init", "vault"]) == 0
    return tmp_path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command; its exit code and everything that it printed."""

    def command(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        code = call([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out + err

    return command


@pytest.fixture
def server(postgresql: Any) -> Any:
    from tests.data.engines.test_postgresql import write

    postgresql.sql("DROP TABLE IF EXISTS visits", "DROP TABLE IF EXISTS hidden")
    write(postgresql, people(), "visits")
    return postgresql


def with_password(url: str) -> str:
    return url.replace("//team@", f"//team:{QUOTED}@")


def ok(answer: tuple[int, str]) -> str:
    code, said = answer
    assert code == 0, said
    return said


def test_from_a_folder_to_a_verified_bundle(run: Run, home: Path) -> None:
    assert "8 columns" in ok(run("schema", "draft", "claims", "-o", "draft.yaml"))
    planned = ok(run("plan", "claims", "-e", "1", "--row-key", "id", "--schema", "schema.yaml"))
    assert "duckdb" in planned
    ok(run("budget", "plan", "claims", "-e", "1", "--row-key", "id"))
    said = ok(run("budget", "create", "claims", *GRANT, "--row-key", "id", "--schema", "schema.yaml"))
    assert f"Rows stay where they are: {home}/claims" in said
    ok(run("synthesize", "claims", "-e", "2", "-g", "mst"))
    shutil.rmtree(home / "claims")  # everything later reads what was sealed
    for step, told in (("attack", "sampled: "), ("evaluate", "looked at a sample"), ("gate", "")):
        assert told in " ".join(ok(run(step, "claims-0001")).split())
    ok(run("release", "claims-0001", "-o", "out"))
    ok(run("verify", "out", "--key", "vault/keys/release.pub"))
    ok(run("report", "claims-0001", "-o", "draft.html"))
    assert "claims-0001" in ok(run("show"))
    assert f"{home}/claims" in ok(run("budget", "show", "claims"))
    ok(run("ledger", "export", "claims", "-o", "slice.json"))


def test_from_a_server_to_a_verified_bundle_and_the_password_is_nowhere(run: Run, home: Path, server: Any) -> None:
    url, said = with_password(server.url), []
    source = (url, "--table", "visits")
    said.append(ok(run("schema", "draft", *source, "-o", "draft.yaml")))
    said.append(ok(run("plan", *source, "-e", "1", "--row-key", "id")))
    said.append(ok(run("budget", "plan", *source, "-e", "1", "--row-key", "id")))
    said.append(ok(run("budget", "create", *source, *GRANT, "--row-key", "id", "--schema", "schema.yaml", "--json")))
    said.append(ok(run("budget", "show", *source)))
    assert all("pgpass" in words for words in said)  # warned each time that it was typed
    said.append(ok(run("synthesize", *source, "-e", "2", "-g", "mst", "--json")))
    said.append(run("budget", "create", *source, *GRANT, "--row-key", "id")[1])
    said.append(run("attack", url)[1])
    said.append(run("attack", "visits-0001", url)[1])
    said.append(run("show", url, "--json")[1])
    said.append(run("synthesize", url, "-e", "1")[1])
    said.append(run("budget", "create", *source, "--row-key", "nobody", *GRANT, "--json")[1])
    server.sql("DROP TABLE visits")
    said.append(run("synthesize", *source, "-e", "0.1")[1])
    for step in ("attack", "evaluate", "gate"):
        said.append(ok(run(step, "visits-0001")))
    said.append(ok(run("release", "visits-0001", "-o", "out")))
    said.append(ok(run("verify", "out", "--key", "vault/keys/release.pub")))
    said.append(ok(run("report", "-o", "all.html")))
    said.append(ok(run("report", "visits-0001", "-o", "draft.html")))
    for secret in (PASSWORD, QUOTED, "hunter2"):
        assert not [words for words in said if secret in words]
        holding = [path for path in home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert holding == []
    for account in ("team@", "/dev/shm"):  # what leaves has no place at all
        assert not [path for path in (home / "out").rglob("*") if account.encode() in path.read_bytes()]


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_from_spark_to_a_decision(run: Run, home: Path) -> None:
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    session.catalog.createTable("visits", path=str(home / "claims"), source="parquet")
    source = ("local[2]", "--table", "visits")
    ok(run("budget", "create", *source, *GRANT, "--row-key", "id", "--schema", "schema.yaml"))
    ok(run("synthesize", "visits", "-e", "2", "-g", "mst"))
    session.stop()
    for step in ("attack", "evaluate", "gate"):
        ok(run(step, "visits-0001"))


def test_a_run_file_goes_on_and_spends_once_even_when_the_server_is_away(run: Run, home: Path, server: Any) -> None:
    (home / "run.yaml").write_text(
        f"data: {json.dumps(server.url)}\ntable: visits\nrow_key: id\nworkspace: vault\nschema: schema.yaml\n"
        "budget: {epsilon: 3, delta: 1e-5}\nsynthesize: {generator: mst, epsilon: 2, delta: 1e-6}\nrelease: out\n"
    )
    ok(run("run", "run.yaml"))
    spent = json.loads(ok(run("budget", "show", "visits", "--json")).partition("\n")[0])["epsilon"]["spent"]
    if server.owned:
        server.stop()
    try:
        assert "ship" in ok(run("run", "run.yaml"))
    finally:
        if server.owned:
            server.start()
    assert json.loads(ok(run("budget", "show", "visits", "--json")).partition("\n")[0])["epsilon"]["spent"] == spent


def test_a_schema_that_models_the_row_key_is_refused_before_a_budget_hangs_on_it(run: Run, home: Path) -> None:
    (home / "wrong.yaml").write_text(SCHEMA.replace(", role: identifier", ""))
    for command in (("plan", "claims", "-e", "1"), ("budget", "create", "claims", *GRANT)):
        code, said = run(*command, "--row-key", "id", "--schema", "wrong.yaml")
        assert (code, "the schema models it" in said, "role: identifier" in said) == (1, True, True)
    assert run("budget", "show", "claims")[0] != 0


def test_a_row_key_that_was_wrong_is_corrected_under_the_name_that_the_budget_has(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("budget", "create", "claims/", *GRANT, "--row-key", "sex")[0] == 0
    monkeypatch.chdir(home / "vault")  # where `claims` is no folder
    asked = ("synthesize", "claims", "-e", "1", "-g", "independent")
    code, said = run(*asked)
    assert code == 1 and "--row-key COLUMN" in said
    assert run(*asked, "--row-key", "claims")[0] == 1
    assert run(*asked, "--row-key", "id")[0] == run(*asked)[0] == 0
    code, said = run("synthesize", "nothing", "-e", "1", "--row-key", "id")
    assert code == 1 and "no such file or folder, nor a data set" in said


def test_another_unit_is_not_passed_over_where_a_data_set_is_named(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("budget", "create", "claims/", *GRANT, "--unit", "place", "--max-per-unit", "40")[0] == 0
    monkeypatch.chdir(home / "vault")
    code, said = run("synthesize", "claims", "-e", "1", "-g", "independent", "--unit", "place", "--max-per-unit", "4")
    assert code == 1 and "is registered as 'claims' with the unit" in said


def test_a_run_file_with_a_password_is_refused(run: Run, home: Path) -> None:
    (home / "run.yaml").write_text(
        f"data: postgresql://a:{QUOTED}@h/d\ntable: t\nrow_key: id\nworkspace: v2\n"
        "synthesize: {epsilon: 1, delta: 1e-6}\n"
    )
    code, said = run("run", "run.yaml")
    assert (code, "pgpass" in said, QUOTED in said) == (1, True, False)
    assert not (home / "v2").exists()


@pytest.mark.parametrize(
    ("words", "why", "remedy"),
    [
        (("claims", "--row-key", "nobody"), "no column 'nobody'", "--row-key"),
        (("local[2]", "--table", "t"), "a column must tell records apart", "--row-key COLUMN"),
        (("empty", "--row-key", "id"), "no Parquet file", "Check the path"),
        (("texts", "--row-key", "id"), "files are CSV", "as Parquet"),
        (("texts/*.csv", "--row-key", "id"), "files are CSV", "as Parquet"),
        (("claims/0.parquet", "--row-key", "id"), "one file is read into memory", "name the file's folder"),
        (("absent", "--row-key", "id"), "no such file or folder", "Check the path"),
        (("claims", "--table", "t", "--row-key", "id"), "Files have no table", "Leave --table out"),
        (("postgresql://h/d", "--row-key", "id"), "no table is named", "--table schema.table"),
        (("postgresql://127.0.0.1:1/d", "--table", "t", "--row-key", "id"), "lost or gave up", "Nothing answers"),
        (("mysql://h/d", "--table", "t", "--row-key", "id"), "'mysql' are not read", "postgresql://"),
    ],
)
def test_what_goes_wrong_is_said_with_its_remedy(run: Run, home: Path, words: Any, why: str, remedy: str) -> None:
    (home / "empty").mkdir()
    (home / "texts").mkdir()
    (home / "texts" / "a.csv").write_text("id\n1\n")
    code, said = run("budget", "create", *words, *GRANT)
    assert code == 1
    assert why in said
    assert remedy in said.partition("->")[2]
    assert "defect" not in said


def test_the_grants_that_lack_are_named(run: Run, server: Any) -> None:
    if not server.owned:
        pytest.skip("a server that others administer")
    server.sql("CREATE TABLE hidden (id bigint)", admin=True)
    code, said = run("budget", "create", server.url, "--table", "hidden", "--row-key", "id", *GRANT)
    assert code == 1
    assert 'GRANT SELECT ON "public"."hidden" TO account' in said
    code, said = run("budget", "create", server.url, "--table", "nowhere.hidden", "--row-key", "id", *GRANT)
    assert "no table 'hidden' in schema 'nowhere'" in said


@pytest.mark.parametrize(
    ("source", "extra"),
    [
        (("claims",), "[engines]"),
        (("postgresql://h/d", "--table", "t"), "[engines,postgresql]"),
        (("local[2]", "--table", "t"), "[spark]"),
    ],
)
def test_a_missing_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, source: Any, extra: str) -> None:
    for package in ("ibis", "duckdb", "psycopg", "pyspark"):
        monkeypatch.setitem(sys.modules, package, None)
    for command in (("budget", "create", *source, *GRANT, "--row-key", "id"), ("schema", "draft", *source, "-o", "n")):
        code, said = run(*command)
        assert (code, f"pip install 'dpsynth-release{extra}'" in said) == (1, True), said


def test_a_name_means_the_data_set_and_a_path_the_folder(run: Run, home: Path) -> None:
    (home / "data").mkdir()
    shutil.move(home / "claims", home / "data" / "claims")
    ok(run("budget", "create", "data/claims", *GRANT, "--row-key", "id", "--schema", "schema.yaml"))
    (home / "claims").mkdir()
    pq.write_table(people(500), home / "claims" / "x.parquet")
    ok(run("synthesize", "claims", "-e", "0.1", "-g", "independent"))
    code, said = run("synthesize", "./claims", "-e", "0.1", "-g", "independent")
    assert (code, "Nobody has granted" in said) == (6, True)


@pytest.mark.parametrize(
    "word",
    [
        f"postgresql://a:{QUOTED}@h/d",
        f"postgresql://h/d?user=a&password={QUOTED}",
        f"--parent=postgresql://a:{QUOTED}@h/d",
        f"postgres://a:{QUOTED}@[h/d",
        f"spark://a:{QUOTED}@h:7077",
    ],
)
def test_what_was_typed_is_shown_without_its_password(word: str) -> None:
    typed = Typed.of(["synthesize", word])
    assert typed
    assert not Typed.of(["synthesize", "postgresql://a@h/d", "--table", "t", "claims", "a:b@c"])
    for text in (word, f"No '{word}' here", f"password {QUOTED} or {PASSWORD}"):
        assert QUOTED not in typed.without(text)
        assert PASSWORD not in typed.without(text)
