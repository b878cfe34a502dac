"""The report on texts: anchors, missing values, one document with a table's, what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.quality import evaluate
from dpsynth.quality.report import QualityReport
from dpsynth.quality.text import evaluate_text, together
from dpsynth.quality.text.names import HEADLINES
from tests.attacks.text.worlds import parts

REAL, MADE, HELD = parts(300, 200, 150, seed=4)


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return evaluate_text([*REAL, None], [*MADE, float("nan")], [*HELD, pd.NA], seed=3)


def test_one_seed_gives_one_report_and_missing_texts_count_for_nothing(report: QualityReport) -> None:
    assert evaluate_text(REAL, MADE, HELD, seed=3) == report
    assert (report.rows.real, report.rows.synthetic, report.rows.holdout) == (300, 200, 150)


def test_every_figure_of_real_texts_is_near_that_of_the_holdout(report: QualityReport) -> None:
    far = {m.name: m.shortfall for m in report.metrics if m.shortfall is not None and m.shortfall > 0.15}
    assert not far
    assert {m.group for m in report.metrics} == {"text"} and report.metric(HEADLINES[0]).shuffle is not None


def test_the_document_reads_back_and_a_report_on_a_table_is_what_it_was(report: QualityReport) -> None:
    assert QualityReport.from_json(json.dumps(report.to_json())) == report
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 4, 300), "b": rng.integers(0, 3, 300)})
    table = evaluate(frame[:100], frame[100:200], frame[200:])
    assert "text" not in table.to_json()
    both = together(table, report)
    assert {m.name for m in both.metrics} == {m.name for m in (*table.metrics, *report.metrics)}
    assert both.pairs == table.pairs and both.text == report.text
    assert QualityReport.from_json(both.to_json()) == both


def test_what_cannot_be_compared_is_refused_without_quoting_a_text() -> None:
    for bad in ("one text", [1, 2, 3] * 9, [None], ["..."] * 20):
        with pytest.raises(DataError) as refused:
            evaluate_text(REAL, bad, HELD)
        assert "..." not in str(refused.value)
    with pytest.raises(ParameterError):
        evaluate_text(REAL, MADE, HELD, labels=(["a"] * 300, ["a"] * 3, ["a"] * 150))
    with pytest.raises(DataError):
        evaluate_text(REAL, MADE, HELD, scorer=lambda texts: (np.zeros(2), np.ones(2)))


def test_too_few_texts_give_no_figures_and_a_warning() -> None:
    few = evaluate_text(REAL, MADE, HELD[:5])
    assert few.metrics == () and few.warnings and few.rows.real == 0


def test_a_later_time_is_held_against_what_real_texts_score_there() -> None:
    report = evaluate_text(REAL, MADE, HELD, later=[t.upper()[::-1] for t in HELD])
    later = report.metric("text_js2_later")
    assert later.reference is not None and later.floor is not None and later.reference > later.floor + 0.1


def test_labels_teach_what_they_teach() -> None:
    rng = np.random.default_rng(0)
    topics = {"cat": ["purr", "paw", "fur", "whisker"], "car": ["wheel", "motor", "road", "brake"]}

    def written(count: int) -> tuple[list[str], list[str]]:
        labels = ["cat", "car"] * (count // 2)
        words = [[*rng.choice(topics[label], 3), *rng.choice(["the", "a", "of"], 4)] for label in labels]
        return [" ".join(one) for one in words], labels

    (real, r), (made, m), (held, h) = written(200), written(200), written(100)
    good = evaluate_text(real, made, held, labels=(r, m, h))
    wrong = evaluate_text(real, made, held, labels=(r, m[::-1], h))
    assert good.metric("text_tstr_linear").value == 1.0 and good.metric("text_tstr_bayes").value == 1.0
    assert wrong.metric("text_tstr_linear").value == 0.0
    dropped = evaluate_text(real, [t for t, one in zip(made, m, strict=True) if one == "cat"], held,
                            labels=(r, ["cat"] * 100, h))  # fmt: skip
    assert dropped.metric("text_tstr_linear").shortfall == 1.0
    assert dropped.metric("text_labels_kept").value == 0.5 and dropped.metric("text_label_shares").value == 0.5


def test_of_many_later_texts_those_that_are_looked_at_are_drawn_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is often sorted by time: its beginning is the time that has drifted least."""
    monkeypatch.setattr("dpsynth.quality.text.evaluation.MOST", len(HELD))
    drifted = [text.upper()[::-1] for text in HELD]
    found = [
        evaluate_text(REAL, MADE, HELD, later=later).metric("text_js2_later").reference
        for later in (HELD, drifted, [*HELD, *drifted], [*drifted, *HELD])
    ]
    assert found[0] + 0.05 < min(found[2:]) and max(found[2:]) + 0.05 < found[1]


def test_what_learners_make_of_texts_is_tested_on_later_texts_too() -> None:
    labels = [str(i % 2) for i in range(len(HELD))]
    own = [[str(i % 2) for i in range(len(one))] for one in (REAL, MADE)]
    told = (own[0], own[1], labels)
    report = evaluate_text(REAL, MADE, HELD, later=HELD, labels=told, later_labels=labels)
    for learner in ("linear", "bayes"):
        now, then = report.metric(f"text_tstr_{learner}"), report.metric(f"text_tstr_{learner}_later")
        assert (now.value, now.reference) == pytest.approx((then.value, then.reference), abs=0.1)
        assert then.confidentiality == "internal"
    assert report.rows.later == len(HELD)
    with pytest.raises(ParameterError, match="Labels of later texts"):
        evaluate_text(REAL, MADE, HELD, later_labels=labels)
