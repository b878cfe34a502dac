"""Files as one source: here, in a bucket of a real S3 server, in partitions."""

from __future__ import annotations

import os
import tempfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.engines import keyed, rows
from dpsynth.data.engines.protocol import ROW
from dpsynth.data.engines.sources.files import FileSource, matched, parted
from dpsynth.data.engines.sources.urls import parse
from dpsynth.tabular.autoregressive import Autoregressive
from tests.conformance.tables import mixed_table

pytest.importorskip("duckdb", reason="no DuckDB: pip install 'dpsynth-release[engines]'")
from dpsynth.data.engines.duckdb import DuckDB

SECRET = "hunter2-Zq"


def write(folder, name, **columns):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def engine():
    engine = DuckDB(threads=1)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def server():
    """An S3 server of this process, its bucket `claims`, and the environment that finds it."""
    pytest.importorskip("moto", reason="no moto: pip install 'moto[server]'")
    pytest.importorskip("fsspec")
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    import pyarrow.fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": server,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    system = pyarrow.fs.S3FileSystem(endpoint_override=server, allow_bucket_creation=True, allow_bucket_deletion=True)
    system.create_dir("claims")
    yield system
    system.delete_dir("claims")


def put(system, path, **columns):
    pq.write_table(pa.table(columns), path, filesystem=system)


def test_a_bucket_is_read_as_the_same_files_here(bucket, tmp_path, engine):
    for at in range(3):
        content = {"x": [at, 7, None], "word": ["é", f"w{at}", ""]}
        put(bucket, f"claims/in/year={2019 + at}/part.parquet", **content)
        write(tmp_path, f"in/year={2019 + at}/part.parquet", **content)
    here = engine.files(FileSource.at(str(tmp_path / "in")))
    for spelled in ("s3://claims/in", "s3://claims/in/", "s3a://claims/in", "s3://claims/in/*/*.parquet"):
        source = parse(spelled)
        there = source.open(threads=1)
        assert there.columns == here.columns == ("x", "word", "year")
        for name in here.columns:
            found, expected = there.value_counts(name), here.value_counts(name)
            assert (found.values.to_pylist(), found.counts.tolist()) == (
                expected.values.to_pylist(),
                expected.counts.tolist(),
            )
        assert rows.everything(there).to_arrow().equals(rows.everything(here).to_arrow())
        there.engine.close()
    assert parse("s3://claims/in/").place == parse("s3a://claims/in").place == "s3://claims/in"


def test_a_bucket_needs_no_extension(bucket):
    put(bucket, "claims/a.parquet", x=[1])
    table = parse("s3://claims/a.parquet").open(threads=1)
    loaded = table.engine.connection.sql("SELECT extension_name FROM duckdb_extensions() WHERE loaded").fetchall()
    assert ("httpfs",) not in loaded and ("aws",) not in loaded
    table.engine.close()


def test_a_version_is_of_content_names_and_times(bucket, tmp_path):
    put(bucket, "claims/v/a.parquet", x=[1, 2])
    before = parse("s3://claims/v").files().version()
    assert parse("s3://claims/v").files().version() == before
    put(bucket, "claims/v/b.parquet", x=[3])
    assert parse("s3://claims/v").files().version() != before
    path = write(tmp_path, "v/a.parquet", x=[1, 2])
    versions = {parse(str(path.parent)).files().version()}
    facts = path.stat()
    write(tmp_path, "v/a.parquet", x=[1, 3])
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == facts.st_size  # only the footer's statistics differ
    versions.add(parse(str(path.parent)).files().version())
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1000))
    versions.add(parse(str(path.parent)).files().version())
    path.rename(path.with_name("b.parquet"))
    versions.add(parse(str(path.parent)).files().version())
    assert len(versions) == 4


@pytest.mark.parametrize(
    ("name", "content"), [("a", b""), ("b", b"PAR1PAR1"), ("c", b"PAR1" + b"\xff" * 4 + b"PAR1"), ("d", b"x" * 40)]
)
def test_what_is_no_parquet_has_no_version_and_no_rows(tmp_path, name, content):
    (tmp_path / f"{name}.parquet").write_bytes(content)
    source = parse(str(tmp_path))
    with pytest.raises(DataError, match="no Parquet file"):
        source.files().version()
    with pytest.raises(DataError):
        source.open(threads=1)


@pytest.mark.parametrize("spelled", ["s3://nowhere/x", "s3://claims/none", "s3://claims/none/*.parquet"])
def test_what_is_not_there_is_refused_without_a_key(bucket, spelled):
    with pytest.raises((DataError, ParameterError)) as caught:
        parse(spelled).open()
    said = str(caught.value) + repr(caught.value)
    assert SECRET not in said and "AKIDEXAMPLE" not in said and "127.0.0.1" not in said
    assert caught.value.__cause__ is None


def test_a_server_that_is_away_is_refused_without_its_words(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DataError, match=r"bucket cannot be read \([A-Z_]+\)") as caught:
        parse("s3://claims/in").files()
    assert "127.0.0.1" not in str(caught.value)


def test_partitions_are_columns_of_the_types_that_csv_would_get(tmp_path, engine):
    write(tmp_path, "year=2020/month=01/day=2020-01-31/who=a%20b/x.parquet", x=[1])
    write(tmp_path, "year=-7/month=12/day=__HIVE_DEFAULT_PARTITION__/who=%C3%A9/x.parquet", x=[2])
    table = engine.files(FileSource.at(str(tmp_path)))
    assert dict(table.types) == {"x": "integer", "year": "integer", "month": "string", "day": "date", "who": "string"}
    assert sorted(rows.everything(table).to_arrow().to_pylist(), key=lambda row: row["x"]) == [
        {"x": 1, "year": 2020, "month": "01", "day": date(2020, 1, 31), "who": "a b"},
        {"x": 2, "year": -7, "month": "12", "day": None, "who": "é"},
    ]


def test_only_folders_below_the_fixed_part_are_partitions(tmp_path, engine):
    write(tmp_path, "run=3/year=2020/a.parquet", x=[1])
    write(tmp_path, "run=3/year=2021/a.parquet", x=[2])
    assert engine.files(FileSource.at(str(tmp_path / "run=3"))).columns == ("x", "year")
    assert engine.files(FileSource.at(str(tmp_path / "run=3/year=2020"))).columns == ("x",)
    assert set(engine.files(FileSource.at(str(tmp_path / "run=*/*/*.parquet"))).columns) == {"x", "run", "year"}


def test_partitions_that_do_not_fit_together_are_refused(tmp_path, engine):
    write(tmp_path, "year=2020/a.parquet", x=[1])
    write(tmp_path, "b.parquet", x=[1])
    with pytest.raises(DataError, match="others not"):
        engine.files(FileSource.at(str(tmp_path)))
    write(tmp_path, "other/x=1/a.parquet", x=[1])
    with pytest.raises(DataError, match="'x' stands in the files"):
        engine.files(FileSource.at(str(tmp_path / "other")))


def test_what_a_job_has_not_finished_or_hides_is_not_read(tmp_path):
    for name in ("a.parquet", "_temporary/0/b.parquet", ".c.parquet", "sub/.d/e.parquet", "sub/f.parquet"):
        write(tmp_path, name, x=[1])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "README.txt").touch()
    assert FileSource.at(str(tmp_path)).names == ("a.parquet", "sub/f.parquet")


def test_csv_in_a_folder_is_refused_with_a_way_out(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    for source in (str(tmp_path), f"{tmp_path}/*.csv", f"{tmp_path}/*"):
        with pytest.raises(DataError, match=r"write_table\(dpsynth\.read"):
            parse(source).files()
    import dpsynth

    pq.write_table(dpsynth.read(tmp_path / "a.csv").to_arrow(), tmp_path / "a.parquet")  # as the message says
    assert parse(str(tmp_path)).files().names == ("a.parquet",)


def test_names_that_look_like_patterns_or_sql_are_names(tmp_path, engine):
    folder = tmp_path / "o'dd"
    write(folder, "a[1].parquet", x=[1])
    write(folder, "a1.parquet", x=[2])
    found = engine.files(FileSource.at(str(folder))).value_counts("x")
    assert found.values.to_pylist() == [1, 2]
    assert found.counts.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.parquet", ["a.parquet"]),
        ("**/*.parquet", ["a.parquet", "s/b.parquet", "s/t/c.parquet"]),
        ("s/**", ["s/b.parquet", "s/t/c.parquet"]),
        ("s/?.parquet", ["s/b.parquet"]),
        ("[ab].parquet", ["a.parquet"]),
        ("[!a].parquet", []),
        ("s/*/[!a-b].parquet", ["s/t/c.parquet"]),
        ("a+parquet", []),
    ],
)
def test_patterns(pattern, names):
    assert matched(pattern, ["s/t/c.parquet", "a.parquet", "s/b.parquet"]) == names
    assert parted(f"/x/y/{pattern}")[0] in ("/x/y", "/x/y/s", "/x/y/a+parquet")


def test_rows_without_a_key_are_told_apart_by_their_place_in_the_files(tmp_path):
    for at in range(2):
        write(tmp_path, f"{at}.parquet", x=[1] * 1500)
    table = parse(str(tmp_path)).open(numbered=True, threads=1)
    assert table.columns == ("x",) and dict(table.types) == {"x": "integer"}
    parts = keyed.split(table, ROW, holdout_share=0.2, key=bytes(32))
    again = keyed.split(parse(str(tmp_path)).open(numbered=True, threads=1), ROW, holdout_share=0.2, key=bytes(32))
    other = keyed.split(table, ROW, holdout_share=0.2, key=bytes([1] * 32))
    sizes = [part.unsafe_num_rows for part in parts]
    assert sum(sizes) == 3000 and 480 < sizes[1] < 720
    cells = [
        set(part.engine.fetch(f'SELECT "{part.row.cell}" FROM "{part.relation}"').column(0).to_pylist())
        for part in (*parts, *again, *other)
    ]
    assert cells[:2] == cells[2:4] and cells[1] != cells[5]
    assert cells[0] | cells[1] == {file << 40 | row for file in range(2) for row in range(1500)}
    taken = rows.sampled(parts[0], ROW, about=200, key=bytes(32))
    assert taken.columns == ("x",) and 120 < taken.unsafe_num_rows < 300
    assert rows.everything(parts[1]).columns == ("x",)
    for shown in (repr(table), str(list(table.types)), str(table.select(["x"]).columns)):
        assert ROW not in shown
    with pytest.raises(DataError, match="no column"):
        table.value_counts(ROW)


def test_rows_without_numbers_have_no_identity(tmp_path, engine):
    write(tmp_path, "a.parquet", x=[1])
    with pytest.raises(DataError, match="no column"):
        keyed.split(engine.files(FileSource.at(str(tmp_path))), ROW, holdout_share=0.2, key=bytes(32))
    write(tmp_path, "b/a.parquet", x=[1], file_row_number=[0])
    with pytest.raises(DataError, match="file_row_number"):
        engine.files(FileSource.at(str(tmp_path / "b")), numbered=True)
    with pytest.raises(ParameterError, match="row key"):
        parse("postgresql://host/base", table="t").open(numbered=True)


@pytest.mark.slow
def test_a_workspace_fits_what_counts_and_what_trains_to_a_bucket_and_keeps_no_key(bucket, tmp_path):
    import dpsynth as dp

    of = mixed_table(1200).to_arrow().append_column("id", pa.array(list(range(1200))))
    for at in range(2):
        pq.write_table(of.slice(600 * at, 600), f"claims/d/{at}.parquet", filesystem=bucket)
    workspace = dp.Workspace.init(tmp_path / "vault")
    data = workspace.register("s3://claims/d/", row_key="id")
    assert workspace.register("s3a://claims/d", row_key="id") == data
    workspace.create_budget(data, epsilon=5, delta="1e-5")
    for made in (dp.tabular.MST(), Autoregressive(steps=5)):
        assert workspace.synthesize(data, made, epsilon=1.0, delta="1e-6") is not None
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert kept and not any(SECRET.encode() in content or b"AKIDEXAMPLE" in content for content in kept)


@pytest.mark.parametrize("column", ["(row of a file)", "(Row of a file)", "File_Index", "FILE_ROW_NUMBER"])
def test_no_column_of_a_file_passes_for_the_identity_of_its_rows(tmp_path, column):
    pq.write_table(pa.table({column: [1, 1], "z": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row's place"):
        parse(str(tmp_path)).open(numbered=True)
    folder = tmp_path / "folders" / f"{column}=3"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"z": [1, 2]}), folder / "a.parquet")
    with pytest.raises(DataError, match="row's place"):
        parse(str(folder.parent)).open(numbered=True)


def test_a_folder_does_not_stand_in_for_a_column_that_differs_in_case(tmp_path):
    (tmp_path / "Year=1").mkdir()
    pq.write_table(pa.table({"year": [5, 6]}), tmp_path / "Year=1" / "a.parquet")
    with pytest.raises(DataError, match="name of a partition"):
        parse(str(tmp_path)).open()


def test_files_that_are_not_alike_are_warned_of_by_column(tmp_path, engine):
    write(
        tmp_path,
        "in/a.parquet",
        age=pa.array([1, 2], pa.int32()),
        code=[7, 8],
        x=[1.5, 2.5],
        gone=["a", "b"],
        void=[None, None],
    )
    write(
        tmp_path, "in/b.parquet", age=pa.array([3], pa.int64()), code=["7"], x=pa.array([1.0], pa.float32()), void=[4]
    )
    table = engine.files(FileSource.at(str(tmp_path / "in")))
    warnings = {name: field.warning for name, field in table.fields.items()}
    said = {name: warning and (warning.code, warning.message) for name, warning in warnings.items()}
    assert said.pop("code") == ("types_differ", "Column 'code' has other types in some files; all are read as string.")
    assert said.pop("gone") == (
        "not_in_every_file",
        "Column 'gone' is not in every file; in the rows of the others it is missing.",
    )
    assert said == dict.fromkeys(("age", "x", "void"))


def test_the_damaged_file_of_many_is_named(tmp_path, engine):
    write(tmp_path, "in/year=1/a.parquet", x=[1])
    path = write(tmp_path, "in/year=2/a.parquet", x=list(range(1000)))
    whole = path.read_bytes()
    for damaged in (whole[:300], whole[:-200] + b"\xff" * 190 + whole[-10:], b"x" * 40):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"'year=2/a\.parquet' is cut, damaged or no Parquet file"):
            engine.files(FileSource.at(str(tmp_path / "in")))


@pytest.mark.parametrize("blank", ["", " "])
def test_a_column_without_a_name_is_refused_as_in_memory(tmp_path, engine, blank):
    write(tmp_path, "in/a.parquet", **{"age": [1], blank: ["x"]})
    with pytest.raises(DataError, match="has no name"):
        engine.files(FileSource.at(str(tmp_path / "in")))


def test_a_file_that_may_not_be_read_is_named(engine):
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to the account that stands in
        Path(folder).chmod(0o755)
        write(Path(folder), "a.parquet", x=[1])
        write(Path(folder), "b.parquet", x=[2]).chmod(0)
        if user == 0:
            os.seteuid(65534)  # root may read everything
        try:
            with pytest.raises(DataError, match=r"may not read the file 'b\.parquet'"):
                engine.files(FileSource.at(folder))
        finally:
            os.seteuid(user)
