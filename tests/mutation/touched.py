"""Which test runs which function: a pytest plugin that writes, for each test, its seconds and the functions it entered.

Functions, not lines: a profiler's call events cost a third more time, a tracer's line events ten times more. By name,
so that what was written down holds while lines move.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest


class Touched:
    """Records `{test: [seconds, ["path:qualified name", …]]}`; what a shared fixture ran counts for
    every test that asks for it."""

    def __init__(self, root: Path, packages: tuple[str, ...], out: Path) -> None:
        self.prefix, self.out = f"{root}/", out
        self.places = tuple(f"{root}/{package}/" for package in packages)
        self.names: dict[Any, str | None] = {}
        self.now: set[str] = set()
        self.found: dict[str, tuple[float, list[str]]] = {}
        self.shared: dict[str, set[str]] = {}

    def __call__(self, frame: Any, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            name = self.names.get(code, 0)
            if name == 0:
                file = code.co_filename
                ours = file.startswith(self.places)
                name = f"{file.removeprefix(self.prefix)}:{code.co_qualname}" if ours else None
                self.names[code] = name  # type: ignore[assignment]
            if name is not None:
                self.now.add(name)  # type: ignore[arg-type]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Any:
        outside, self.now = self.now, set()
        try:
            return (yield)
        finally:
            self.shared.setdefault(fixturedef.argname, set()).update(self.now)
            self.now |= outside

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.now = set()
        start = time.process_time()
        sys.setprofile(self)
        try:
            return (yield)
        finally:
            sys.setprofile(None)
            for fixture in getattr(item, "fixturenames", ()):
                self.now |= self.shared.get(fixture, set())
            self.found[item.nodeid] = (time.process_time() - start, sorted(self.now))

    def pytest_sessionfinish(self) -> None:
        self.out.write_text(json.dumps(self.found))
