"""Reports, portfolio, cells in a real Chromium: accessible in both lights, inert under attack, silent on the net."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dpsynth.report import (
    assemble,
    assemble_portfolio,
    assemble_public,
    cell,
    render_internal,
    render_portfolio,
    render_public,
)
from dpsynth.report.statement import Statement
from tests.axe import dark, serious
from tests.report.conftest import DOCUMENTS, GOVERNANCE
from tests.report.test_page import CORPUS, poison
from tests.report.test_portfolio import DOCUMENT

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NAMES = ["internal", "public", "portfolio", "cells"]
DETECTOR = """
window.ran = [];
for (const name of ['alert', 'confirm', 'prompt', 'print', 'fetch', 'eval']) {
    window[name] = (...all) => { window.ran.push(name + ':' + all.join()); };
}
"""


def cells(documents: dict[str, Any]) -> str:
    """A page with every kind of cell, as a notebook would hold them."""
    kinds = ("guarantee", "decision", "attacks", "quality", "draft")
    body = "".join(cell(documents[kind]) for kind in kinds) + cell(documents["budget"]["line"][0])
    head = '<!doctype html><html lang="en"><head><title>Cells</title></head>'
    return f"{head}<body><main><h1>Cells</h1>{body}</main></body></html>"


def page(name: str, change: Any = lambda document: document, text: str = "A report") -> str:
    said = {"governance": change(GOVERNANCE), "title": text, "warnings": [text], "verify": text,
            "statement": Statement(purpose=text, recall_contact=text)}  # fmt: skip
    if name == "public":
        return render_public(assemble_public(**change(DOCUMENTS["public"]), **said))
    if name == "portfolio":
        return render_portfolio(assemble_portfolio(change(DOCUMENT)))
    inside = change(DOCUMENTS["internal"])
    return cells(inside) if name == "cells" else render_internal(assemble(**inside, **said))


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return {name: page(name) for name in NAMES}


def show(browser: "Chrome", html: str, folder: Path) -> None:
    path = folder / "page.html"
    path.write_text(html, "utf-8")
    browser.get(path.as_uri())


@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_the_accessibility_checker_finds_nothing_serious(
    name: str, light: str, drawn: dict[str, str], browser: "Chrome", axe: str, tmp_path: Path
) -> None:
    dark(browser, light == "dark")
    show(browser, drawn[name], tmp_path)
    found = serious(browser, axe)
    dark(browser, False)
    assert found == [], json.dumps(found, indent=1)[:3000]


def test_the_checker_would_have_seen_it(browser: "Chrome", axe: str, tmp_path: Path) -> None:
    show(
        browser,
        "<html><head></head><body><img src=x><p style='color:#ccc;background:#fff'>Pale</p></body></html>",
        tmp_path,
    )
    assert {"image-alt", "html-has-lang", "color-contrast"} <= {found["id"] for found in serious(browser, axe)}


def spied(browser: "Chrome", html: str, folder: Path) -> tuple[list[str], set[str]]:
    """What ran on the page, without its content security policy in the way, and what it asked the network for."""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": DETECTOR})
    browser.get_log("performance")
    open_to_attack = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    try:
        show(browser, open_to_attack, folder)
        browser.execute_script(
            "for (const e of document.querySelectorAll('*')) { e.dispatchEvent(new Event('focus')); }"
        )
        ran = browser.execute_async_script("const d = arguments[0]; setTimeout(() => d(window.ran), 50);")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    sent = [json.loads(row["message"])["message"] for row in browser.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"}
    return ran, {url for url in asked if not url.endswith("/page.html")}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_corpus_runs_or_loads(name: str, browser: "Chrome", tmp_path: Path) -> None:
    for payload in ("".join(CORPUS[:8]), "".join(CORPUS[8:])):
        html = page(name, lambda document, text=payload: _without_events(poison(document, text)), payload)
        assert "alert(1)" in html or "evil" in html or "\ufffd" in html
        assert spied(browser, html, tmp_path) == ([], set())


def test_the_detector_hears_what_runs_and_what_loads(browser: "Chrome", tmp_path: Path) -> None:
    html = "<html><script>alert(1)</script><img src='missing.png' onerror='alert(2)'></html>"
    ran, asked = spied(browser, html, tmp_path)
    assert ran == ["alert:1", "alert:2"]
    assert {url.rpartition("/")[2] for url in asked} == {"missing.png"}


def _without_events(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "events"}


@pytest.mark.parametrize("name", ["internal", "public", "portfolio"])
def test_no_page_is_wider_than_a_telephone(name: str, drawn: dict[str, str], browser: "Chrome", tmp_path: Path) -> None:
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        show(browser, drawn[name], tmp_path)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


JUPYTER = """
:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon td { text-align: right; }
:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon th { text-align: right; }
.jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th { vertical-align: middle; white-space: normal; border: none; }
.jp-RenderedHTMLCommon table { table-layout: fixed; margin-left: auto; }
.jp-RenderedHTMLCommon tbody tr:nth-child(odd) { background: rgb(255, 255, 255); }
.jp-RenderedHTMLCommon tbody tr:nth-child(even) { background: rgb(245, 245, 245); }
.jp-RenderedHTMLCommon code { background-color: rgb(255, 255, 255); color: rgb(0, 0, 0); }
.jp-RenderedHTMLCommon ul:not(.list-inline) { padding-left: 2em; }
.mark { background-color: rgb(255, 243, 205); padding: .19em; }
.jp-OutputArea-output dl { display: block; width: 100%; overflow: hidden; }
.jp-OutputArea-output dt { float: left; width: 20%; }
.jp-OutputArea-output dd { float: left; width: 80%; }
"""
"""What JupyterLab 4 (of `.mark`: our site's theme) says of everything in an output, colours in place of variables."""
ASTRAY = """
const look = (query, name) => [...document.querySelectorAll('.dpsynth ' + query)].map((e) => getComputedStyle(e)[name]);
const wrong = (query, name, good) => [query, name, look(query, name).filter((found) => found !== good).length];
return [
    wrong('td:not(.n)', 'textAlign', 'left'), wrong('td.n', 'textAlign', 'right'),
    wrong('table', 'tableLayout', 'auto'),
    wrong('dt', 'cssFloat', 'none'), wrong('dd', 'cssFloat', 'none'), wrong('ul', 'paddingLeft', '0px'),
    wrong('tbody tr', 'backgroundColor', 'rgba(0, 0, 0, 0)'), wrong('td code', 'backgroundColor', 'rgba(0, 0, 0, 0)'),
    wrong('.mark', 'backgroundColor', 'rgba(0, 0, 0, 0)'),
].filter((each) => each[2]);
"""


def test_cells_look_the_same_under_the_sheet_of_jupyter(
    drawn: dict[str, str], browser: "Chrome", axe: str, tmp_path: Path
) -> None:
    """Seen there: figures over their names, all words at the right, light words on light stripes at night."""
    html = drawn["cells"].replace("</head>", f"<style>{JUPYTER}</style></head>")
    html = html.replace("<main>", '<main class="jp-RenderedHTMLCommon jp-OutputArea-output">')
    dark(browser, True)
    show(browser, html, tmp_path)
    found, astray = serious(browser, axe), browser.execute_script(ASTRAY)
    dark(browser, False)
    assert astray == []
    assert found == [], json.dumps(found, indent=1)[:3000]
