"""After each build: no page, style sheet or script of the site makes a browser fetch anything from elsewhere.

A link that a reader may click is none of this; an image, script, style sheet, font, frame or import is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

FETCHED = {"src", "srcset", "poster", "data", "action"}
REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])((?:https?:)?//[^'")\s]+)""", re.IGNORECASE)
IN_SCRIPT = re.compile(r"""(?:\bfrom|import\s*\(?|fetch\(|importScripts\()\s*['"]((?:https?:)?//[^'"]+)""")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        names = FETCHED | ({"href"} if tag in ("link", "use", "image") else set())
        names -= {"href"} if "canonical" in (values.get("rel") or "") else set()
        self.found += [f"<{tag} {name}={values[name]!r}>" for name in names if REMOTE.match(values.get(name) or "")]
        self.found += [f"style of <{tag}>: {address}" for address in IN_STYLE.findall(values.get("style") or "")]


def remote(folder: Path) -> Iterator[str]:
    """Each thing that a browser would fetch from elsewhere, with the file that asks for it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css", ".js", ".svg"):
            text = path.read_text("utf-8", errors="replace")
            found = [] if path.suffix == ".js" else IN_STYLE.findall(text)
            if path.suffix in (".html", ".svg"):
                page = _Page()
                page.feed(text)
                found += page.found
            if path.suffix in (".html", ".js"):
                found += IN_SCRIPT.findall(text)
            yield from (f"{path.relative_to(folder)}: {what}" for what in found)


def _check(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.name == "html":
        found = list(remote(Path(app.outdir)))
        if found:
            from sphinx.errors import SphinxError

            raise SphinxError("The site would fetch from elsewhere:\n" + "\n".join(found[:20]))


def setup(app: Any) -> dict[str, Any]:
    """Check after each build."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
