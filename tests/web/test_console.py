"""The console with the mouse: a real server, a real browser, two reviewers; from a draft to a bundle that verifies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import Select, WebDriverWait

from accounting.ledger.entry import Kind
from dpsynth.release.verify import verify
from dpsynth.workspace import governance
from tests.axe import dark, serious
from tests.web.conftest import Office, make_office

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


KINDS_SHOWN = "return [...document.querySelectorAll('#entries summary b')].map(shown => shown.textContent)"
CHAIN_SHOWN = "return document.getElementById('chain').textContent"


@contextmanager
def console(office: Office, *keys: Path) -> Iterator[str]:
    """`dpsynth console` as a person starts it; yields the link that it prints."""
    given = [part for key in keys for part in ("--key", str(key))]
    command = [sys.executable, "-m", "dpsynth", "console", "--port", "0", "--no-browser", *given]
    started = subprocess.Popen(
        [*command, "--workspace", str(office.workspace.layout.root)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        assert started.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/login\?token=\S+", started.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        started.terminate()
        started.wait(20)
        started.stdout.close() if started.stdout else None


def open_draft(browser: Chrome, link: str, draft: str) -> None:
    browser.get(link)
    wait_for(browser, "a[href^='/drafts/']")
    assert "token" not in browser.current_url
    browser.get(f"{link.partition('/login')[0]}/drafts/{draft}")


def wait_for(browser: Chrome, selector: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not browser.find_elements(By.CSS_SELECTOR, selector):
        assert time.monotonic() < end, f"{selector} never came"
        time.sleep(0.05)


def state(browser: Chrome) -> str:
    return browser.find_element(By.CSS_SELECTOR, "[aria-current=step]").text


def send(browser: Chrome, act: str, *, choice: str = "", **fields: str) -> str:
    form = browser.find_element(By.CSS_SELECTOR, f"fieldset.act-{act}")
    if choice:
        form.find_element(By.CSS_SELECTOR, f"input[value={choice}]").click()
    for name, text in fields.items():
        form.find_element(By.NAME, name).send_keys(text)
    page = browser.find_element(By.TAG_NAME, "html")
    form.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(browser, 60).until(staleness_of(page))
    wait_for(browser, ".said, [role=alert]")
    return browser.find_element(By.CSS_SELECTOR, ".said, [role=alert]").text


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A workspace that these tests write to."""
    return make_office(tmp_path_factory.mktemp("console"))


def test_two_reviewers_and_a_release_with_the_mouse(own: Office, browser: Chrome, tmp_path: Path) -> None:
    with console(own, own.ada) as ada, console(own, own.bob) as bob:
        open_draft(browser, ada, own.draft)
        assert state(browser) == "attacked"
        assert "ledger" in send(browser, "review", choice="approve", reason="Limits hold; tails are fine.")
        assert "Limits hold" not in browser.page_source  # sealed
        assert not browser.find_elements(By.CSS_SELECTOR, ".act-approve")
        assert "Expected 2 sealed votes" in send(browser, "open")

        open_draft(browser, bob, own.draft)
        send(browser, "review", choice="approve", reason="Seen & checked <b>twice</b>.")
        send(browser, "open")
        open_draft(browser, ada, own.draft)
        send(browser, "open")
        assert state(browser) == "reviewed"
        assert "Seen & checked <b>twice</b>." in browser.find_element(By.TAG_NAME, "main").text
        send(browser, "approve")
        assert state(browser) == "approved"
        assert "verified" in send(browser, "release", licence="CC-BY-4.0")
        assert state(browser) == "released"
        href = browser.find_element(By.CSS_SELECTOR, "a[download$='.zip']").get_attribute("href")
        assert href is not None

    bundle = own.workspace.layout.releases / f"{own.draft}.zip"
    assert verify(bundle, own.workspace.layout.release_public_key).ok
    standing = governance.standing(own.workspace, own.draft)
    assert (standing.state.value, len(standing.votes)) == ("released", 2)
    with own.workspace.ledger() as ledger:
        kinds = [entry.kind for entry in ledger.entries()]
        ledger.verify(all_signatures=True)
    assert kinds.count(Kind.REVIEW) == 4
    assert kinds.count(Kind.RELEASE) == 1


def test_ledger_and_budgets_without_a_reload_and_without_errors(own: Office, browser: Chrome) -> None:
    with console(own) as link:
        browser.get(link)
        base = link.partition("/login")[0]
        browser.get_log("browser")
        browser.get(f"{base}/ledger")
        browser.find_element(By.CSS_SELECTOR, "a[hx-get='/ledger/check']").click()
        end = time.monotonic() + 20
        while "every signature" not in browser.execute_script(CHAIN_SHOWN):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert browser.current_url == f"{base}/ledger"  # htmx took the piece; nothing was reloaded
        Select(browser.find_element(By.NAME, "kind")).select_by_visible_text("commit")
        wait_for(browser, "#entries .entry")
        end = time.monotonic() + 20
        while set(browser.execute_script(KINDS_SHOWN)) != {"commit"}:
            assert time.monotonic() < end
            time.sleep(0.05)
        browser.get(f"{base}/budgets")
        assert "left" in browser.find_element(By.TAG_NAME, "main").text
        browser.get(f"{base}/drafts/{own.draft}")
        browser.find_element(By.XPATH, "//summary[text()='Full report']").click()
        wait_for(browser, "iframe")
        assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_serious_finding_of_accessibility(own: Office, browser: Chrome, axe: str, colours: str) -> None:
    dark(browser, colours == "dark")
    try:
        with console(own, own.ada) as link:
            base = link.partition("/login")[0]
            pages = ("/", "/ledger", "/budgets", f"/drafts/{own.draft}")
            for address in (f"{base}/login", link, *(base + page for page in pages)):
                browser.get(address)
                assert serious(browser, axe) == []
    finally:
        dark(browser, False)


def test_what_people_wrote_never_runs_as_script(own: Office, browser: Chrome) -> None:
    """Names, reasons and addresses from an XSS corpus: shown as text, and nothing runs."""
    corpus = (
        "<script>window.pwned=1</script>",
        '"><img src=x onerror="window.pwned=1">',
        "{{'zq'*3}}",
        "javascript:window.pwned=1",
    )
    with console(own, own.ada) as link:
        browser.get(link)
        base = link.partition("/login")[0]
        for text in corpus:
            for address in (
                f"/ledger?about={quote(text)}",
                f"/?state={quote(text)}",
                f"/drafts/{quote(text, safe='')}",
            ):
                browser.get(base + address)
                assert browser.execute_script("return window.pwned") is None
                assert "zqzqzq" not in browser.page_source
