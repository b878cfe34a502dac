"""The portfolio of a workspace: budgets, attempts, releases and recalls over time, inert and internal."""

import copy
from typing import Any

import pytest

from dpsynth.core.errors import DataError
from dpsynth.report import assemble_portfolio, portfolio_pdf, render_portfolio
from dpsynth.report.html import environment
from tests.report.pages import Page
from tests.report.test_page import CORPUS, inert, poison

AMOUNTS = {"granted": "3", "spent": "1.5", "reserved": "0.5", "left": "1"}
NODE = {
    "budget_id": "b-0", "parent": None, "depth": 0, "dataset": "affairs", "purpose": None, "recipient": "any",
    "epsilon": AMOUNTS, "delta": {**AMOUNTS, "granted": "1e-5", "left": "7e-6"}, "place": "/data/affairs",
}  # fmt: skip
DRAFT = {
    "draft": "fair-0001", "dataset": "affairs", "generator": "mst", "epsilon": "0.75", "created": "2026-11-20",
    "state": "recalled", "next_step": "", "attacks": 1, "decisions": 2,
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "schema": "dpsynth.portfolio/1",
    "workspace": "vault",
    "ledger_id": "ledger-1",
    "head": {"seq": 31, "hash": "ab" * 32, "time": "2026-11-23T08:00:00Z"},
    "families": [[NODE, {**NODE, "depth": 1, "purpose": "yearly report", "parent": "b-0"}]],
    "drafts": [DRAFT, {**DRAFT, "draft": "fair-0002", "state": "rejected", "next_step": "Synthesize another draft."},
               {**DRAFT, "draft": "base-1", "state": "attacked", "epsilon": None, "next_step": "dpsynth gate base-1"}],
    "releases": [
        {"release": "release-1", "draft": "fair-0001", "dataset": "affairs", "time": "2026-11-20T01:00:00Z", "seq": 9,
         "recalled": "2026-11-22T00:00:00Z", "reason": "A column was wrong."},
        {"release": "release-2", "draft": "fair-0003", "dataset": "affairs", "time": "2026-11-21T01:00:00Z", "seq": 19,
         "recalled": None, "reason": None},
    ],
    "spending": [{"seq": 5, "time": "2026-11-20T00:00:00Z", "dataset": "affairs", "epsilon": "0.75"},
                 {"seq": 15, "time": "2026-11-21T00:00:00Z", "dataset": "affairs", "epsilon": "1.5"}],
    "timeline": [{"seq": 0, "time": "2026-11-19T00:00:00Z", "what": "ledger made", "dataset": "", "detail": ""},
                 {"seq": 30, "time": "2026-11-22T00:00:00Z", "what": "recalled", "dataset": "affairs",
                  "detail": "release-1, A column was wrong."}],
}  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT)


def test_what_left_what_came_back_and_what_failed_all_stand_there(document: dict[str, Any]) -> None:
    model = assemble_portfolio(document)
    text = Page(render_portfolio(model)).text
    assert (model.verdict.word, model.verdict.tone) == ("1 release in force", "bad")
    assert "1 recalled; 3 drafts, 2 waiting for somebody." in text
    assert (
        "release-1 fair-0001 affairs 2026-11-20T01:00:00Z 9 ✕ recalled 2026-11-22T00:00:00Z A column was wrong." in text
    )
    assert "release-2" in text and "✓ in force" in text
    assert "rejected fair-0002. Synthesize another draft." in text
    assert "yearly report" in text and "not for release" in text
    assert text.index("30 2026-11-22") < text.index("0 2026-11-19")  # newest first
    assert "5 affairs 0.75" in text and "15 affairs 1.5" in text  # the table of the chart


def test_the_bar_of_a_budget_adds_up(document: dict[str, Any]) -> None:
    whole = assemble_portfolio(document).budgets[0]
    assert whole.spent == pytest.approx(200 / 3, abs=0.1)
    assert sum(share for _, _, share in whole.view.parts) == pytest.approx(100, abs=0.1)


def test_an_empty_workspace_has_a_page_and_a_pdf(document: dict[str, Any]) -> None:
    empty = assemble_portfolio(
        {**document, "families": [], "drafts": [], "releases": [], "spending": [], "timeline": []}
    )
    found = inert(render_portfolio(empty))
    for part in ("Nothing released", "No budget was granted", "No draft waits", "Nothing was released"):
        assert part in found.text
    pytest.importorskip("typst", reason="the extra pdf is not installed")
    assert portfolio_pdf(empty).startswith(b"%PDF")


def test_its_pdf_is_the_same_for_the_same_ledger(document: dict[str, Any]) -> None:
    pytest.importorskip("typst", reason="the extra pdf is not installed")
    made = portfolio_pdf(assemble_portfolio(document))
    assert made == portfolio_pdf(assemble_portfolio(document))
    assert b"<pdfaid:part>2</pdfaid:part>" in made


@pytest.mark.parametrize("payload", CORPUS)
def test_hostile_names_stay_text(payload: str, document: dict[str, Any]) -> None:
    document["spending"] = document["spending"][:1]  # without the chart, which Chromium's corpus has
    found = inert(render_portfolio(assemble_portfolio(poison(document, payload))))
    shown = "".join("\ufffd" if ord(c) < 32 or c == "\u202e" else c for c in payload)
    assert found.text.count(" ".join(shown.replace("`", "").split())) > 10


def test_a_long_history_is_cut_and_says_so(document: dict[str, Any]) -> None:
    document["timeline"] *= 500
    html = render_portfolio(assemble_portfolio(document))
    assert "the last 200 of 1000 lines" in html
    assert len(html.encode()) < 300_000


def test_another_document_is_refused() -> None:
    with pytest.raises(DataError, match="The portfolio document cannot be reported"):
        assemble_portfolio({"workspace": "secret"})


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("postgresql://db:5432/w/a_b.c-1", "postgresql://db:5432/<wbr>w/<wbr>a_<wbr>b.<wbr>c-<wbr>1"),
        ("/a <b>&'/c", "/a &lt;b&gt;&amp;&#39;/c"),
    ],
)
def test_a_place_breaks_after_its_parts_and_stays_escaped(place, shown):
    assert environment().filters["path"](place) == shown
