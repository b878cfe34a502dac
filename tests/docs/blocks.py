"""The code blocks of README and docs, each with what the page asks of it in comments that a reader does not see.

A comment stands right before its block, several may follow each other:

    <!-- file: schema.yaml -->      the block is written to that file before the page goes on
    <!-- loads: policy -->          the reader of such files (run, schema, policy) takes it
    <!-- recipe: one-try -->        a fragment of a policy; test_policy_cookbook.py proves what it does
    <!-- prints: pass -->           what it writes to standard output contains this
    <!-- exits: 3 -->               the exit code that its last command must have
    <!-- world: drafted -->         what lies there before the page begins (see world.py); once a page
    <!-- slow: why -->              the page runs with `make test-all`, not with `make test`
    <!-- no-run: why -->            it is read, its commands and options are checked, and it is not run
    <!-- setup ... -->              Python that the block needs and a reader has already: many lines
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if not {"_build", "generated"} & set(page.relative_to(ROOT).parts)]
KNOWN = {"file", "loads", "recipe", "prints", "exits", "world", "slow", "no-run", "setup"}
LANGUAGES = {"python", "bash", "console", "yaml", "json", "sql", "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block: where it stands, its language, its text, and what is asked of it."""

    page: str
    line: int
    language: str
    text: str
    asks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def no_run(self) -> str | None:
        return self.asks.get("no-run")


def _asked(comment: str) -> dict[str, str]:
    found = {}
    for body in re.findall(r"<!--(.*?)-->", comment, re.DOTALL):
        word, _, rest = body.strip().partition("\n" if body.strip().startswith("setup") else ":")
        if word.strip() in KNOWN:
            found[word.strip()] = rest.strip()
    return found


def _blocks(page: str, tokens: list[Token]) -> Iterator[Block]:
    asks: dict[str, str] = {}
    for token in tokens:
        if token.type == "html_block":
            asks |= _asked(token.content)
            continue
        if token.type in ("fence", "code_block") and not token.info.startswith("{"):
            assert token.map is not None
            language = token.info.split()[0] if token.info.split() else "indented" if token.type == "code_block" else ""
            yield Block(page=page, line=token.map[0] + 1, language=language, text=token.content, asks=asks)
        if token.nesting >= 0:
            asks = {}


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """All code blocks of a page in their order; directives of Sphinx are none."""
    parser = MarkdownIt("commonmark", {"html": True})
    return tuple(_blocks(str(page.relative_to(ROOT)), parser.parse(page.read_text("utf-8"))))


def everywhere() -> list[Block]:
    """The blocks of every page."""
    return [block for page in PAGES for block in blocks(page)]
