"""Every sentence of README and docs that promises something about data rests on a claim, or a person has excused it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from tests.docs.blocks import PAGES, ROOT

LISTED = yaml.safe_load((ROOT / "docs/assurance/sentences.yaml").read_text("utf-8"))
CLAIMS = yaml.safe_load((ROOT / "docs/assurance/claims.yaml").read_text("utf-8"))["claims"]
PROMISES = re.compile(
    r"\b(never|cannot|always|impossible|no (?:code path|policy|command|option|one|cell|private|row)"
    r"|nothing (?:synthetic|secret|private|leaves))\b",
    re.IGNORECASE,
)
DATA = re.compile(
    r"\b(priva\w+|rows?|records?|persons?|people|epsilon|budget|ledger|bundle|draft|release[ds]?|keys?|noise|cells?"
    r"|leak\w*|attack\w*|guarantee|data)\b",
    re.IGNORECASE,
)
# Decisions say why, not what; the catalogue of tampering is printed from its tests.
LEFT_OUT = ("docs/adr/", "docs/assurance/tampering.md")


def sentences(text: str) -> Iterator[str]:
    """Sentences, headings and cells of tables, without markup; code between backticks."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "inline":
            parts = {"text": "{}", "code_inline": "`{}`", "softbreak": " "}
            line = "".join(parts.get(child.type, "").format(child.content) for child in token.children or ())
            yield from re.split(r"(?<=[.:;?!])\s+(?=[A-Z`*])", line)


def promising(page: Path) -> list[str]:
    """The sentences that must stand in a list."""
    found = sentences(page.read_text("utf-8"))
    return [one for one in found if len(one) > 40 and PROMISES.search(one) and DATA.search(one)]


FOUND = {
    str(page.relative_to(ROOT)): promising(page)
    for page in PAGES
    if not str(page.relative_to(ROOT)).startswith(LEFT_OUT)
}
QUOTES = [quote for group in LISTED.values() for quotes in group.values() for quote in quotes]


def test_every_promise_rests_on_a_claim_or_is_excused() -> None:
    bare = [f"{page}: {one}" for page, all_ in FOUND.items() for one in all_ if not any(q in one for q in QUOTES)]
    told = "add a part of the sentence to docs/assurance/sentences.yaml, under the claim that proves it:\n"
    assert not bare, told + "\n".join(bare)


def test_no_quote_is_stale() -> None:
    said = [one for all_ in FOUND.values() for one in all_]
    assert [quote for quote in QUOTES if not any(quote in one for one in said)] == []
    assert len(QUOTES) == len(set(QUOTES))


def test_what_covers_a_sentence_is_a_claim() -> None:
    assert set(LISTED["covered"]) <= {claim["id"] for claim in CLAIMS}


def test_a_new_promise_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "new.md"
    page.write_text("# A page\n\nRows are drawn here.\n\nA release **never** leaks the row of any *person* at all.\n")
    assert promising(page) == ["A release never leaks the row of any person at all."]
