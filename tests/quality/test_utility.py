import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from dpsynth.core.errors import DataError
from dpsynth.quality import QualityReport, evaluate
from dpsynth.quality.features import Features
from dpsynth.quality.scores import auc, average_precision


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=4, max_size=40))
@settings(max_examples=150, deadline=None)
def test_scores_equal_the_reference_implementation_with_ties_and_weights(
    rows: list[tuple[int, bool, int]],
) -> None:
    score, positive, weight = (np.array(c) for c in zip(*rows, strict=True))
    if not (weight[positive].sum() and weight[~positive].sum()):
        return
    args = (score.astype(float), positive, weight.astype(float))
    assert auc(*args) == pytest.approx(roc_auc_score(positive, score, sample_weight=weight))
    assert average_precision(*args) == pytest.approx(average_precision_score(positive, score, sample_weight=weight))


def run(fair: dict[str, pd.DataFrame], synthetic: pd.DataFrame, target: str = "affair") -> QualityReport:
    return evaluate(fair["real"], synthetic, fair["holdout"], target=target)


def test_training_on_a_copy_loses_nothing_and_training_on_permuted_labels_loses_all(
    fair: dict[str, pd.DataFrame], few: dict[str, pd.DataFrame]
) -> None:
    copy = run(few, few["real"]).metric("tstr_auc_gap")
    assert (copy.value, copy.ci_low, copy.ci_high) == (0, 0, 0)
    rng = np.random.default_rng(0)
    broken = run(fair, fair["fresh"].assign(affair=rng.permutation(fair["fresh"]["affair"])))
    gap = broken.metric("tstr_auc_gap")
    assert gap.ci_low > 0.1
    assert gap.shortfall > 0.7
    fresh = run(fair, fair["fresh"]).metric("tstr_auc_gap")
    assert fresh.ci_low < 0.02
    assert fresh.value < 0.03


def test_one_class_in_the_synthetic_table_is_chance_and_not_an_error(few: dict[str, pd.DataFrame]) -> None:
    metric = run(few, few["fresh"].assign(affair="no")).metric("tstr_auc")
    assert (metric.value, metric.shuffle, metric.shortfall) == (0.5, 0.5, 1.0)


def test_more_than_two_classes_and_numbers_are_targets_too(fair: dict[str, pd.DataFrame]) -> None:
    few = run(fair, fair["fresh"], "religious")
    assert (few.utility.task, few.utility.classes) == ("classification", 4)
    assert 0.5 < few.metric("tstr_auc").reference < 0.75
    tables = {k: f.assign(load=f["age"] + f["children"] * 0.37 + np.arange(len(f)) / 1e4) for k, f in fair.items()}
    report = run(tables, tables["fresh"], "load")
    assert report.utility.task == "regression"
    assert report.metric("tstr_r2").reference > 0.9
    assert report.metric("tstr_mean_absolute_error").better == "low"
    assert abs(report.metric("tstr_r2_gap").value) < 0.05


def test_rows_without_target_are_left_out(fair: dict[str, pd.DataFrame]) -> None:
    gaps = {k: f.assign(affair=f["affair"].mask(np.arange(len(f)) % 3 == 0)) for k, f in fair.items()}
    assert run(gaps, gaps["fresh"]).metric("tstr_auc").value > 0.6


def test_a_class_that_training_never_saw_is_not_scored(few: dict[str, pd.DataFrame]) -> None:
    odd = {
        **few,
        "holdout": few["holdout"].assign(affair=lambda f: f["affair"].mask(f.index < 50, "unheard of")),
    }
    assert run(odd, few["fresh"]).utility.classes == 2


def test_targets_without_contrast_are_refused_by_name(few: dict[str, pd.DataFrame]) -> None:
    one = few["real"].assign(affair="no")
    with pytest.raises(DataError, match="'affair' has one class in the real table"):
        evaluate(one, few["fresh"], few["holdout"], target="affair")
    with pytest.raises(DataError, match="'affair' has one class in the holdout table"):
        evaluate(few["real"], few["fresh"], few["holdout"].assign(affair="no"), target="affair")
    with pytest.raises(DataError, match="'affair' is missing in every row of the holdout table"):
        evaluate(few["real"], few["fresh"], few["holdout"].assign(affair=None), target="affair")
    wide = {k: f.assign(load=np.arange(len(f)) * 1.0) for k, f in few.items()}
    with pytest.raises(DataError, match="'load' has one value in the holdout table"):
        evaluate(wide["real"], wide["fresh"], wide["holdout"].assign(load=1.0), target="load")


def test_a_model_sees_the_categories_of_its_own_training_table_only() -> None:
    train = pd.DataFrame({"c": ["a", "a", "b", None]})
    features = Features.of(train, {"c": "categorical"})
    code = features.encode(pd.DataFrame({"c": ["a", "b", "zz", None]}), table="holdout")[:, 0]
    np.testing.assert_array_equal(code, [0, 1, 2, np.nan])
    many = pd.DataFrame({"c": [str(i) for i in range(400)]})
    assert Features.of(many, {"c": "categorical"}).encode(many, table="real").max() == 250


def test_models_are_trained_on_one_thread_so_that_a_busy_machine_does_not_stall(few: dict[str, pd.DataFrame]) -> None:
    from threadpoolctl import threadpool_info

    seen: list[int] = []

    def look(name: str, done: int, total: int, detail: str = "") -> None:
        if name == "utility" and done < total:
            seen.extend(pool["num_threads"] for pool in threadpool_info())

    evaluate(few["real"], few["fresh"], few["holdout"], target="affair", progress=look)
    assert len(seen) >= 3
    assert set(seen) == {1}
