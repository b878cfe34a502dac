"""Tables measured after training: the event counts every table that is drawn, a pair measured twice as two."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.tabular.allocation import TableNoise
from dpsynth.tabular.networks.pool_tables import measured_pairs, worth_measuring


class Codes:
    """A codec of cells that are codes already."""

    size, has_missing = 3, False

    def encode(self, values):
        return np.asarray(values.to_numpy(), dtype=np.int64)


TABLE = Table.from_arrow(pa.table({name: pa.array([0, 1, 2, 2], pa.int64()) for name in "abc"}))


@pytest.mark.parametrize("slots", [{(0, 1): 1}, {(0, 1): 3, (1, 2): 1}])
def test_every_table_that_is_drawn_is_counted(slots):
    _, event = measured_pairs(
        TABLE,
        dict.fromkeys("abc", Codes()),
        ("a", "b", "c"),
        (3, 3, 3),
        slots,
        TableNoise(count=2, sigma=Decimal(5)),
        2,
        unsafe_SeededNoise(1),
    )
    assert (event.count, event.sigma, event.l2_sensitivity) == (sum(slots.values()), 5, 2)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    sigma=st.sampled_from(["0.1", "10", "1000", "1e6"]),
    total=st.sampled_from([1.0, 100.0, 1e7]),
    part=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_as_many_tables_as_planned_are_measured_whatever_the_model_says(sizes, sigma, total, part, seed):
    rng = np.random.default_rng(seed)
    pool = np.stack([rng.integers(0, size, 200) * (seed > 2) for size in sizes], axis=1).astype(np.uint8)
    count = 1 + round(part * (len(sizes) * (len(sizes) - 1) // 2 - 1))
    chosen = worth_measuring(pool, tuple(sizes), total, TableNoise(count=count, sigma=Decimal(sigma)))
    assert sum(chosen.values()) == count and min(chosen.values()) >= 1
