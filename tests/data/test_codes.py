"""`Table.codes`: rows as small integers, and who they belong to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.core.errors import DataError
from dpsynth.data.table import Table
from dpsynth.schema.domain import CategoryDomain

COLOURS = CategoryDomain(values=("red", "green"))
TABLE = Table.from_arrow(
    pa.table(
        {
            "colour": ["red", None, "green", "blue", "red"],
            "many": [f"v{at}" for at in (0, 299, 1, 2, 3)],
            "person": pa.array(["b", "a", "b", None, None]),
        }
    )
)


def test_codes_are_those_of_the_codecs_and_missing_is_the_size():
    codes, units = TABLE.codes({"colour": COLOURS})
    assert codes[:, 0].tolist() == [0, 2, 1, 2, 0] and codes.dtype == np.uint8 and units is None


def test_columns_stand_in_the_order_of_the_codecs_in_the_smallest_integers_that_hold_all():
    many = CategoryDomain(values=tuple(f"v{at}" for at in range(300)))
    codes, _ = TABLE.codes({"many": many, "colour": COLOURS})
    assert codes.dtype == np.uint16 and codes[1].tolist() == [299, 2]


def test_rows_of_a_unit_share_a_number_and_rows_of_nobody_are_units_of_their_own():
    _, units = TABLE.codes({"colour": COLOURS}, "person")
    assert units[0] == units[2] != units[1] and len(set(units.tolist())) == 4
    assert sorted(set(units.tolist())) == list(range(4))


def test_an_unknown_unit_is_refused():
    with pytest.raises(DataError, match="no column 'who'"):
        TABLE.codes({"colour": COLOURS}, "who")


def test_no_rows_are_rows_too():
    codes, units = TABLE.take(np.arange(0)).codes({"colour": COLOURS}, "person")
    assert codes.shape == (0, 1) and units.shape == (0,)
