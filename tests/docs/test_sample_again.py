"""The page on sampling again runs as written, and its commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dpsynth.cli.app import app

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/sample-again.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python"), "sample-again.md", "exec"), {})
    assert "For any one record (epsilon = " in capsys.readouterr().out
    assert (tmp_path / "claims.dpmodel").is_file()


def test_its_commands_have_the_options_that_it_shows() -> None:
    import typer

    command = typer.main.get_command(app).commands["sample"]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    for line in block("bash").splitlines():
        words = shlex.split(line)
        assert words[:2] == ["dpsynth", "sample"]
        assert {word for word in words if word.startswith("-")} <= known
