"""Malformed and hostile files end in a typed error or a warning that names the column, and never show a cell.

The first half makes its own files. The second half runs the project's shared collection of hostile inputs where that
is present (DPSYNTH_SHARED, or a folder `shared` beside the repository).
"""

from __future__ import annotations

import csv
import gzip
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.core.errors import DataError, DpsynthError, SchemaError
from dpsynth.data.read import read
from dpsynth.data.source import fingerprint
from dpsynth.schema.checks import Prepared, prepare

SHARED = Path(os.environ.get("DPSYNTH_SHARED") or Path(__file__).resolve().parents[3] / "shared")
ROWS = 300
CANARY = "canary-value-0001"


def base() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, ROWS),
            "city": rng.choice(["Aach", "Bern", "Cork"], ROWS),
            "income": rng.lognormal(10, 0.5, ROWS).round(2),
            "target": rng.integers(0, 2, ROWS),
            "sex": rng.choice(["f", "m"], ROWS),  # as many classes as the target, but no copy of it
        }
    )


def text(frame: pd.DataFrame, **kwargs: object) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n", **kwargs).encode()


def cycle(*values: str) -> list[str]:
    return [values[k % len(values)] for k in range(ROWS)]


def every(values: list[object]) -> list[object]:
    """The values at every third row, blank elsewhere."""
    return [values[k // 3] if k % 3 == 0 and k // 3 < len(values) else "" for k in range(ROWS)]


PLAIN = text(base())
PACKED = gzip.compress(PLAIN)
ERRORS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.csv", b"", "is empty"),
    "only blanks": ("a.csv", b" \n\n\t\n", "no header|no name"),
    "one row": ("a.csv", b"\n".join(PLAIN.split(b"\n")[:2]), "fewer than 100 rows"),
    "five rows": ("a.csv", b"\n".join(PLAIN.split(b"\n")[:6]), "fewer than 100 rows"),
    "joined files": ("a.csv", PLAIN + PLAIN, "Line 302 repeats the header"),
    "bad checksum": ("a.csv.gz", PACKED[:-8] + struct.pack("<II", zlib.crc32(b"x"), len(PLAIN)), "checksum"),
    "cut gzip": ("a.csv.gz", PACKED[: len(PACKED) // 2], "ends early"),
    "not gzip": ("a.csv.gz", PLAIN, "is not gzip"),
    "gzip without suffix": ("a.csv", PACKED, "is gzip, but its name lacks"),
    "zip": ("a.csv", b"PK\x03\x04" + bytes(200), "zip archive or spreadsheet"),
    "CSV as Parquet": ("a.parquet", PLAIN, "no Parquet header"),
    "pickle": ("model.pkl", b"cos\nmkdir\n(S'pickle_was_executed'\ntR.", "never loaded from pickle"),
    "one class": ("a.csv", text(base().assign(target=1)), "'target' has one class"),
    "mail": (
        "a.csv",
        text(base().assign(mail=[f"{CANARY}{k}@example.com" for k in range(ROWS)])),
        "'mail' holds e-mail",
    ),
    "phone": (
        "a.csv",
        text(base().assign(tel=[f"+1-555-01{k % 100:02d}" for k in range(ROWS)])),
        "'tel' holds telephone",
    ),
    "all text differs": (
        "a.csv",
        text(base().assign(who=[f"{CANARY}{k}" for k in range(ROWS)])),
        "'who' holds another value",
    ),
    "copies of one row": ("a.csv", text(pd.concat([base().iloc[[0]]] * 400)), "identical copies"),
    "infinite": (
        "a.csv",
        text(base().assign(income=every(["inf", "1e400"]))),
        "'income' holds 2 numbers that are not finite",
    ),
    "beyond 64 bits": (
        "a.csv",
        text(base().assign(big=[str(2**64 + k) for k in range(ROWS)])),
        "'big' holds integers beyond",
    ),
    "hostile name": ("a.csv", PLAIN.replace(b"city", b"\x1b[31m" + b"n" * 300), "column 2, '.x1b"),
}
WARNINGS: dict[str, tuple[pd.DataFrame, str, str | None]] = {
    "escapes": (base().assign(city=cycle("\x1b[31mCork\x1b[0m\x07", "Bern")), "control_characters", "city"),
    "formulas": (base().assign(city=cycle("=cmd|' /C calc'!A0", "@SUM(1:2)", "Bern")), "formula", "city"),
    "look-alikes": (base().assign(city=cycle("Bern", "B\u0435rn")), "look_alike", "city"),
    "invisible": (base().assign(city=cycle("Bern", "Be\u200brn")), "look_alike", "city"),
    "two forms": (base().assign(city=cycle("Ber\u006e\u0301", "Ber\u0144")), "look_alike", "city"),
    "age bounds": (base().assign(age=every([-999, 199])), "implausible", "age"),
    "one extreme": (base().assign(income=[*base()["income"][:-1], 1e15]), "implausible", "income"),
    "no value": (base().assign(none=""), "no_values", "none"),
    "person repeats": (base().assign(pid=[k // 6 for k in range(ROWS)]), "unit_repeats", "pid"),
    "row number": (base().assign(row=range(ROWS)), "unique_integer", "row"),
    "account number": (base().assign(acct=[2**53 + 1 + 2 * k for k in range(ROWS)]), "beyond_2_53", "acct"),
    "target in other words": (base().assign(died=base()["target"].map({0: "no", 1: "yes"})), "target_copy", "died"),
    "one row many times": (pd.concat([base(), pd.concat([base().iloc[[0]]] * 200)]), "heavy_duplicate", None),
    "impossible dates": (base().assign(when=every(["9999-12-31", "2024-02-30", "9999-99-99"])), "mixed_dates", "when"),
    "many formats": (base().assign(when=cycle("2024-03-04", "03/04/2024", "4 Mar 2024")), "mixed_dates", "when"),
    "words for missing": (base().assign(country=cycle("NA", "null", "FR")), "missing_words", "country"),
    "not all numbers": (base().assign(age=[*base()["age"][:-1], CANARY]), "mixed_numbers", "age"),
    "names alike": (base().rename(columns={"city": " age "}), "names_alike", " age "),
}
FINE: dict[str, pd.DataFrame] = {
    "paths as names": base().rename(columns={"city": "../../escaped", "income": "a/b\\c:d*?"}),
    "markup": base().rename(columns={"income": "<img src=x onerror=alert(1)>"}).assign(city=cycle("<script>", "<!--")),
    "attribute names": base().rename(columns={"age": "index", "city": "__class__", "income": "select"}),
    "constant": base().assign(const="same"),
    "codes with zeros": base().assign(zip=[f"{k % 100:05d}" for k in range(ROWS)]),
    "one rare category": base().assign(city=[CANARY, *base()["city"][1:]]),
    "quoted line breaks": base().assign(note=cycle('line one\nline two, "quoted"', "plain")),
}


def never_shown(message: str) -> None:
    assert CANARY not in message
    assert message.isprintable(), "a message must not carry terminal escapes"
    assert len(message) < 600


@pytest.mark.parametrize("case", ERRORS)
def test_a_hostile_file_is_refused_with_its_reason(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, content, message = ERRORS[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, SchemaError), match=message) as caught:
        prepare(tmp_path / name)
    never_shown(str(caught.value))
    assert caught.value.remedy
    assert [p.name for p in tmp_path.iterdir()] == [name], "reading must write nothing"


@pytest.mark.parametrize("case", WARNINGS)
def test_a_suspicious_column_is_named(case: str, tmp_path: Path) -> None:
    frame, code, column = WARNINGS[case]
    (tmp_path / "a.csv").write_bytes(text(frame))
    warnings = prepare(tmp_path / "a.csv").warnings
    assert (code, column) in {(w.code, w.column) for w in warnings}
    for warning in warnings:
        never_shown(warning.message)


@pytest.mark.parametrize("case", FINE)
def test_odd_but_sound_files_are_read_whole(case: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text(FINE[case]))
    prepared = prepare(tmp_path / "a.csv")
    assert prepared.table.columns == tuple(FINE[case].columns)
    for name in FINE[case]:
        assert [str(v) for v in prepared.table.column(name).to_pylist()] == [str(v) for v in FINE[case][name]]
    for warning in prepared.warnings:
        never_shown(warning.message)


def test_a_clean_table_has_no_warning(tmp_path: Path) -> None:
    """The checks can tell: otherwise each test above would pass by warning always."""
    (tmp_path / "a.csv").write_bytes(PLAIN)
    assert prepare(tmp_path / "a.csv").warnings == ()


def test_a_gzip_bomb_stops_at_a_stated_size(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", 9) as packed:
        packed.write(b"a,b\n")
        for _ in range(300):
            packed.write(b"1,1\n" * 2**18)
    with pytest.raises(DataError, match="unpacks to more than its limit of 64 MiB"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "dangling.csv").symlink_to("nowhere.csv")
    start = time.monotonic()
    for name, message in (
        ("pipe.csv", "is a pipe"),
        ("folder.csv", "is a folder"),
        ("loop.csv", "leads to itself"),
        ("dangling.csv", "link to nothing"),
        ("absent.csv", "does not exist"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)
    assert time.monotonic() - start < 5


def test_a_link_is_followed_and_the_content_named(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(PLAIN)
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert read(tmp_path / "link.csv").to_arrow() == read(tmp_path / "real.csv").to_arrow()
    assert fingerprint(tmp_path / "link.csv") == fingerprint(tmp_path / "real.csv")


def parquet(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


GOOD = pa.table({"age": list(range(ROWS)), "target": [k % 2 for k in range(ROWS)]})
PARQUET_ERRORS: dict[str, tuple[Callable[[], pa.Table], str]] = {
    "nested": (lambda: GOOD.append_column("tags", pa.array([["a"]] * ROWS)), "'tags' holds lists"),
    "binary": (lambda: GOOD.append_column("bin", pa.array([b"\xff"] * ROWS)), "'bin' holds lists"),
    "no rows": (lambda: GOOD.slice(0, 0), "no rows"),
    "no columns": (lambda: pa.table({}), "no columns"),
    "one name twice": (lambda: pa.Table.from_arrays([GOOD["age"], GOOD["age"]], names=["a", "a"]), "called 'a'"),
    "unsigned": (
        lambda: GOOD.append_column("u", pa.array([2**64 - 1] * ROWS, pa.uint64())),
        "'u' holds integers beyond",
    ),
}


@pytest.mark.parametrize("case", PARQUET_ERRORS)
def test_a_parquet_file_that_no_table_holds_is_refused(case: str, tmp_path: Path) -> None:
    make, message = PARQUET_ERRORS[case]
    with pytest.raises(DataError, match=message):
        read(parquet(tmp_path / "a.parquet", make()))


def test_parquet_side_doors_are_shut(tmp_path: Path) -> None:
    """Broken pandas metadata does not matter, and neither metadata nor unused dictionary entries come along."""
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 150), pa.array(["x", "y", CANARY]))
    table = GOOD.append_column("c", words).replace_schema_metadata({b"note": CANARY.encode(), b"pandas": b"{not json"})
    got = read(parquet(tmp_path / "a.parquet", table))
    assert not got.to_arrow().schema.metadata
    assert got.value_counts("c").values.to_pylist() == ["x", "y"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: b[:-40], "footer is missing or longer"),
        (lambda b: b[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1", "footer is missing or longer"),
        (lambda b: b[:4] + bytes(60) + b[64:], "is damaged"),
    ],
)
def test_a_damaged_parquet_file_gives_no_table(spoil: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", GOOD)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        read(path)


# --- the shared collection --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = SHARED / "bad_inputs" / "gen_bad_inputs.py"
    if not generator.exists():
        pytest.skip(f"no hostile collection at {generator.parent}; set DPSYNTH_SHARED")
    out = tmp_path_factory.mktemp("bad")
    subprocess.run([sys.executable, str(generator), str(out), "--bomb-mib", "512"], check=True, capture_output=True)
    return out


def outcome(path: Path) -> Prepared | DpsynthError:
    try:
        return prepare(path)
    except DpsynthError as error:
        return error


def test_the_shared_collection_ends_as_its_manifest_expects(collection: Path) -> None:
    wrong = []
    for case in csv.DictReader((collection / "manifest.csv").read_text("utf-8").splitlines()):
        if case["group"] == "pair":
            continue  # two files: the pipeline's and the gate's tests
        start = time.monotonic()
        got = outcome(collection / case["file"])
        seconds = time.monotonic() - start
        refused = isinstance(got, DpsynthError)
        said = [str(got)] if isinstance(got, DpsynthError) else [w.message for w in got.warnings]
        words = case["must_mention"].lower().split("|")
        good = {
            "error": refused,
            "refuse": refused,
            "ok": not refused,
            "warn": bool(said),
        }[case["expect"]]
        named = not case["must_mention"] or any(w in line.lower() for w in words for line in said)
        clean = all(line.isprintable() and len(line) < 600 for line in said)
        if not (good and named and clean) or seconds > float(case["limit_s"]):
            wrong.append((case["id"], case["expect"], [line[:120] for line in said], round(seconds, 1)))
    assert not wrong
