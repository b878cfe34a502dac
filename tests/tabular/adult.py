"""One benchmark run on Adult for the slow tests, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def missed_on_adult(generator: str, results: Path) -> list[str]:
    """The figures of three runs at epsilon 1 whose mean misses its goal; skips where the table is not there."""
    if not Path(os.environ.get("DPSYNTH_SHARED", ROOT.parent / "shared")).is_dir():
        pytest.skip("shared data absent: set DPSYNTH_SHARED")
    command = [sys.executable, str(ROOT / "benchmarks" / "tabular.py"), "--table", "adult", "--generator", generator]
    done = subprocess.run([*command, "--json", str(results)], capture_output=True, text=True)
    assert results.exists(), done.stderr
    (entry,) = json.loads(results.read_text("utf-8"))["summary"]
    assert entry["runs"] == 3, entry["failed"]
    return list(entry["missed"])
