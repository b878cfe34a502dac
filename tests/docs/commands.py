"""Bash blocks of a page, command by command: ours run in this process, others are held against what they name.

`make`, `pip` and the benchmarks are not run, for they take minutes or the network; the target, the extra, the file and
its options must exist. Whatever else is no command of ours runs in bash.
"""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import typer

from dpsynth.cli.app import app, call
from tests.docs.blocks import ROOT

HELD = ("make", "pip", "git", "cd", ".")
VERDICTS = {"gate": {3, 4}, "release": {3, 4}, "run": {3, 4}, "audit": {3, 4}, "audit-generator": {3, 4}, "drift": {3}}


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command; a line may hold several, and may go on behind a backslash."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word not in ("&&", ";"):
                words.append(word)
            elif words:
                yield words
                words = []


@functools.cache
def _tree() -> typer.core.TyperGroup:  # type: ignore[name-defined]
    return typer.main.get_command(app)


def leaf(words: list[str]) -> tuple[str, set[str]]:
    """The command that the words name and the options that it has; raises AssertionError where there is none."""
    node, path = _tree(), ["dpsynth"]
    for word in words[1:]:
        if not hasattr(node, "commands"):
            break
        assert word in node.commands, f"{' '.join(path)} has no command {word!r}: it has {sorted(node.commands)}"
        node = node.commands[word]
        path.append(word)
    options = {option for parameter in node.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return " ".join(path), options | {"--help", "-h"}


def _options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}


def check(words: list[str]) -> None:
    """Hold a command against what it names, without running it."""
    program = words[0]
    if program == "dpsynth":
        if _options(words[1:2]):
            return
        path, known = leaf(words)
        assert _options(words) <= known, f"{path} has no option {sorted(_options(words) - known)}"
    elif program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        assert {word for word in words[1:] if "=" not in word} <= targets, f"make has no target of {words[1:]}"
    elif program == "pip":
        extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])
        for word in words[1:]:
            for group in re.findall(r"dpsynth-release\[(.*?)\]", word):
                assert set(group.split(",")) <= extras, f"no extra of {group}"
    elif program == "python" and words[1].startswith("benchmarks/"):
        source = (ROOT / words[1]).read_text("utf-8")
        missing = {option for option in _options(words[2:]) if f'"{option}"' not in source}
        assert not missing, f"{words[1]} has no option {sorted(missing)}"


def is_held(words: list[str]) -> bool:
    """Whether the command is only held against what it names."""
    return words[0] in HELD or (words[:1] == ["python"] and words[1].startswith("benchmarks/"))


def run(words: list[str], names: dict[str, object]) -> int:
    """Run one command of a page, `$NAME` being what its setup calls so; returns its exit code."""
    words = [str(names.get(word[1:], word)) if word.startswith("$") else word for word in words]
    check(words)
    if is_held(words):
        return 0
    if words[0] == "dpsynth":
        return call(words[1:])
    if words[:2] == ["python", "-m"]:
        return subprocess.run([sys.executable, *words[1:]], check=False).returncode
    return subprocess.run(["bash", "-c", " ".join(words)], check=False).returncode
