"""Laws of a page: self-contained, inert, accessible, honest about what is missing, the same for the same evidence."""

import copy
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dpsynth.core.errors import DataError
from dpsynth.report import assemble, assemble_public, render_internal, render_public
from tests.report.conftest import GOVERNANCE
from tests.report.pages import Page

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "header", "h1", "h2", "p", "div", "span", "b",
    "code", "dl", "dt", "dd", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure",
    "figcaption", "svg", "g", "path", "circle", "defs", "clippath", "rect", "text", "use", "wbr",
}  # fmt: skip
CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</caption></table><iframe src=javascript:alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "`<img src=x onerror=alert(1)>`",
    "<!--<script>",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202e<b>gnp.exe\u0000\u0007\u001b[31m",
    "$\\frac{1}{0}$ _^{",
    "表 \U0001f512 <a href=//evil>x</a>",
]


@pytest.fixture(params=["internal", "public"])
def page(request: pytest.FixtureRequest, internal: dict[str, Any], public: dict[str, Any]) -> str:
    if request.param == "internal":
        return render_internal(assemble(**internal))
    return render_public(assemble_public(**public))


def inert(html: str) -> Page:
    """Parse and check that nothing on the page can run, load or point outside."""
    found = Page(html)
    assert not found.unbalanced
    assert found.tags <= TAGS
    for tag, attributes in found.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "srcset", "action", "formaction", "data", "poster"} & set(attributes), (tag, attributes)
        assert attributes.get("href", "#").startswith("#"), (tag, attributes)
    for css in re.findall(r"<style>(.*?)</style>", html, flags=re.S):
        assert "@import" not in css
        assert "url(" not in css
    assert not re.search(r"url\((?!#)", html)
    return found


def test_page_is_one_inert_file(page: str) -> None:
    found = inert(page)
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "://" not in page
    assert len(page.encode()) < 200_000


def test_page_can_be_read_by_a_machine_and_by_ear(page: str) -> None:
    found = Page(page)
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("caption")) == len(found.all("table"))
    assert all("scope" in a for a in found.all("th"))
    for svg in found.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg["role"] == "img" and svg["aria-labelledby"])
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    used = {a["href"][1:] for _, a in found.elements if a.get("href")} | set(re.findall(r"url\(#([^)]*)\)", page))
    assert used <= set(ids)


def test_colour_is_never_the_only_carrier(page: str) -> None:
    tags = re.findall(r'<span class="tag (\w+)"><span class="mark" aria-hidden="true">(.)</span> ([^<]+)</span>', page)
    assert len(tags) == page.count('class="tag ')
    assert {(tone, mark) for tone, mark, _ in tags} <= {("good", "✓"), ("warn", "!"), ("bad", "✕"), ("none", "–")}
    assert all(word.strip() for _, _, word in tags)


def test_first_page_comes_in_the_order_that_a_lawyer_reads(page: str) -> None:
    parts = ['class="word"', "Guarantee</h2>", "Privacy budget</h2>", "Criteria</h2>",
             "Failed, waived or not run</h2>", "Fitness</h2>", "Tails and resolution</h2>", "How to verify</h2>",
             "What this does not protect</h2>", "Appendix</h1>"]  # fmt: skip
    places = [page.index(part) for part in parts]
    assert places == sorted(places)


def test_guarantee_and_ledger_entry_stand_on_the_first_page(page: str, internal: dict[str, Any]) -> None:
    text = Page(page).text.split("Appendix")[0].replace("\u00a0", " ")
    assert "whatever an attacker knows, at 1 % false alarms at most 1.83 % of the members" in text
    assert f"Ledger entry {internal['ledger']['entry']} , hash {internal['ledger']['hash'][:12]}" in text
    assert f"epsilon = {internal['guarantee']['epsilon']}, delta = 1e-6, add/remove" in text
    assert "dpsynth verify BUNDLE --key release.pub" in text


def test_same_evidence_gives_the_same_bytes(internal: dict[str, Any], public: dict[str, Any]) -> None:
    assert render_internal(assemble(**internal)) == render_internal(assemble(**internal))
    assert render_public(assemble_public(**public)) == render_public(assemble_public(**public))


def test_only_the_internal_edition_is_marked_as_such(internal: dict[str, Any], public: dict[str, Any]) -> None:
    assert Page(render_internal(assemble(**internal))).text.startswith(
        "Release report: Reject internal, not for release"
    )
    assert "not for release" not in Page(render_public(assemble_public(**public))).text


@pytest.mark.parametrize("piece", ["decision", "guarantee", "budget", "attacks", "quality"])
def test_a_piece_that_is_missing_is_shown_as_not_run(internal: dict[str, Any], piece: str) -> None:
    front = Page(render_internal(assemble(**{**internal, piece: None}))).text.split("Appendix")[0]
    whole = Page(render_internal(assemble(**internal))).text.split("Appendix")[0]
    assert front.count("not run") > whole.count("not run") - whole.count("Canary audit")
    said = {
        "decision": "Not decided", "guarantee": "No guarantee is recorded.", "budget": "No budget entry is recorded.",
        "attacks": "Membership no attack was run ✕ not run", "quality": "Quality was not evaluated.",
    }  # fmt: skip
    assert said[piece] in front


def test_a_decision_that_nobody_knows_is_no_decision(internal: dict[str, Any]) -> None:
    internal["decision"]["decision"] = "shipped"
    assert assemble(**internal).verdict.word == "Not decided"


def test_attacks_stand_worst_first(internal: dict[str, Any]) -> None:
    for row in internal["attacks"]["attacks"]:
        row["verdict"] = "pass"
    internal["attacks"]["attacks"][2]["verdict"] = "fail"
    internal["attacks"]["attacks"][3]["verdict"] = "inconclusive"
    model = assemble(**internal)
    assert [a.verdict for a in model.attacks[:3]] == ["fail", "inconclusive", "pass"]
    nearness = [a.closeness for a in model.attacks[2:]]
    assert nearness == sorted(nearness, reverse=True)


def poison(value: Any, payload: str) -> Any:
    """The document with the payload appended to every text that is not a key, number, digest or closed word."""
    closed = {"schema", "verdict", "decision", "relation", "type", "kind", "group", "better", "confidentiality",
              "on_fail", "noise", "task", "unit", "endpoint"}  # fmt: skip
    if isinstance(value, dict):
        return {k: v if k in closed else poison(v, payload) for k, v in value.items()}
    if isinstance(value, list):
        return [poison(v, payload) for v in value]
    if isinstance(value, str) and not re.fullmatch(r"[0-9.eE+-]+|[0-9a-f]{32,}", value):
        return value + payload
    return value


@pytest.mark.parametrize("payload", CORPUS)
def test_hostile_names_and_texts_stay_text(payload: str, internal: dict[str, Any], public: dict[str, Any]) -> None:
    internal["attacks"]["attacks"][0]["endpoint"] = payload
    events = (internal.pop("events"), public.pop("events"))
    del events
    arguments = {"title": payload, "warnings": [payload], "verify": payload}
    exact = inert(render_internal(assemble(**poison(internal, payload), **arguments)))
    inert(render_public(assemble_public(**poison(public, payload), **arguments)))
    shown = "".join("\ufffd" if ord(c) < 32 or c == "\u202e" else c for c in payload)
    assert exact.text.count(" ".join(shown.replace("`", "").split())) > 20


def test_control_and_bidirectional_characters_never_reach_the_page(internal: dict[str, Any]) -> None:
    html = render_internal(assemble(**poison(internal, "\u202e\u2066\x00\x1b[31m\x7f\u200b"), title="t"))
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\x00-\x09\x0b-\x1f\x7f-\x9f]", html)
    assert "\ufffd" in html


def test_wide_tables_stay_small_and_quick(internal: dict[str, Any]) -> None:
    quality = internal["quality"]
    column, pair = quality["columns"][0], quality["pairs"][0]
    quality["columns"] = [{**column, "name": f"a_rather_long_column_name_{i}"} for i in range(500)]
    quality["pairs"] = [{**pair, "left": f"a_rather_long_column_name_{i}"} for i in range(200)]
    start = time.process_time()
    html = render_internal(assemble(**internal))
    assert time.process_time() - start < 3
    assert len(html.encode()) < 2_000_000


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"guarantee": {"epsilon": "secret"}}, "guarantee"),
        ({"budget": {"line": [{"epsilon": {"granted": "secret"}}]}}, "balance"),
        ({"attacks": {"attacks": [{"name": "secret"}]}}, "attack"),
        ({"decision": {"decision": "ship", "rules": [{"name": "secret"}]}}, "decision"),
        ({"events": {"events": "secret"}}, "events"),
    ],
)
def test_unreadable_documents_are_refused_by_name(internal: dict[str, Any], change: dict[str, Any], name: str) -> None:
    with pytest.raises(DataError, match=f"The {name} document cannot be reported") as caught:
        assemble(**{**internal, **change})
    assert "secret" not in str(caught.value)


def test_limits_name_the_unit_that_is_protected(internal: dict[str, Any]) -> None:
    assert "A person with k rows" in assemble(**internal).limits[0].meaning
    internal["guarantee"]["unit"] = {"kind": "user", "column": "patient", "max_records": 4}
    internal["events"] = None
    model = assemble(**internal)
    assert "one value of “patient” with at most 4 rows" in model.limits[0].meaning
    titles = {w.title for w in model.limits}
    assert {
        "What is true of everybody",
        "What was declared public",
        "The figures on this page",
        "The operator",
    } <= titles


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_contrast_in_light_dark_and_print(page: str) -> None:
    css = "".join(re.findall(r"<style>(.*?)</style>", page, flags=re.S))
    themes = re.findall(r"\{[^{}]*--paper:[^{}]*\}", css)
    assert len(themes) == 3
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", theme))
        for text in ("ink", "muted", "accent", "good", "warn", "bad"):
            for ground in ("paper", "panel"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground, theme)
        for tone in ("good", "warn", "bad"):
            assert contrast(colours[tone], colours[f"{tone}-panel"]) >= 4.5, tone
            assert contrast(colours["ink"], colours[f"{tone}-panel"]) >= 4.5, tone
        assert contrast(colours["bad"], colours["paper"]) >= 4.5


def test_heavy_libraries_load_with_the_first_page_only() -> None:
    code = (
        "import sys, dpsynth.report as r; assert not {'jinja2', 'matplotlib', 'pandas', 'numpy'} & set(sys.modules);"
        "r.render_internal(r.assemble()); assert not {'matplotlib', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("edition", ["internal", "public"])
def test_first_page_fits_one_sheet_of_a4(
    edition: str, internal: dict[str, Any], public: dict[str, Any], tmp_path: Path
) -> None:
    browser, reader = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("pdftotext")
    if browser is None or reader is None:
        pytest.skip("needs chromium and pdftotext")
    canary = {"name": "canary", "stratum": "canaries", "endpoint": "auc", "confidentiality": "canary_only"}
    for report in (internal["attacks"], public["evidence"]):
        report["attacks"].append({**report["attacks"][0], **canary, "estimate": 0.48, "ci_low": 0.4, "ci_high": 0.58})
        report["epsilon_lower_bound"] = {"value": 0.1, "ceiling": 3.05}
    for documents in (internal, public):
        documents["draft"]["canaries"] = {"planted": 50, "share": "0.01"}
        documents["governance"] = copy.deepcopy(GOVERNANCE)
    made = render_internal(assemble(**internal)) if edition == "internal" else render_public(assemble_public(**public))
    (tmp_path / "page.html").write_text(made, "utf-8")
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'page.pdf'}",
         (tmp_path / "page.html").as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    read = [reader, "-layout", "-l", "1", str(tmp_path / "page.pdf"), "-"]
    first = subprocess.run(read, check=True, capture_output=True, text=True).stdout
    assert "HOW TO VERIFY" in first
    assert "The operator." in first and "Offline, with the key" in first
    assert "Appendix" not in first


def test_an_amended_budget_says_so_on_the_first_page_and_tells_each_change(page: str) -> None:
    first, _, appendix = Page(page).text.replace("\u00a0", " ").partition("Appendix")
    assert "amended The whole was granted (epsilon, delta) = (4, 1e-5) first; amended once since" in first
    assert "for the yearly report, for recipients public" in first
    assert "(3.5, 1.5e-5) is left of (6, 2e-5)" in first
    change = (
        "entry 9, 2026-11-21T09:00:00Z: from epsilon 4, delta 1e-5 to epsilon 6, delta 2e-5, approved by key 7c7c7c"
    )
    assert change in appendix and "A second question was approved by the board." in appendix
    assert "the guarantee is the grant" in appendix


def test_a_budget_that_was_never_amended_says_that(internal: dict[str, Any]) -> None:
    internal["budget"]["line"][0]["amendments"] = []
    text = Page(render_internal(assemble(**internal))).text
    assert "No grant of this line was ever amended." in text and "amended The whole" not in text


def test_the_profile_is_shown_at_each_delta_with_every_accountant(page: str, internal: dict[str, Any]) -> None:
    text = Page(page).text
    for row in internal["privacy"]["deltas"]:
        assert f"{row['delta']} {row['epsilon']} {row['accountant']}" in text
    assert all(name in text for name in internal["guarantee"]["all"])
    assert f"Mu (Gaussian DP) {internal['privacy']['mu']}" in text


def test_under_another_filter_no_part_of_the_bar_is_called_this_release(internal: dict[str, Any]) -> None:
    internal["budget"]["line"][-1]["filter"] = {"name": "zcdp", "conversion_delta": "5e-6", "limit": {}}
    model = assemble(**internal)
    assert [label for label, *_ in model.budget.parts] == ["spent", "reserved", "left"]
    assert "rho adds up (zcdp), converted at delta 5e-6" in render_internal(model)
