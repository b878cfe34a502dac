"""What a person decided and what a person must state: criteria, governance, statement, the twenty items, crosswalk."""

import copy
import datetime
import functools
from typing import Any

import pytest

from dpsynth.core.errors import DataError
from dpsynth.report import assemble, assemble_public, render_internal, render_public
from dpsynth.report.crosswalk import CHECKED, CROSSWALK
from dpsynth.report.items import NOT_RUN
from dpsynth.report.resolution import resolution_view
from dpsynth.report.statement import NOT_STATED, Statement, stated, statement_text
from tests.report.conftest import DOCUMENTS, GOVERNANCE
from tests.report.pages import Page

FIELDS = tuple(name for name in Statement.model_fields if name != "version")
PERSON = {"trust_model", "law", "data_governance"}  # items that nothing but a person can answer


@functools.cache
def inside_text() -> str:
    return Page(render_internal(assemble(**DOCUMENTS["internal"]))).text


def test_the_three_criteria_and_membership_stand_worst_first(internal: dict[str, Any]) -> None:
    model = assemble(**internal)
    titles = [line.title for line in model.criteria]
    assert set(titles) == {"Singling out", "Linkability", "Attribute inference", "Membership"}
    assert [line.verdict for line in model.criteria] == ["not run", "not run", "inconclusive", "pass"]
    internal["attacks"]["attacks"][0]["verdict"] = "fail"  # copies: membership
    first = assemble(**internal).criteria[0]
    assert (first.title, first.verdict, first.worst.name) == ("Membership", "fail", "verbatim")


def test_a_criterion_shows_its_worst_attack_with_bound_limit_control_and_people(internal: dict[str, Any]) -> None:
    line = next(c for c in assemble(**internal).criteria if c.title == "Membership")
    assert line.worst.high == max(a.high for a in assemble(**internal).attacks if a.verdict == line.verdict)
    row = (
        Page(render_internal(assemble(**internal)))
        .text.partition("Worst first; each line")[2]
        .partition("Membership by nearness")[2][:300]
    )
    for shown in (line.worst.high, line.worst.limit, abs(line.worst.control)):
        assert f"{shown:.3f}" in row
    assert f"{line.worst.targets:,}" in row


def test_no_attack_at_all_is_four_findings() -> None:
    assert {line.verdict for line in assemble().criteria} == {"not run"}
    assert Page(render_internal(assemble())).text.count("✕ not run") >= 4


@pytest.mark.parametrize("number", range(1, 21))
def test_every_item_of_an_audit_report_has_an_answer(number: int, internal: dict[str, Any]) -> None:
    items = assemble(**internal).items
    item = items[number - 1]
    assert item.number == number and item.title and item.section
    assert item.rows and all(label and value for label, value in item.rows)
    said = {value for _, value in item.rows}
    assert (said == {NOT_STATED}) == (item.key in PERSON)
    assert not (said & {NOT_RUN}) or item.key == "criteria"
    page = inside_text()
    assert item.title in page and item.section in page


def test_without_evidence_every_item_says_what_is_missing() -> None:
    open_items = {item.key for item in assemble().items if item.open}
    assert open_items >= {"unit", "parameters", "mechanisms", "attempts", "attacks", "integrity", "fitness", *PERSON}


def test_what_a_person_states_reaches_both_editions_and_its_item(
    internal: dict[str, Any], public: dict[str, Any]
) -> None:
    text = "\n".join(["version: 1", *(f"{name}: said of {name}" for name in FIELDS)])
    said = Statement.from_yaml(text.encode())
    assert NOT_STATED not in dict(stated(said)).values()
    for page in (render_internal(assemble(**internal, statement=said)),
                 render_public(assemble_public(**public, statement=said))):  # fmt: skip
        found = Page(page).text
        assert all(f"said of {name}" in found for name in FIELDS)
        assert NOT_STATED not in found.replace("“not stated” waits for a person", "")
    assert not any(NOT_STATED in value for i in assemble(statement=said).items for _, value in i.rows)


def test_the_file_of_a_new_workspace_states_nothing_and_names_every_field() -> None:
    assert Statement.from_yaml(statement_text().encode()) == Statement()
    uncommented = "\n".join(
        line[2:] if line.startswith("# ") and line[2:].partition(":")[0] in Statement.model_fields else line
        for line in statement_text().splitlines()
    )
    assert all(Statement.from_yaml(uncommented.encode()).stated(n) != NOT_STATED for n in Statement.model_fields)


@pytest.mark.parametrize(
    "text",
    [
        "version: 2", "version: 1\npurpse: x", "version: 1\npurpose: [a]", "version: 1\npurpose: ''", "- 1", "",
        "version: 1\npurpose: &a x\nrecipients: *a", "version: 1\npurpose: !!python/name:os.system x",
        "version: 1\npurpose: x\npurpose: y", "version: 1\npurpose: " + "x" * 601, "\x00", "version: true",
    ],
)  # fmt: skip
def test_a_statement_is_read_strictly(text: str) -> None:
    with pytest.raises(DataError) as caught:
        Statement.from_yaml(text.encode())
    assert "xxxx" not in str(caught.value)


def test_state_reviews_waivers_and_changes_of_the_policy_are_shown(
    internal: dict[str, Any], public: dict[str, Any]
) -> None:
    inside = Page(render_internal(assemble(**internal, governance=GOVERNANCE))).text
    outside = Page(render_public(assemble_public(**public, governance=GOVERNANCE))).text
    for text in (inside, outside):
        first, _, appendix = text.partition("Appendix")
        assert "State reviewed · policy public release" in first
        assert "approved by key 7c7c7c7c7c7c" in first and "8d8d8d8d8d8d" not in first  # that vote has expired
        assert "waived Rare combinations are of use." in first and "Asked by key 11aa22bb33cc" in first
        assert "1 setting changed after the budget was reserved" in first
        assert "guarantee.max_epsilon_per_release 3 2" in appendix
    assert "zz-inside" in inside and "zz-inside" not in outside
    assert {r.reason for r in assemble_public(**public, governance=GOVERNANCE).governance.reviews} == {
        ""
    }  # a reviewer's reason may quote exact figures


def test_without_a_review_the_page_says_that_nobody_reviewed(internal: dict[str, Any]) -> None:
    front = Page(render_internal(assemble(**internal))).text.partition("Appendix")[0]
    assert "approved by the gate alone; no review is recorded" in front


def test_unknown_fields_of_governance_never_show(public: dict[str, Any]) -> None:
    body = copy.deepcopy(GOVERNANCE)
    for row in (body, body["policy"], *body["reviews"], *body["waivers"], *body["policy_changes"]):
        row["smuggled"] = "zz-smuggled-zz"
    assert "zz-smuggled" not in render_public(assemble_public(**public, governance=body))
    with pytest.raises(DataError, match="governance document cannot be reported"):
        assemble(governance={"reviews": [{"vote": "secret"}]})


def test_the_smallest_group_follows_from_the_least_noisy_count(internal: dict[str, Any]) -> None:
    seen = assemble(**internal).resolution
    assert (seen.sigma, seen.rows) == ("13.4", 34)  # 13.413 rows of noise, times 2.486
    assert resolution_view([]) is None and resolution_view([50, 10]).rows == 25
    assert seen.sentence in Page(render_internal(assemble(**internal))).text


def test_each_source_of_the_crosswalk_has_an_address_a_date_and_sections_that_exist(
    internal: dict[str, Any], public: dict[str, Any]
) -> None:
    assert datetime.date.fromisoformat(CHECKED) <= datetime.date(2026, 11, 23)
    texts = {row.text for row in CROSSWALK}
    for name in ("NIST SP 800-226", "GDPR, recital 26", "WP29", "EDPB", "ISO/IEC 27559", "HIPAA", "Art. 10", "Art. 50"):
        assert any(name in text for text in texts), name
    for html in (render_internal(assemble(**internal)), render_public(assemble_public(**public))):
        for row in CROSSWALK:
            assert row.url.startswith("https://") and row.basis and row.address in html
            for section in row.sections:
                assert f"<h2>{section}</h2>" in html, section
        for item in assemble(**internal).items:
            assert f"<h2>{item.section}</h2>" in html, item.section
