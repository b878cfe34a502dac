from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import DataError, ParameterError, SchemaError
from dpsynth.quality import evaluate
from dpsynth.quality.drift import split_by_time
from dpsynth.release.public_view import _quality
from dpsynth.simulation import network


def rows_of(law: int, rows: int, seed: int) -> pd.DataFrame:
    return network(columns=6, seed=law, modes=0).draw(rows, seed=seed).table.to_pandas()


def dated(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    days = np.random.default_rng(seed).integers(0, 366, len(frame))
    return frame.assign(day=pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D"))


def test_every_figure_of_utility_is_given_twice_and_drift_beside_its_floor() -> None:
    past, fresh, holdout = (rows_of(1, 2000, seed) for seed in range(3))
    report = evaluate(past, fresh, holdout, later=rows_of(1, 2000, 3), target="target")
    for name in ("tstr_auc", "tstr_auc_gap", "tstr_average_precision", "tstr_average_precision_gap"):
        assert report.metric(name).group == "utility"
        assert report.metric(f"later_{name}").group == "time"
    still = report.metric("later_tvd2_mean")
    assert abs(still.value - still.reference) < 0.01  # the same law then and now: no drift, and none added
    moved = evaluate(past, fresh, holdout, later=rows_of(9, 2000, 3), target="target")
    drift = moved.metric("later_tvd2_mean")
    assert drift.reference > 2 * drift.floor
    assert drift.value == pytest.approx(drift.reference, abs=0.03)
    assert drift.ci_low < drift.value < drift.ci_high
    assert moved.metric("later_tstr_auc").reference < report.metric("later_tstr_auc").reference - 0.05
    assert moved.metric("tstr_auc") == report.metric("tstr_auc")
    assert moved.rows.later == 2000


def test_a_table_of_few_rows_adds_no_drift_that_is_none() -> None:
    """Distances shrink with rows on both dates alike, or honest rows that are few would seem to fall later."""
    frame = rows_of(2, 4_500, 3)
    real, made, holdout, later = (frame[a:b].reset_index(drop=True) for a, b in
                                  ((0, 2_000), (2_000, 2_200), (2_200, 3_200), (3_200, 4_500)))  # fmt: skip
    report = evaluate(real, made, holdout, later=later)
    for name in ("tvd2_mean", "later_tvd2_mean"):
        found = report.metric(name)
        assert found.value == pytest.approx(found.reference, rel=0.15), name


def test_nothing_of_the_later_time_is_public_not_even_by_name() -> None:
    tables = [rows_of(1, 300, seed) for seed in range(4)]
    report = evaluate(*tables[:3], later=tables[3], target="target")
    assert not [row for row in _quality(report) if row["name"].startswith("later") or row["group"] == "time"]


def test_a_column_of_time_cuts_the_holdout_and_warns_of_training_rows_from_then() -> None:
    real, fresh, holdout = (dated(rows_of(1, 600, seed), seed) for seed in range(3))
    cut = split_by_time(real, holdout, column="day", since="2024-09-01")
    assert cut.later["day"].min() >= pd.Timestamp("2024-09-01") > cut.holdout["day"].max()
    assert cut.real["day"].max() < pd.Timestamp("2024-09-01")
    assert "has seen the time that it is tested on" in cut.warnings[0]
    honest = real[real["day"] < "2024-09-01"]
    assert split_by_time(honest, holdout, column="day", since="2024-09-01").warnings == ()
    quarter = split_by_time(honest, holdout, column="day")
    assert 0.2 < len(quarter.later) / len(holdout) < 0.3
    report = evaluate(honest, fresh[fresh["day"] < "2024-09-01"], holdout, time_column="day", since="2024-09-01")
    assert report.metric("later_tvd1_max").value < 0.2  # the column of time itself, at distance 1, is not counted


def test_numbers_text_dates_and_dates_without_a_clock_are_times() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3, 4], "year": [2020, 2021, 2022, 2023]})
    assert len(split_by_time(frame, frame, column="year", since="2022").later) == 2
    words = frame.assign(day=["2020-01-05", "2021-03-01T12:00", None, "2023-01-01"])
    assert split_by_time(words, words, column="day", since="2021-03-01").later["x"].tolist() == [2, 4]


def test_what_cannot_be_read_as_a_time_is_refused_by_column_and_never_quoted() -> None:
    frame = pd.DataFrame({"x": [1, 2], "day": ["2024-01-01", "soon, says Ada"]})
    with pytest.raises(
        DataError, match="The time column 'day' of the real table holds something that is not a date"
    ) as e:
        split_by_time(frame, frame, column="day")
    assert "Ada" not in str(e.value)
    assert e.value.__cause__ is None  # pandas' own words name the cell, and a traceback would print them
    with pytest.raises(SchemaError, match="The real table has no time column 'night'"):
        split_by_time(frame, frame, column="night")
    good = frame.assign(day=["2024-01-01", "2024-02-01"])
    with pytest.raises(ParameterError, match="The moment to cut 'day' at is not a date"):
        split_by_time(good, good, column="day", since="whenever")
    with pytest.raises(DataError, match="there are no later holdout rows"):
        split_by_time(good, good, column="day", since="2030-01-01")
    with pytest.raises(DataError, match="'day' is missing in every row of the holdout"):
        split_by_time(good, good.assign(day=None), column="day")
    with pytest.raises(ParameterError, match="A moment to cut at needs the time column"):
        evaluate(good, good, good, since="2024-02-01")
