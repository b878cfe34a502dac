"""Each sabotage must be noticed by the figures that are there for it, and real data must pass."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import DataError, ParameterError, SchemaError
from dpsynth.quality import QualityReport, evaluate
from dpsynth.quality.tails import TailTally


@pytest.fixture(scope="module")
def honest(fair: dict[str, pd.DataFrame]) -> QualityReport:
    return evaluate(fair["real"], fair["fresh"], fair["holdout"])


def sabotaged(fair: dict[str, pd.DataFrame], synthetic: pd.DataFrame) -> QualityReport:
    return evaluate(fair["real"], synthetic, fair["holdout"])


def test_real_rows_as_release_are_as_good_as_real(honest: QualityReport) -> None:
    for metric in honest.metrics:
        assert not metric.noticed, metric
        if metric.confidentiality == "bucketed":
            assert metric.shortfall is None or metric.shortfall < 0.06, metric
    assert honest.metric("tvd2_mean").value == pytest.approx(honest.metric("tvd2_mean").floor, rel=0.4)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_permuting_one_column_is_seen_in_pairs_and_not_in_columns(fair: dict[str, pd.DataFrame], seed: int) -> None:
    rng = np.random.default_rng(seed)
    fresh = fair["fresh"]
    report = sabotaged(fair, fresh.assign(age=rng.permutation(fresh["age"])))
    assert report.metric("tvd1_max").value < 1.5 * report.metric("tvd1_max").reference
    assert report.metric("tvd2_max").shortfall > 0.8
    assert {report.pairs[0].left, report.pairs[0].right} == {"age", "yrs_married"}
    assert report.metrics[0].name == "tvd2_max"


@pytest.mark.slow
def test_independent_columns_are_as_bad_as_shuffled(fair: dict[str, pd.DataFrame]) -> None:
    rng = np.random.default_rng(2)
    report = sabotaged(fair, fair["fresh"].apply(lambda c: rng.permutation(c)))
    assert report.metric("tvd2_mean").shortfall == pytest.approx(1, abs=0.25)


def test_dropping_rare_rows_is_seen_in_the_tails_first(fair: dict[str, pd.DataFrame], honest: QualityReport) -> None:
    fresh = fair["fresh"]
    common = fresh[
        fresh["occupation"].between(2, 5)
        & (fresh["rate_marriage"] > 1)
        & (fresh["children"] < 5.5)
        & (fresh["educ"] > 9)
    ]
    report = sabotaged(fair, common.sample(len(fresh), replace=True, random_state=0))
    assert report.metrics[0].group == "tails"
    assert report.metric("tail_overlap_1_9").shortfall > 0.5
    assert report.metric("tail_kept_10_99").value < honest.metric("tail_kept_10_99").value - 0.05
    assert report.metric("tvd1_mean").value < 0.035  # what an average makes of it
    assert sum(c.lost for c in report.columns) >= 5


def test_mode_that_collapses_to_one_value_is_the_worst_column(fair: dict[str, pd.DataFrame]) -> None:
    report = sabotaged(fair, fair["fresh"].assign(religious=1.0))
    assert report.columns[0].name == "religious"
    assert report.columns[0].lost == 3
    assert report.columns[0].ci_low > 0.5


def test_invented_combinations_have_mass_that_real_data_does_not_have(
    fair: dict[str, pd.DataFrame], honest: QualityReport
) -> None:
    rng = np.random.default_rng(4)
    invented = fair["fresh"].copy()
    invented.loc[rng.random(len(invented)) < 0.2, "age"] = 77.7
    report = sabotaged(fair, invented)
    assert report.metric("invented_mass").value > 10 * honest.metric("invented_mass").value
    age = next(c for c in report.columns if c.name == "age")
    assert age.invented == pytest.approx(0.2, abs=0.04)


def test_a_copy_of_the_training_table_is_better_than_any_real_data(fair: dict[str, pd.DataFrame]) -> None:
    metric = sabotaged(fair, fair["real"]).metric("tvd2_mean")
    assert metric.value == 0
    assert metric.matched < metric.reference


@pytest.mark.slow
def test_filled_in_missing_values_are_seen(fair: dict[str, pd.DataFrame]) -> None:
    tables = {k: f.assign(educ=f["educ"].mask(np.arange(len(f)) % 5 == 0)) for k, f in fair.items()}
    report = evaluate(tables["real"], tables["fresh"].fillna({"educ": 14.0}), tables["holdout"])
    assert report.metric("missing_gap_max").value == pytest.approx(0.2)
    assert report.columns[0].name == "educ"


def test_equal_rows_make_the_comparison_with_a_small_holdout_fair(fair: dict[str, pd.DataFrame]) -> None:
    metric = evaluate(fair["real"], fair["fresh"], fair["holdout"].head(300)).metric("tvd2_mean")
    assert metric.reference > 1.5 * metric.value  # few rows alone make it look worse than the synthetic table
    assert metric.matched == pytest.approx(metric.reference, rel=0.15)
    assert abs(metric.shortfall) < 0.5  # the full table against 300 real rows would read -2


def test_holdout_of_ten_rows_says_what_it_cannot_show(fair: dict[str, pd.DataFrame]) -> None:
    report = evaluate(fair["real"], fair["fresh"], fair["holdout"].head(10))
    metric = report.metric("tvd2_mean")
    assert any("holdout has fewer than 200 rows" in w for w in report.warnings)
    assert metric.reference_high - metric.reference_low > 0.6
    assert metric.ci_high - metric.ci_low < 0.1
    assert not any("10" in w for w in report.warnings)


def test_column_that_is_missing_throughout_is_named_and_does_no_harm(few: dict[str, pd.DataFrame]) -> None:
    empty = {k: f.assign(extra=np.nan) for k, f in few.items()}
    report = evaluate(empty["real"], empty["fresh"], empty["holdout"])
    assert "Column 'extra' is missing in every row of: real, synthetic, holdout." in report.warnings
    assert next(c for c in report.columns if c.name == "extra").tvd == 0


def test_a_cell_that_noise_hides_and_that_is_kept_is_excused_once() -> None:
    tally = TailTally(real="real", other="made", limit=50, bands=((10, 99),))
    tally.add_counts(np.array([20, 30, 80, 90]), np.array([5, 0, 7, 0]))
    (band,) = tally.score()
    assert (band.cells, band.unresolved, band.kept, band.excused) == (4, 2, 0.5, 0.75)


def test_resolution_limit_counts_the_cells_that_noise_hides(
    fair: dict[str, pd.DataFrame], few: dict[str, pd.DataFrame]
) -> None:
    report = evaluate(fair["real"], fair["fresh"], fair["holdout"], sigma=8.0)
    assert report.resolution.rows == pytest.approx(19.89, abs=0.01)
    low, middle, high = report.tails
    assert low.unresolved == low.cells > 0
    assert 0 < middle.unresolved < middle.cells
    assert high.unresolved == 0
    assert low.excused_matched == 1.0 and high.excused_matched == high.kept_matched
    assert evaluate(few["real"], few["fresh"], few["holdout"]).tails[0].unresolved is None
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="sigma >= 0 and finite"):
            evaluate(few["real"], few["fresh"], few["holdout"], sigma=bad)


def cells(**counts: int) -> pd.DataFrame:
    rows = [{"a": name[0], "b": name[1]} for name, count in counts.items() for _ in range(count)]
    return pd.DataFrame(rows)


def test_band_figures_equal_a_count_by_hand() -> None:
    real = cells(xu=10, yu=9, yv=1)  # at the edges of the bands
    report = evaluate(real, cells(xu=9, xv=1, yu=4, yv=6), real)
    low, middle, high = report.tails
    assert (low.cells, middle.cells, high.cells) == (2, 1, 0)
    assert (low.kept, middle.kept, high.kept) == (1.0, 1.0, None)
    assert low.overlap == pytest.approx(5 / 10)
    assert middle.overlap == pytest.approx(9 / 10)
    assert low.excess == pytest.approx(5 / 10)
    assert report.metric("invented_mass").value == pytest.approx(1 / 20)
    assert "tail_kept_100_999" not in {m.name for m in report.metrics}
    assert evaluate(real, cells(xu=10, yu=10), real).tails[0].kept == 0.5


def test_same_seed_same_report_and_another_seed_other_halves(few: dict[str, pd.DataFrame]) -> None:
    args = (few["real"], few["fresh"], few["holdout"])
    first = evaluate(*args, seed=3)
    assert first == evaluate(*args, seed=3)
    assert first.metric("tvd2_mean").floor != evaluate(*args, seed=4).metric("tvd2_mean").floor


def test_requests_that_make_no_sense_are_refused(fair: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(SchemaError, match="Target 'income' is not a column"):
        evaluate(fair["real"], fair["fresh"], fair["holdout"], target="income")
    with pytest.raises(SchemaError, match="at least two columns"):
        evaluate(*(fair[k][["age"]] for k in ("real", "fresh", "holdout")))
    with pytest.raises(DataError, match="holdout table has no rows"):
        evaluate(fair["real"], fair["fresh"], fair["holdout"][:0])


def test_kinds_come_from_a_schema_where_there_is_one(few: dict[str, pd.DataFrame]) -> None:
    class Spec:
        kind = "categorical"

    class Kinds:
        columns = {"age": Spec()}  # noqa: RUF012

    report = evaluate(few["real"], few["fresh"], few["holdout"], schema=Kinds())
    assert {c.name for c in report.columns if c.kind == "categorical"} == {"age", "affair"}


def test_steps_are_announced_to_their_end(few: dict[str, pd.DataFrame]) -> None:
    seen: list[tuple[str, int, int]] = []
    evaluate(
        few["real"], few["fresh"], few["holdout"], target="affair",
        progress=lambda name, done, total, detail="": seen.append((name, done, total)),
    )  # fmt: skip
    assert ("fidelity", 36, 36) in seen
    assert seen[-1] == ("utility", 3, 3)


def test_learning_library_loads_only_for_utility_and_nothing_on_import() -> None:
    code = (
        "import sys, dpsynth.quality; assert 'pandas' not in sys.modules and 'pydantic' not in sys.modules;"
        "import pandas as pd, dpsynth.quality.utility;"
        "t = pd.DataFrame({'a': [1, 2] * 9, 'b': ['x', 'y', 'y'] * 6});"
        "dpsynth.quality.evaluate(t, t, t); assert not {'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
def test_adult_takes_seconds_and_stands_beside_its_known_anchors() -> None:
    shared = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
    path = shared / "data/tabular/adult/adult.csv.gz"
    if not path.exists():
        pytest.skip(f"shared data not found: set DPSYNTH_SHARED to the folder that holds {path.name}")
    table = pd.read_csv(path, keep_default_na=False).sample(frac=1, random_state=0)
    start = time.process_time()
    report = evaluate(table[:24_421], table[24_421:], table[24_421:])
    assert time.process_time() - start < 5
    metric = report.metric("tvd2_mean")
    assert metric.floor == pytest.approx(0.035, abs=0.004)  # two quarters: sqrt 2 above two halves
    assert metric.reference == pytest.approx(0.024, abs=0.003)
    assert metric.shuffle == pytest.approx(0.083, abs=0.01)
    assert (report.pairs_total, len(report.pairs)) == (105, 105)
