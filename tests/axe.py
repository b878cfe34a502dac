"""axe-core, the accessibility checker, for pages that a test has open in Chromium.

It comes from the npm registry, of one version and digest, into a folder of this test run; nothing of it is shipped.
Skipped, with the reason, where npm or the registry is not there; `DPSYNTH_AXE` names a file to use instead.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"  # of axe.min.js
SERIOUS = {"serious", "critical"}
_RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {preload: false, resultTypes: ['violations']}).then(
    r => done({ran: r.passes.length, found: r.violations.map(
        v => ({id: v.id, impact: v.impact,
               nodes: v.nodes.slice(0, 5).map(n => n.target.join(' ') + ': ' + n.failureSummary)})
    )}), e => done({ran: 0, found: [{id: String(e), impact: 'critical', nodes: []}]}));
"""


def source(folder: Path) -> str:
    """The script's text, fetched once into `folder`."""
    named = os.environ.get("DPSYNTH_AXE")
    path = Path(named) if named else folder / "package" / "axe.min.js"
    if not path.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed: axe-core cannot be fetched, accessibility was not checked")
        fetch = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", str(folder)]
        got = subprocess.run(fetch, capture_output=True, text=True, timeout=60, check=False, cwd=folder)
        if got.returncode != 0:
            pytest.skip("axe-core cannot be fetched from the npm registry: accessibility was not checked")
        with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as packed:
            member = packed.extractfile("package/axe.min.js")
            if member is None:
                pytest.fail("axe-core's package holds no script")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(member.read())
    body = path.read_bytes()
    if hashlib.sha256(body).hexdigest() != SHA256:
        pytest.fail("axe-core is not the file that was pinned")
    return body.decode()


def serious(browser: Chrome, script: str) -> list[dict[str, Any]]:
    """Serious and critical findings of the page that is open; fails if the checker checked nothing."""
    browser.execute_script(script)
    browser.set_script_timeout(60)
    result = browser.execute_async_script(_RUN)
    if result["ran"] < 5 and not result["found"]:
        pytest.fail("axe-core ran no check")
    return [found for found in result["found"] if found["impact"] in SERIOUS]


def dark(browser: Chrome, on: bool) -> None:
    """Ask the page for its dark colours, or for its light ones."""
    value = "dark" if on else "light"
    media = {"features": [{"name": "prefers-color-scheme", "value": value}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
