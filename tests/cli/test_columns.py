"""Tables on a terminal: whatever its width, no character of a shown cell is lost, and what is left out is named."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dpsynth.cli.columns import BLANKS, LEGIBLE, LINES, broken, fitted
from dpsynth.cli.terminal import Terminal

HEADS = ["attack", "stratum", "endpoint", ">estimate", ">upper bound", ">detectable"]
ROWS = [
    ["nearest_neighbour", "canaries", "match_excess@fpr=0.001", "-0.001049", "0.0003847", "0.01"],
    ["verbatim", "all", "auc", "0", "0.5204", "0.2"],
]


@given(st.text("ab_@ ²×é", max_size=40), st.integers(1, 12))
def test_a_broken_cell_keeps_its_characters_in_lines_that_fit(cell: str, width: int) -> None:
    lines = broken(cell, width).split("\n")
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", cell)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", range(58, 130, 3))
def test_a_table_fits_its_terminal_and_numbers_stay_whole(width: int) -> None:
    found = fitted(HEADS, ROWS, spare=["stratum"], width=width)
    sizes = [max(len(line) for row in found.cells for line in row[at].split("\n")) for at in range(len(found.kept))]
    beyond = LINES * len(sizes) + 1 if found.lines else BLANKS * (len(sizes) - 1)
    assert sum(sizes) + beyond <= width
    for kept, row in zip(found.cells[1:], ROWS, strict=True):
        for at, cell in zip(found.kept, kept, strict=True):
            assert cell == row[at] if HEADS[at].startswith(">") else re.sub(r"\n", "", cell) == row[at]
    away = set(range(len(HEADS))) - set(found.kept)
    assert away in (set(), {HEADS.index("stratum")})
    assert max(map(len, ROWS[0])) > LEGIBLE  # else nothing here would ever be broken


@pytest.mark.parametrize(("width", "said"), [(70, "No room for: stratum"), (140, "┃")])
def test_what_is_printed_is_as_wide_as_the_terminal(width: int, said: str) -> None:
    terminal, stream = Terminal(), io.StringIO()
    terminal._console = Console(file=stream, width=width, highlight=False)
    terminal.table("Attacks", HEADS, ROWS, spare=["stratum"])
    out = stream.getvalue()
    assert said in out and "…" not in out
    assert all(len(line) <= width for line in out.splitlines() if "No room" not in line)
    for cell in ("-0.001049", "0.0003847", "neighbour"):
        assert cell in out
