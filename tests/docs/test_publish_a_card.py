"""The page on cards: its commands are commands, and its table names the card's fields."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer

from dpsynth.cli.app import app
from dpsynth.release.card import Card
from dpsynth.release.cards import FORMATS
from dpsynth.release.evals import EvalsFacts

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/publish-a-card.md").read_text("utf-8")


def test_its_commands_have_the_options_that_it_shows() -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for line in block.splitlines():
        words = shlex.split(line)
        known = {option for parameter in commands[words[1]].params for option in parameter.opts}
        assert words[0] == "dpsynth" and {word for word in words if word.startswith("-")} <= known
    assert {form for form in FORMATS if f"--format {form}" in block} == set(FORMATS)


def test_its_fields_are_fields_of_the_card() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} <= set(Card.model_fields)
    assert all(f"`{name}`" in PAGE for name in EvalsFacts.model_fields)
