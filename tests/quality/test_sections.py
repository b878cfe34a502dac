"""Each section against a count by hand, a formula of another library, or a table whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import SchemaError
from dpsynth.quality import QualityReport, evaluate
from dpsynth.quality.association import correlations, cramers_v
from dpsynth.quality.detection import delong
from dpsynth.quality.quantiles import quantile_errors, step_sizes


@pytest.fixture(scope="module")
def report(fair: dict[str, pd.DataFrame]) -> QualityReport:
    tables = [
        fair[name].assign(job=fair[name]["occupation"].map("{:g}".format)) for name in ("real", "fresh", "holdout")
    ]
    return evaluate(*tables, target="affair", sigma=8.0)


def test_three_way_distance_is_that_of_a_loop_over_cells(fair: dict[str, pd.DataFrame]) -> None:
    names = ["religious", "children", "educ", "affair"]
    real, fresh = (fair[part][names] for part in ("real", "fresh"))
    gaps = []
    for triple in itertools.combinations(names, 3):
        left, right = (table.value_counts(list(triple), normalize=True) for table in (real, fresh))
        gaps.append(float(left.sub(right, fill_value=0).abs().sum() / 2))
    found = evaluate(real, fresh, fair["holdout"][names])
    assert found.metric("tvd3_mean").value == pytest.approx(np.mean(gaps), abs=1e-12)
    assert found.metric("tvd3_max").value == pytest.approx(max(gaps), abs=1e-12)


def test_correlations_are_numpys_and_missing_cells_leave_them_alone() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(3, 400)) + rng.normal(size=400)
    assert correlations(numbers) == pytest.approx(np.corrcoef(numbers), abs=1e-12)
    holes = numbers.copy()
    holes[0, :40] = np.nan
    assert correlations(holes)[0, 1] == pytest.approx(np.corrcoef(numbers[:2, 40:])[0, 1], abs=0.03)


def test_cramers_v_is_corrected_for_chance() -> None:
    rng = np.random.default_rng(1)
    independent = [cramers_v(rng.multinomial(200, np.ones(48) / 48).reshape(6, 8)) for _ in range(200)]
    assert np.mean(independent) < 0.08  # the plain one is 0.19
    assert cramers_v(np.diag([30, 30, 30])) == pytest.approx(1.0)
    assert cramers_v(np.array([[5, 0], [7, 0]])) == 0.0


def test_delongs_error_is_that_of_many_samples() -> None:
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], 150)
    draws = [delong(rng.normal(size=300) + label, label) for _ in range(400)]
    assert np.mean([auc for auc, _ in draws]) == pytest.approx(0.760, abs=0.01)
    spread = np.std([auc for auc, _ in draws])
    assert np.mean([error for _, error in draws]) == pytest.approx(spread, rel=0.15)
    assert delong(np.zeros(4), np.array([0, 1, 0, 1]))[0] == 0.5


def test_quantile_errors_are_in_interquartile_ranges() -> None:
    real = np.arange(1001.0)
    assert quantile_errors(real, real + 100) == pytest.approx([0.2] * 4)
    assert step_sizes(np.repeat(np.arange(11.0), 100)) == pytest.approx([1 / 6] * 4, abs=0.05)
    assert quantile_errors(np.ones(9), np.ones(9) * 3).tolist() == [0.0] * 4


def test_groups_below_the_resolution_limit_are_named(report: QualityReport) -> None:
    assert report.resolution is not None and report.no_resolution is None
    assert {group.column for group in report.groups} == {"job"}
    for group in report.groups:
        assert group.rows >= 20
        assert group.unresolved == (group.rows < report.resolution.rows)
    small = min(report.groups, key=lambda group: group.rows)
    assert small.share == pytest.approx(small.rows / report.rows.real)
    assert any(group.score is not None for group in report.groups)


def test_without_noise_of_counts_there_is_a_reason_and_no_number(few: dict[str, pd.DataFrame]) -> None:
    found = evaluate(few["real"], few["fresh"], few["holdout"], no_resolution="No table was measured.")
    assert (found.resolution, found.no_resolution) == (None, "No table was measured.")
    assert all(group.unresolved is None for group in found.groups)
    with pytest.raises(SchemaError, match="Group column 'nobody' is not a column"):
        evaluate(few["real"], few["fresh"], few["holdout"], groups=["nobody"])


def test_declared_groups_are_all_looked_at(fair: dict[str, pd.DataFrame]) -> None:
    found = evaluate(fair["real"], fair["fresh"], fair["holdout"], groups=["children"])
    assert {group.column for group in found.groups} == {"children"}
    assert len(found.groups) == 6


def test_sections_stand_worst_first_and_are_internal(report: QualityReport) -> None:
    document = report.to_json()
    for name in ("triples", "conditionals", "associations", "quantiles", "groups", "tails1", "tails3"):
        assert document[name], name
        assert {row["confidentiality"] for row in document[name]} == {"internal"}
    triples = [row.tvd - row.reference for row in report.triples]
    assert triples == sorted(triples, reverse=True)


def test_names_of_metrics_do_not_depend_on_private_rows(fair: dict[str, pd.DataFrame], report: QualityReport) -> None:
    def internal(found: QualityReport) -> set[str]:
        return {metric.name for metric in found.metrics if metric.confidentiality == "internal"}

    few = evaluate(*(fair[name].head(12) for name in ("real", "fresh", "holdout")))
    assert internal(few) == internal(report)


def test_two_columns_have_no_triple_and_that_is_no_error(fair: dict[str, pd.DataFrame]) -> None:
    found = evaluate(*(fair[name][["age", "affair"]] for name in ("real", "fresh", "holdout")))
    assert found.metric("tvd3_mean").value is None
    assert found.triples == ()


def test_detection_is_asked_for_and_says_what_gives_the_table_away(
    fair: dict[str, pd.DataFrame], few: dict[str, pd.DataFrame]
) -> None:
    odd = fair["fresh"].assign(age=fair["fresh"]["age"] + 0.01)
    found = evaluate(fair["real"], odd, fair["holdout"], detection=True)
    metric = found.metric("detection_auc")
    assert metric.value > 0.99 and metric.reference < 0.6 and metric.noticed
    assert found.giveaways[0].column == "age"
    assert "detection_auc" not in {m.name for m in evaluate(few["real"], odd, few["holdout"]).metrics}
