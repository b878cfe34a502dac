"""The split must be one that neighbouring tables share."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.data.table import Table
from dpsynth.workspace.private.split import row_coins, split, unit_coins

KEY = bytes(range(32))


@given(rows=st.integers(0, 500), more=st.integers(1, 50))
def test_adding_rows_moves_nobody_across(rows: int, more: int) -> None:
    assert np.array_equal(row_coins(rows, 0.3, key=KEY), row_coins(rows + more, 0.3, key=KEY)[:rows])


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(0, 30))
def test_removing_a_unit_moves_no_other_unit(units: list[int], gone: int) -> None:
    all_coins = dict(zip(units, unit_coins(pa.chunked_array([pa.array(units)]), 0.3, key=KEY), strict=True))
    left = [u for u in units if u != gone]
    coins = unit_coins(pa.chunked_array([pa.array(left, pa.int64())]), 0.3, key=KEY)
    assert all(all_coins[u] == c for u, c in zip(left, coins, strict=True))


def test_rows_of_one_unit_stay_together_and_parts_are_disjoint_and_complete() -> None:
    table = Table.from_arrow(pa.table({"who": [i // 4 for i in range(4000)], "x": list(range(4000))}))
    parts = split(table, holdout_share=0.3, key=KEY, unit_column="who")
    train = set(parts.train.column("who").to_pylist())
    held = set(parts.holdout.column("who").to_pylist())
    assert not train & held
    x = parts.train.column("x").to_pylist() + parts.holdout.column("x").to_pylist()
    assert sorted(x) == list(range(4000))


def test_coins_have_their_probability_and_depend_on_the_key() -> None:
    coins = row_coins(200_000, 0.3, key=KEY)
    assert abs(coins.mean() - 0.3) < 4.9 * np.sqrt(0.21 / 200_000)  # alpha 1e-6
    other = row_coins(200_000, 0.3, key=bytes(32))
    assert abs((coins == other).mean() - 0.58) < 4.9 * np.sqrt(0.2436 / 200_000)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_leaves_no_holdout_or_no_train_is_refused(share: float) -> None:
    with pytest.raises(ParameterError, match="strictly between 0 and 1"):
        row_coins(3, share, key=KEY)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ParameterError, match="not 32 bytes"):
        row_coins(3, 0.5, key=b"short")
