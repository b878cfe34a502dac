import datetime as dt

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import DataError, SchemaError
from dpsynth.quality.coding import code_tables, column_kind


def two(real: pd.DataFrame, other: pd.DataFrame, **declared: str):
    return code_tables({"real": real, "synthetic": other}, declared=declared)


def test_zero_inflation_and_censoring_codes_keep_a_cell_of_their_own() -> None:
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(4000) < 0.9, 0.0, np.round(rng.gamma(2, 3000, 4000)))
    gain[rng.random(4000) < 0.01] = 99_999
    coded = two(pd.DataFrame({"gain": gain, "k": 0}), pd.DataFrame({"gain": [0.0, 99_999.0, 99_998.0], "k": 0}))
    zero, cap, near = coded.tables["synthetic"][0]
    assert zero != cap
    assert near not in {zero, cap}
    assert (coded.tables["real"][0] == cap).sum() == (gain == 99_999).sum()


def test_cuts_come_from_the_real_table_alone() -> None:
    real = pd.DataFrame({"x": np.arange(1000.0), "k": 0})
    narrow, wide = (pd.DataFrame({"x": x, "k": 0}) for x in (np.arange(10.0), np.arange(-1e6, 1e6, 1000.0)))
    for other in (narrow, wide):
        np.testing.assert_array_equal(two(real, other).tables["real"], two(real, real).tables["real"])
    assert two(real, wide).sizes[0] == 21


def test_an_invented_category_has_a_code_that_no_real_row_has() -> None:
    coded = two(pd.DataFrame({"c": ["a", "b"], "k": 0}), pd.DataFrame({"c": ["a", "z"], "k": 0}))
    assert coded.tables["synthetic"][0][1] not in coded.tables["real"][0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "number"),
        ([True, False], "categorical"),
        (["1", "2"], "categorical"),
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "date"),
        ([dt.date(2020, 1, 1), None], "date"),
        (pd.Series([1, None], dtype="Int64"), "number"),
        (pd.Series(["a", "b"], dtype="category"), "categorical"),
        ([None, None], "categorical"),
    ],
)
def test_kind_is_read_from_the_type(values: object, kind: str) -> None:
    assert column_kind(pd.Series(values)) == kind


def test_dates_are_cut_like_numbers_and_missing_dates_are_missing() -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=400))
    real = pd.DataFrame({"when": days, "k": 0})
    other = pd.DataFrame({"when": ["2020-01-01", None, "2020-12-31"], "k": 0})
    coded = two(real, other, when="date")
    first, missing, last = coded.tables["synthetic"][0]
    assert missing == coded.sizes[0] - 1
    assert first < last < missing


def test_every_way_to_write_a_date_gives_the_same_cell() -> None:
    texts = ["1969-12-31", "2020-02-29", "9999-12-31"]
    as_dates = [dt.date.fromisoformat(t) for t in texts]
    aware = pd.to_datetime(pd.Series(texts[:2])).dt.tz_localize("UTC")
    k = {"k": [0, 0, 0]}
    coded = two(pd.DataFrame({"d": texts, **k}), pd.DataFrame({"d": as_dates, **k}), d="date")
    np.testing.assert_array_equal(coded.tables["real"], coded.tables["synthetic"])
    assert len(set(coded.tables["real"][0])) == 3
    zone = two(pd.DataFrame({"d": texts, **k}), pd.DataFrame({"d": aware, "k": [0, 0]}), d="date")
    np.testing.assert_array_equal(zone.tables["real"][0][:2], zone.tables["synthetic"][0])


def test_declared_kind_wins_over_the_type() -> None:
    frame = pd.DataFrame({"code": np.arange(300), "k": 0})
    assert two(frame, frame, code="categorical").sizes[0] == 301


def test_same_number_in_another_type_is_the_same_category() -> None:
    coded = two(
        pd.DataFrame({"c": pd.Series([1, 2], dtype="Int64"), "k": 0}),
        pd.DataFrame({"c": [1.0, 2.0], "k": 0}),
        c="categorical",
    )
    np.testing.assert_array_equal(coded.tables["real"][0], coded.tables["synthetic"][0])


def test_column_order_does_not_matter(fair: dict[str, pd.DataFrame]) -> None:
    real = fair["real"]
    turned = real[real.columns[::-1]]
    coded = two(real, turned)
    np.testing.assert_array_equal(coded.tables["real"], coded.tables["synthetic"])


def test_refusals_name_the_column_and_never_a_value() -> None:
    good = pd.DataFrame({"age": [1, 2], "sex": ["f", "m"]})
    with pytest.raises(
        SchemaError, match=r"different columns: missing in synthetic: \['sex'\]; only in synthetic: \['s'\]"
    ):
        two(good, good.rename(columns={"sex": "s"}))
    with pytest.raises(DataError, match="'age' of the synthetic table holds something else than numbers") as caught:
        two(good, pd.DataFrame({"age": ["secret-17", "2"], "sex": ["f", "m"]}))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None  # pandas' own words name the cell, and a traceback would print them
    with pytest.raises(DataError, match="'sex' of the real table holds something else than dates") as caught:
        two(good.assign(sex="secret"), good, sex="date")
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="synthetic table has no rows"):
        two(good, good[:0])
    with pytest.raises(DataError, match="two columns named 'age'"):
        two(good.set_axis(["age", "age"], axis=1), good)
    with pytest.raises(DataError, match="'sex' holds lists"):
        two(good.assign(sex=[[1], [2]]), good)
