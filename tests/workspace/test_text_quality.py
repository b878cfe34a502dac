"""Drafts with texts: perplexity under a public model, mixes for learners that read texts, figures that are bought."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.demo.texts import private_records
from dpsynth.text.backends import load
from dpsynth.workspace import Draft, Workspace
from tests.text.word_counts import WordCounts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    home: Path = tmp_path_factory.mktemp("texts")
    pyarrow.csv.write_csv(private_records(("scipy", "sympy")), home / "notes.csv")
    ws = Workspace.init(home / "vault")
    record = ws.register(home / "notes.csv")
    ws.create_budget(record, epsilon=4, delta="1e-5")
    return ws.synthesize(
        record, WordCounts(length=20), epsilon=3, delta="1e-6", text="text", target="topic", canaries=0
    )


def test_perplexity_and_mixes_stand_in_the_report_of_a_draft(draft: Draft) -> None:
    options = {"shares": (0, 1), "splits": 3}
    report = draft.evaluate(model="ngram", ablation=options)
    gap = report.metric("text_perplexity_gap")
    assert gap.value > gap.reference, "words drawn one by one surprise the model"
    assert report.text is not None and load("ngram").fingerprint in str(report.text.scored_by)
    found = report.ablation
    assert found is not None and (found.target, found.learners) == ("topic", ("boosting", "linear"))
    trtr = found.mix(learner="linear", mode="fixed", share=0)
    assert trtr.value > 0.7, "the texts tell their topic"


def test_shares_that_are_none_are_refused(draft: Draft) -> None:
    with pytest.raises(ParameterError, match="shares"):
        draft.evaluate(ablation={"shares": (2,)})


def test_columns_beside_a_text_are_counted_and_prose_is_not(draft: Draft) -> None:
    figure = draft.buy_figure("marginals", epsilon="0.5")
    assert figure.marginals == (("topic",),)
