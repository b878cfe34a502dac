"""Cells that the release decides: every row in one cell of each marginal, whatever stands in it."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import DataError
from dpsynth.data.table import Table
from dpsynth.quality.published.cells import MOST, cells_of

DAY = st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1))
ROW = st.tuples(
    st.none() | st.sampled_from("abcdefghij"),
    st.none() | st.integers(-50, 50),
    st.none() | st.floats(allow_infinity=False, allow_nan=True),
    st.none() | st.booleans(),
    st.none() | DAY,
)
ROWS = st.lists(ROW, min_size=0, max_size=12)
TYPES = [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32()]


def table(rows):
    return Table.from_arrow(
        pa.table({name: pa.array([row[i] for row in rows], TYPES[i]) for i, name in enumerate("sifbd")})
    )


@settings(max_examples=80, deadline=None)
@given(released=ROWS, rows=ROWS, more=st.lists(ROW, min_size=1, max_size=4), target=st.sampled_from([None, "s", "f"]))
def test_k_rows_more_change_the_counts_by_k_in_each_marginal_and_by_nothing_else(released, rows, more, target):
    cells = cells_of(table(released), target=target)
    before, after = cells.count(table(rows)), cells.count(table(rows + more))
    change = after - before
    assert len(before) == sum(cells.sizes) and (change >= 0).all()
    ends = np.cumsum(cells.sizes)
    for end, size in zip(ends, cells.sizes, strict=True):
        assert change[end - size : end].sum() == len(more)
    assert np.abs(change).sum() == len(more) * len(cells.marginals)


@settings(max_examples=40, deadline=None)
@given(released=st.lists(ROW, min_size=1, max_size=12))
def test_nothing_released_is_unseen_and_whatever_is_beyond_it_is(released):
    cells = cells_of(table(released), target="s")
    counts, starts = cells.count(table(released)), np.concatenate([[0], np.cumsum(cells.sizes)])
    assert all(counts[starts[at] + cell] == 0 for at, cell in enumerate(cells.unseen))
    beyond = cells.count(table([("zz", 99, None, None, datetime.date(2150, 1, 1))]))
    assert [int(beyond[starts[at] + cells.unseen[at]]) for at in (0, 1, 4)] == [1, 1, 1]


def test_columns_and_pairs_follow_from_names_and_target_alone():
    one, two = table([("a", 1, 1.0, True, None)] * 3), table([("b", 7, None, False, None)] * 9)
    for target in (None, "b"):
        assert cells_of(one, target=target).marginals == cells_of(two, target=target).marginals
    assert cells_of(one, target="b").marginals[5:] == (("s", "b"), ("i", "b"), ("f", "b"), ("d", "b"))
    assert cells_of(one, target=None).marginals[5:] == (("s", "i"), ("i", "f"), ("f", "b"), ("b", "d"))
    assert cells_of(one, target="b", leave_out=("b", "s")).marginals == (
        ("i",), ("f",), ("d",), ("i", "f"), ("f", "d"))  # fmt: skip
    wide = Table.from_arrow(pa.table({f"c{i}": [1, 2] for i in range(60)}))
    assert len(cells_of(wide, target=None).sizes) == 2 * MOST - 1


def test_categories_stand_alone_if_frequent_and_in_bands_if_rare():
    values = ["a"] * 500 + ["b"] * 400 + ["c"] * 300 + ["d"] * 250 + ["e"] * 200 + ["f"] * 50 + ["g"] * 9 + ["h"] * 2
    cells = cells_of(Table.from_arrow(pa.table({"x": values})), target=None)
    counts = cells.count(Table.from_arrow(pa.table({"x": ["f", "g", "h", "h", "new", None, "a"]})))
    assert counts.tolist() == [1, 0, 0, 0, 0, 1, 3, 1, 1]


def test_a_column_of_another_type_is_refused_by_name_without_a_cell():
    cells = cells_of(Table.from_arrow(pa.table({"x": [1, 2]})), target=None)
    with pytest.raises(DataError, match="Column 'x' is string in one table and integer in the other") as refused:
        cells.count(Table.from_arrow(pa.table({"x": ["secret"]})))
    assert "secret" not in str(refused.value)
