"""The table of plans in the documentation is what the benchmark prints today: plans are deterministic."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "plan-a-large-run.md"
PLANS, QUICK = 8, (7,)
"""Rows of the table; of blocks of a hundred columns. The others plan a thousand, some seconds each."""


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    return importlib.import_module("wide")


def rows_of_the_page() -> list[list[str]]:
    lines = PAGE.read_text("utf-8").partition("| plan | statements |")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def short(number: int) -> str:
    """A count as the page writes it."""
    for unit, size in (("G", 10**9), ("M", 10**6)):
        if number >= size / 10:
            return f"{number / size:.1f} {unit}"
    return f"{number:,}"


@pytest.mark.parametrize("at", [at if at in QUICK else pytest.param(at, marks=pytest.mark.slow) for at in range(PLANS)])
def test_the_page_says_what_is_planned(wide, at: int) -> None:
    found, said = wide.far(*wide.FAR[at]), rows_of_the_page()[at]
    assert said[1:4] == [f"{found['statements']:,}", f"{found['histograms']:,}", short(int(str(found["cells"])))]
    read, unit = str(found["read"]).split()
    assert said[4] == f"{float(read):.1f} {unit}" or said[4] == f"{float(read):.0f} {unit}"
    assert said[5] == (f"{found['shuffles']:,}" if found["shuffles"] else "–")
    amount, unit = str(found["cpu"]).split()
    assert said[7] == f"{int(float(amount))} {unit}" or said[7] == f"{float(amount):.0f} {unit}"
