"""The page on auditing texts runs as written, and its commands give their verdicts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dpsynth.cli.app import app

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/audit-text.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks("python")), "audit-text.md", "exec"), {})
    assert capsys.readouterr().out.split() == ["fail", "fail"]
    assert (tmp_path / "canaries.json").stat().st_mode & 0o077 == 0


def test_its_commands_have_the_options_that_it_shows() -> None:
    import typer

    command = typer.main.get_command(app).commands["audit"]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    for line in blocks("bash")[0].splitlines():
        words = shlex.split(line)
        assert words[:2] == ["dpsynth", "audit"]
        assert {word for word in words if word.startswith("-")} <= known
