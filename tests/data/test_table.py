"""Tables: histograms equal brute force, bounding bounds, and nothing private leaks from a repr."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data import table as table_module
from dpsynth.data.arrow_numpy import array_of, literal, missing_of, text_of, values_of
from dpsynth.data.csv_text import Record
from dpsynth.data.distinct import Distinct
from dpsynth.data.infer import Typed
from dpsynth.data.source import Source
from dpsynth.data.table import Table
from dpsynth.schema.domain import CategoryDomain, GridDomain

KEY = b"0123456789abcdef"
CODECS = {
    "a": CategoryDomain(values=("x", "y")),
    "b": CategoryDomain(values=("p", "q"), other=True),
    "n": GridDomain(kind="integer", low=-1, high=2),
}
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["x", "y", "other text", None]),
        st.sampled_from(["p", "q", "r", None]),
        st.integers(-3, 4) | st.none(),
    ),
    max_size=60,
)


def made(rows: list[tuple[str | None, str | None, int | None]]) -> Table:
    a, b, n = zip(*rows, strict=True) if rows else ((), (), ())
    return Table.from_arrow(
        pa.table({"a": pa.array(a, pa.string()), "b": pa.array(b, pa.string()), "n": pa.array(n, pa.int64())})
    )


def code(name: str, value: object) -> int:
    if value is None:
        return -1
    if name == "n":
        return min(max(value, -1), 2) + 1  # type: ignore[call-overload]
    return {"a": {"x": 0, "y": 1}, "b": {"p": 0, "q": 1}}[name].get(value, -1 if name == "a" else 2)  # type: ignore[call-overload]


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(1, 7))
def test_counts_equal_brute_force_whatever_the_block(
    rows: list[tuple[str | None, str | None, int | None]], block: int
) -> None:
    cliques = [c for size in (1, 2, 3) for c in itertools.combinations("abn", size)]
    before, table_module.BLOCK = table_module.BLOCK, block
    try:
        got = list(made(rows).counts(CODECS, cliques))
    finally:
        table_module.BLOCK = before
    for clique, histogram in zip(cliques, got, strict=True):
        want = np.zeros([CODECS[n].size + 1 for n in clique], dtype=np.int64)
        for row in rows:
            want[tuple(code(n, row["abn".index(n)]) for n in clique)] += 1
        np.testing.assert_array_equal(histogram, want)
        assert histogram.dtype == np.int64


def test_a_histogram_beyond_the_limit_is_refused() -> None:
    wide = GridDomain(kind="integer", low=0, high=2**40)
    with pytest.raises(ParameterError, match=r"cells; the limit is 134,217,728"):
        list(made([("x", "p", 1)]).counts({"n": wide}, [("n",)]))


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_value_counts_equal_a_counter(rows: list[tuple[str | None, str | None, int | None]]) -> None:
    counted = made(rows).value_counts("b")
    want = Counter(r[1] for r in rows)
    assert counted.missing == want.pop(None, 0)
    assert dict(zip(counted.values.to_pylist(), counted.counts.tolist(), strict=True)) == dict(want)
    coded = made(rows).value_counts("n", CODECS["n"])
    assert dict(zip(coded.values.tolist(), coded.counts.tolist(), strict=True)) == dict(
        Counter(c for r in rows if (c := code("n", r[2])) >= 0)
    )


UNITS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 5), st.none() | st.floats(0, 1)), min_size=1, max_size=40
)


def owned(rows: list[tuple[str, int, float | None]]) -> Table:
    who, n, x = zip(*rows, strict=True)
    return Table.from_arrow(pa.table({"who": who, "n": pa.array(n, pa.int64()), "x": pa.array(x, pa.float64())}))


def rows_of(table: Table) -> Counter[tuple[object, ...]]:
    return Counter(tuple(r.values()) for r in table.to_arrow().to_pylist())


@settings(max_examples=100, deadline=None)
@given(UNITS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_bounding_never_exceeds_k_and_ignores_the_order(
    rows: list[tuple[str, int, float | None]], k: int, random: object
) -> None:
    kept = owned(rows).bounded("who", k, KEY)
    per_unit = Counter(kept.to_arrow()["who"].to_pylist())
    have = Counter(r[0] for r in rows)
    assert per_unit == {u: min(k, n) for u, n in have.items()}
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rows_of(owned(shuffled).bounded("who", k, KEY)) == rows_of(kept)


@settings(max_examples=100, deadline=None)
@given(UNITS, st.integers(1, 3))
def test_one_unit_never_changes_which_rows_another_keeps(rows: list[tuple[str, int, float | None]], k: int) -> None:
    """The sensitivity of everything after bounding rests on this."""
    kept = rows_of(owned(rows).bounded("who", k, KEY))
    rest = [r for r in rows if r[0] != "a"]
    if rest:
        without = rows_of(owned(rest).bounded("who", k, KEY))
        assert without == Counter({r: n for r, n in kept.items() if r[0] != "a"})


def test_bounding_depends_on_the_key_and_chooses_evenly() -> None:
    rows = [("a", n, None) for n in range(6)]
    first = Counter(
        owned(rows).bounded("who", 1, f"key number {i:06d}".encode()).to_arrow()["n"][0].as_py() for i in range(1200)
    )
    # chi-square with 5 degrees of freedom: 35.9 is exceeded with probability 1e-6
    assert sum((first[n] - 200) ** 2 / 200 for n in range(6)) < 35.9


def test_bounding_refuses_what_has_no_owner() -> None:
    table = Table.from_arrow(pa.table({"who": ["a", None]}))
    with pytest.raises(DataError, match="'who' has missing cells"):
        table.bounded("who", 1, KEY)
    with pytest.raises(ParameterError, match="key of 16 to 64 bytes"):
        Table.from_arrow(pa.table({"who": ["a"]})).bounded("who", 1, b"short")
    with pytest.raises(ParameterError, match="max_records=0 >= 1"):
        Table.from_arrow(pa.table({"who": ["a"]})).bounded("who", 0, KEY)


def test_a_repr_and_len_tell_no_row_count() -> None:
    table = made([("x", "p", 1)] * 37)
    assert "37" not in repr(table)
    with pytest.raises(TypeError, match="private"):
        len(table)
    assert table.unsafe_num_rows == 37


def test_what_holds_cells_or_counts_shows_neither_in_a_repr() -> None:
    """A repr ends up in logs, tracebacks and notebooks."""
    cells = pa.chunked_array([["hiv", "hiv", "flu"]])
    counts = Table.from_arrow(pa.table({"d": cells})).value_counts("d")
    held = (counts, Distinct.of("d", cells), Typed(column=cells), Record(1, [b"hiv"]), Source("text", b"hiv"))
    for one in held:
        assert "hiv" not in repr(one)
        assert "counts=" not in repr(one)


def test_select_take_concat_and_batches() -> None:
    table = made([("x", "p", 1), ("y", "q", 2), (None, "p", 3)])
    assert table.select(["n", "a"]).columns == ("n", "a")
    assert table.take(np.array([2, 0, 0])).to_arrow()["n"].to_pylist() == [3, 1, 1]
    both = table.concat(table.select(["n", "b", "a"]))
    assert both.to_arrow()["n"].to_pylist() == [1, 2, 3, 1, 2, 3]
    assert [b.num_rows for b in both.batches(["a"], 4)] == [4, 2]
    with pytest.raises(DataError, match="no column 'z'"):
        table.select(["z"])
    with pytest.raises(DataError, match="differ in column 'a'"):
        table.concat(table.select(["n", "b"]))
    with pytest.raises(DataError, match="differ in the type of column 'a'"):
        table.select(["a"]).concat(Table.from_arrow(pa.table({"a": [1]})))


def test_counts_follow_the_rows_after_concat() -> None:
    """The cache of encoded columns belongs to one table."""
    table = made([("x", "p", 1)])
    (one,) = table.counts(CODECS, [("a",)])
    (two,) = table.concat(table).counts(CODECS, [("a",)])
    assert (one.sum(), two.sum()) == (1, 2)


@pytest.mark.parametrize(
    ("given_", "kind", "cells"),
    [
        (pa.array([1, None], pa.uint8()), "integer", [1, None]),
        (pa.array([1.5, float("nan")], pa.float32()), "float", [1.5, None]),
        (pa.array(["a", None]).dictionary_encode(), "string", ["a", None]),
        (pa.array(["a"], pa.large_string()), "string", ["a"]),
        (pa.array([Decimal("1.10")]), "float", [1.1]),
        (pa.array([Decimal("7")], pa.decimal128(9, 0)), "integer", [7]),
        (pa.array([86_400_000], pa.date64()), "date", None),
        (pa.array([1], pa.time32("s")), "integer", [1_000_000]),
        (pa.array([1], pa.duration("ms")), "integer", [1_000]),
        (pa.nulls(1), "string", [None]),
    ],
)
def test_arrow_types_become_the_six(given_: pa.Array, kind: str, cells: list[object] | None) -> None:
    table = Table.from_arrow(pa.table({"c": given_}))
    assert table.types["c"] == kind
    assert cells is None or table.to_arrow()["c"].to_pylist() == cells


def test_decimal_places_are_kept_as_a_hint() -> None:
    assert Table.from_arrow(pa.table({"c": pa.array([Decimal("1.10")])})).decimals == {"c": 2}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1]]), "'c' holds lists"),
        (pa.array([b"x"]), "'c' holds lists, structs, maps, bytes"),
        (pa.array([2**64 - 1], pa.uint64()), "'c' holds integers beyond 64 bits"),
        (pa.array([float("inf")]), "'c' holds 1 numbers that are not finite"),
    ],
)
def test_what_no_table_holds_is_refused_by_name(column: pa.Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table.from_arrow(pa.table({"c": column}))


def test_pandas_round_trip_keeps_types_and_missing() -> None:
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None, 2**60 + 1], dtype="Int64"),
            "s": ["a", None, "b"],
            "b": pd.array([True, None, False], dtype="boolean"),
            "t": pd.to_datetime(["2024-01-01", None, "2024-01-02 03:04:05"], format="ISO8601"),
            "c": pd.Categorical(["u", "v", None]),
        }
    )
    table = Table.from_pandas(frame)
    assert dict(table.types) == {"i": "integer", "s": "string", "b": "boolean", "t": "datetime", "c": "string"}
    back = table.to_pandas()
    assert back["i"].tolist()[2] == 2**60 + 1
    assert Table.from_pandas(back).to_arrow() == table.to_arrow()
    with pytest.raises(DataError, match="'m' mixes kinds"):
        Table.from_pandas(pd.DataFrame({"m": ["a", 1]}))


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us")])
@pytest.mark.parametrize(("start", "length"), [(0, 40), (3, 21), (9, 0)])
def test_buffers_agree_with_pyarrow(kind: pa.DataType, start: int, length: int) -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 2, 40)
    missing = rng.random(40) < 0.3
    made_here = array_of(values, kind, missing)
    plain = pa.array(values, pa.int64(), mask=missing)
    theirs = plain.cast(pa.int32()).cast(kind) if kind == pa.date32() else plain.cast(kind)
    assert made_here.equals(theirs)
    made_here.validate(full=True)
    part = pa.chunked_array([made_here.slice(start, length), made_here.slice(0, 5)])
    np.testing.assert_array_equal(missing_of(part), np.r_[missing[start : start + length], missing[:5]])
    want = np.where(missing, 0, values)
    np.testing.assert_array_equal(values_of(part).astype(np.int64), np.r_[want[start : start + length], want[:5]])


def test_text_buffers_agree_with_pyarrow() -> None:
    texts = ["", "a", "Łódź", "x" * 1000]
    assert text_of(texts).equals(pa.array(texts))
    assert text_of([]).equals(pa.array([], pa.string()))
    assert literal("ü", pa.string()).as_py() == "ü"
    assert literal(None, pa.int64()).as_py() is None


def test_reading_preparing_and_counting_import_no_pandas(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "n,c,d,t,f,b\n"
        + "".join(f"{i},{'xy'[i % 2]},2024-01-0{1 + i % 9},2024-01-01T00:00:0{i % 9},{i}.5,true\n" for i in range(200))
    )
    probe = (
        "import sys\n"
        "from dpsynth.schema.checks import prepare\nfrom dpsynth.schema.domain import CategoryDomain, GridDomain\n"
        f"p = prepare({str(path)!r})\n"
        "c = {'c': CategoryDomain(values=('x','y'), other=True), 'n': GridDomain(kind='integer', low=0, high=9)}\n"
        "list(p.table.counts(c, [('c','n')])); p.table.value_counts('c')\n"
        "c['n'].decode(c['n'].encode(p.table.column('n')))\n"
        "p.table.bounded('c', 2, b'0123456789abcdef')\n"
        "print('pandas' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"
