"""Printed reports: an archive format, the same bytes, text that stays text, and one page for who has a minute."""

import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dpsynth.report import assemble, assemble_public, render_pdf
from dpsynth.report.glyphs import RANGES, printable, shown
from dpsynth.report.pdf import date_of, typeset
from dpsynth.report.sheet_appendix import appendix_of
from dpsynth.report.sheets import front_of, section
from tests.report.conftest import GOVERNANCE
from tests.report.test_page import CORPUS, poison
from tests.report.test_public import leaves, numbers

pytest.importorskip("typst", reason="the extra pdf is not installed")


FRONT = (
    "Reject", "GUARANTEE", "PRIVACY BUDGET", "CRITERIA", "Singling out", "FAILED, WAIVED OR NOT RUN", "waived",
    "FITNESS", "TAILS AND RESOLUTION", "HOW TO VERIFY", "WHAT THIS DOES NOT PROTECT", "The operator.",
)  # fmt: skip


def text_of(pdf: bytes, folder: Path, *flags: str) -> str:
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("pdftotext is not installed: the words of the PDF were not read")
    (folder / "read.pdf").write_bytes(pdf)
    run = [reader, *flags, str(folder / "read.pdf"), "-"]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    from tests.report.conftest import DOCUMENTS

    return {
        "internal": render_pdf(assemble(**DOCUMENTS["internal"], governance=GOVERNANCE)),
        "public": render_pdf(assemble_public(**DOCUMENTS["public"], governance=GOVERNANCE)),
    }


@pytest.mark.parametrize("edition", ["internal", "public"])
def test_it_is_an_archive_file_that_embeds_its_fonts_and_points_nowhere(edition: str, drawn: dict[str, bytes]) -> None:
    body = drawn[edition]
    assert body.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>2</pdfaid:part>" in body and b"<pdfaid:conformance>B</pdfaid:conformance>" in body
    assert not re.search(rb"/(JavaScript|JS|Launch|URI|EmbeddedFile|OpenAction|AA)\b", body)
    assert len(body) < 2_000_000


def test_the_same_evidence_gives_the_same_bytes_within_two_seconds(
    internal: dict[str, Any], drawn: dict[str, bytes]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    again = render_pdf(assemble(**internal, governance=GOVERNANCE))
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert again == drawn["internal"]
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_its_date_is_that_of_the_evidence(drawn: dict[str, bytes]) -> None:
    assert b"<xmp:CreateDate>2026-11-22" in drawn["internal"]
    assert date_of("2026-11-23T23:30:00-05:00") == (2026, 11, 24)
    assert date_of("yesterday") == (1970, 1, 1)


@pytest.mark.parametrize("edition", ["internal", "public"])
def test_the_first_sheet_holds_what_the_first_page_holds(edition: str, drawn: dict[str, bytes], tmp_path: Path) -> None:
    first = " ".join(text_of(drawn[edition], tmp_path, "-layout", "-l", "1").split())
    for part in FRONT:
        assert part in first, part
    assert "Appendix" not in first
    whole = " ".join(text_of(drawn[edition], tmp_path).split())
    for part in ("Twenty items", "Crosswalk", "Glossary", "not stated", "164.514"):
        assert part in whole, part


def test_every_page_of_the_internal_edition_says_so_and_no_other(drawn: dict[str, bytes], tmp_path: Path) -> None:
    inside = text_of(drawn["internal"], tmp_path)
    assert inside.count("internal, not for release") == inside.count("\f")
    assert "not for release" not in text_of(drawn["public"], tmp_path)


def test_no_exact_figure_of_real_rows_is_in_the_public_pdf(
    public: dict[str, Any], drawn: dict[str, bytes], tmp_path: Path
) -> None:
    page = numbers(text_of(drawn["public"], tmp_path))
    published = numbers(" ".join(str(v) for name in public for _, v in leaves(public[name])))
    limits = {f"{row['limit']:.{k}f}" for row in public["evidence"]["attacks"] for k in (3, 4)}
    model = assemble_public(**public)
    shares = {f"{e.rho:.5f}" for e in model.events if e.rho is not None} | {
        amount for _, amount, _ in model.budget.parts
    }
    assert page <= published | limits | shares | {"1.83", "164.514"}
    assert len(numbers(text_of(drawn["internal"], tmp_path)) - page) > 100


HOSTILE = ("#panic(1)", '#read("/etc/passwd")', "*bold* $x$ @ref <a>", "\\u{41}", *CORPUS)


@pytest.mark.parametrize("payload", ["".join(HOSTILE[first : first + 4]) for first in range(0, len(HOSTILE), 4)])
def test_texts_are_never_commands(payload: str, internal: dict[str, Any], tmp_path: Path) -> None:
    internal.pop("events")
    body = render_pdf(assemble(**poison(internal, payload), title=payload, warnings=[payload]))
    assert not re.search(rb"/(JavaScript|JS|Launch|URI)\b", body)
    words = re.sub(r"\s|\u200b", "", text_of(body, tmp_path))
    assert re.sub(r"\s", "", printable(payload.split("\n")[0]))[:12] in words


@pytest.mark.parametrize("part", range(4))
def test_every_character_that_is_said_to_be_shown_has_a_shape_in_every_style(part: int) -> None:
    codes = [chr(c) for first, last in RANGES[part::4] for c in range(first, last + 1)]
    text = "".join(c for c in codes if not c.isspace())
    assert all(shown(c) for c in codes)
    heads = [{"label": text, "align": "left", "width": "1fr"}]
    rows = [[{"b": text}], [{"main": text, "sub": text}], [{"tag": text, "tone": "bad"}]]
    every = section("Glyphs", text, {"caption": text, "heads": heads, "rows": rows})
    assert typeset({"internal": True, "title": text[:40], "eyebrow": text, "date": [2026, 11, 23], "sections": [every]})


def test_a_character_without_a_shape_is_its_number() -> None:
    assert printable("表\U0001f512\u0301x") == "⟨U+8868⟩⟨U+1F512⟩⟨U+0301⟩x"
    assert printable("e\u0301") == "é"


@pytest.mark.parametrize("edition", ["internal", "public"])
def test_every_row_of_a_printed_table_has_a_cell_for_every_head(
    edition: str, internal: dict[str, Any], public: dict[str, Any]
) -> None:
    model = assemble(**internal, governance=GOVERNANCE)
    drawn = assemble_public(**public, governance=GOVERNANCE) if edition == "public" else model
    tables = [found for found in walk([front_of(drawn), appendix_of(drawn)]) if "heads" in found]
    assert len(tables) > 8
    assert {len(row) - len(found["heads"]) for found in tables for row in found["rows"]} == {0}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)
