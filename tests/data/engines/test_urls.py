from __future__ import annotations

import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.core.errors import DpsynthError, ParameterError
from dpsynth.data.engines.urls import is_engine, parse, without_credentials

SECRET = "hunter2-Zq"


@pytest.mark.parametrize(
    ("source", "table", "kind", "place"),
    [
        (f"postgresql://ann:{SECRET}@h/db", "t", "postgresql", "postgresql://h:5432/db/public.t"),
        (f"postgres://ann:{SECRET}@h:99/db?password={SECRET}", "s.t", "postgresql", "postgresql://h:99/db/s.t"),
        (
            f"postgresql:///db?host=/run/pg&password={SECRET}",
            "t",
            "postgresql",
            "postgresql:///run/pg:5432/db/public.t",
        ),
        (f"spark://ann:{SECRET}@h:7077", "w.t", "spark", "spark://h:7077/w.t"),
        ("local[2]", "w.t", "spark", "spark://local/w.t"),
        ("local-cluster[2,1,1024]", "w.t", "spark", "spark://local/w.t"),
        ("/data/x/*.parquet", None, "duckdb", "/data/x/*.parquet"),
    ],
)
def test_a_place_is_the_engine_and_what_it_holds_without_credentials(source, table, kind, place):
    found = parse(source, table=table)
    assert (found.kind, found.place) == (kind, place)
    assert SECRET not in repr(found)
    assert "ann" not in repr(found)
    assert is_engine(source)


def test_one_place_whatever_the_account():
    mine, theirs = (parse(f"postgresql://{who}:{who}@h/db", table="t") for who in ("ann", "bob"))
    assert mine == theirs


@pytest.mark.parametrize(
    "source",
    [
        f"mysql://ann:{SECRET}@h/db",
        f"{SECRET}://h/db",
        f"postgresql://ann:{SECRET}@/db",
        f"postgresql://ann:{SECRET}@h",
        f"postgresql://ann:{SECRET}@h:port/db",
        f"postgresql://ann:{SECRET}@[h/db",
        f"spark://ann:{SECRET}@h",
    ],
)
def test_no_refusal_repeats_a_password(source, caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(ParameterError) as caught:
        parse(source)
    assert SECRET not in str(caught.value) + repr(caught.value) + caplog.text


def test_no_connection_that_fails_repeats_a_password(caplog):
    pytest.importorskip("psycopg")
    source = parse(f"postgresql://ann:{SECRET}@127.0.0.1:1/db?connect_timeout=1", table="t")
    with caplog.at_level(logging.DEBUG), pytest.raises(DpsynthError) as caught:
        source.open()
    assert SECRET not in str(caught.value) + repr(caught.value) + caplog.text
    assert caught.value.__cause__ is None


@given(
    st.text(alphabet=st.characters(codec="ascii", exclude_characters="/@ \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"), min_size=8)
)
def test_credentials_are_cut_out_of_any_text(password):
    secret = f"{password}Zq"  # no word of the text itself
    assert secret not in without_credentials(f"x postgresql://a:{secret}@zz/y?q={secret} !").replace("!", "")


def test_a_folder_and_a_glob_are_read_and_one_file_is_a_table_in_memory(tmp_path):
    pytest.importorskip("duckdb")
    for at in range(3):
        pq.write_table(pa.table({"x": [at, 7]}), tmp_path / f"part-{at}.parquet")
    for source in (str(tmp_path), f"{tmp_path}/part-*.parquet"):
        table = parse(source).open(threads=1)
        assert table.value_counts("x").counts.tolist() == [1, 1, 1, 3]
        table.engine.close()
    assert not is_engine(str(tmp_path / "part-0.parquet"))
    with pytest.raises(ParameterError, match="no Parquet file"):
        parse(f"{tmp_path}/none-*.parquet").open()


def test_one_place_has_one_name(tmp_path, monkeypatch):
    """Each pair that two names would give was a second budget for the same rows."""
    folder = tmp_path / "claims"
    (folder / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in ("claims", "./claims/", "claims/x/..", "link", "link/x/..", "~/claims", str(folder)):
        assert parse(source).place == str(folder), source
    assert parse("link/*.parquet").place == parse("claims/x/../*.parquet").place == f"{folder}/*.parquet"
    for one, other in (
        (("postgresql://h/d", "t"), ("postgres://H.:5432/d", "public.t")),
        (("postgresql://localhost/d", "t"), ("postgresql://127.0.0.1/d", "t")),
        (("postgresql:///d?host=/run/pg", "t"), ("postgresql:///d?host=/run/pg&port=5432", "t")),
        (("spark://h:7077", "t"), ("spark://h:7077", "spark_catalog.Default.T")),
    ):
        assert parse(one[0], table=one[1]).place == parse(other[0], table=other[1]).place


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://h/d?host=other",
        "postgresql://h/d?hostaddr=10.0.0.1",
        "postgresql://h/d?port=5433",
        "postgresql://h/d?dbname=other",
        "postgresql://h/d?service=other",
        "postgresql:///d?host=a,b",
    ],
)
def test_a_parameter_that_leads_elsewhere_is_refused(source):
    """libpq prefers these to host, port and database of the URL, so one table would have many places."""
    with pytest.raises(ParameterError, match="budget belongs"):
        parse(source, table="t")


def test_an_environment_that_leads_elsewhere_is_refused(postgresql, monkeypatch):
    pytest.importorskip("psycopg")
    source = parse(postgresql.url, table="pg_catalog.pg_class")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    with pytest.raises(DpsynthError):
        source.open()


def test_a_port_of_the_environment_leads_nowhere_else(postgresql, monkeypatch):
    pytest.importorskip("psycopg")
    from dpsynth.data.engines import urls

    postgresql.sql("CREATE TABLE IF NOT EXISTS ported (x bigint)")
    monkeypatch.setattr(urls, "PORT", 5433)  # as if libpq had taken another port than the place says
    with pytest.raises(ParameterError, match="led elsewhere"):
        parse(postgresql.url, table="ported").open()
