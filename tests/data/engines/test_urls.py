from __future__ import annotations

import logging
import socket
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.core.errors import DpsynthError, ParameterError
from dpsynth.data.engines.sources.urls import is_engine, parse, server, without_credentials

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


def test_a_server_is_reached_over_the_network_and_not_where_an_address_of_the_environment_leads(
    postgresql, monkeypatch
):
    """Psycopg names the address of each host that it looked up: that one is the URL's own."""
    pytest.importorskip("psycopg")
    if not postgresql.owned:
        pytest.skip("the server is not this test's to restart")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with postgresql.restarted("-c listen_addresses=127.0.0.1", f"-c port={port}"):
        for host in ("127.0.0.1", "localhost"):
            source = parse(f"postgresql://team@{host}:{port}/team", table="pg_catalog.pg_am")
            assert source.place == f"postgresql://localhost:{port}/team/pg_catalog.pg_am"
            with closing(server(source)) as engine:
                assert engine.fetch("SELECT 1 AS one").column(0).to_pylist() == [1]
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
        for host in ("localhost", "db.example"):
            with pytest.raises(ParameterError, match="led elsewhere"):
                server(parse(f"postgresql://team@{host}:{port}/team", table="pg_catalog.pg_am"))


def test_a_port_of_the_environment_leads_nowhere_else(postgresql, monkeypatch):
    pytest.importorskip("psycopg")
    from dpsynth.data.engines.sources import urls

    postgresql.sql("CREATE TABLE IF NOT EXISTS ported (x bigint)")
    monkeypatch.setattr(urls, "PORT", 5433)  # as if libpq had taken another port than the place says
    with pytest.raises(ParameterError, match="led elsewhere"):
        parse(postgresql.url, table="ported").open()


QUOTED = SECRET.replace("-", "%2D")
SOURCES = [
    f"postgresql://ann:{SECRET}@h/db",
    f"postgresql://ann:{QUOTED}@h/db",
    f"postgresql://ann:{SECRET}@h:5432/db?sslmode=require&password={SECRET}",
    f"postgresql://h/db?user=ann&password={SECRET}",
    f"postgresql://h/db?sslpassword={SECRET}&sslkey=/k",
    f"postgresql://h/db?passfile=/home/ann/{SECRET}",
    f"postgresql://h/db?PASSWORD={QUOTED}",
    f"postgresql://h/db?options=-c%20role%3D{SECRET}",
    f"postgresql://ann:{SECRET}@[::1]:5432/db",
    f"postgresql://ann:{SECRET}@[2001:db8::7]/db",
    f"postgresql://ann:{SECRET}@%2Frun%2Fpg/db",
    f"postgresql://ann:{SECRET}@/db?host=/run/pg",
    f"postgresql:///db?host=/run/pg&service={SECRET}",
    f"postgresql://ann:1234/{SECRET}@h",
    f"postgresql://ann:1234/{SECRET}@h/db",
    f"postgresql://ann:1234#{SECRET}@h/db",
    f"postgresql://ann:1234?{SECRET}@h/db",
    f"postgresql://ann:{SECRET}@h1,h2/db",
    f"postgresql://{SECRET}@h/db",
    f"POSTGRESQL://ann:{SECRET}@h/db",
    f"postgresql:/ann:{SECRET}@h/db",
    f"postgresql:ann:{SECRET}@h/db",
    f"jdbc:postgresql://h/db?user=ann&password={SECRET}",
    f"host=h dbname=db user=ann password={SECRET}",
    f"password='{SECRET}' host=h",
    f"password={SECRET}",
    f"postgresql://ann%3A{SECRET}@h/db",
    f"postgresql://h/db?user=ann:{SECRET}",
    f"spark://h:7077;token={SECRET}",
    f"spark://ann:{SECRET}@h:7077",
    f"spark://h:7077?token={SECRET}",
    f"spark://h:7077/{SECRET}",
    f"spark://ann:a/{SECRET}@h:7077",
    f"sc://h:15002/;token={SECRET}",
    f"s3://AKID:{SECRET}@claims/x",
    f"s3://AKID:a/{SECRET}@claims/x",
    f"s3://claims/x?secret_key={SECRET}",
    f"s3a://claims/x/*.parquet?access_key=A&secret_key={SECRET}",
    f"s3://claims/x#{SECRET}",
    f"gs://ann:{SECRET}@claims/x",
    f"https://claims.s3.amazonaws.com/x?X-Amz-Signature={SECRET}",
    f"file://ann:{SECRET}@server/share/x.parquet",
    f"file:///share/x.parquet?password={SECRET}",
    f"//ann:{SECRET}@server/share/*.parquet",
    rf"\\ann:{SECRET}@server\share\*.parquet",
    rf"C:\Users\ann\{SECRET}",
    f"smb://ann:{SECRET}@server/share",
    f"{SECRET}://x",
    f"ftp:{SECRET}",
    f"x\0{SECRET}",
]


@pytest.mark.parametrize("table", [None, "health.visits"])
@pytest.mark.parametrize("source", SOURCES)
def test_no_form_of_a_credential_is_shown(source, table, caplog):
    """In the place, the name, the repr, or the words of a refusal."""
    with caplog.at_level(logging.DEBUG):
        try:
            found = parse(source, table=table)
        except ParameterError as error:
            assert error.__cause__ is None
            said = str(error) + repr(error) + str(error.to_json())
        else:
            said = " ".join(map(str, (found, found.place, found.pattern, found.table)))
        is_engine(source)
    for secret in (SECRET, QUOTED):
        assert secret not in said
        assert secret not in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        f"postgresql://ann:{SECRET}@h/db",
        f"postgresql://ann:a/{SECRET}@h/db",
        f"postgresql://h/db?sslpassword={SECRET}&x=y",
        f"jdbc:postgresql://h/db?user=ann&password={SECRET}",
        f"host=h dbname=db password={SECRET} user=ann",
        f"password = 'a {SECRET}' host=h",
        f"PGPASSWORD={SECRET} psql",
        f"s3://AKID:a/{SECRET}@claims/x",
        f"s3://claims/x?secret_key={SECRET}",
        f"spark://h:7077?token={SECRET}",
    ],
)
def test_a_message_is_cleaned_of_credentials(message):
    cleaned = without_credentials(f"cannot open {message} now")
    assert SECRET not in cleaned
    assert cleaned.startswith("cannot open ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("postgresql://[2001:DB8:0:0::7]/d", "t"), ("postgresql://[2001:db8::7]:5432/d", "public.t")),
        (("postgresql://[::ffff:10.0.0.1]/d", "t"), ("postgresql://10.0.0.1/d", "t")),
        (("postgresql://[::1]/d", "t"), ("postgresql://LOCALHOST/d", "t")),
        (("postgresql://127.0.0.2/d", "t"), ("postgresql://localhost./d", "t")),
        (("postgresql://127.1/d", "t"), ("postgresql://0.0.0.0/d", "t")),
        (("postgresql://[::]/d", "t"), ("postgresql://2130706433/d", "t")),
        (("postgresql://10.0.0.1/d", "t"), ("postgresql://167772161/d", "t")),
        (("spark://h:07077", "t"), ("spark://h:7077", "t")),
        (("postgresql://%2Frun%2FPg/d", "t"), ("postgresql:///d?host=/run/Pg/", "t")),
        (("postgresql://bücher.example/d", "t"), ("postgresql://xn--bcher-kva.example/d", "t")),
        (("postgresql://h/d%62", "t"), ("postgresql://h/db", "t")),
        (("postgresql://h:05432/d", "t"), ("postgresql://h:/d", "t")),
        (("spark://H:7077", "t"), ("spark://h", "default.t")),
        (("spark://b:7077,a:7077", "t"), ("spark://A,b", "T")),
        (("local", "w.t"), ("local[*,3]", "spark_catalog.w.t")),
        (("s3://claims/x/", None), ("S3A://claims/x", None)),
        (("gcs://claims/x", None), ("gs://claims/x/", None)),
    ],
)
def test_two_spellings_of_one_server_are_one_place(one, other):
    assert parse(one[0], table=one[1]).place == parse(other[0], table=other[1]).place


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://h/d", "postgresql://h/D"),
        ("postgresql://h/d", "postgresql://h:5433/d"),
        ("postgresql:///d?host=/run/pg", "postgresql:///d?host=/run/PG"),
        ("spark://h:7077", "spark://h:7078"),
    ],
)
def test_two_servers_or_databases_are_two_places(one, other):
    assert parse(one, table="t").place != parse(other, table="t").place


def test_two_spellings_of_one_path_are_one_place(tmp_path, monkeypatch):
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    spelled = [
        "a b",
        "a b/",
        "a b//",
        "./a b/.",
        f"/{folder}",
        f"file://{tmp_path}/a%20b",
        f"file://localhost{tmp_path}/a%20b/",
    ]
    assert {parse(source).place for source in spelled} == {str(folder)}
    assert parse("a b//*.parquet").place == parse(f"file://{tmp_path}/a%20b/./*.parquet").place


def test_a_colon_or_an_equals_sign_in_a_folder_s_name_is_no_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("part:1", "host=a user=b", "password=x"):
        (tmp_path / name).mkdir()
        assert parse(name).place == str(tmp_path / name)
        assert parse(f"{name}/*.parquet").place == f"{tmp_path / name}/*.parquet"


@pytest.mark.parametrize("source", ["file://server/share/a.parquet", "file:///share/a?x=1", "file:///share/a#b"])
def test_a_file_of_another_computer_is_refused(source):
    with pytest.raises(ParameterError, match="another computer"):
        parse(source)


@pytest.mark.parametrize(
    "table",
    [
        *(
            " claims",
            "claims ",
            "claims/**/",
            "claims --x",
            "w. claims",
            "w.`cl/aims`",
            "`claims",
            "w..claims",
            "a.b.c.d",
        ),
        *("parquet.`/data/x`", "delta.`/data/x`", "w.claims\n", "w.claims@v1", "w.claims;x"),
    ],
)
def test_what_sparks_parser_reads_as_more_than_a_name_is_refused(table):
    """Blanks, comments and folders gave one table as many budgets as somebody could spell."""
    with pytest.raises(ParameterError, match=r"catalogue|no table is named"):
        parse("spark://h:7077", table=table)


@pytest.mark.parametrize("table", ["`claims`", "default.`Claims`", "`spark_catalog`.default.claims", "CLAIMS"])
def test_a_table_of_spark_in_backticks_is_the_same_table(table):
    assert parse("local[1]", table=table).place == parse("local[1]", table="claims").place


@pytest.mark.parametrize(
    ("source", "table"),
    [
        ("postgresql://h/d", f"{'t' * 63}x"),
        ("postgresql://h/d", f"{'s' * 64}.t"),
        ("postgresql://h/d", "\u00e9" * 32),
        (f"postgresql://h/{'d' * 64}", "t"),
    ],
)
def test_a_name_that_postgresql_would_cut_is_refused(source, table):
    """A table of 63 letters had a fresh budget under each longer name."""
    with pytest.raises(ParameterError, match="more than 63 bytes"):
        parse(source, table=table)


@pytest.mark.parametrize("master", ["spark://h:7077;token=x", "spark://h:7077/x", "spark://h:70770000", "spark:// h"])
def test_a_cluster_is_hosts_and_ports(master):
    with pytest.raises(ParameterError, match="more than hosts and ports"):
        parse(master, table="t")


@pytest.mark.parametrize("path", ["a/./f.parquet", "a/../a/f.parquet", "a//f.parquet", "./a", "a/.."])
def test_a_path_in_a_bucket_has_one_spelling(path):
    """`a/./f.parquet` was listed and read as `a/f.parquet`, and had a budget of its own."""
    with pytest.raises(ParameterError, match="parts that are empty"):
        parse(f"s3://claims/{path}")
