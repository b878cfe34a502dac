"""When a metric notices: the figure it takes, what chance alone does, and damage that a plain maximum overlooks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dpsynth.quality import evaluate
from dpsynth.quality.quantiles import ONE_TAIL, extremes
from dpsynth.quality.report import Metric


def metric(**changes: object) -> Metric:
    fields: dict[str, object] = {"value": 0.2, "reference": 0.1, "redrawn": 0.12, "spread": 0.01, "shuffle": 0.5}
    return Metric(**{"name": "m", "group": "fidelity", "floor": None, "better": "low", **fields, **changes})


def test_it_notices_from_six_spreads_beyond_the_worse_of_holdout_and_mean_redraw() -> None:
    assert metric().notices_from == pytest.approx(0.18)
    assert (metric(value=0.181).noticed, metric(value=0.179).noticed) == (True, False)
    high = metric(better="high", reference=0.9, redrawn=0.95, shuffle=None)
    assert high.notices_from == pytest.approx(0.84)
    assert (high.model_copy(update={"value": 0.83}).noticed, high.model_copy(update={"value": 0.85}).noticed) == (
        True,
        False,
    )
    assert metric(spread=None).notices_from is None


def test_a_metric_says_whether_it_could_show_anything() -> None:
    assert metric().shows is True
    assert metric(spread=0.1).shows is False  # even a table of independent columns would go by
    assert metric(shuffle=None).shows is None
    assert metric(better="high", reference=0.9, redrawn=0.9, shuffle=0.95).shows is True  # as recall
    assert metric(better="high", reference=0.5, redrawn=0.5, spread=0.1, shuffle=None).shows is False


def thirds(frame: pd.DataFrame) -> list[pd.DataFrame]:
    size = len(frame) // 3
    return [frame[at * size : (at + 1) * size].reset_index(drop=True) for at in range(3)]


@pytest.fixture(scope="module")
def wide() -> dict[str, pd.DataFrame]:
    """Two columns of many values, whose pair is far from itself by few rows alone, and two that go together."""
    rng = np.random.default_rng(5)
    rows = 3_600
    step = rng.integers(0, 3, rows)
    frame = pd.DataFrame({
        "a": rng.integers(0, 50, rows).astype(str),
        "b": rng.integers(0, 50, rows).astype(str),
        "c": step.astype(str),
        "d": np.where(rng.random(rows) < 0.5, step, rng.integers(0, 3, rows)).astype(str),
    })  # fmt: skip
    return dict(zip(("real", "fresh", "holdout"), thirds(frame), strict=True))


def test_the_pair_that_is_off_is_seen_beside_one_that_chance_makes_further_apart(wide: dict[str, pd.DataFrame]) -> None:
    torn = wide["fresh"].assign(c=np.random.default_rng(0).permutation(wide["fresh"]["c"]))
    found = evaluate(wide["real"], torn, wide["holdout"])
    assert not found.metric("tvd2_max").noticed and found.metric("tvd2_excess").noticed
    honest = evaluate(wide["real"], wide["fresh"], wide["holdout"])
    assert not any(one.noticed for one in honest.metrics)


def test_luck_of_eight_redraws_does_not_make_a_maximum_sure_of_itself(wide: dict[str, pd.DataFrame]) -> None:
    chances = []
    for seed in range(12):
        found = evaluate(wide["real"], wide["fresh"], wide["holdout"], seed=seed).metric("tvd2_excess")
        chances.append(found.spread)
    assert min(chances) > 0.0035  # one pair varies by some 0.01 here
    assert max(chances) < 0.02


def test_shares_of_tails_vary_by_one_if_nothing_is_wrong() -> None:
    rng = np.random.default_rng(1)
    found = [z for _ in range(400) for z in extremes(rng.normal(size=900), rng.normal(size=600))]
    assert len(found) == 800
    assert np.mean(np.square(found)) == pytest.approx(1.0, abs=0.17)  # its standard error is 0.05
    assert np.std(np.abs(found)) == pytest.approx(ONE_TAIL, abs=0.06)


def test_a_tail_of_few_values_is_its_extreme_value_and_a_common_one_is_none() -> None:
    counts = np.repeat(np.arange(6.0), [500, 300, 100, 50, 20, 30])
    clipped = np.clip(counts, 0, 4)
    assert np.quantile(clipped, 0.95) == np.quantile(counts, 0.95)  # the quantile has not moved
    assert extremes(counts, clipped) == pytest.approx([-np.sqrt(30 / 0.985)])  # 30 rows against none; below is no tail
    assert extremes(np.array([0.0, 1.0] * 50), np.array([0.0, 0.0] * 50)) == []


def test_clipped_tails_are_seen_in_numbers_of_few_values() -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {"visits": rng.geometric(0.5, 6_000).clip(max=7).astype(float), "kind": rng.integers(0, 2, 6_000)}
    )
    real, fresh, holdout = thirds(table)
    found = evaluate(real, fresh.assign(visits=fresh["visits"].clip(upper=4)), holdout)
    assert found.metric("extreme_share_excess").noticed
    assert not evaluate(real, fresh, holdout).metric("extreme_share_excess").noticed


def test_some_pairs_of_twins_among_few_rows_are_no_news() -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame(rng.integers(0, 9, (900, 9)).astype(str)).rename(columns="c{}".format)
    real, fresh, holdout = thirds(table)
    twins = pd.concat([fresh.iloc[:-8], fresh.iloc[:8]], ignore_index=True)
    found = evaluate(real, twins, holdout).metric("repeated_rows")
    assert found.reference == 0.0 < found.value and not found.noticed
    many = pd.concat([fresh.iloc[:-90], fresh.iloc[:90]], ignore_index=True)
    assert evaluate(real, many, holdout).metric("repeated_rows").noticed


def test_few_rows_are_said_to_show_little(wide: dict[str, pd.DataFrame]) -> None:
    few = {name: frame.head(300) for name, frame in wide.items()}
    found = evaluate(few["real"], few["fresh"], few["holdout"])
    assert any("fewer than a thousand rows: gross damage may go by" in warning for warning in found.warnings)
    assert "cannot show" in str(found) and "warning: " in str(found)
    assert found.metric("tvd2_mean").shows is False
    enough = evaluate(wide["real"], wide["fresh"], wide["holdout"])
    assert enough.warnings == ()


def test_a_table_of_fewer_rows_than_the_holdout_is_not_taken_for_a_bad_one(wide: dict[str, pd.DataFrame]) -> None:
    """Every distance shrinks with rows, so honest rows that are few were further away than a holdout of many."""
    few = wide["fresh"].head(300)
    found = evaluate(wide["real"], few, wide["holdout"])
    assert not [one.name for one in found.metrics if one.noticed]
    pairs = found.metric("tvd2_mean")
    assert pairs.value == pairs.matched == pytest.approx(pairs.reference, rel=0.1)
    assert found.rows.holdout == len(wide["holdout"])
    torn = few.assign(c=np.random.default_rng(0).permutation(few["c"]), d=few["d"].iloc[0])
    assert evaluate(wide["real"], torn, wide["holdout"]).metric("tvd1_max").noticed


def test_all_of_the_holdout_tests_models_of_a_small_table_in_its_groups_too(wide: dict[str, pd.DataFrame]) -> None:
    groups = [
        {row.group: row.reference for row in evaluate(
            wide["real"], wide["fresh"].head(rows), wide["holdout"], target="d", groups=["c"]).utility.groups}
        for rows in (300, 1_200)
    ]  # fmt: skip
    assert groups[0] == groups[1] and len(groups[0]) == 3  # as trained on real rows, tested on the same holdout
