from __future__ import annotations

import re

import pytest

from dpsynth.core.errors import DataError
from tests.postgresql import running

pytest.importorskip("ibis", reason="no ibis: pip install 'dpsynth-release[engines]'")
pytest.importorskip("psycopg", reason="no psycopg: pip install 'dpsynth-release[postgresql]'")
from dpsynth.data.engines.postgresql import PostgreSQL
from dpsynth.data.engines.postgresql_refusal import REMEDIES, remedy
from dpsynth.data.engines.protocol import EngineLost

SECRET = "geheim-7"


@pytest.fixture(scope="module")
def server():
    with running() as server:
        if not server.owned:
            pytest.skip("a server that others administer")
        server.sql(
            f"CREATE ROLE locked LOGIN PASSWORD '{SECRET}'",
            "CREATE SCHEMA health",
            "CREATE TABLE health.claims (id bigint)",
            "REVOKE TEMPORARY ON DATABASE team FROM PUBLIC",
            admin=True,
        )
        rules = server.file("data/pg_hba.conf")
        rules.write_text("local all locked scram-sha-256\n" + rules.read_text())
        server.sql("SELECT pg_reload_conf()", admin=True)
        yield server


@pytest.fixture
def locked(server, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", SECRET)
    return server.url.replace("team@", "locked@")


def test_each_refused_connection_has_the_remedy_of_its_cause(server, locked, monkeypatch):
    def said(url: str, password: str | None = SECRET) -> str:
        monkeypatch.setenv("PGPASSFILE", "/nowhere")
        monkeypatch.delenv("PGPASSWORD", raising=False)
        if password is not None:
            monkeypatch.setenv("PGPASSWORD", password)
        with pytest.raises((EngineLost, DataError)) as caught:
            PostgreSQL(url)
        assert not any(word in str(caught.value) for word in ("locked", "elsewhere", SECRET, "127.0.0.1"))
        return str(caught.value)

    assert "none was given" in said(locked, None)
    assert "refused the account or its password" in said(locked, "wrong")
    assert "no such database" in said(locked.replace("/team?", "/elsewhere?"))
    assert "Nothing answers" in said("postgresql://locked@127.0.0.1:1/team")
    assert "Nothing answers" in said("postgresql://locked@/team?host=/elsewhere")
    assert "No such host" in said("postgresql://locked@elsewhere.invalid/team")
    assert "URL and its parameters" in said("postgresql://locked@127.0.0.1:1/team?elsewhere=1")


def test_every_remedy_is_reached_by_its_own_phrase():
    for phrase, words in REMEDIES:
        assert remedy(f"connection failed: FATAL:  {phrase} and more") == words
    assert remedy("Verbindung fehlgeschlagen").startswith("Check server")


def test_only_the_grants_that_lack_are_named(server, locked):
    needed = {
        "USAGE": "GRANT USAGE ON SCHEMA health TO locked",
        "SELECT": "GRANT SELECT ON health.claims TO locked",
        "TEMPORARY": "GRANT TEMPORARY ON DATABASE team TO locked",
    }
    while needed:
        engine = PostgreSQL(locked)
        for ask in (engine.described, engine.table):
            with pytest.raises(DataError, match="may not read the table") as caught:
                ask("claims", "health")
            assert re.findall(r"GRANT (\w+)", str(caught.value)) == list(needed)
        engine.close()
        server.sql(needed.pop(next(iter(needed))), admin=True)
    engine = PostgreSQL(locked)
    assert engine.table("claims", "health").columns == ("id",)
    engine.close()
