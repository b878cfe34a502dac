"""Rules of the house that a reader would otherwise have to check by eye."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(p for package in ("accounting", "attacks", "dpsynth") for p in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_source_validates_with_errors_that_survive_python_O(path: Path) -> None:
    """`assert` vanishes under -O, so no check may be one."""
    lines = [node.lineno for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Assert)]
    assert not lines, f"assert in {path} at {lines}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_one_idea(path: Path) -> None:
    """A long file is two ideas; every file says its idea first."""
    text = path.read_text("utf-8")
    assert text.count("\n") <= 450
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} does not say what it is"


CATCHING: Final = {
    "dpsynth/cli/app.py": "what a person sees is never a traceback",
    "dpsynth/quality/learners.py": "a learner of the user's may raise anything, and its words may quote cells",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_where_code_of_others_runs_everything_is_caught(path: Path) -> None:
    broad = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert len(broad) <= 1 and bool(broad) == (str(path.relative_to(ROOT)) in CATCHING), f"in {path} at {broad}"


HEAVY = (
    "numpy",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "matplotlib",
    "torch",
    "dp_accounting",
    "sqlalchemy",
    "rich",
    "numba",
)


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import dpsynth", ()),
        ("import accounting", ()),
        ("import attacks", ()),
        ("import dpsynth.cli.app", ()),
        ("from accounting.ledger.slice import verify_slice", ()),
        ("from accounting import Ledger", ("sqlalchemy",)),
        ("import dpsynth.pipeline", ("numpy", "pyarrow", "scipy")),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str, allowed: tuple[str, ...]) -> None:
    probe = f"{code}\nimport sys\nprint(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert set(out.split()) <= set(allowed), f"{code} imports {out}"


def test_benchmarks_run_as_scripts_and_our_tests_cannot_be_hidden() -> None:
    """A dependency installs packages named `benchmarks` and `tests`: what is imported by these names must be ours."""
    import tests

    assert Path(str(tests.__file__)).parent == ROOT / "tests"
    told = [ROOT / "README.md", ROOT / "Makefile", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.py")]
    assert [path.name for path in told if "-m benchmarks" in path.read_text("utf-8")] == []
    for path in (ROOT / "benchmarks").glob("*.py"):
        text = path.read_text("utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        names |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
        firsts = {name.partition(".")[0] for name in names}
        assert "benchmarks" not in firsts, f"{path.name}: import the file beside it by its own name"
        assert "tests" not in firsts or "sys.path.insert(0, " in text, f"{path.name}: the checkout must come first"
