"""The page on comparing runs as written, its commands have the options that it shows, and its fields are all fields."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dpsynth.cli.app import app

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/compare-generators.md").read_text("utf-8")


@pytest.mark.slow  # the notebook does the same
def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(example, "compare-generators.md", "exec"), {})
    assert "independent" in capsys.readouterr().out
    assert (tmp_path / "compared.html").is_file()


def test_its_commands_have_the_options_that_it_shows() -> None:
    import typer

    command = typer.main.get_command(app).commands["compare"]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    lines = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line)
        if words[:2] == ["dpsynth", "compare"]:
            assert {word for word in words if word.startswith("-")} <= known


def test_it_says_every_field_of_the_document() -> None:
    said = set(re.findall(r"\w+", PAGE.partition("## `--json`")[2]))
    from dpsynth.comparison.figures import FIGURES

    explained = set(re.findall(r"`(\w+)`", PAGE.partition("## What is measured")[2]))
    assert set(FIGURES) <= explained
    assert {"reference", "cells", "confidentiality", "peak_mib", "would_fit", "draft"} <= said
