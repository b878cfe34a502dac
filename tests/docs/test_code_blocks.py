"""Every code block of README and docs runs as written, page by page, in the order of the page.

What may not run says why where it stands, is held against the commands, options, files and fields that it names, and is
counted. A page that takes seconds runs here; a slower one with `make test-all`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpsynth.core.errors import GateRefused
from dpsynth.release.policy import Policy
from dpsynth.schema.model import Schema
from dpsynth.workspace.run import RunConfig
from tests.docs import commands, world
from tests.docs.blocks import LANGUAGES, PAGES, ROOT, Block, blocks, everywhere

# Each of these is a hole; a new one needs a reason beside it and this number raised by a person who read the reason.
MOST_NO_RUN = 20
WALKED_ELSEWHERE = {"README.md": "tests/e2e/test_readme_walk.py"}


READERS: dict[str, Callable[[Path], object]] = {
    "run": RunConfig.from_yaml,
    "schema": Schema.from_yaml,
    "policy": lambda path: Policy.from_yaml(path.read_text("utf-8")),
}


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _slow(page: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if any("slow" in block.asks for block in blocks(page)) else []


RUN = [
    pytest.param(page, id=_name(page), marks=_slow(page))
    for page in PAGES
    if _name(page) not in WALKED_ELSEWHERE and any(b.language != "text" and b.no_run is None for b in blocks(page))
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(tmp_path)]))
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", RUN)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_page_runs_from_top_to_bottom(
    page: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = next((block.asks["world"] for block in blocks(page) if "world" in block.asks), "empty")
    world.begin(begun, here)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        if block.no_run is not None:
            print(f"{block.place}: not run: {block.no_run}", file=sys.stderr)
            continue
        world.provide(block.text + block.asks.get("setup", ""), here)
        capsys.readouterr()
        exec(compile(block.asks.get("setup", ""), f"{block.place} (setup)", "exec"), names)
        capsys.readouterr()
        if Path("vault").exists():
            monkeypatch.setenv("DPSYNTH_WORKSPACE", "vault")
        stop = _run(block, here, names)
        told = capsys.readouterr()
        said = told.out
        if stop:
            pytest.skip(f"{block.place}: the gate sent this draft back, as it does now and then; the rest has no draft")
        for line in block.asks.get("prints", "").splitlines():
            assert line in said, f"{block.place} did not print {line!r} but:\n{said}"
        if block.language == "console":
            _as_shown(block, said + told.err)


def _as_shown(block: Block, said: str) -> None:
    """Every line of output that the page shows was printed, but for rules and spaces; `…` stands for anything."""
    printed = [_words(line) for line in said.splitlines()]
    for line in block.text.splitlines():
        start, left_out, _ = _words(line).partition("…")
        shown = line.startswith("$ ") or any(
            other.startswith(start) if left_out else other == start for other in printed
        )
        assert shown, f"{block.place} shows {line!r}, which was not printed, but:\n{said}"


def _words(line: str) -> str:
    return " ".join(re.sub("[\u2500-\u257f]", " ", line).split())


def _run(block: Block, here: Path, names: dict[str, Any]) -> bool:
    """Run a block; whether the page ends here because the gate did not ship."""
    if "loads" in block.asks:
        (here / "read.yaml").write_text(block.text, "utf-8")
        READERS[block.asks["loads"]](here / "read.yaml")
    elif "file" in block.asks:
        (here / block.asks["file"]).write_text(block.text, "utf-8")
    elif block.language == "python":
        try:
            exec(compile(block.text, block.place, "exec"), names)
        except GateRefused:
            return True
    elif block.language == "console":
        lines = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
        return _commands("\n".join(lines), block, names)
    elif block.language == "bash":
        return _commands(block.text, block, names)
    return False


def _commands(text: str, block: Block, names: dict[str, Any]) -> bool:
    for words in commands.commands(text):
        code = commands.run(words, names)
        asked = block.asks.get("exits")
        if asked is None and code in commands.VERDICTS.get(words[1] if len(words) > 1 else "", ()):
            if words[1] in ("release", "run"):
                return True
            continue
        assert str(code) in (asked or "0").split(), f"{block.place}: exit code {code} of: {' '.join(words)}"
    return False


@pytest.mark.parametrize("block", everywhere(), ids=lambda block: block.place)
def test_a_block_is_well_formed(block: Block) -> None:
    assert block.language in LANGUAGES, f"{block.place}: name the language of the block, one of {sorted(LANGUAGES)}"
    for reason in ("slow", "no-run"):
        assert reason not in block.asks or len(block.asks[reason]) >= 15, f"{block.place}: say why it is {reason}"
    for named in re.findall(r"tests/[\w/.]+", block.asks.get("no-run", "")):
        assert (ROOT / named).exists(), f"{block.place}: {named} does not exist"
    if block.language == "text" and block.no_run is None:
        commanded = [line for line in block.text.splitlines() if line.startswith(("dpsynth ", "$ ", "pip ", "python "))]
        assert not commanded, f"{block.place}: commands in a block of text would not be run"
    elif block.language == "python":
        compile(block.text, block.place, "exec")
        compile(block.asks.get("setup", ""), block.place, "exec")
    elif block.language == "bash":
        for words in commands.commands(block.text):
            commands.check(words)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.language == "json":
        json.loads(block.text)


def test_what_is_not_run_is_counted() -> None:
    holes = [f"{block.place}: {block.no_run}" for block in everywhere() if block.no_run is not None]
    print("\n".join(holes))
    assert len(holes) <= MOST_NO_RUN, "\n".join(holes)


def test_a_page_that_is_walked_elsewhere_is_walked_there() -> None:
    for page, test in WALKED_ELSEWHERE.items():
        assert page in (ROOT / test).read_text("utf-8")


def test_a_page_that_goes_wrong_is_seen(here: Path) -> None:
    """The net itself: a command that fails, an option that is none, a command hidden in a block of text."""
    bad = Block(page="x.md", line=1, language="bash", text="dpsynth verify nothing --key none.pub\n")
    with pytest.raises(AssertionError, match="exit code"):
        _run(bad, here, {})
    with pytest.raises(AssertionError, match="has no option"):
        commands.check(["dpsynth", "verify", "b", "--keys", "k"])
    with pytest.raises(AssertionError, match="has no command"):
        commands.check(["dpsynth", "verfiy", "b"])
    with pytest.raises(AssertionError, match="would not be run"):
        test_a_block_is_well_formed(Block(page="x.md", line=1, language="text", text="dpsynth show\n"))
