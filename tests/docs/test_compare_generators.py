"""The page on comparing names every figure and every field; test_code_blocks runs its examples."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/compare-generators.md").read_text("utf-8")


def test_it_says_every_field_of_the_document() -> None:
    said = set(re.findall(r"\w+", PAGE.partition("## `--json`")[2]))
    from dpsynth.comparison.figures import FIGURES

    explained = set(re.findall(r"`(\w+)`", PAGE.partition("## What is measured")[2]))
    assert set(FIGURES) <= explained
    assert {"reference", "cells", "confidentiality", "peak_mib", "would_fit", "draft"} <= said
