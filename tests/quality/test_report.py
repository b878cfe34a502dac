import json

import pandas as pd
import pytest

from dpsynth.core.errors import DataError
from dpsynth.quality import QualityReport, evaluate
from dpsynth.quality.report import Metric


@pytest.fixture(scope="module")
def report(fair: dict[str, pd.DataFrame]) -> QualityReport:
    return evaluate(fair["real"], fair["fresh"], fair["holdout"], target="affair", sigma=3.0)


def test_document_survives_the_round_trip(report: QualityReport) -> None:
    text = json.dumps(report.to_json())
    assert json.loads(text)["schema"] == "dpsynth.quality/1"
    assert QualityReport.from_json(text) == report
    assert QualityReport.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"schema": "dpsynth.quality/2"}, "schema: literal_error"),
        ({"surprise": 1}, "surprise: extra_forbidden"),
        ({"metrics": "secret"}, "metrics: tuple_type"),
        ({"rows": {"real": "secret", "synthetic": 1, "holdout": 1}}, "rows.real: int_type"),
        ({"rows": {"real": 1, "synthetic": 1}}, "rows.holdout: missing"),
    ],
)
def test_any_other_document_is_refused_by_field_and_never_quoted(
    report: QualityReport, change: dict[str, object], place: str
) -> None:
    with pytest.raises(DataError, match=f"Not a dpsynth.quality/1 report: {place}") as caught:
        QualityReport.from_json({**report.to_json(), **change})
    assert "secret" not in str(caught.value)


def test_nan_truncation_and_bombs_are_refused(report: QualityReport) -> None:
    text = json.dumps(report.to_json())
    with pytest.raises(DataError, match=r"Not a dpsynth.quality/1 report: metrics\.0\.value: finite_number"):
        broken = report.to_json()
        broken["metrics"][0]["value"] = float("nan")
        QualityReport.from_json(broken)
    with pytest.raises(DataError, match="the document: json_invalid"):
        QualityReport.from_json(text[:-5])
    with pytest.raises(DataError, match="larger than 16 MiB"):
        QualityReport.from_json(text + " " * (16 << 20))


def test_each_figure_says_whether_it_may_be_published(report: QualityReport) -> None:
    bucketed = {m.name for m in report.metrics if m.confidentiality == "bucketed"}
    assert bucketed == {
        "tvd1_mean", "tvd1_max", "missing_gap_max", "tvd2_mean", "tvd2_max", "invented_mass",
        *(f"tail_{figure}_{band}" for figure in ("kept", "overlap") for band in ("1_9", "10_99", "100_999")),
        *(f"tstr_{score}{end}" for score in ("auc", "average_precision") for end in ("", "_gap")),
    }  # fmt: skip
    document = report.to_json()
    for part in ("columns", "pairs", "tails", "tails1"):
        assert {row["confidentiality"] for row in document[part]} == {"internal"}
    assert document["rows"]["confidentiality"] == document["utility"]["confidentiality"] == "internal"


def test_worst_comes_first(report: QualityReport) -> None:
    shortfalls = [m.shortfall for m in report.metrics if m.shortfall is not None]
    assert shortfalls == sorted(shortfalls, reverse=True)
    gaps = [p.tvd - p.reference for p in report.pairs]
    assert gaps == sorted(gaps, reverse=True)


def test_shortfall_is_zero_at_real_data_and_one_at_no_data() -> None:
    def metric(value: float | None, matched: float | None = None) -> Metric:
        return Metric(
            name="m",
            group="utility",
            value=value,
            matched=matched,
            reference=0.9,
            floor=None,
            shuffle=0.5,
            better="high",
        )

    assert (metric(0.9).shortfall, metric(0.5).shortfall, metric(None).shortfall) == (0, 1, None)
    assert metric(0.5, matched=0.7).shortfall == 0.5
    assert metric(0.9).model_copy(update={"reference": 0.5}).shortfall is None
    assert metric(0.9).model_copy(update={"reference": 0.4}).shortfall is None  # real data is worse than no data


def test_missing_metric_is_a_key_error(report: QualityReport) -> None:
    with pytest.raises(KeyError, match="no_such"):
        report.metric("no_such")


def test_text_form_lists_every_metric(report: QualityReport) -> None:
    assert all(m.name in str(report) for m in report.metrics)
