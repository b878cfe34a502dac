"""A plan as a cell: every step and figure of the document, worst first, and nothing that it does not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpsynth.core.errors import DataError
from dpsynth.report.cells import cell, kind_of
from dpsynth.report.costs import cost_view
from dpsynth.schema.model import Schema
from dpsynth.workspace.cost import CostPlan, plan_cost
from tests.chromium import chromium
from tests.report.pages import Page


@pytest.fixture(scope="module")
def wide() -> CostPlan:
    of: dict[str, Any] = {f"x{at}": {"kind": "integer", "min": 0, "max": 9} for at in range(60)}
    schema = Schema.from_dict({"version": 1, "columns": {**of, "<b>": {"kind": "categorical"}}})
    return plan_cost(
        "spark://host:7077", "gibbs", table="w.claims", epsilon=1, delta="1e-9", rows=10**10, schema=schema
    )


def test_a_plan_is_a_cell_with_every_step(wide: CostPlan) -> None:
    document = wide.to_json()
    assert kind_of(document) == "plan"
    html = wide._repr_html_()
    found = Page(html)
    assert html == cell(document) and not found.unbalanced
    assert not {"script", "img", "iframe", "link"} & found.tags
    for step in wide.steps:
        assert step.name in found.text
    assert "rows × columns²" in found.text and f"{wide.total('statements'):,} statements" in found.text
    assert "Open domains: 1;" in found.text
    assert "if it counts as fast as duckdb" in found.text
    assert "<b>:" not in html


def test_what_breaks_is_said_with_its_advice_and_what_does_not_without(wide: CostPlan) -> None:
    view = cost_view(wide.to_json())
    assert [float(line.part) for line in view.limits] == sorted(
        (float(line.part) for line in view.limits), reverse=True
    )
    assert view.limits[0].word == "breaks" and view.limits[0].advice in Page(cell(wide)).text.replace("\u2009", " ")
    calm = replace(wide, limits=tuple(replace(limit, part=0.01) for limit in wide.limits))
    (only,) = cost_view(calm.to_json()).limits
    assert (only.word, only.tone) == ("far", "good") and only.advice not in Page(cell(calm)).text


def test_unknown_questions_are_said_to_be_unknown(wide: CostPlan) -> None:
    silent = replace(wide, steps=(replace(wide.steps[0], statements=None, cells=None),))
    text = Page(cell(silent)).text
    assert "does not say what it asks" in text
    assert text.count("unknown") == 3, "two figures of the step, and the sentence"


def test_a_document_that_is_no_plan_is_refused(wide: CostPlan) -> None:
    with pytest.raises(DataError, match="plan document cannot be reported"):
        cell({**wide.to_json(), "steps": [{"step": "x"}]})


@pytest.mark.slow
def test_the_cell_opens_in_a_browser_without_a_word_on_the_console(wide: CostPlan, tmp_path: Path) -> None:
    page = tmp_path / "cell.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><title>plan</title>{wide._repr_html_()}", "utf-8")
    with chromium(tmp_path / "profile") as browser:
        browser.get(page.as_uri())
        rows = browser.find_elements("css selector", ".dpsynth tbody tr")
        assert len(rows) == len(wide.steps)
        assert browser.get_log("browser") == []
