"""Tables that cannot be attacked are refused by name; tables that are merely awkward are not."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.encoding import encode, numbers_of
from attacks.errors import AttackInputError, AttackParameterError
from attacks.inputs import check_overlap
from tests.attacks.worlds import independent, people, split, statsmodels_table


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    members, holdout = split(people(600, rng), rng, (0.5, 0.5))
    return members, independent(members, 300, rng), holdout


def quick(members, release, holdout, **options):
    return attacks.audit(members, release, holdout, suite="quick", **options)


def test_holdout_overlapping_train_is_refused_without_a_count_of_rows(world):
    members, release, holdout = world
    broken = pd.concat([members.iloc[:150], holdout.iloc[:150]])
    with pytest.raises(AttackInputError, match=r"holdout rows also stand in the training data") as refused:
        quick(members, release, broken)
    assert not re.search(r"\d", str(refused.value))


@pytest.mark.parametrize("name", ["fair", "randhie"])
def test_honest_splits_of_tables_full_of_duplicates_are_no_overlap(name):
    table = statsmodels_table(name)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        members, holdout = split(table, rng, (0.7, 0.3))
        encoded, _ = encode({"members": members, "holdout": holdout}, scale_on="holdout")
        check_overlap(encoded["members"], encoded["holdout"])


def test_overlap_is_found_even_among_natural_duplicates():
    table, rng = statsmodels_table("fair"), np.random.default_rng(1)
    members, holdout = split(table, rng, (0.7, 0.3))
    broken = pd.concat([holdout, members.sample(300, random_state=2)])
    with pytest.raises(AttackInputError, match="the split is broken"):
        quick(members, independent(members, 2000, rng), broken)


def test_a_person_on_both_sides_is_refused_without_a_count_of_people(world):
    members, release, holdout = world
    with pytest.raises(AttackInputError, match="Units of column 'pid' stand both") as refused:
        quick(members.assign(pid=range(300)), release.assign(pid=0), holdout.assign(pid=range(293, 593)), unit="pid")
    assert not re.search(r"\d", str(refused.value))


def test_one_row_of_each_person_is_a_target(world):
    members, release, holdout = world
    members, holdout = members.assign(pid=np.arange(300) // 3), holdout.assign(pid=1000 + np.arange(300) // 2)
    report = quick(members, release, holdout, unit="pid")
    row = next(r for r in report.attacks if r.name == "verbatim" and r.stratum == "all")
    assert (row.n_targets, row.n_controls) == (100, 150)


def test_missing_and_extra_columns_are_named(world):
    members, release, holdout = world
    with pytest.raises(AttackInputError, match="nonmembers table lacks the column 'city'"):
        quick(members, release, holdout.drop(columns="city"))
    with pytest.raises(AttackInputError, match="release table has the column 'extra'"):
        quick(members, release.assign(extra=1), holdout)
    with pytest.raises(AttackInputError, match="release table lacks the column 'age', 'income'"):
        quick(members, pd.DataFrame({"other": [1]}), holdout)


def test_doubled_columns_are_refused(world):
    members, release, holdout = world
    doubled = pd.concat([release, release[["age"]]], axis=1)
    with pytest.raises(AttackInputError, match="two columns called 'age'"):
        quick(members, doubled, holdout)


def test_reordered_columns_are_matched_by_name(world):
    members, release, holdout = world
    straight = quick(members, release, holdout)
    turned = quick(members, release[release.columns[::-1]], holdout[holdout.columns[::-1]])
    assert [r.estimate for r in turned.attacks] == [r.estimate for r in straight.attacks]


def test_different_types_are_explained(world):
    members, release, holdout = world
    with pytest.raises(AttackInputError, match=r"Column 'age' has types that cannot be compared.*text in release"):
        quick(members, release.assign(age=release["age"].map(str)), holdout)
    assert quick(members.assign(age=members["age"].astype("Int64")), release.assign(age=release["age"] * 1.0), holdout)


def test_infinite_numbers_are_refused_by_column(world):
    members, release, holdout = world
    with pytest.raises(AttackInputError, match="Column 'income' of the release table holds infinite"):
        quick(members, release.assign(income=np.inf), holdout)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_table_without_rows_is_refused(world, which):
    tables = list(world)
    tables[which] = tables[which].iloc[:0]
    with pytest.raises(AttackInputError, match="has no rows"):
        quick(*tables)


def test_something_that_is_no_table_is_refused(world):
    members, release, _ = world
    with pytest.raises(AttackInputError, match="The nonmembers table is a list"):
        quick(members, release, [1, 2])


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_too_few_rows_are_inconclusive_and_say_how_many_are_needed(world, rows):
    members, release, holdout = world
    for tables in [(members.iloc[:rows], release, holdout), (members, release, holdout.iloc[:rows])]:
        report = quick(*tables)
        assert report.verdict == "inconclusive"
        assert all("holdout rows to pass" in r.reason for r in report.attacks)
    assert quick(members, release.iloc[:1], holdout).verdict == "inconclusive"


def test_all_missing_columns_are_no_obstacle(world):
    members, release, holdout = (t.assign(none=None, nan=np.nan) for t in world)
    assert quick(members, release, holdout).verdict != "fail"
    assert quick(members, members, holdout).verdict == "fail"


def test_more_targets_than_rows_is_no_error():
    rng = np.random.default_rng(2)
    members, holdout = split(people(400, rng), rng, (0.5, 0.5))
    assert quick(members, independent(members, 50, rng), holdout).attacks


def test_a_thousand_copies_of_one_row_prove_nothing():
    one = pd.DataFrame({"a": [1] * 1000, "b": ["x"] * 1000})
    report = quick(one.iloc[:600], one.iloc[:500], one.iloc[600:])
    assert report.verdict == "inconclusive"


def test_unknown_names_are_refused(world):
    with pytest.raises(AttackParameterError, match="There is no suite 'all'"):
        attacks.audit(*world, suite="all")
    with pytest.raises(AttackParameterError, match="There is no tier 'secret'"):
        attacks.audit(*world, limits="secret")
    with pytest.raises(AttackParameterError, match="There is no limit called 'membership'"):
        attacks.audit(*world, limits={"membership": 0.1})
    with pytest.raises(AttackParameterError, match=r"No limit is given for 'membership\.verbatim\.all'"):
        attacks.audit(*world, limits={"canary.auc": 0.7})
    with pytest.raises(AttackInputError, match="A role names the column 'salary'"):
        attacks.audit(*world, sensitive=["salary"])


@pytest.mark.parametrize(("value", "planted", "match"), [(1.0, 0.1, "Expected a limit"), (0.1, 0.0, "planted share")])
def test_limits_out_of_range_are_refused(value, planted, match):
    with pytest.raises(AttackParameterError, match=match):
        attacks.Limit(value=value, planted=planted)


def test_no_error_names_a_cell_value(world):
    members, release, holdout = world
    with pytest.raises(AttackInputError) as caught:
        quick(members, release.assign(age="secret-cell-4711"), holdout)
    assert "4711" not in str(caught.value.to_json())


@pytest.mark.parametrize("moment", ["9999-12-31", "0001-01-01", "20000-01-01"])
@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_dates_beyond_the_nanoseconds_of_pandas_are_attacked_and_said_nowhere(world, moment, unit):
    """Warehouses write 9999-12-31 for "until further notice"; pandas' refusal named the cell."""
    frames = []
    for part in world:
        days = np.datetime64("2024-01-01", unit) + np.arange(len(part)).astype("timedelta64[D]")
        days[3] = np.datetime64(moment, unit)
        frames.append(part.assign(until=days.astype(f"datetime64[{unit}]")))
    assert quick(*frames).attacks


@pytest.mark.parametrize("ends", [(1.5e308, 1.7e308), (-1.7e308, 1.7e308), (0.0, 5e-324), (-1e300, 1e-300)])
@pytest.mark.filterwarnings("error")
def test_whatever_numbers_a_column_holds_every_point_is_finite(ends):
    """Else distances would be no numbers, and the nearest row any."""
    rng = np.random.default_rng(7)
    held = pd.DataFrame({"x": rng.choice(ends, 500)})
    other = pd.DataFrame({"x": [*ends, 1.79e308, -1.79e308, 0.0, np.nan]})
    encoded, _ = encode({"held": held, "other": other}, scale_on="held")
    for table in encoded.values():
        assert np.isfinite(table.points).all()
    first, second = encoded["other"].points[:2, 0]
    assert abs(second - first) > 0.5


def test_moments_are_the_same_numbers_in_every_resolution():
    moments = pd.Series(["2024-02-29T12:30:00", None, "1969-12-31"]).astype("datetime64[ns]")
    for other in (moments.dt.as_unit("us"), moments.dt.as_unit("s"), moments.dt.tz_localize("UTC")):
        np.testing.assert_array_equal(numbers_of(other), numbers_of(moments))
    spans = pd.Series(pd.to_timedelta(["1 day", None, "-2 days"]))
    np.testing.assert_array_equal(numbers_of(spans), [86_400e9, np.nan, -172_800e9])
