"""Losses as shares of what real data has: known answers, worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dpsynth.quality.report import Metric
from dpsynth.release.losses import (
    LEAST,
    LEAST_DISTANCE,
    Loss,
    headline_gap,
    of_distance,
    of_gap,
    of_recalls,
    of_share,
    only,
)  # fmt: skip
from dpsynth.release.rules.protocol import EvidenceMissing

GAP: dict[str, Any] = {"name": "gap", "group": "utility", "value": 0.06, "reference": 0.0, "floor": 0.0,
                       "shuffle": 0.3, "ci_low": 0.03, "ci_high": 0.09, "better": "low"}  # fmt: skip
SHARE: dict[str, Any] = {"name": "share", "group": "text", "value": 0.6, "reference": 0.8, "floor": None,
                         "better": "high"}  # fmt: skip
RECALL: dict[str, Any] = {**SHARE, "name": "recall", "shuffle": 0.3, "ci_low": 0.56, "ci_high": 0.63,
                          "reference_low": 0.76, "reference_high": 0.83}  # fmt: skip


def ends(loss: Loss) -> list[float]:
    return [round(end, 9) for end in (loss.low, loss.value, loss.high)]


def test_a_gap_is_a_share_of_what_real_data_teaches() -> None:
    assert ends(of_gap(Metric(**GAP))) == [0.1, 0.2, 0.3]
    assert ends(of_gap(Metric(**{**GAP, "shuffle": 0.02}))) == [0.3, 0.6, 0.9], "of at least a tenth"
    assert LEAST == 0.1


def test_a_share_has_the_widest_interval_of_its_rows() -> None:
    half = 1.4 / math.sqrt(400) / 0.8
    assert ends(of_share(Metric(**SHARE), 400)) == [round(end, 9) for end in (0.25 - half, 0.25, 0.25 + half)]
    low = Metric(**{**SHARE, "better": "low", "value": 0.3, "reference": 0.1, "shuffle": 0.5})
    half = 1.4 / math.sqrt(100) / 0.4
    assert ends(of_share(low, 100)) == [round(end, 9) for end in (0.5 - half, 0.5, 0.5 + half)]
    near = Metric(**{**SHARE, "reference": 0.05, "value": 0.0})
    assert of_share(near, 400).value == pytest.approx(0.5), "of at least a tenth"


def test_recalls_have_the_interval_of_two_strangers() -> None:
    down, up = math.hypot(0.03, 0.04), math.hypot(0.04, 0.03)
    expected = [(0.2 - down) / 0.5, 0.4, (0.2 + up) / 0.5]
    assert ends(of_recalls(Metric(**RECALL))) == [round(end, 9) for end in expected]
    skewed = Metric(**{**RECALL, "ci_low": 0.48, "reference_high": 0.85, "ci_high": 0.68, "reference_low": 0.74})
    expected = [(0.2 - math.hypot(0.08, 0.06)) / 0.5, 0.4, (0.2 + math.hypot(0.12, 0.05)) / 0.5]
    assert ends(of_recalls(skewed)) == [round(end, 9) for end in expected]


@pytest.mark.parametrize("name", ["shuffle", "ci_low", "ci_high"])
def test_a_gap_without_an_end_is_missing_evidence(name: str) -> None:
    with pytest.raises(EvidenceMissing, match="gap"):
        of_gap(Metric(**{**GAP, name: None}))


@pytest.mark.parametrize("name", ["shuffle", "ci_low", "ci_high", "reference_low", "reference_high"])
def test_recalls_without_an_end_are_missing_evidence(name: str) -> None:
    with pytest.raises(EvidenceMissing, match="recall"):
        of_recalls(Metric(**{**RECALL, name: None}))


@pytest.mark.parametrize("rows", [None, 0])
def test_a_share_of_no_rows_is_missing_evidence(rows: int | None) -> None:
    with pytest.raises(EvidenceMissing, match="rows of share"):
        of_share(Metric(**SHARE), rows)
    with pytest.raises(EvidenceMissing, match="worst value"):
        of_share(Metric(**{**SHARE, "better": "low"}), 100)


def test_a_loss_beyond_another_is_judged_by_the_ends_that_are_furthest_apart() -> None:
    here, there = Loss(low=0.5, value=0.6, high=0.7), Loss(low=0.1, value=0.2, high=0.4)
    assert ends(here.beyond(there)) == [0.1, 0.4, 0.6]
    better = Loss(low=-0.3, value=-0.2, high=-0.1)
    assert ends(here.beyond(better)) == [0.5, 0.6, 0.7], "better than real data is losing nothing"


def test_a_metric_that_is_given_twice_is_none() -> None:
    class Report:
        metrics = (Metric(**GAP), Metric(**SHARE), Metric(**SHARE))

    assert only(Report, "gap") == Metric(**GAP)  # type: ignore[arg-type]
    assert only(Report, "share") is None and only(Report, "other") is None  # type: ignore[arg-type]


DISTANCE: dict[str, Any] = {"name": "distance", "group": "fidelity", "value": 0.12, "reference": 0.02, "floor": None,
                            "ci_low": 0.10, "ci_high": 0.15, "reference_low": 0.01, "reference_high": 0.04,
                            "better": "low"}  # fmt: skip


def test_a_distance_is_what_is_added_to_that_of_real_rows() -> None:
    assert ends(of_distance(Metric(**DISTANCE), room=0.2)) == [0.3, 0.5, 0.7]
    assert ends(of_distance(Metric(**DISTANCE, matched=0.14), room=0.2)) == [0.4, 0.6, 0.8], (
        "the interval moves with it"
    )
    assert ends(of_distance(Metric(**DISTANCE), room=0.001)) == [6.0, 10.0, 14.0], "of at least a hundredth"
    assert LEAST_DISTANCE == 0.01


def test_the_headline_is_that_of_classes_and_then_that_of_numbers() -> None:
    class Report:
        metrics = tuple(Metric(**{**GAP, "name": name}) for name in ("tstr_r2_gap", "later_tstr_auc_gap"))

    assert headline_gap(Report) == Report.metrics[0]  # type: ignore[arg-type]
    assert headline_gap(Report, "later_") == Report.metrics[1]  # type: ignore[arg-type]
    Report.metrics += (Metric(**{**GAP, "name": "tstr_auc_gap"}),)
    assert headline_gap(Report) == Report.metrics[2]  # type: ignore[arg-type]
