"""Laws of the page of an audit: inert, worst first, all that a verdict rests on, and never better than its rows."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dpsynth.core.errors import DataError
from dpsynth.report import assemble_audit, cell, render_audit
from dpsynth.report.words import criterion
from tests.report.pages import Page
from tests.report.test_page import CORPUS, inert, poison


@pytest.fixture
def report(internal: dict[str, Any]) -> dict[str, Any]:
    """The attack report of one real run."""
    return copy.deepcopy(internal["attacks"])


def text(html: str) -> str:
    return Page(html).text.replace("\u00a0", " ")


def test_page_is_one_inert_file_marked_internal(report: dict[str, Any]) -> None:
    html = render_audit(assemble_audit(report, settings={"Real rows": "train.csv"}))
    found = inert(html)
    assert found.text.startswith("Audit: ")
    assert "internal, not for release" in found.text
    assert "://" not in html
    assert len(html.encode()) < 200_000
    assert len(found.all("caption")) == len(found.all("table"))
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("draw", [lambda r: render_audit(assemble_audit(r)), cell], ids=["page", "cell"])
def test_each_row_says_all_that_its_verdict_rests_on(report: dict[str, Any], draw: Any) -> None:
    row = report["attacks"][0]
    row |= {
        "estimate": 0.1234, "ci_low": 0.1111, "ci_high": 0.1357, "limit": 0.0987, "detectable": 0.02,
        "verdict": "fail", "reason": "Because of this.", "seconds": 12.3, "n_targets": 4321, "n_controls": 1234,
        "threat": "no_box: one full record", "confidentiality": "internal", "stratum": "tail",
        "positive_control": {"kind": "tail", "fraction": 0.02, "detected": 9, "trials": 10},
        "negative_control": {"kind": "reference_rows", "estimate": 0.0042, "passed": True},
    }  # fmt: skip
    shown = text(draw({**report, "verdict": "fail"}))
    for said in (
        "0.111 0.123 0.136 0.099", "2.0 %", "9/10 caught", "0.004", "12.3 s", "Because of this.", "most isolated tenth",
        "no box, with one full record", "4,321 members against 1,234 others", "Internal figures", row["limit_id"],
    ):  # fmt: skip
        assert said in shown, said


def test_a_control_that_caught_nothing_or_cried_wolf_is_said(report: dict[str, Any]) -> None:
    row = report["attacks"][0]
    row |= {
        "detectable": None,
        "positive_control": {"kind": "random", "fraction": 1.0, "detected": 3, "trials": 10},
        "negative_control": {"kind": "reference_rows", "estimate": 0.25, "passed": False},
    }
    shown = text(render_audit(assemble_audit(report)))
    assert "none 3/10 caught at 100.0 %" in shown
    assert "0.250 (false alarm)" in shown


def test_rows_stand_worst_first_and_the_page_says_which_decided(report: dict[str, Any]) -> None:
    for row in report["attacks"]:
        row["verdict"] = "pass"
    report["attacks"][1] |= {"verdict": "inconclusive", "reason": "Not enough rows. Take more."}
    model = assemble_audit({**report, "verdict": "inconclusive"})
    assert [line.verdict for line in model.lines[:2]] == ["inconclusive", "pass"]
    assert [line.reason for line in model.decisive] == ["Not enough rows. Take more."]
    front = text(render_audit(model)).split("What it would have caught")[0]
    assert "Inconclusive" in front and "Not enough rows." in front


def test_a_question_is_as_good_as_its_worst_endpoint_and_as_blunt_as_its_bluntest(report: dict[str, Any]) -> None:
    members = [row for row in report["attacks"] if row["limit_id"].startswith("membership.")]
    for share, row in zip((0.05, 0.2), members, strict=False):
        row |= {"verdict": "pass", "detectable": share}
    for row in members[2:]:
        row |= {"verdict": "pass", "detectable": 0.1}
    [question] = [q for q in assemble_audit(report).questions if q.title == "Membership"]
    assert (question.verdict, question.asked, question.best, question.worst) == ("pass", len(members), 0.05, 0.2)
    members[-1] |= {"verdict": "fail", "detectable": None}
    [question] = [q for q in assemble_audit(report).questions if q.title == "Membership"]
    assert (question.verdict, question.best, question.worst) == ("fail", 0.05, None)


def test_what_was_not_run_is_a_finding(report: dict[str, Any]) -> None:
    report["not_applicable"] = [{"name": "attribute_inference", "reason": "No sensitive column is declared."}]
    report["attacks"] = [row for row in report["attacks"] if row["limit_id"].startswith("membership.")]
    missing = text(render_audit(assemble_audit(report))).split("Not run")[1]
    for title in ("Singling out", "Linkability", "Attribute inference", "Canary audit"):
        assert title in missing, title


def test_figures_without_a_verdict_stand_beside_those_of_others(report: dict[str, Any]) -> None:
    told = {"attack": "record_linkage", "name": "prosecutor_risk", "members": 0.081, "nonmembers": 0.079}
    shown = text(render_audit(assemble_audit({**report, "figures": [told]})))
    assert "prosecutor risk 0.081 0.079" in shown
    assert "Figures without a verdict" not in text(render_audit(assemble_audit(report)))


def test_an_unknown_verdict_is_no_pass_and_a_document_of_another_kind_is_refused(report: dict[str, Any]) -> None:
    assert assemble_audit({**report, "verdict": "excellent"}).verdict.key == "inconclusive"
    with pytest.raises(DataError, match="attack document cannot be reported"):
        assemble_audit({"verdict": "pass"})


@pytest.mark.parametrize("payload", CORPUS)
def test_hostile_names_and_texts_stay_text(payload: str, report: dict[str, Any]) -> None:
    settings = {payload: payload, "Columns": payload}
    inert(render_audit(assemble_audit(poison(report, payload), title=payload, settings=settings, warnings=[payload])))


@pytest.mark.parametrize(
    ("limit_id", "title"),
    [
        ("linkage.singling_out.tail", "Singling out"),
        ("linkage.linkability.all", "Linkability"),
        ("linkage.record.all", "Linkability"),
        ("membership.nearest.auc", "Membership"),
        ("somebody.elses", "Other"),
    ],
)
def test_what_ran_is_not_listed_as_not_run(limit_id, title):
    assert criterion(limit_id) == title
