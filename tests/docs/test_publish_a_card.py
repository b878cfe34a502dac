"""The page on cards shows every format, and its table names the card's fields; test_code_blocks runs its commands."""

from __future__ import annotations

import re
from pathlib import Path

from dpsynth.release.card import Card
from dpsynth.release.cards import FORMATS
from dpsynth.release.evals import EvalsFacts

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/publish-a-card.md").read_text("utf-8")


def test_it_shows_every_format() -> None:
    assert {form for form in FORMATS if f"--format {form}" in PAGE} == set(FORMATS)


def test_its_fields_are_fields_of_the_card() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} <= set(Card.model_fields)
    assert all(f"`{name}`" in PAGE for name in EvalsFacts.model_fields)
