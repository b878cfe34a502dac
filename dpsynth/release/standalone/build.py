"""Write `verify_bundle.py`: the loader, then every module that `dpsynth.release.verify` can reach, as it is.

The closure follows the imports in the syntax trees, those inside functions too. A module that needs more at import than
the standard library, `cryptography` and what the file carries is left out, with all that import it; were one of these
ever reached there, the loader would refuse it by name. The same sources give the same bytes.

>>> text = verifier().decode()
>>> "#@ dpsynth/release/verify.py" in text, "import pandas" in text, digest() == digest()
(True, False, True)

Not guaranteed: that a receiver took the file from us. See its first lines.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from dpsynth.release.standalone import loader

NAME: Final = "verify_bundle.py"
CARRIED: Final = ("rfc8785", "yaml")
ROOTS: Final = ("dpsynth.release.standalone.main", *dict.fromkeys(loader.STAND_INS.values()))
_OURS: Final = ("accounting", "attacks", "dpsynth")
_THERE: Final = frozenset({"cryptography", "dp_accounting", *CARRIED, *(n.partition(".")[0] for n in loader.STAND_INS)})
_LEFT_OUT: Final = frozenset({"yaml/cyaml.py"})  # binds a C library, which PyYAML does without
_BASE: Final = Path(__file__).resolve().parents[3]


@cache
def verifier() -> bytes:
    """The file."""
    head = (_BASE / "dpsynth/release/standalone/loader.py").read_text("utf-8")
    parts = [head, f"# dpsynth-release {version('dpsynth-release')}, with {', '.join(_carried_versions())}.\n"]
    for name, source in sources().items():
        parts.append(f"#@ {name} {hashlib.sha256(source.encode()).hexdigest()}\n")
        parts += [f"#|{line}\n" for line in source.splitlines()]
    return "".join(parts).encode()


def digest() -> str:
    """SHA-256 of the file, hexadecimal: what the project publishes and a receiver compares."""
    return hashlib.sha256(verifier()).hexdigest()


@cache
def sources() -> dict[str, str]:
    """Source text by file name: our closure, then the libraries that are carried."""
    rules = sorted((_BASE / "dpsynth/release/rules").glob("*.py"))
    reached = closure([*ROOTS, *(f"dpsynth.release.rules.{path.stem}" for path in rules if path.stem != "__init__")])
    found = {_place(name): _text(name) for name in reached}
    for library in CARRIED:
        spec = find_spec(library)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(library)
        folder = Path(spec.origin).parent
        texts = {f"{library}/{path.name}": path.read_text("utf-8") for path in sorted(folder.glob("*.py"))}
        found |= {name: text for name, text in texts.items() if name not in _LEFT_OUT}
    return found


def closure(roots: list[str]) -> list[str]:
    """Modules of ours that the roots reach and that can be imported there, sorted."""
    needs: dict[str, tuple[set[str], bool]] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in needs:
            continue
        at_import, later, foreign = _imports(name)
        needs[name] = (at_import, foreign)
        waiting += at_import | later
    while unfit := {
        name for name, (wanted, foreign) in needs.items() if foreign or any(w not in needs for w in wanted)
    }:
        needs = {name: row for name, row in needs.items() if name not in unfit}
    return sorted(needs)


def _imports(name: str) -> tuple[set[str], set[str], bool]:
    """Modules of ours that it imports at once, and later; whether it needs a stranger at once."""
    tree = ast.parse(_text(name))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    inside = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
    found: tuple[set[str], set[str]] = (set(), set())
    foreign = False
    for node in ast.walk(tree):
        if id(node) in typing_only or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        for wanted in _named(node):
            top = wanted.partition(".")[0]
            if top in _OURS:
                found[id(node) in inside].update(_with_parents(wanted))
            elif top not in _THERE and top not in sys.stdlib_module_names and id(node) not in inside:
                foreign = True
    found[0].update(_with_parents(name))
    return found[0] - {name}, found[1] - {name}, foreign


def _named(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    yield base
    if base.partition(".")[0] in _OURS:
        yield from (f"{base}.{alias.name}" for alias in node.names if _exists(f"{base}.{alias.name}"))


def _with_parents(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:size]) for size in range(1, len(parts) + 1)}


def _place(name: str) -> str:
    stem = name.replace(".", "/")
    return f"{stem}/__init__.py" if (_BASE / stem).is_dir() else f"{stem}.py"


def _exists(name: str) -> bool:
    return (_BASE / _place(name)).is_file()


def _text(name: str) -> str:
    return (_BASE / _place(name)).read_text("utf-8")


def _carried_versions() -> list[str]:
    return [f"{library} {version({'yaml': 'PyYAML'}.get(library, library))}" for library in CARRIED]
